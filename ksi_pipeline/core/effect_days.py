"""From days of units to what a campaign is judged by: the change of each unit, and trends before.

A unit's figure over a window is made of the same weekdays before and during: a Saturday more on one
side would be an effect of its own. Each weekday that has a complete day on both sides counts once,
with the mean of its days. A ratio is the sum of these means over the sum of those of its
denominator. Closed days are no days; incomplete ones are left out and counted.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import sqrt
from statistics import fmean

from ksi_pipeline.core.effects import two_sided_p

# complete days that a unit needs on each side; fewer where it is closed on some weekdays
MIN_DAYS = 7
_MIN_FREEDOM = 3
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Days:
    """Business dates, the first and the last of them included."""

    first: date
    last: date

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.first <= day <= self.last

    def __iter__(self) -> Iterator[date]:
        return (self.first + timedelta(days=n) for n in range(len(self)))

    def overlaps(self, other: "Days") -> bool:
        """Whether the two have a day in common."""
        return self.first <= other.last and other.first <= self.last

    def halves(self) -> "tuple[Days, Days]":
        """Split into two of the same length; an odd day at the beginning is left out."""
        half = timedelta(days=len(self) // 2)
        middle = self.last - half
        return Days(middle - half + timedelta(days=1), middle), Days(
            middle + timedelta(days=1), self.last
        )


@dataclass(frozen=True, slots=True)
class UnitDay:
    """What is known of one unit on one business date.

    Attributes:
        value: the metric, or the numerator of a ratio; null where the day is not complete.
        divisor: denominator of a ratio; null for what is no ratio.
        is_open: whether the unit's site was open; a closed day is no day of a campaign.
    """

    value: float | None
    divisor: float | None = None
    is_open: bool = True


History = Mapping[date, UnitDay]


@dataclass(frozen=True, slots=True)
class UnitChange:
    """One unit before and during.

    Attributes:
        before: mean of a day, or the ratio; null where a side has too few days.
        during: the same.
        day_count: complete days that went into both.
        complete_day_count: complete days of both windows, on whatever weekday.
        open_day_count: days of the second window on which the unit was open.
        excluded_day_count: open days of both windows that were not complete, days without any row
            included.
    """

    before: float | None
    during: float | None
    day_count: int
    complete_day_count: int
    open_day_count: int
    excluded_day_count: int

    @property
    def change(self) -> float | None:
        """During less before."""
        if self.before is None or self.during is None:
            return None
        return self.during - self.before


def unit_change(history: History, before: Days, during: Days, *, is_ratio: bool) -> UnitChange:
    """Compare one unit over two windows, on the weekdays that both have complete."""
    sides = [_by_weekday(history, window, is_ratio=is_ratio) for window in (before, during)]
    weekdays = sides[0].keys() & sides[1].keys()
    counts = [sum(len(side[day]) for day in weekdays) for side in sides]
    known = min(counts) >= min(MIN_DAYS, _open_weekdays(history, [*before, *during]))
    figures = [_figure(side, weekdays) if known else None for side in sides]
    open_days = [
        [day for day in window if day not in history or history[day].is_open]
        for window in (before, during)
    ]
    complete = sum(len(days) for side in sides for days in side.values())
    return UnitChange(
        before=figures[0],
        during=figures[1],
        day_count=sum(counts) if known and None not in figures else 0,
        complete_day_count=complete,
        open_day_count=len(open_days[1]),
        excluded_day_count=sum(map(len, open_days)) - complete,
    )


def _open_weekdays(history: History, days: Sequence[date]) -> int:
    """Count the weekdays but those on which the unit was always closed.

    A weekday that is not among the days counts, so that a short window is not taken for a site
    that opens on few weekdays.
    """
    closed = {day.weekday() for day in days if day in history and not history[day].is_open}
    opened = {day.weekday() for day in days if day not in history or history[day].is_open}
    return 7 - len(closed - opened)


@dataclass(frozen=True, slots=True)
class Trend:
    """How the gap between treated and control units moved before the campaign.

    Attributes:
        slope: change of the gap in a day, in the metric's unit.
        p: chance of a slope at least as steep where there is none.
    """

    slope: float
    p: float


def pre_trend(
    treated: Sequence[History], control: Sequence[History], before: Days, *, is_ratio: bool
) -> Trend | None:
    """Fit a line through the gap between treated and control units, day by day, weekdays apart.

    Each unit's days are taken against its own mean of that weekday, so that neither level nor week
    matters, and a day that one unit lacks moves nothing.

    Returns:
        Null where there are too few days to tell.
    """
    groups = [_deviations(group, before, is_ratio=is_ratio) for group in (treated, control)]
    days = sorted(groups[0].keys() & groups[1].keys())
    weekdays = {day.weekday() for day in days}
    freedom = len(days) - len(weekdays) - 1
    if freedom < _MIN_FREEDOM:
        return None
    gap = [groups[0][day] - groups[1][day] for day in days]
    units = [_daily(unit, before, is_ratio=is_ratio) for unit in (*treated, *control)]
    scale = max(abs(value) for daily in units for value in daily.values())
    number = [float((day - before.first).days) for day in days]
    x, y = (_within_weekdays(days, series) for series in (number, gap))
    width = sum(v * v for v in x)
    if not width:
        return None
    slope = sum(a * b for a, b in zip(x, y, strict=True)) / width
    rest = sum((b - slope * a) ** 2 for a, b in zip(x, y, strict=True))
    error = sqrt(rest / freedom / width)
    if error <= _ROUNDING * scale:
        return Trend(slope, 1.0 if abs(slope) <= _ROUNDING * scale else 0.0)
    return Trend(slope, two_sided_p(slope / error, freedom))


def _by_weekday(
    history: History, window: Days, *, is_ratio: bool
) -> dict[int, list[tuple[float, float]]]:
    """Collect the complete days by weekday, as (value, divisor)."""
    found: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for day in window:
        known = history.get(day)
        if known is None or known.value is None or not known.is_open:
            continue
        if is_ratio and known.divisor is None:
            continue
        found[day.weekday()].append((known.value, known.divisor or 0.0 if is_ratio else 1.0))
    return dict(found)


def _figure(
    side: Mapping[int, Sequence[tuple[float, float]]], weekdays: Collection[int]
) -> float | None:
    """Mean of a day, each weekday counting once; of a ratio, the sum over the sum of its divisor.

    What is no ratio has a divisor of 1, so that both are one sum over another.
    """
    values = sum(fmean(value for value, _ in side[day]) for day in sorted(weekdays))
    divisors = sum(fmean(divisor for _, divisor in side[day]) for day in sorted(weekdays))
    return values / divisors if divisors else None


def _daily(history: History, window: Days, *, is_ratio: bool) -> dict[date, float]:
    found = {}
    for day in window:
        known = history.get(day)
        if known is None or known.value is None or not known.is_open:
            continue
        if not is_ratio:
            found[day] = known.value
        elif known.divisor:
            found[day] = known.value / known.divisor
    return found


def _deviations(group: Sequence[History], window: Days, *, is_ratio: bool) -> dict[date, float]:
    """Give the mean over units, by day, of what each deviates from its own weekday."""
    by_day: dict[date, list[float]] = defaultdict(list)
    for history in group:
        daily = _daily(history, window, is_ratio=is_ratio)
        days = sorted(daily)
        for day, value in zip(
            days, _within_weekdays(days, [daily[day] for day in days]), strict=True
        ):
            by_day[day].append(value)
    return {day: fmean(sorted(values)) for day, values in by_day.items()}


def _within_weekdays(days: Sequence[date], series: Sequence[float]) -> list[float]:
    """Take the mean of its weekday from each value."""
    by_weekday: dict[int, list[float]] = defaultdict(list)
    for day, value in zip(days, series, strict=True):
        by_weekday[day.weekday()].append(value)
    means = {weekday: fmean(values) for weekday, values in by_weekday.items()}
    return [value - means[day.weekday()] for day, value in zip(days, series, strict=True)]
