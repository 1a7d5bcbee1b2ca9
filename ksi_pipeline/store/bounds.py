"""First and last hour of tickets, found where the rows lie."""

from collections.abc import Collection
from datetime import datetime

import duckdb
import pyarrow as pa

from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.store.store import Store


def ticket_bounds(
    store: Store, codes: Collection[tuple[str, str]]
) -> tuple[datetime, datetime] | None:
    """Give the first and the last hour in which tickets were counted, restated ones included.

    Args:
        store: of the data home.
        codes: connector_id and ext_ref_code whose hours count.

    Returns:
        Starts of hours, aware UTC; None where there is none.
    """
    paths = [str(store.absolute(row)) for row in store.ledger.live_files("ticket_hours")]
    if not paths or not codes:
        return None
    schema = DATASETS["ticket_hours"]
    fields = [schema.field(name) for name in ("connector_id", "ext_ref_code")]
    known = pa.Table.from_pylist(
        [dict(zip(("connector_id", "ext_ref_code"), code, strict=True)) for code in sorted(codes)],
        schema=pa.schema(fields),
    )
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("set memory_limit = '1GB'")
        connection.register("known", known)
        connection.read_parquet(paths, union_by_name=True).create_view("hours")
        found = connection.sql(
            "select min(hour_start_utc) as first, max(hour_start_utc) as last "
            "from hours semi join known using (connector_id, ext_ref_code) where num_tickets <> 0"
        ).to_arrow_table()
    (bounds,) = found.to_pylist()
    return None if bounds["first"] is None else (bounds["first"], bounds["last"])
