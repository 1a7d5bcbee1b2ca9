"""What a ticket feed has told us about which hours: coverage rows, one contract with cameras.

    complete   the feed answered for the hour: what it sent, or 0 under `absent_means: zero`
    silent     it answered, but left the hour out, and absence means missing (feed_absent_hour)
    refused    a row that may belong to the hour was refused, or the request failed; reason says why

An hour that was not over when the answer came gets no coverage: half an hour's tickets are not the
hour's, whatever the feed said. Rows are per asked code, with site_id null: a feed serves several.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ksi_pipeline.core.hour_grid import HourGrid, Int64s, hour_grid
from ksi_pipeline.core.instants import to_us
from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.core.ticket_answer import AbsentMeans, ParsedAnswer
from ksi_pipeline.core.time import Window

COVERAGE = DATASETS["coverage"]
ABSENT_HOUR = "feed_absent_hour"
_COMPLETE = "complete"
_US = timedelta(microseconds=1)
_NOTHING = -1

# (status, reason); an hour's saying is its number in a list of these.
_Saying = tuple[str, str | None]


@dataclass(slots=True)
class _Spans:
    """Rows of coverage on their way to a table; instants in microseconds."""

    keys: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    sayings: list[_Saying] = field(default_factory=list)

    def add_runs(
        self,
        key: str,
        grid: HourGrid,
        numbers: Int64s,
        sayings: Sequence[_Saying],
        first: int = 0,
    ) -> None:
        """Add what is said of hours of a grid, from the hour at place `first`.

        Each number is of `sayings`, or _NOTHING. Neighbours that say the same are merged.
        """
        size = len(numbers)
        if not size:
            return
        firsts, ends = (edges[first : first + size] for edges in (grid.firsts, grid.ends))
        is_new = np.ones(size, dtype=np.bool_)
        is_new[1:] = (numbers[1:] != numbers[:-1]) | (firsts[1:] != ends[:-1])
        begins = np.flatnonzero(is_new)
        lasts = np.append(begins[1:], size) - 1
        for begin, last in zip(begins.tolist(), lasts.tolist(), strict=True):
            if numbers[begin] != _NOTHING:
                self.keys.append(key)
                self.starts.append(int(firsts[begin]))
                self.ends.append(int(ends[last]))
                self.sayings.append(sayings[int(numbers[begin])])

    def table(self, source_id: str, fetched_at_utc: datetime) -> pa.Table:
        """Give schema COVERAGE."""
        size = len(self.keys)
        instant = COVERAGE.field("from_utc").type
        starts, ends = np.array(self.starts, np.int64), np.array(self.ends, np.int64)
        expected_s = (ends - starts) / 1e6
        is_complete = np.array([status == _COMPLETE for status, _ in self.sayings], np.bool_)
        columns: dict[str, object] = {
            "site_id": pa.nulls(size, pa.string()),
            "source_kind": ["feed"] * size,
            "source_id": [source_id] * size,
            "key": self.keys,
            "from_utc": pa.array(starts).cast(instant),
            "to_utc": pa.array(ends).cast(instant),
            "status": [status for status, _ in self.sayings],
            "reason": [reason for _, reason in self.sayings],
            "observed_s": np.where(is_complete, expected_s, 0.0),
            "expected_s": expected_s,
            "fetched_at_utc": [fetched_at_utc] * size,
        }
        return pa.Table.from_pydict(columns, schema=COVERAGE)


def feed_coverage(answer: ParsedAnswer, *, absent_means: AbsentMeans) -> pa.Table:
    """Say what one answer covers.

    Returns:
        Schema COVERAGE: for each asked code spans of whole local hours, in order, merged where
        neighbours say the same; then, for each code that was sent unasked, the hours that have a
        row, which count once the code is linked. observed_s is expected_s where complete, else 0.
    """
    fetch, grid = answer.fetch, hour_grid(answer.fetch.window, answer.fetch.zone)
    over = int(np.searchsorted(grid.ends, to_us(fetch.fetched_at_utc), side="right"))
    sayings: list[_Saying] = [(_COMPLETE, None), ("silent", ABSENT_HOUR)]
    unsaid = 1 if absent_means == "missing" else 0
    numbers = {code: np.full(over, unsaid, dtype=np.int64) for code in fetch.asked_codes}
    for code, places in _sent_places(answer, grid).items():
        # of a code that was not asked for, an hour without a row says nothing
        said = numbers.setdefault(code, np.full(over, _NOTHING, dtype=np.int64))
        said[places[places < over]] = 0
    for (code, start), reason in answer.refused_hours.items():
        (place,) = grid.places_of(np.array([to_us(start)]))
        if code in numbers and 0 <= place < over:
            saying = ("refused", reason)
            if saying not in sayings:
                sayings.append(saying)
            numbers[code][place] = sayings.index(saying)
    spans = _Spans()
    for code, said in numbers.items():
        spans.add_runs(code, grid, said, sayings)
    return spans.table(fetch.connector_id, fetch.fetched_at_utc)


def _sent_places(answer: ParsedAnswer, grid: HourGrid) -> dict[str, Int64s]:
    """Give the places of the hours that have a good row, by code."""
    places = grid.places_of(_us(answer.rows["hour_start_utc"]))
    encoded = answer.rows["ext_ref_code"].combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy()
    texts = encoded.dictionary.to_pylist()
    return {code: places[codes == number] for number, code in enumerate(texts)}


def refused_coverage(
    connector_id: str,
    codes: Sequence[str],
    window: Window,
    *,
    reason_code: str,
    fetched_at_utc: datetime,
) -> pa.Table:
    """Say that a whole request failed: nothing is known of the window.

    Args:
        connector_id: whose request.
        codes: that were asked for.
        window: asked for; what was not over at `fetched_at_utc` is left out.
        reason_code: the code of the error, e.g. E_FEED_TIMEOUT.
        fetched_at_utc: when the attempt was given up.

    Returns:
        Schema COVERAGE, one row per code.
    """
    end = min(window.end, fetched_at_utc)
    if end <= window.start:
        return COVERAGE.empty_table()
    spans = _Spans(
        keys=list(codes),
        starts=[to_us(window.start)] * len(codes),
        ends=[to_us(end)] * len(codes),
        sayings=[("refused", reason_code)] * len(codes),
    )
    return spans.table(connector_id, fetched_at_utc)


def needed_coverage(
    new: pa.Table,
    existing: pa.Table,
    *,
    final_after: timedelta,
    zone: ZoneInfo,
    is_answer: bool = True,
) -> pa.Table:
    """Keep of new coverage only what says something new, judged by whole local hours.

    An hour is left out where
    * it is already complete, and either the new row is not, or it is no nearer to final;
    * the newest row for it has the same status and reason, and is no further from final;
    * the new row comes of a request that failed, and an answer was silent about it before: what
      the feed said of the hour is known better than that it could not be asked again.
    Final means: said at least `final_after` after the end of the hour. So the same poll repeated
    appends nothing, and a failed request never covers up an hour that was once complete.

    Args:
        new: schema COVERAGE, feeds only, from one answer or one failed request.
        existing: schema COVERAGE; other connectors, codes and times are ignored.
        final_after: the connector's choice.
        zone: of the site whose codes they are.
        is_answer: False where `new` is of a failed request.
    """
    if not new.num_rows:
        return new
    first, last = pc.min(new["from_utc"]).as_py(), pc.max(new["to_utc"]).as_py()
    if first >= last:
        return COVERAGE.empty_table()
    grid = hour_grid(Window(first, last), zone)
    known = _known(existing, to_us(first), to_us(last))
    said = _Said(grid, final_after // _US, is_answer)
    by_answer: dict[tuple[str, datetime], _Spans] = {}
    for row in _rows_of(new):
        spans = by_answer.setdefault((row.source_id, row.fetched_at_utc), _Spans())
        hours = said.hours_in(row)
        is_news = said.is_news(row, known.get((row.source_id, row.key), []))
        numbers = np.where(is_news, 0, _NOTHING)
        spans.add_runs(row.key, grid, numbers, [row.saying], hours.start)
    return pa.concat_tables(spans.table(*answer) for answer, spans in by_answer.items())


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of coverage; instants in microseconds, `fetched_at_utc` as it was."""

    source_id: str
    key: str
    start: int
    end: int
    saying: _Saying
    fetched: int
    fetched_at_utc: datetime


