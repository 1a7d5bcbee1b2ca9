"""Which hours a ticket feed is asked for now. Decides only; whoever asks, notes what was answered.

    due        hours that can still change: the young ones at each tick; once a day the last 7 days
               and what was young when that was last done; and a month once more, whole, when its
               last hour is no longer young
    catch-up   hours that are over and were never answered since: after a time out of order, of a
               code that was linked later, of a request that failed; a few at each tick

At one tick no hour of a code is asked for twice. No request holds hours of two of these: one that
its feed refuses, because it keeps no more than a month, takes no younger hours with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from ksi_pipeline.core.gaps import (
    Linked,
    Question,
    cut,
    hour_begin,
    linked_in,
    missing,
    whole,
)
from ksi_pipeline.core.time import DAY, HOUR, Window, local_midnight_utc, merged, minus

# A multiplicative hash (Knuth): where catching up begins, another place each hour.
_SCATTER = 2654435761


@dataclass(frozen=True, slots=True)
class Swept:
    """What was last asked whole.

    Attributes:
        day: local date on which the last 7 days were asked.
        month: the first of the last month that was asked after its last hour was young.
    """

    day: date | None = None
    month: date | None = None


@dataclass(frozen=True, slots=True)
class AskingRules:
    """How much is asked at a tick.

    Attributes:
        young: hours that ended less than this ago are asked at each tick.
        recent: those that ended less than this ago, once a day.
        most_between: how long ago the last such day may be, for what was young then to be asked
            now; a month, as long as the longest interval.
        longest: of one request.
        most_catch_up: requests for hours that were missed.
    """

    young: timedelta = timedelta(hours=72)
    recent: timedelta = timedelta(days=7)
    most_between: timedelta = timedelta(days=32)
    longest: timedelta = timedelta(days=7)
    most_catch_up: int = 8


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask now: what is due, then what was missed; both newest first.

    Attributes:
        swept: what holds once every question that is due was answered.
        before: what held before.
        day: hours that were asked only because a day began; empty where none were.
        month: hours that were asked only because a month is final.
    """

    questions: tuple[Question, ...]
    swept: Swept
    before: Swept = Swept()
    day: tuple[Window, ...] = ()
    month: tuple[Window, ...] = ()

    def noted(self, failed: Sequence[Window]) -> Swept:
        """Give what holds now that some windows failed: a day and a month each for itself."""
        return Swept(
            day=self.before.day if _overlap(self.day, failed) else self.swept.day,
            month=self.before.month if _overlap(self.month, failed) else self.swept.month,
        )


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
    over = hour_begin(now, zone)
    past = Window(start, over) if start < over else None
    today = now.astimezone(zone).date()
    # With the day, so that a month that always fails is tried once a day and not at each tick.
    month = _final_month(over, zone, rules) if swept.day != today else swept.month
    known = Swept(today, month)
    spans = [
        span.overlap(past) if span and past else None
        for span in _due(known, swept, over, zone, rules)
    ]
    tiers: list[list[Window]] = []
    for span in (*spans, also):
        taken = [window for tier in tiers for window in tier]
        asked = whole(span, over, zone) if span else None
        tiers.append(minus(asked, taken) if asked else [])
    due = merged(window for tier in tiers for window in tier)
    questions = [
        Question(piece, codes)
        for tier in tiers
        for window in reversed(tier)
        for piece in reversed(cut(window, rules.longest, zone))
        if (codes := linked_in(links, piece))
    ]
    missed = missing(links, answered, past, zone=zone, longest=rules.longest, but=due)
    return Plan(
        (*questions, *_some(missed, rules.most_catch_up, now)),
        swept=known,
        before=swept,
        day=tuple(tiers[1]),
        month=tuple(tiers[2]),
    )


def first_hour(
    since: date | None, answered: Mapping[str, Sequence[Window]], now: datetime, zone: ZoneInfo
) -> datetime:
    """Give the instant before which nothing is asked without being told.

    That is the connector's `since`. Without one it is the first hour of the last 35 days that was
    ever answered, and four days ago where none was.
    """
    if since is not None:
        return local_midnight_utc(since, zone)
    earliest = hour_begin(now - 35 * DAY, zone)
    known = [w.start for windows in answered.values() for w in windows if w.end > earliest]
    begin = min(known, default=hour_begin(now - 4 * DAY, zone))
    return max(earliest, min(begin, hour_begin(now - 4 * DAY, zone)))


def _due(
    known: Swept, swept: Swept, over: datetime, zone: ZoneInfo, rules: AskingRules
) -> tuple[Window, Window | None, Window | None]:
    """Give the young hours, those of the day and those of the month; null is not due."""
    young = Window(over - rules.young - HOUR, over)
    day = month = None
    if swept.day != known.day:
        start = over - rules.recent
        if swept.day is not None:
            # each hour once more after it was young, however long nobody asked
            was_young = local_midnight_utc(swept.day, zone) - rules.young - HOUR
            start = min(start, max(was_young, young.start - rules.most_between))
        day = Window(start, over)
    if known.month is not None and known.month != swept.month:
        ends = (known.month, (known.month + 31 * DAY).replace(day=1))
        month = Window(*(local_midnight_utc(date_, zone) for date_ in ends))
    return young, day, month


def _final_month(over: datetime, zone: ZoneInfo, rules: AskingRules) -> date:
    """Give the first of the last month that has no young hour."""
    return _month_before((over - rules.young).astimezone(zone).date())


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


def _overlap(some: Sequence[Window], others: Sequence[Window]) -> bool:
    return any(one.overlap(other) for one in some for other in others)


def _month_before(today: date) -> date:
    return (today.replace(day=1) - DAY).replace(day=1)
