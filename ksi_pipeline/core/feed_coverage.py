"""What a ticket feed has told us about which hours: coverage rows, one contract with cameras.

    complete   the feed answered for the hour: what it sent, or 0 under `absent_means: zero`
    silent     it answered, but left the hour out, and absence means missing (feed_absent_hour)
    refused    a row that may belong to the hour was refused, or the request failed; reason says why

An hour that was not over when the answer came gets no coverage: half an hour's tickets are not the
hour's, whatever the feed said. Rows are per asked code, with site_id null: a feed serves several.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa

from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.core.tickets import AbsentMeans, ParsedAnswer, whole_hours
from ksi_pipeline.core.time import Window

COVERAGE = DATASETS["coverage"]
ABSENT_HOUR = "feed_absent_hour"


@dataclass(frozen=True, slots=True)
class _Span:
    source_id: str
    key: str
    window: Window
    status: str
    reason: str | None
    fetched_at_utc: datetime

    def says_the_same(self, other: "_Span") -> bool:
        """Tell whether only the time differs."""
        return replace(self, window=other.window) == other

    def is_final(self, window: Window, final_after: timedelta) -> bool:
        """Tell whether it was said long enough after a window to hold for good."""
        return self.fetched_at_utc >= window.end + final_after


def feed_coverage(answer: ParsedAnswer, *, absent_means: AbsentMeans) -> pa.Table:
    """Say what one answer covers.

    Returns:
        Schema COVERAGE: for each asked code spans of whole local hours, in order, merged where
        neighbours say the same. observed_s is expected_s where complete, else 0.
    """
    fetch = answer.fetch
    codes, starts = answer.rows["ext_ref_code"], answer.rows["hour_start_utc"]
    sent = set(zip(codes.to_pylist(), starts.to_pylist(), strict=True))
    hours = whole_hours(fetch.window, fetch.zone)
    spans: list[_Span] = []
    for code in fetch.asked_codes:
        for start, hour in hours.items():
            if hour.end_utc > fetch.fetched_at_utc:
                break
            status, reason = "complete", None
            if (code, start) in answer.refused_hours:
                status, reason = "refused", answer.refused_hours[code, start]
            elif absent_means == "missing" and (code, start) not in sent:
                status, reason = "silent", ABSENT_HOUR
            window = Window(hour.from_utc, hour.end_utc)
            spans.append(
                _Span(fetch.connector_id, code, window, status, reason, fetch.fetched_at_utc)
            )
    return _table(_merged(spans))


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
    over = Window(window.start, end)
    return _table(
        _Span(connector_id, code, over, "refused", reason_code, fetched_at_utc) for code in codes
    )


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
    known: dict[tuple[str, str], list[_Span]] = {}
    for span in _spans(existing):
        known.setdefault((span.source_id, span.key), []).append(span)
    needed: list[_Span] = []
    for span in _spans(new):
        near = [
            other
            for other in known.get((span.source_id, span.key), [])
            if other.window.overlap(span.window)
        ]
        near.sort(key=lambda other: other.fetched_at_utc)
        for hour in whole_hours(span.window, zone).values():
            window = Window(hour.from_utc, hour.end_utc)
            if not is_answer and _was_silent(window, near):
                continue
            if _says_something_new(span, window, near, final_after):
                needed.append(replace(span, window=window))
    return _table(_merged(needed))


def _was_silent(window: Window, near: Sequence[_Span]) -> bool:
    covering = [other for other in near if other.window.overlap(window) == window]
    return bool(covering) and covering[-1].status == "silent"


def _says_something_new(
    span: _Span, window: Window, near: Sequence[_Span], final_after: timedelta
) -> bool:
    covering = [other for other in near if other.window.overlap(window) == window]
    if not covering:
        return True
    if span.status == "complete":
        same = [other for other in covering if other.status == "complete"]
    elif any(other.status == "complete" for other in covering):
        return False
    else:
        newest = covering[-1]
        same = [newest] if (newest.status, newest.reason) == (span.status, span.reason) else []
    if not same:
        return True
    is_final_known = any(other.is_final(window, final_after) for other in same)
    return span.is_final(window, final_after) and not is_final_known


def _merged(spans: Iterable[_Span]) -> Iterator[_Span]:
    """Join neighbours that say the same."""
    last: _Span | None = None
    for span in spans:
        if last and last.says_the_same(span) and last.window.end == span.window.start:
            last = replace(last, window=Window(last.window.start, span.window.end))
            continue
        if last:
            yield last
        last = span
    if last:
        yield last


def _spans(table: pa.Table) -> Iterator[_Span]:
    for row in table.to_pylist():
        yield _Span(
            source_id=row["source_id"],
            key=row["key"],
            window=Window(row["from_utc"], row["to_utc"]),
            status=row["status"],
            reason=row["reason"],
            fetched_at_utc=row["fetched_at_utc"],
        )


def _table(spans: Iterable[_Span]) -> pa.Table:
    rows: list[dict[str, object]] = []
    for span in spans:
        expected_s = (span.window.end - span.window.start).total_seconds()
        rows.append(
            {
                "site_id": None,
                "source_kind": "feed",
                "source_id": span.source_id,
                "key": span.key,
                "from_utc": span.window.start,
                "to_utc": span.window.end,
                "status": span.status,
                "reason": span.reason,
                "observed_s": expected_s if span.status == "complete" else 0.0,
                "expected_s": expected_s,
                "fetched_at_utc": span.fetched_at_utc,
            }
        )
    return pa.Table.from_pylist(rows, schema=COVERAGE)
