"""What a feed had been asked for when an answer came, as the ledger has it."""

import json
from collections import defaultdict
from functools import cached_property

import numpy as np
from sqlalchemy import select

from ksi_pipeline.core.instants import from_us
from ksi_pipeline.core.time import Window
from ksi_pipeline.store.ledger import Row
from ksi_pipeline.store.store import Store
from ksi_pipeline.store.tables import FETCHES


class AskedBefore:
    """The questions of one connector for one site, of all answers stored."""

    def __init__(self, store: Store, connector_id: str, site_id: str) -> None:
        self._store, self._connector_id, self._site_id = store, connector_id, site_id

    def windows(self, fetch: Row) -> dict[str, list[Window]]:
        """Give the windows that meet an answer's, by code, of the answers that hold before it."""
        fetched, start, end = self._instants.T
        near = (fetched <= fetch["fetched_at_utc"]) & (start < fetch["to_utc"])
        found: dict[str, list[Window]] = defaultdict(list)
        for place in np.flatnonzero(near & (end > fetch["from_utc"])).tolist():
            other = self._rows[place]
            if rank_of(other) < rank_of(fetch):
                window = Window(from_us(other["from_utc"]), from_us(other["to_utc"]))
                for code in json.loads(other["codes"]):
                    found[code].append(window)
        return found

    @cached_property
    def _rows(self) -> list[Row]:
        names = ("fetch_id", "raw_sha256", "fetched_at_utc", "from_utc", "to_utc", "codes")
        return self._store.ledger.rows(
            select(*(FETCHES.c[name] for name in names)).where(
                FETCHES.c.connector_id == self._connector_id, FETCHES.c.site_id == self._site_id
            )
        )

    @cached_property
    def _instants(self) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        names = ("fetched_at_utc", "from_utc", "to_utc")
        return np.array([[row[name] for name in names] for row in self._rows], np.int64)


def rank_of(fetch: Row) -> tuple[int, str, int]:
    """Order answers as they hold."""
    return fetch["fetched_at_utc"], fetch["raw_sha256"], fetch["fetch_id"]
