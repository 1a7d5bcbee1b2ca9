"""What a connector was asked and answered, as the ledger has it."""

import json
from functools import lru_cache

from sqlalchemy import select

from ksi_pipeline.core.asking import Answered
from ksi_pipeline.store.store import Store, from_us
from ksi_pipeline.store.tables import FETCHES, QUARANTINE


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
