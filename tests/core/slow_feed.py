"""Revisions and coverage of a feed, set by set and hour by hour: slow, and easy to follow."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from ksi_pipeline.core.feed_coverage import ABSENT_HOUR, COVERAGE
from ksi_pipeline.core.hour_grid import whole_hours
from ksi_pipeline.core.schemas import TICKET_HOURS
from ksi_pipeline.core.ticket_answer import AbsentMeans, CodeHour, ParsedAnswer
from ksi_pipeline.core.ticket_revisions import as_of
from ksi_pipeline.core.ticket_row import AMOUNT_COLUMNS
from ksi_pipeline.core.time import Window

_CONTENT = ("utc_offset_s", *AMOUNT_COLUMNS)
_COUNTED = ("num_tickets", "num_returns", "gross_sales", "returns_amount", "net_sales", "units")
_ABSENT_ROW = -1


def new_revisions(answer: ParsedAnswer, known: pa.Table, *, absent_means: AbsentMeans) -> pa.Table:
    fetch = answer.fetch
    hours = whole_hours(fetch.window, fetch.zone)
    held = _sets(as_of(_of_window(known, answer, hours), fetch.fetched_at_utc))
    sent = _sets(answer.rows)
    changed = {key for key, rows in sent.items() if _content(rows) != _content(held.get(key, []))}
    kept = [key in changed for key in _keys(answer.rows)]
    added = answer.rows.filter(pa.array(kept, pa.bool_()))
    if absent_means == "missing":
        return added
    asked = set(fetch.asked_codes)
    retracted = [
        _zero(key, rows[0]["utc_offset_s"], answer)
        for key, rows in held.items()
        if key not in sent
        and key not in answer.refused_hours
        and key[0] in asked
        and any(row[name] for row in rows for name in _COUNTED)
    ]
    return pa.concat_tables([added, pa.Table.from_pylist(retracted, schema=TICKET_HOURS)])


def _of_window(known: pa.Table, answer: ParsedAnswer, hours: Iterable[datetime]) -> pa.Table:
    starts = pa.array(list(hours), pa.timestamp("us", "UTC"))
    is_own = pc.and_(
        pc.equal(known["connector_id"], answer.fetch.connector_id),
        pc.is_in(known["hour_start_utc"], value_set=starts),
    )
    return known.filter(is_own)


def _keys(rows: pa.Table) -> list[CodeHour]:
    codes, starts = rows["ext_ref_code"].to_pylist(), rows["hour_start_utc"].to_pylist()
    return list(zip(codes, starts, strict=True))


def _sets(rows: pa.Table) -> dict[CodeHour, list[dict[str, object]]]:
    result: dict[CodeHour, list[dict[str, object]]] = {}
    for key, row in zip(_keys(rows), rows.select(_CONTENT).to_pylist(), strict=True):
        result.setdefault(key, []).append(row)
    return result


def _content(rows: list[dict[str, object]]) -> Counter[tuple[object, ...]]:
    return Counter(tuple(row[name] for name in _CONTENT) for row in rows)


def _zero(key: CodeHour, utc_offset_s: object, answer: ParsedAnswer) -> dict[str, object]:
    return {
        "connector_id": answer.fetch.connector_id,
        "ext_ref_code": key[0],
        "hour_start_utc": key[1],
        "utc_offset_s": utc_offset_s,
        "num_tickets": 0,
        "fetched_at_utc": answer.fetch.fetched_at_utc,
        "raw_sha256": answer.fetch.raw_sha256,
        "row_number": _ABSENT_ROW,
    }


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
    fetch = answer.fetch
    codes, starts = answer.rows["ext_ref_code"], answer.rows["hour_start_utc"]
    sent = set(zip(codes.to_pylist(), starts.to_pylist(), strict=True))
    hours = whole_hours(fetch.window, fetch.zone)
    spans: list[_Span] = []
    unasked = [c for c in dict.fromkeys(codes.to_pylist()) if c not in fetch.asked_codes]
    for code in (*fetch.asked_codes, *unasked):
        for start, hour in hours.items():
            if hour.end_utc > fetch.fetched_at_utc:
                break
            if code in unasked and (code, start) not in sent:
                continue
            status, reason = "complete", None
            if (code, start) in answer.refused_hours:
                status, reason = "refused", answer.refused_hours[code, start]
            elif absent_means == "missing" and (code, start) not in sent:
                status, reason = "silent", ABSENT_HOUR
            window = Window(hour.from_utc, hour.end_utc)
            spans.append(
                _Span(fetch.connector_id, code, window, status, reason, fetch.fetched_at_utc)
            )
    return _as_table(_merged(spans))


def needed_coverage(
    new: pa.Table,
    existing: pa.Table,
    *,
    final_after: timedelta,
    zone: ZoneInfo,
    is_answer: bool = True,
) -> pa.Table:
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
    return _as_table(_merged(needed))


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


def _as_table(spans: Iterable[_Span]) -> pa.Table:
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