class _Said:
    """What was said of the hours of a grid before, judged for one new row at a time."""

    def __init__(self, grid: HourGrid, final_after: int, is_answer: bool) -> None:
        self._grid, self._final_after, self._is_answer = grid, final_after, is_answer

    def is_news(self, row: _Row, near: Sequence[_Row]) -> NDArray[np.bool_]:
        """Tell for each hour that lies wholly in a row's span whether it says something new."""
        own = self.hours_in(row)
        size = own.stop - own.start
        is_covered, is_complete, is_complete_final = np.zeros((3, size), dtype=np.bool_)
        is_silent, is_same, is_same_final = np.zeros((3, size), dtype=np.bool_)
        for other in near:
            met = self.hours_in(other)
            first, end = max(met.start, own.start), min(met.stop, own.stop)
            if first >= end:
                continue
            hours = slice(first - own.start, end - own.start)
            is_final = self._is_final(other, slice(first, end))
            is_covered[hours] = True
            if other.saying[0] == _COMPLETE:
                is_complete[hours] = True
                is_complete_final[hours] |= is_final
            # of what was said last
            is_silent[hours] = other.saying[0] == "silent"
            is_same[hours] = other.saying == row.saying
            is_same_final[hours] = is_final & (other.saying == row.saying)
        is_barred = is_complete
        if row.saying[0] == _COMPLETE:
            is_barred, is_same, is_same_final = ~is_covered, is_complete, is_complete_final
        is_nearer = self._is_final(row, own) & ~is_same_final
        is_news = ~is_covered | (~is_barred & (~is_same | is_nearer))
        return np.asarray(is_news if self._is_answer else is_news & ~is_silent)

    def hours_in(self, row: _Row) -> slice:
        """Give the places of the hours that lie wholly in a row's span."""
        begin = int(np.searchsorted(self._grid.firsts, row.start))
        return slice(begin, max(begin, int(np.searchsorted(self._grid.ends, row.end, "right"))))

    def _is_final(self, row: _Row, hours: slice) -> NDArray[np.bool_]:
        """Tell of which hours it was said long enough after them to hold for good."""
        return np.asarray(row.fetched >= self._grid.ends[hours] + self._final_after)


