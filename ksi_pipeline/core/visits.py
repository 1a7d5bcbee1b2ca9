"""Visits from the raw stays in zones: cut to the validity of zones, ordered, as a table."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from ksi_pipeline.core.plan import SitePlan
from ksi_pipeline.core.schemas import VISITS
from ksi_pipeline.core.time import hour_starts_us
from ksi_pipeline.core.walks import (
    RULE_VERSION,
    IntArray,
    Names,
    instant_us,
    ranks_of,
    table_of,
    taken,
)


def visit_table(stays: Sequence[IntArray], names: Names, plan: SitePlan) -> pa.Table:
    """Build the visits of one site, in the schema VISITS.

    Args:
        stays: one array for each camera, in the order of cameras, as core.tally gives them, the
            zone as an index into `plan.zones`.
        names: the tracklets.
        plan: whose zones cut visits to their validity; the cut end is censored, not left.

    Returns:
        Visits in the order of sorted points: by camera, tracklet and entry, then by zone.
    """
    from ksi_pipeline.core.kernels import END_CENSORED, START_CENSORED  # numba is slow to import

    rows = np.concatenate([np.empty((0, 5), dtype=np.int64), *stays])
    camera = np.repeat(np.arange(len(stays)), [len(stay) for stay in stays])
    zone, start, end = rows[:, 0], rows[:, 2], rows[:, 3]
    low, high = _validity(plan)
    entered, left = np.maximum(start, low[zone]), np.minimum(end, high[zone])
    is_start_censored = (rows[:, 4] & START_CENSORED != 0) | (entered > start)
    is_end_censored = (rows[:, 4] & END_CENSORED != 0) | (left < end)
    keep = np.flatnonzero(left > entered)
    ranks = ranks_of([shape.zone_id for shape in plan.zones])[zone]
    keys = (camera, names.ranks[rows[:, 1]], entered, ranks, zone)
    keep = keep[np.lexsort([key[keep] for key in reversed(keys)])]
    zone, entered, left = zone[keep], entered[keep], left[keep]
    columns = {
        "site_id": taken([plan.site_id], np.zeros(len(keep), dtype=np.int64)),
        "unit_id": taken([shape.unit_id for shape in plan.zones], zone),
        "zone_id": taken([shape.zone_id for shape in plan.zones], zone),
        "tracklet_id": names.values.take(pa.array(rows[keep, 1])),
        "entered_at_utc": entered,
        "left_at_utc": left,
        "dwell_s": (left - entered) / 1e6,
        "is_start_censored": is_start_censored[keep],
        "is_end_censored": is_end_censored[keep],
        "hour_start_utc": hour_starts_us(entered, plan.zone_info),
        "rule_version": np.full(len(keep), RULE_VERSION),
        "geometry_version": taken([shape.geometry_version for shape in plan.zones], zone),
    }
    return table_of(columns, VISITS)


def _validity(plan: SitePlan) -> tuple[IntArray, IntArray]:
    """Give the first and last instant of each zone in us; the ends of time where it has none."""
    ends = np.iinfo(np.int64)
    low = [instant_us(zone.valid_from) if zone.valid_from else ends.min for zone in plan.zones]
    high = [instant_us(zone.valid_to) if zone.valid_to else ends.max for zone in plan.zones]
    return np.array(low, dtype=np.int64), np.array(high, dtype=np.int64)
