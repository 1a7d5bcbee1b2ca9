"""What the lake knows of one feed, by UTC month: read where an answer touches it, and added to.

Files of a feed lie in partitions by month, so that reading an answer costs what it touches and not
thirty years. Homes that were written before that have them in one partition, `all`; they are parted
by the next run that reads an answer of the feed.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ksi_pipeline.core.months import (
    LONG,
    coverage_by_month,
    months_between,
    tickets_by_month,
)
from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.ledger import Row
from ksi_pipeline.store.store import Change, Store

_NOT_PARTED = "all"
_ROWS_AT_ONCE = 250_000
_HOUR_US = 3_600_000_000
# Files of one month, after which they become one.
_MOST_FILES = 32
_KINDS = {"ticket_hours": ("answer",), "coverage": ("answer", "refused")}


class FeedHistory:
    """Tickets and coverage of one connector at one site; additions count once they are written."""

    def __init__(self, store: Store, connector_id: str, space: Space) -> None:
        self._store, self._space = store, space
        self.connector_id = connector_id
        self._feed = f"{connector_id}/{space.site_id}/"
        self._known: dict[tuple[str, str], list[pa.Table]] = {}
        self._added: dict[tuple[str, str], list[pa.Table]] = defaultdict(list)

    def near(self, dataset: str, first_us: int, end_us: int) -> pa.Table:
        """Give all rows that may speak about [first, end), and others."""
        tables = [DATASETS[dataset].empty_table()]
        for partition in (_NOT_PARTED, LONG, *months_between(first_us, end_us)):
            key = (dataset, partition)
            if key not in self._known:
                self._known[key] = [
                    self._store.read(dataset, prefix=f"{kind}:{self._feed}", partition=partition)
                    for kind in _KINDS[dataset]
                ]
            tables += self._known[key]
        return pa.concat_tables(tables)

    def add(self, dataset: str, rows: pa.Table) -> None:
        """Note new rows; `near` gives them from now on. What `near` gave before must be read."""
        for month, table in self._parted(dataset, rows).items():
            self._added[dataset, month].append(table)
            if (dataset, month) in self._known:
                self._known[dataset, month].append(table)

    def write(self, change: Change, kind: str, name: str) -> None:
        """Let a change hold what was added, as said by `<kind>:<connector>/<site>/<name>-after<n>`.

        What the lake knows of a feed is only ever added to, so the same answers read once more get
        another source: n is the newest file of the ledger.
        """
        newest = self._store.ledger.newest_file()
        for (dataset, month), tables in self._added.items():
            source = f"{kind}:{self._feed}{name}-after{newest}"
            rows = pa.concat_tables(tables)
            self._store.append(change, dataset, rows, source=source, partition=month)
        self._added.clear()

    def take_back(
        self,
        change: Change,
        dataset: str,
        first_us: int,
        end_us: int,
        is_taken: Callable[[pa.Table], NDArray[np.bool_]],
    ) -> Iterator[pa.Table]:
        """Let rows of answers that may speak about [first, end) no longer count.

        Yields:
            The rows taken back, file by file; the change holds what is left of each.
        """
        # the key of an hour that a clock change cuts lies before its first instant
        months = (_NOT_PARTED, LONG, *months_between(first_us - _HOUR_US, end_us))
        prefix = f"answer:{self._feed}"
        for file in self._store.ledger.live_files(dataset, prefix=prefix):
            if file["partition"] in months:
                rows = self._store.read_files(dataset, [file])
                is_gone = is_taken(rows)
                if is_gone.any():
                    left = rows.filter(pa.array(~is_gone))
                    names = {name: file[name] for name in ("source", "partition")}
                    self._store.replace(change, dataset, left, **names)
                    yield rows.filter(pa.array(is_gone))

    def part(self) -> None:
        """Part what lies in one partition, some files at a time."""
        for dataset, kinds in _KINDS.items():
            for kind in kinds:
                prefix = f"{kind}:{self._feed}"
                files = self._store.ledger.live_files(dataset, prefix=prefix, partition=_NOT_PARTED)
                while files:
                    some = _some(files)
                    files = files[len(some) :]
                    self._part(dataset, some, f"{prefix}parted-{some[0]['file_id']}")

    def compact(self) -> None:
        """Make one file of the many of a month, in the order in which they hold."""
        for dataset, kinds in _KINDS.items():
            for kind in kinds:
                prefix = f"{kind}:{self._feed}"
                by_month: dict[str, list[Row]] = defaultdict(list)
                for row in self._store.ledger.live_files(dataset, prefix=prefix):
                    by_month[row["partition"]].append(row)
                for files in by_month.values():
                    if len(files) > _MOST_FILES:
                        self._merge(dataset, files, f"{prefix}merged")

    def _merge(self, dataset: str, files: list[Row], source: str) -> None:
        rows = self._store.read_files(dataset, files).sort_by("fetched_at_utc")
        change = Change(cause=f"files of {self._feed} merged")
        self._store.merge(change, dataset, files, rows, source=source)
        self._store.commit(change)

    def _part(self, dataset: str, files: list[Row], source: str) -> None:
        change = Change(cause=f"files of {self._feed} parted")
        change.retires += [row["file_id"] for row in files]
        rows = self._store.read_files(dataset, files)
        for month, table in self._parted(dataset, rows).items():
            self._store.replace(change, dataset, table, source=source, partition=month)
        self._store.commit(change)

    def _parted(self, dataset: str, rows: pa.Table) -> dict[str, pa.Table]:
        if not rows.num_rows:
            return {}
        if dataset == "ticket_hours":
            return tickets_by_month(rows)
        return coverage_by_month(rows, self._space.file.site.zone_info)


def _some(files: list[Row]) -> list[Row]:
    """Give the first files, up to about _ROWS_AT_ONCE rows, at least one."""
    rows = 0
    for place, file in enumerate(files):
        rows += int(file["row_count"])
        if rows > _ROWS_AT_ONCE and place:
            return files[:place]
    return files
