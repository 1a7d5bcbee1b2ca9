"""Zone occupancy by minute, from visits.

Visits are half-open intervals, so someone who leaves at 10:00:00 and someone who comes at 10:00:00
are never counted together. Person-seconds are split by minute and add up to the dwell of the
visits, to the microsecond.
"""

from collections import defaultdict
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from ksi_pipeline.core.schemas import ZONE_OCCUPANCY
from ksi_pipeline.core.time import hour_starts_us

MINUTE_US = 60_000_000

_Key = tuple[str, str, str, str, int, int]


def zone_occupancy(visits: pa.Table, zone: ZoneInfo) -> pa.Table:
    """Spread visits over minutes.

    Args:
        visits: schema VISITS, one site, any order.
        zone: the site's time zone, for hour_start_utc.

    Returns:
        Schema ZONE_OCCUPANCY, one row per zone, geometry and minute in which somebody was there,
        ordered by zone and minute. Minutes without a row were empty if the camera was watching.
    """
    stays: dict[_Key, list[tuple[int, int, str]]] = defaultdict(list)
    starts = visits["entered_at_utc"].cast(pa.int64()).to_pylist()
    ends = visits["left_at_utc"].cast(pa.int64()).to_pylist()
    columns = ("site_id", "unit_id", "zone_id", "geometry_version", "rule_version", "tracklet_id")
    rows = zip(*(visits[name].to_pylist() for name in columns), starts, ends, strict=True)
    for site, unit, zone_id, geometry, rule, tracklet, start, end in rows:
        minute = start - start % MINUTE_US
        while minute < end:
            clipped = (max(start, minute), min(end, minute + MINUTE_US), tracklet)
            stays[(site, unit, zone_id, geometry, rule, minute)].append(clipped)
            minute += MINUTE_US
    keys = sorted(stays, key=lambda k: (k[2], k[5], k[3]))
    minutes = np.array([key[5] for key in keys], dtype=np.int64)
    hours = hour_starts_us(minutes, zone)
    return pa.Table.from_arrays(
        [
            pa.array([k[0] for k in keys], pa.string()),
            pa.array([k[1] for k in keys], pa.string()),
            pa.array([k[2] for k in keys], pa.string()),
            pa.array(minutes).cast(ZONE_OCCUPANCY.field("minute_utc").type),
            pa.array([sum(e - s for s, e, _ in stays[k]) / 1e6 for k in keys], pa.float64()),
            pa.array([_most_at_once(stays[k]) for k in keys], pa.int64()),
            pa.array([len({t for _, _, t in stays[k]}) for k in keys], pa.int64()),
            pa.array(hours, pa.int64()).cast(ZONE_OCCUPANCY.field("hour_start_utc").type),
            pa.array([k[4] for k in keys], pa.int64()),
            pa.array([k[3] for k in keys], pa.string()),
        ],
        schema=ZONE_OCCUPANCY,
    )


def _most_at_once(stays: list[tuple[int, int, str]]) -> int:
    # At one instant leaving (-1) sorts before coming (+1): intervals are half-open.
    changes = sorted([(s, 1) for s, _, _ in stays] + [(e, -1) for _, e, _ in stays])
    now = most = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most
