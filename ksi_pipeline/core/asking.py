"""Which hours a ticket feed is asked for now. Decides only; whoever asks, notes what was answered.

    due        hours that can still change: the young ones at each tick, the last 7 days once a
               day, and a month once more on the third day after it
    catch-up   hours that are over and were never answered since: after a time out of order, of a
               code that was linked later, of a request that failed; a few at each tick

A request is a span of whole local hours that are over, for all codes that lack an hour of it. At
one tick no hour of a code is asked for twice.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from ksi_pipeline.core.time import (
    DAY,
    HOUR,
    Window,
    local_hours,
    local_midnight_utc,
    merged,
    minus,
)

_US = timedelta(microseconds=1)
# A knuth multiplicative hash: where the pieces to catch up with begin, another place each hour.
_SCATTER = 2654435761


@dataclass(frozen=True, slots=True)
class Linked:
    """A code while it is linked to a unit; null is without end."""

    code: str
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """What one stored answer told: hours that were not over when it came are not in it."""

    start: datetime
    end: datetime
    fetched_at_utc: datetime
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Swept:
    """What was last asked whole.

    Attributes:
        day: local date on which the last 7 days were asked.
        month: the first of the last month that was asked after its end.
    """

    day: date | None = None
    month: date | None = None


@dataclass(frozen=True, slots=True)
class AskingRules:
    """How much is asked at a tick.

    Attributes:
        young: hours that ended less than this ago are asked at each tick.
        recent: those that ended less than this ago, once a day.
        month_day: day of the month from which the month before is asked once more.
        longest: of one request.
        most_catch_up: requests for hours that were missed.
    """

    young: timedelta = timedelta(hours=72)
    recent: timedelta = timedelta(days=7)
    month_day: int = 3
    longest: timedelta = timedelta(days=7)
    most_catch_up: int = 8


@dataclass(frozen=True, slots=True)
class Question:
    """One request: whole local hours that are over, and the codes to ask for, sorted."""

    window: Window
    codes: tuple[str, ...]
    is_catch_up: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask now: what is due, newest last; then what was missed, newest first.

    Attributes:
        swept: what holds once every question that is due was answered.
    """

    questions: tuple[Question, ...]
    swept: Swept


def plan(
    links: Sequence[Linked],
    answered: Mapping[str, Sequence[Window]],
    swept: Swept,
    *,
    start: datetime,
    now: datetime,
    zone: ZoneInfo,
    rules: AskingRules,
    also: Window | None = None,
) -> Plan:
    """Say what to ask one connector for one site.

    Args:
        links: of the connector's codes to the site's units.
        answered: by code, as answered_by_code gives it.
        swept: as the last plan said, once its due questions were answered.
        start: nothing before it is asked.
        now: aware; only hours that are over are asked.
        zone: of the site.
        rules: how much.
        also: asked whatever is known of it, cut to the hours that are over.
    """
    over = _hour_begin(now, zone)
    today = now.astimezone(zone).date()
    known = Swept(
        day=today,
        month=_month_before(today) if today.day >= rules.month_day else swept.month,
    )
    spans = [Window(over - rules.young - HOUR, over)]
    if swept.day != today:
        spans.append(Window(over - rules.recent, over))
    if known.month is not None and known.month != swept.month:
        ends = (known.month, (known.month + 31 * DAY).replace(day=1))
        spans.append(Window(*(local_midnight_utc(day, zone) for day in ends)))
    due = _cut_to(spans, start, over) + ([also] if also else [])
    whole = [_whole(window, over, zone) for window in merged(due)]
    due = merged(window for window in whole if window is not None)
    questions = [
        Question(piece, codes)
        for window in due
        for piece in _pieces(window, rules.longest, zone)
        if (codes := linked_in(links, piece))
    ]
    past = Window(start, over) if start < over else None
    missed = missing(links, answered, past, zone=zone, longest=rules.longest, but=due)
    return Plan((*questions, *_some(missed, rules.most_catch_up, now)), known)


def missing(
    links: Sequence[Linked],
    answered: Mapping[str, Sequence[Window]],
    window: Window | None,
    *,
    zone: ZoneInfo,
    longest: timedelta,
    but: Sequence[Window] = (),
) -> list[Question]:
    """Give requests for the hours of a window that were never answered, the oldest first.

    Args:
        links: of the connector's codes to the site's units.
        answered: by code, as answered_by_code gives it.
        window: of hours that are over; null is none.
        zone: of the site.
        longest: of one request.
        but: windows that are asked for anyway.
    """
    if window is None:
        return []
    gaps: dict[str, list[Window]] = {}
    for code, linked in _linked_spans(links, window).items():
        taken = [*answered.get(code, ()), *but]
        lacks = [piece for span in linked for piece in minus(span, taken)]
        # a piece of an hour, where an answer came before its hour was over, asks for the hour
        gaps[code] = merged(w for gap in lacks if (w := _whole(gap, window.end, zone)))
    pieces = [
        piece
        for span in merged(gap for lacks in gaps.values() for gap in lacks)
        for piece in _pieces(span, longest, zone)
    ]
    return _questions(pieces, gaps)


