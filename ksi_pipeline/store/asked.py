"""What a connector was asked and answered, as the ledger has it."""

import json
from datetime import UTC, datetime
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import select

from ksi_pipeline.core.gaps import Answered
from ksi_pipeline.core.instants import from_us
from ksi_pipeline.core.schemas import TICKET_HOURS
from ksi_pipeline.store.store import Store
from ksi_pipeline.store.tables import FETCHES, QUARANTINE

# The partition of a feed that was not yet parted by month.
_NOT_PARTED = "all"


def answers_of(store: Store, connector_id: str, site_id: str) -> list[Answered]:
    """Give every stored answer of a connector for a site that was not refused as a whole."""
    refused = select(QUARANTINE.c.raw_sha256).where(
        QUARANTINE.c.source == f"tickets:{connector_id}", QUARANTINE.c.row_number == -1
    )
    found = select(
        FETCHES.c.from_utc, FETCHES.c.to_utc, FETCHES.c.fetched_at_utc, FETCHES.c.codes
    ).where(
        FETCHES.c.connector_id == connector_id,
        FETCHES.c.site_id == site_id,
        FETCHES.c.raw_sha256.not_in(refused),
    )
    return [
        Answered(
            from_us(row["from_utc"]),
            from_us(row["to_utc"]),
            from_us(row["fetched_at_utc"]),
            _codes(row["codes"]),
        )
        for row in store.ledger.rows(found)
    ]


@lru_cache(maxsize=4096)
def _codes(text: str) -> tuple[str, ...]:
    """Read a list of codes; thousands of answers have the same."""
    return tuple(json.loads(text))


def revisions_since(store: Store, connector_id: str, since: datetime) -> pa.Table:
    """Give the revisions of hours that began at an instant or later.

    Files of earlier months, in UTC, are not read.

    Returns:
        Columns ext_ref_code, hour_start_utc and fetched_at_utc of schema TICKET_HOURS.
    """
    columns = ["ext_ref_code", "hour_start_utc", "fetched_at_utc"]
    month = f"{since.astimezone(UTC):%Y-%m}"
    tables = [pa.schema([TICKET_HOURS.field(name) for name in columns]).empty_table()]
    for row in store.ledger.live_files("ticket_hours", prefix=f"answer:{connector_id}/"):
        if row["partition"] < month and row["partition"] != _NOT_PARTED:
            continue
        table = pq.read_table(store.absolute(row), columns=columns)
        late = pc.greater_equal(table["hour_start_utc"], pa.scalar(since))
        tables.append(table.filter(late).cast(tables[0].schema))
    return pa.concat_tables(tables)
