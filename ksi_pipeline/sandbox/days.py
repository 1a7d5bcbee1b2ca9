"""One day of the simulated mall: its open hours, its faults, who walked and what was delivered.

The first day has three faults on purpose: the camera of unit 0002 is dark from 13:20 to 13:40 and
from 16:00 to 17:00, and the feed of unit 0001 says nothing of the hour 18:00. It has the video too.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np

from ksi_pipeline.core.time import (
    DAY,
    LocalHour,
    Window,
    local_hours,
    local_midnight_utc,
    minus,
    open_spans,
    wall_to_utc,
)
from ksi_pipeline.sandbox.deliver import CameraTime, deliver
from ksi_pipeline.sandbox.mall import SITE_ID, Mall
from ksi_pipeline.sandbox.space_file import OPENING, ZONE
from ksi_pipeline.sandbox.trail import Walk
from ksi_pipeline.sandbox.truth import Outages
from ksi_pipeline.sandbox.walkers import DayPlan, walk_day

_VIDEO_FROM = time(10)
_CAMERA_DARK = ((time(13, 20), time(13, 40)), (time(16), time(17)))
_DARK_UNIT = "0002"
_FEED_SILENT = ((time(18), time(19)),)
_SILENT_UNIT = "0001"


@dataclass(frozen=True, slots=True)
class Special:
    """What is special about a day: its video and its faults."""

    video: Window | None
    outages: Outages


@dataclass(frozen=True, slots=True)
class Day:
    """One simulated day.

    Attributes:
        index: number of the day, from 0.
        midnight: the first instant of the local date; the walks' times count from it.
        hours: the open local hours, in order; none on a day on which the mall is closed.
        walks: everybody's walk, by first instant.
    """

    index: int
    midnight: datetime
    hours: tuple[LocalHour, ...]
    walks: list[Walk]
    special: Special


def special_of_first_day(mall: Mall, day: date, video_minutes: int) -> Special:
    """Give the faults and the video window of the first day; units that do not exist have none."""
    units = {shop.unit_id for shop in mall.shops}
    dark = {_DARK_UNIT: tuple(_on(day, a, b) for a, b in _CAMERA_DARK)}
    silent = {_SILENT_UNIT: tuple(_on(day, a, b) for a, b in _FEED_SILENT)}
    outages = Outages({unit: spans for unit, spans in dark.items() if unit in units}, silent)
    if video_minutes == 0:
        return Special(None, outages)
    start = wall_to_utc(datetime.combine(day, _VIDEO_FROM), ZONE)
    return Special(Window(start, start + timedelta(minutes=video_minutes)), outages)


def nothing_special() -> Special:
    """Give what all later days have: no video and no faults."""
    return Special(None, Outages({}, {}))


def simulate_day(mall: Mall, day: date, index: int, seed: int, special: Special) -> Day:
    """Let people walk through the mall for one local date."""
    midnight = local_midnight_utc(day, ZONE)
    spans = open_spans(OPENING, Window(midnight, local_midnight_utc(day + DAY, ZONE)), ZONE)
    hours = tuple(hour for span in spans for hour in local_hours(span, ZONE))
    if not hours:
        return Day(index, midnight, (), [], special)

    def seconds(instant: datetime) -> float:
        return (instant - midnight).total_seconds()

    cuts = [window for windows in special.outages.camera_dark.values() for window in windows]
    cuts += [special.video] if special.video else []
    edges = {edge for window in cuts for edge in (window.start, window.end)}
    edges |= {edge for hour in hours for edge in (hour.from_utc, hour.end_utc)}
    plan = DayPlan(
        index=index,
        hours=tuple((seconds(h.from_utc), seconds(h.end_utc), h.local_hour.hour) for h in hours),
        video=(seconds(special.video.start), seconds(special.video.end)) if special.video else None,
        edges=tuple(sorted(seconds(edge) for edge in edges)),
    )
    return Day(index, midnight, hours, walk_day(mall, plan, seed), special)


def deliver_day(folder: Path, mall: Mall, day: Day, seed: int) -> list[Path]:
    """Write one day's deliveries, per camera one an open hour and cut around the video.

    They lie in <folder>/<site>/<camera>/<start>; gives their folders by camera and time.
    """
    hours = [Window(hour.from_utc, hour.end_utc) for hour in day.hours]
    filmed = [day.special.video] if day.special.video else []
    pieces = tuple(piece for hour in hours for piece in minus(hour, filmed))
    written: list[Path] = []
    for shop in mall.shops:
        times = CameraTime(pieces, day.special.outages.camera_dark.get(shop.unit_id, ()))
        rng = np.random.default_rng([seed, day.index, 4, shop.index])
        written += deliver(folder / SITE_ID, shop, day.walks, day.midnight, times, rng)
    return written


def _on(day: date, start: time, end: time) -> Window:
    first, last = datetime.combine(day, start), datetime.combine(day, end)
    return Window(wall_to_utc(first, ZONE), wall_to_utc(last, ZONE))
