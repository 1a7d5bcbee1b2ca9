"""Windows of watermarks: which are asked for, and what they are in the values of the column.

A watermark is a whole number inside: microseconds since the epoch, UTC, or the number itself. The
windows of old time are long; those of the last days, which are asked for again and again, begin at
midnight UTC, so that most of them give what they gave before, and nothing new is kept.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from ksi_pipeline.core.instants import from_us, to_us
from ksi_pipeline.core.time import HOUR, utc_offset

_US = timedelta(microseconds=1)
DAY_US = 86_400_000_000
# Every offset is a multiple of it: a window that ends here cuts no hour that is over.
QUARTER_US = 900_000_000
# A clock change moves by three hours at most.
_LONGEST_FOLD = 3 * HOUR


@dataclass(frozen=True, slots=True)
class Span:
    """Watermarks from `start` on and below `end`."""

    start: int
    end: int


def time_spans(start: int, now: int, overlap: int, longest: int) -> Iterator[Span]:
    """Cut the time from `start` to `now` into windows, in order.

    Args:
        start: microseconds; the first window begins at the midnight UTC before.
        now: microseconds; the last window ends at the quarter of an hour before.
        overlap: time before now that is cut by days.
        longest: of the windows before that, in microseconds.
    """
    start, end = start // DAY_US * DAY_US, now // QUARTER_US * QUARTER_US
    # a day more, so that the next pull, which begins with what is known, has the same windows
    recent = min((now - overlap) // DAY_US * DAY_US - DAY_US, end)
    while start < end:
        step = min(start + longest, recent) if start < recent else start + DAY_US
        yield Span(start, min(step, end))
        start = step


def number_spans(start: int, end: int, longest: int) -> Iterator[Span]:
    """Cut numbers from `start` on and below `end` into windows, in order."""
    while start < end:
        yield Span(start, min(start + longest, end))
        start += longest


Bound = datetime | date | str | int


def bounds(span: Span, sample: object, zones: Sequence[ZoneInfo]) -> tuple[Bound, Bound] | None:
    """Give both ends of a window of time as values of the column; the upper is not included.

    Args:
        span: in microseconds.
        sample: some value of the column.
        zones: of times without offset; the window is as wide as the widest of them, and as a
            repeated hour. None given: such times cannot be compared.

    Returns:
        None where the sample is no time, or has no offset and there is no zone. What lies in the
        window is never left out; a row beside it may come too.
    """
    low, high = from_us(span.start), from_us(span.end)
    if isinstance(sample, datetime) and sample.tzinfo is not None:
        return low, high
    if isinstance(sample, str):
        return _text_bounds(low, high, sample, zones)
    if not isinstance(sample, date) or not zones:
        return None
    first, last = _walls(low, high, zones)
    if isinstance(sample, datetime):
        return first, last
    # of a date column the day is known only
    return first.date(), last.date() + timedelta(days=1)


def largest_known(value: object, zones: Sequence[ZoneInfo]) -> int | None:
    """Give a value of the column in microseconds; without offset, the earliest that it can mean."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 a wall clock's
    if not isinstance(value, datetime):
        return None
    if value.tzinfo is not None:
        return to_us(value)
    read = [to_us(value.replace(tzinfo=zone, fold=0)) for zone in zones]
    return min(read, default=None)


def _walls(low: datetime, high: datetime, zones: Sequence[ZoneInfo]) -> tuple[datetime, datetime]:
    """Give the lowest and the highest that clocks in some zones show in a window."""
    none = timedelta()
    firsts, lasts = [], []
    for zone in zones:
        back = utc_offset(low, zone) - utc_offset(low + _LONGEST_FOLD, zone)
        firsts.append(low + utc_offset(low, zone) - max(back, none))
        back = utc_offset(high - _LONGEST_FOLD, zone) - utc_offset(high, zone)
        lasts.append(high + utc_offset(high, zone) + max(back, none))
    return min(firsts).replace(tzinfo=None), max(lasts).replace(tzinfo=None)


def _text_bounds(
    low: datetime, high: datetime, sample: str, zones: Sequence[ZoneInfo]
) -> tuple[str, str] | None:
    """Texts are compared as texts, so both ends are written as the sample is."""
    try:
        read = datetime.fromisoformat(sample)
    except ValueError:
        return None
    if len(sample) == len("2026-03-27") and zones:
        first, last = _walls(low, high, zones)
        return first.date().isoformat(), (last.date() + timedelta(days=1)).isoformat()
    if len(sample) < len("2026-03-27 10:15"):
        return None
    if read.tzinfo is not None:
        if read.utcoffset() != timedelta():
            return None  # texts of several offsets are in no order
        first, last = low.replace(tzinfo=None), high.replace(tzinfo=None)
    elif zones:
        first, last = _walls(low, high, zones)
    else:
        return None
    # without the seconds' rest, a text at the very bound sorts after it, as it should
    written = [wall.isoformat(sep=sample[10], timespec="minutes") for wall in (first, last)]
    return written[0], written[1]
