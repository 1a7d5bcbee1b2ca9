"""Hours of a feed that were never answered, and the requests that ask for them.

A request is a span of whole local hours that are over, for all codes that lack an hour of it.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from ksi_pipeline.core.time import Window, local_hours, merged, minus

_US = timedelta(microseconds=1)


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
class Question:
    """One request: whole local hours that are over, and the codes to ask for, sorted."""

    window: Window
    codes: tuple[str, ...]
    is_catch_up: bool = False


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
        gaps[code] = merged(w for gap in lacks if (w := whole(gap, window.end, zone)))
    pieces = [
        piece
        for span in merged(gap for lacks in gaps.values() for gap in lacks)
        for piece in cut(span, longest, zone)
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


def whole(window: Window, over: datetime, zone: ZoneInfo) -> Window | None:
    """Widen a window to whole local hours, cut to those that are over."""
    start = hour_begin(window.start, zone)
    end = min(_hour_end(window.end, zone), over)
    return Window(start, end) if start < end else None


def cut(window: Window, longest: timedelta, zone: ZoneInfo) -> list[Window]:
    """Cut whole local hours into windows of whole local hours, none longer than `longest`."""
    pieces: list[Window] = []
    start = window.start
    while start < window.end:
        end = window.end
        if end - start > longest:
            end = hour_begin(start + longest, zone)
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


def hour_begin(instant: datetime, zone: ZoneInfo) -> datetime:
    """Give the first instant of the local hour that an instant lies in."""
    return next(local_hours(Window(instant, instant + _US), zone)).from_utc


def _hour_end(instant: datetime, zone: ZoneInfo) -> datetime:
    """Give the instant itself where a local hour begins at it, else the end of its hour."""
    hour = next(local_hours(Window(instant, instant + _US), zone))
    return instant if hour.from_utc == instant else hour.end_utc


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
