"""Counting one file of tracklet points against space files, outside any data home."""

import os
import shutil
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pyarrow as pa

from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.events import Events, Found
from ksi_pipeline.core.occupancy import zone_occupancy
from ksi_pipeline.core.progress import Progress, no_progress
from ksi_pipeline.core.queues import queue_events
from ksi_pipeline.core.samples import Samples
from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.core.staff import tracklet_staff, zone_staffing
from ksi_pipeline.core.streams import CountedPart, RowError, Unsorted, count_part, joined_up
from ksi_pipeline.defs.steps.counting import SiteCounters, of_sites
from ksi_pipeline.defs.steps.site_counts import SiteCounts, Span, Tally, Watched
from ksi_pipeline.space.load import Space, check_together, load_space
from ksi_pipeline.store.files import ParquetStreams
from ksi_pipeline.store.points import Part, PointsFile

OF_FILE = (
    "visits",
    "line_crossings",
    "zone_occupancy",
    "queue_events",
    "tracklet_staff",
    "zone_staffing",
)

_DECAY_MS = 10_000


def count_file(
    points: Path,
    spaces: Sequence[Path],
    out_dir: Path,
    *,
    progress: Progress = no_progress,
    notice: Callable[[str], None] = lambda _text: None,
    threads: int | None = None,
) -> list[SiteCounts]:
    """Count a file and write what OF_FILE names as Parquet.

    The file may be larger than memory. Rows sorted by site_id, camera_id, tracklet_id and ts_utc
    are counted as they are read; others are sorted into a copy in `out_dir` first, and `notice`
    says so. The files appear when all is counted, and hold the same rows in the same order
    whatever the order and the row groups of the input.

    Args:
        points: Parquet, schema TRACKLET_POINTS, of any number of sites.
        spaces: one space file for each site.
        out_dir: made where it does not exist.
        progress: told what is done, and the share of all.
        notice: told what a user should know.
        threads: how many count at once; None is one for each core, 8 at most.

    Returns:
        Counts of each site that has points, for people.

    Raises:
        ConfigError: a space file is wrong.
        ContractError: the points break their schema or cannot be counted; the message names file,
            row group and row.
        TransientError: E_SORT.
    """
    if any((out_dir / f"{name}.parquet").resolve() == points.resolve() for name in OF_FILE):
        raise ContractError(
            f"{points} would be replaced by its own counts in {out_dir}. Nothing was written. "
            "Choose another folder.",
            code="E_FILE",
        )
    loaded = [load_space(path) for path in spaces]
    check_together(loaded)
    by_site = {space.site_id: space for space in loaded}
    threads = threads or min(os.cpu_count() or 1, 8)
    file = PointsFile(points)
    try:
        return _count(file, by_site, out_dir, progress, threads)
    except Unsorted as found:
        notice(
            f"{points.name} is not sorted by site_id, camera_id, tracklet_id and ts_utc (row "
            f"{found.row} comes too late). Sorting {file.row_count:,} rows into a copy first; "
            "files that come sorted are counted faster."
        )
    room = out_dir / ".sorting"
    shutil.rmtree(room, ignore_errors=True)  # of a run that was killed
    room.mkdir(parents=True)
    try:
        return _count(file.sorted_copy(room), by_site, out_dir, progress, threads)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _count(
    file: PointsFile, spaces: Mapping[str, Space], out_dir: Path, progress: Progress, threads: int
) -> list[SiteCounts]:
    watched = Watched()
    counters = SiteCounters(spaces)

    def count_whole(samples: Samples) -> list[Found]:
        watched.note(samples)
        return counters.count(samples)

    def read_and_count(row: int, read: Part) -> CountedPart:
        part = count_part(read(), row, count_whole)
        progress("counting", row / file.row_count)
        return part

    try:
        with (
            _tuned(),
            ParquetStreams(out_dir, {name: DATASETS[name] for name in OF_FILE}) as streams,
            ThreadPoolExecutor(threads) as pool,
            closing(_ahead(pool, read_and_count, file.parts(), threads)) as parts,
        ):
            sites = _Sites(spaces, watched, streams, pool)
            for events in joined_up(parts, count_whole):
                sites.add(events)
            return sites.finished()
    except Unsorted:
        raise
    except RowError as error:
        raise ContractError(f"{file.place_of(error.row)}: {error}", code=error.code) from error


