"""The local hours that lie wholly in a window, as arrays; kept for the windows asked for last.

One answer is judged by its hours many times over, and a week of hours one by one costs more than
reading a week of rows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ksi_pipeline.core.instants import to_us
from ksi_pipeline.core.time import HOUR, LocalHour, Window, hour_start_utc, local_hours, utc_offset

_US = timedelta(microseconds=1)
HOUR_US = HOUR // _US
_MOST_KEPT = 8

Int64s = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class HourGrid:
    """The whole local hours of a window, in order, in microseconds since the epoch.

    Attributes:
        starts: the keys, `LocalHour.start_utc`.
        firsts: the first instants that belong to them.
        ends: the first instants that no longer do.
        offsets_s: UTC offset in force, in seconds.
    """

    starts: Int64s
    firsts: Int64s
    ends: Int64s
    offsets_s: Int64s

    def places_of(self, instants: Int64s) -> Int64s:
        """Give for each instant the place of the hour that has it as its key, else -1."""
        if len(self.starts) == 0:
            return np.full(len(instants), -1, dtype=np.int64)
        places = np.searchsorted(self.starts, instants)
        places[places == len(self.starts)] = 0
        places[self.starts[places] != instants] = -1
        return places


@lru_cache(_MOST_KEPT)
def hour_grid(window: Window, zone: ZoneInfo) -> HourGrid:
    """Give the local hours that lie wholly in a window, as arrays."""
    steady = _steady_grid(window, zone)
    if steady is not None:
        return steady
    hours = whole_hours(window, zone).values()
    return HourGrid(
        starts=_us(hour.start_utc for hour in hours),
        firsts=_us(hour.from_utc for hour in hours),
        ends=_us(hour.end_utc for hour in hours),
        offsets_s=np.array([hour.utc_offset_s for hour in hours], dtype=np.int64),
    )


@lru_cache(_MOST_KEPT)
def whole_hours(window: Window, zone: ZoneInfo) -> Mapping[datetime, LocalHour]:
    """Give the local hours that lie wholly in a window, in order, by their key `start_utc`."""
    return MappingProxyType(
        {
            hour.start_utc: hour
            for hour in local_hours(window, zone)
            if hour.from_utc >= window.start and hour.end_utc <= window.end
        }
    )


def _steady_grid(window: Window, zone: ZoneInfo) -> HourGrid | None:
    """Give the grid where no clock change comes near the window, else None."""
    offset = utc_offset(window.start, zone)
    instant, end = window.start - HOUR, window.end + HOUR
    while instant < end:
        if utc_offset(instant, zone) != offset:
            return None
        instant += HOUR
    first = to_us(hour_start_utc(window.start, zone))
    if first < to_us(window.start):
        first += HOUR_US
    starts = np.arange(first, to_us(window.end) - HOUR_US + 1, HOUR_US, dtype=np.int64)
    offsets_s = np.full(len(starts), int(offset.total_seconds()), dtype=np.int64)
    return HourGrid(starts, starts, starts + HOUR_US, offsets_s)


def _us(instants: Iterable[datetime]) -> Int64s:
    return np.fromiter(map(to_us, instants), dtype=np.int64)
