"""What is known, or was known at some time, of the ticket hours of one code."""

from datetime import datetime

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.core.time import Window
from ksi_pipeline.defs.workspace import Workspace

_SCHEMA = DATASETS["ticket_hours"]


def ticket_history(workspace: Workspace, connector_id: str, code: str, window: Window) -> pa.Table:
    """Give every revision of the hours of a code that start in a window, in order of hour and time.

    Returns:
        Schema TICKET_HOURS.
    """
    paths = [
        str(workspace.store.absolute(f)) for f in workspace.store.ledger.live_files("ticket_hours")
    ]
    if not paths:
        return _SCHEMA.empty_table()
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        asked = duckdb.ColumnExpression
        hours = connection.read_parquet(paths)
        found: pa.Table = (
            hours.filter(asked("connector_id") == duckdb.ConstantExpression(connector_id))
            .filter(asked("ext_ref_code") == duckdb.ConstantExpression(code))
            .filter(asked("hour_start_utc") >= duckdb.ConstantExpression(window.start))
            .filter(asked("hour_start_utc") < duckdb.ConstantExpression(window.end))
            .order("hour_start_utc, fetched_at_utc, raw_sha256, row_number")
            .to_arrow_table()
        )
    return found.select(_SCHEMA.names).cast(_SCHEMA)


def known_at(revisions: pa.Table, instant: datetime | None) -> pa.Table:
    """Keep the revisions that had come by an instant; all where it is None."""
    if instant is None:
        return revisions
    at = pa.scalar(instant, pa.timestamp("us", "UTC"))
    return revisions.filter(pc.less_equal(revisions["fetched_at_utc"], at))