def answered_by_code(answers: Iterable[Answered]) -> dict[str, list[Window]]:
    """Give, by code, the hours that were over when an answer for them came; sorted, disjoint."""
    by_codes: dict[tuple[str, ...], list[Window]] = defaultdict(list)
    for answer in answers:
        end = min(answer.end, answer.fetched_at_utc)
        if answer.start < end:
            by_codes[answer.codes].append(Window(answer.start, end))
    by_code: dict[str, list[Window]] = defaultdict(list)
    # thousands of answers for the same codes: they are joined once, not for each code
    for codes, windows in by_codes.items():
        joined = merged(windows)
        for code in codes:
            by_code[code].extend(joined)
    return {code: merged(windows) for code, windows in by_code.items()}


def linked_in(links: Sequence[Linked], window: Window) -> tuple[str, ...]:
    """Give the codes that are linked at some time in a window, sorted."""
    return tuple(sorted(_linked_spans(links, window)))


def first_hour(
    since: date | None, answered: Mapping[str, Sequence[Window]], now: datetime, zone: ZoneInfo
) -> datetime:
    """Give the instant before which nothing is asked without being told.

    That is the connector's `since`. Without one it is the first hour of the last 35 days that was
    ever answered, and four days ago where none was.
    """
    if since is not None:
        return local_midnight_utc(since, zone)
    earliest = _hour_begin(now - 35 * DAY, zone)
    known = [w.start for windows in answered.values() for w in windows if w.end > earliest]
    begin = min(known, default=_hour_begin(now - 4 * DAY, zone))
    return max(earliest, min(begin, _hour_begin(now - 4 * DAY, zone)))


def _questions(pieces: Sequence[Window], gaps: Mapping[str, Sequence[Window]]) -> list[Question]:
    """Give each piece, shrunk to what is missing of it, with the codes that lack an hour of it."""
    starts = [piece.start for piece in pieces]
    lacking: dict[int, list[tuple[Window, str]]] = defaultdict(list)
    for code, windows in gaps.items():
        for gap in windows:
            number = bisect_right(starts, gap.start) - 1
            while number < len(pieces) and (common := pieces[number].overlap(gap)):
                lacking[number].append((common, code))
                number += 1
    return [
        Question(
            Window(min(w.start for w, _ in found), max(w.end for w, _ in found)),
            tuple(sorted({code for _, code in found})),
            is_catch_up=True,
        )
        for _, found in sorted(lacking.items())
    ]


def _some(missed: Sequence[Question], most: int, now: datetime) -> list[Question]:
    """Give as many as a tick may ask, newest first.

    Where there are more, each hour begins at another place: requests that go on failing must not
    keep the others from being asked.
    """
    newest_first = list(reversed(missed))
    if len(missed) <= most:
        return newest_first
    hour = int(now.timestamp()) // 3600
    first = hour * _SCATTER % 2**32 % len(missed)
    return [*newest_first[first:], *newest_first[:first]][:most]


def _cut_to(spans: Iterable[Window], start: datetime, end: datetime) -> list[Window]:
    if start >= end:
        return []
    cut = (span.overlap(Window(start, end)) for span in spans)
    return [span for span in cut if span is not None]


def _whole(window: Window, over: datetime, zone: ZoneInfo) -> Window | None:
    """Widen a window to whole local hours, cut to those that are over."""
    start = _hour_begin(window.start, zone)
    end = min(_hour_end(window.end, zone), over)
    return Window(start, end) if start < end else None


def _pieces(window: Window, longest: timedelta, zone: ZoneInfo) -> list[Window]:
    """Cut whole local hours into windows of whole local hours, none longer than `longest`."""
    pieces: list[Window] = []
    start = window.start
    while start < window.end:
        end = window.end
        if end - start > longest:
            end = _hour_begin(start + longest, zone)
        pieces.append(Window(start, end))
        start = end
    return pieces


def _linked_spans(links: Sequence[Linked], window: Window) -> dict[str, list[Window]]:
    spans: dict[str, list[Window]] = defaultdict(list)
    for link in links:
        start, end = max(link.start or window.start, window.start), link.end or window.end
        if start < min(end, window.end):
            spans[link.code].append(Window(start, min(end, window.end)))
    return spans


def _month_before(today: date) -> date:
    return (today.replace(day=1) - DAY).replace(day=1)


def _hour_begin(instant: datetime, zone: ZoneInfo) -> datetime:
    """Give the first instant of the local hour that an instant lies in."""
    return next(local_hours(Window(instant, instant + _US), zone)).from_utc


def _hour_end(instant: datetime, zone: ZoneInfo) -> datetime:
    """Give the instant itself where a local hour begins at it, else the end of its hour."""
    hour = next(local_hours(Window(instant, instant + _US), zone))
    return instant if hour.from_utc == instant else hour.end_utc
