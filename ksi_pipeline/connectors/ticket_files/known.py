"""What earlier files of a connector said of tickets and lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from ksi_pipeline.connectors.ticket_files.drop import KEY

# In this order revisions came.
REVISION = ("fetched_at_utc", "raw_sha256")


@dataclass(frozen=True, slots=True)
class Known:
    """What earlier files of a connector said: files of the two datasets, oldest first."""

    tickets: Sequence[Path]
    lines: Sequence[Path]

    def earlier(self, came: datetime) -> pl.LazyFrame | None:
        """Give the revisions of tickets that came before an instant; None: there are no files."""
        if not self.tickets:
            return None
        at = pl.lit(came).cast(pl.Datetime("us", "UTC"))
        return pl.scan_parquet(list(self.tickets)).filter(pl.col("fetched_at_utc") < at)


def latest(revisions: pl.LazyFrame) -> pl.LazyFrame:
    """Keep the last revision of each ticket."""
    return revisions.sort(REVISION).unique(KEY, keep="last", maintain_order=True)