def _known(existing: pa.Table, first: int, last: int) -> dict[tuple[str, str], list[_Row]]:
    """Give the rows that overlap a span, by source and key, the one said last at the end."""
    known: dict[tuple[str, str], list[_Row]] = {}
    if existing.num_rows:
        is_near = (_us(existing["from_utc"]) < last) & (_us(existing["to_utc"]) > first)
        for row in _rows_of(existing.filter(pa.array(is_near))):
            known.setdefault((row.source_id, row.key), []).append(row)
        for rows in known.values():
            rows.sort(key=lambda row: row.fetched)
    return known


def _rows_of(table: pa.Table) -> list[_Row]:
    texts = (table[name].to_pylist() for name in ("source_id", "key", "status", "reason"))
    instants = (_us(table[name]).tolist() for name in ("from_utc", "to_utc", "fetched_at_utc"))
    fetched = table["fetched_at_utc"].to_pylist()
    return [
        _Row(source_id, key, start, end, (status, reason), said_us, said_at)
        for source_id, key, status, reason, start, end, said_us, said_at in zip(
            *texts, *instants, fetched, strict=True
        )
    ]


def _us(column: pa.ChunkedArray) -> Int64s:
    return np.asarray(column.cast(pa.int64()).to_numpy(), dtype=np.int64)
