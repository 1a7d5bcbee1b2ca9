"""Which hours a ticket feed is asked for now. Decides only; whoever asks, notes what was answered.

    due        hours that can still change: the young ones at each tick, the last 7 days once a
               day, and a month once more on the third day after it
    catch-up   hours that are over and were never answered since: after a time out of order, of a
               code that was linked later, of a request that failed; a few at each tick

At one tick no hour of a code is asked for twice.
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
from ksi_pipeline.core.time import DAY, HOUR, Window, local_midnight_utc, merged

# A multiplicative hash (Knuth): where catching up begins, another place each hour.
_SCATTER = 2654435761


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
    over = hour_begin(now, zone)
    today = now.astimezone(zone).date()
    known = Swept(
        day=today,
        month=_month_before(today) if today.day >= rules.month_day else swept.month,
    )
    spans = _due(known, swept, over, zone, rules)
    past = Window(start, over) if start < over else None
    asked = [inside for span in spans if past and (inside := span.overlap(past))]
    asked += [also] if also else []
    due = merged(w for span in merged(asked) if (w := whole(span, over, zone)))
    questions = [
        Question(piece, codes)
        for window in due
        for piece in cut(window, rules.longest, zone)
        if (codes := linked_in(links, piece))
    ]
    missed = missing(links, answered, past, zone=zone, longest=rules.longest, but=due)
    return Plan((*questions, *_some(missed, rules.most_catch_up, now)), known)


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
) -> list[Window]:
    """Give the spans that can still change and were not asked as often as they should be."""
    spans = [Window(over - rules.young - HOUR, over)]
    if swept.day != known.day:
        spans.append(Window(over - rules.recent, over))
    if known.month is not None and known.month != swept.month:
        ends = (known.month, (known.month + 31 * DAY).replace(day=1))
        spans.append(Window(*(local_midnight_utc(day, zone) for day in ends)))
    return spans


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


def _month_before(today: date) -> date:
    return (today.replace(day=1) - DAY).replace(day=1)
