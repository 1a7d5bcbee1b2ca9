"""Visits from the raw stays in zones: cut to the validity of zones, ordered, as a table."""

import numpy as np
import pyarrow as pa

from ksi_pipeline.core.plan import SitePlan
from ksi_pipeline.core.schemas import VISITS
from ksi_pipeline.core.time import hour_starts_us
from ksi_pipeline.core.walks import (
    RULE_VERSION,
    IntArray,
    coded,
    coded_in_runs,
    coded_schema,
    instant_us,
    table_of,
)


def valid_stays(stays: IntArray, plan: SitePlan) -> IntArray:
    """Cut stays to the validity of their zones; the cut end is censored, not left.

    Args:
        stays: as core.tally gives them, the zone as an index into `plan.zones`.
        plan: whose zones they are.

    Returns:
        Shape (M, 5), as `stays`, those of no length left out.
    """
    from ksi_pipeline.core.kernels import END_CENSORED, START_CENSORED  # numba is slow to import

    ends = np.iinfo(np.int64)
    low = [instant_us(zone.valid_from) if zone.valid_from else ends.min for zone in plan.zones]
    high = [instant_us(zone.valid_to) if zone.valid_to else ends.max for zone in plan.zones]
    zone, start, end = stays[:, 0], stays[:, 2], stays[:, 3]
    entered = np.maximum(start, np.array(low, dtype=np.int64)[zone])
    left = np.minimum(end, np.array(high, dtype=np.int64)[zone])
    flags = stays[:, 4] | START_CENSORED * (entered > start) | END_CENSORED * (left < end)
    cut = np.column_stack([zone, stays[:, 1], entered, left, flags])
    return cut if (left > entered).all() else cut[left > entered]


def visit_table(stays: IntArray, tracklets: pa.Array, plan: SitePlan) -> pa.Table:
    """Build the visits of one site, in the order of `stays`.

    Args:
        stays: as valid_stays gives them.
        tracklets: strings that the codes of tracklets in `stays` point into.
        plan: whose zones they are.

    Returns:
        Schema VISITS, but with dictionary-encoded text.
    """
    from ksi_pipeline.core.kernels import END_CENSORED, START_CENSORED  # numba is slow to import

    zone, code, entered, left, flags = np.ascontiguousarray(stays.T)
    columns = {
        "site_id": coded([plan.site_id], np.zeros(len(zone), dtype=np.int64)),
        "unit_id": coded([shape.unit_id for shape in plan.zones], zone),
        "zone_id": coded([shape.zone_id for shape in plan.zones], zone),
        "tracklet_id": coded_in_runs(tracklets, code),
        "entered_at_utc": entered,
        "left_at_utc": left,
        "dwell_s": (left - entered) / 1e6,
        "is_start_censored": flags & START_CENSORED != 0,
        "is_end_censored": flags & END_CENSORED != 0,
        "hour_start_utc": hour_starts_us(entered, plan.zone_info),
        "rule_version": np.full(len(zone), RULE_VERSION),
        "geometry_version": coded([shape.geometry_version for shape in plan.zones], zone),
    }
    return table_of(columns, coded_schema(VISITS))