@contextmanager
def _tuned() -> Iterator[None]:
    """Use the allocator of Arrow that keeps least for later, and let threads take turns quickly."""
    before, interval = pa.default_memory_pool(), sys.getswitchinterval()
    with suppress(NotImplementedError):  # not every build of Arrow has it
        pa.set_memory_pool(pa.jemalloc_memory_pool())
        # Pieces are all of one size: what the last gave back is what the next takes.
        pa.jemalloc_set_decay_ms(_DECAY_MS)
    try:
        # Most work is in Arrow and compiled loops; what comes back from there waits this long.
        sys.setswitchinterval(0.0005)
        yield
    finally:
        sys.setswitchinterval(interval)
        pa.set_memory_pool(before)


class _Sites:
    """Writes events as they come, and what needs all visits of a site when the site is done."""

    def __init__(
        self,
        spaces: Mapping[str, Space],
        watched: Watched,
        streams: ParquetStreams,
        pool: ThreadPoolExecutor,
    ) -> None:
        self._spaces, self._watched, self._streams = spaces, watched, streams
        self._pool = pool
        self._tallies: dict[str, Tally] = {}
        self._summing: deque[Future[_Summed]] = deque()
        self._counts: list[SiteCounts] = []
        self._begun: set[str] = set()

    def add(self, events: Events) -> None:
        if events.visits.num_rows + events.line_crossings.num_rows == 0:
            return
        self._streams.write("visits", events.visits)
        self._streams.write("line_crossings", events.line_crossings)
        for site_id, visits in of_sites(events.visits):
            self._tally(site_id).add_visits(visits)
        for site_id, crossings in of_sites(events.line_crossings):
            self._tally(site_id).add_crossings(crossings)
        if len(self._tallies) > 1:
            # Sites come one after the other, so all but the last are done.
            last = max(self._tallies, key=str.encode)
            self._sum_up(self._tallies.keys() - {last})
        while self._summing and self._summing[0].done():
            self._write_summed()

    def finished(self) -> list[SiteCounts]:
        for site_id in self._watched.sites() - self._begun:
            self._tally(site_id)
        self._sum_up(set(self._tallies))
        while self._summing:
            self._write_summed()
        return sorted(self._counts, key=lambda counts: counts.site_id)

    def _tally(self, site_id: str) -> Tally:
        self._begun.add(site_id)
        return self._tallies.setdefault(site_id, Tally())

    def _sum_up(self, sites: Set[str]) -> None:
        for site_id in sorted(sites):
            tally = self._tallies.pop(site_id)
            cameras = self._watched.cameras(site_id)
            self._summing.append(self._pool.submit(_summed, self._spaces[site_id], tally, cameras))

    def _write_summed(self) -> None:
        tables, counts = self._summing.popleft().result()
        for name, rows in tables.items():
            self._streams.write(name, rows)
        self._counts.append(counts)


_Summed = tuple[dict[str, pa.Table], SiteCounts]


def _summed(space: Space, tally: Tally, cameras: dict[str, list[Span]]) -> _Summed:
    """Give what needs all visits of a site."""
    plan, visits = space.plan(), tally.all_visits()
    staff = tracklet_staff(visits, plan)
    queues = queue_events(visits, plan)
    tables = {
        "zone_occupancy": zone_occupancy(visits, plan.zone_info),
        "queue_events": queues,
        "tracklet_staff": staff,
        "zone_staffing": zone_staffing(visits, staff, plan),
    }
    return tables, tally.counts(space, cameras, visits, queues)


def _ahead(
    pool: ThreadPoolExecutor,
    work: Callable[[int, Part], CountedPart],
    parts: Iterable[tuple[int, Part]],
    threads: int,
) -> Generator[CountedPart, None, None]:
    """Give the results in order; one part more than there are threads is in work or done."""
    pending: deque[Future[CountedPart]] = deque()
    try:
        try:
            for row, read in parts:
                pending.append(pool.submit(work, row, read))
                if len(pending) > threads:
                    yield pending.popleft().result()
        except ContractError:
            # What is wrong further up is told first, however many threads there are.
            while pending:
                yield pending.popleft().result()
            raise
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
