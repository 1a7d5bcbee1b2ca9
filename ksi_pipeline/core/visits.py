"""Visits to one zone, from the walks of one camera."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ksi_pipeline.core.geometry import inside_pieces
from ksi_pipeline.core.plan import SitePlan, ZoneShape
from ksi_pipeline.core.schemas import VISITS
from ksi_pipeline.core.time import hour_starts_us
from ksi_pipeline.core.walks import RULE_VERSION, Walks, event_table, instant_us


def zone_visits(walk: Walks, zone: ZoneShape, plan: SitePlan) -> pa.Table:
    """Find every visit of one camera's tracklets to one zone, in the schema VISITS."""
    rows = np.flatnonzero(walk.joined)
    polygon = np.array(zone.polygon, dtype=np.float64)
    piece, from_share, to_share = inside_pieces(walk.xy[rows], walk.xy[rows + 1], polygon)
    row = rows[piece] if len(piece) else np.array([], dtype=np.int64)
    length = walk.ts[np.minimum(row + 1, len(walk.ts) - 1)] - walk.ts[row]
    starts = walk.ts[row] + np.rint(from_share * length).astype(np.int64)
    ends = walk.ts[row] + np.rint(to_share * length).astype(np.int64)
    before = np.zeros(len(row), dtype=np.bool_)
    before[row > 0] = walk.joined[row[row > 0] - 1]
    is_start_censored = (from_share == 0.0) & ~before
    is_end_censored = (to_share == 1.0) & ~walk.joined[np.minimum(row + 1, len(walk.ts) - 1)]
    inertia_us = round(plan.rules.exit_inertia_s * 1e6)
    visits: list[_Interval] = []
    for i in range(len(row)):
        current = _Interval(
            walk.ids[row[i]],
            int(starts[i]),
            int(ends[i]),
            bool(is_start_censored[i]),
            bool(is_end_censored[i]),
        )
        if visits and visits[-1].absorbs(current, inertia_us):
            visits[-1] = visits[-1].joined_with(current)
        else:
            visits.append(current)
    clipped = (_clipped(visit, zone) for visit in visits)
    return _visit_table([visit for visit in clipped if visit is not None], zone, plan)


@dataclass(frozen=True, slots=True)
class _Interval:
    tracklet_id: str
    start: int
    end: int
    is_start_censored: bool
    is_end_censored: bool

    def absorbs(self, later: "_Interval", inertia_us: int) -> bool:
        gap = later.start - self.end
        return self.tracklet_id == later.tracklet_id and (gap == 0 or gap < inertia_us)

    def joined_with(self, later: "_Interval") -> "_Interval":
        return _Interval(
            self.tracklet_id,
            self.start,
            later.end,
            self.is_start_censored,
            later.is_end_censored,
        )


def _clipped(visit: _Interval, zone: ZoneShape) -> _Interval | None:
    """Cut a visit to the validity of the zone; the cut end is censored, not left."""
    low = instant_us(zone.valid_from) if zone.valid_from else visit.start
    high = instant_us(zone.valid_to) if zone.valid_to else visit.end
    start, end = max(visit.start, low), min(visit.end, high)
    if end <= start:
        return None
    return _Interval(
        visit.tracklet_id,
        start,
        end,
        visit.is_start_censored or start > visit.start,
        visit.is_end_censored or end < visit.end,
    )


def _visit_table(visits: list[_Interval], zone: ZoneShape, plan: SitePlan) -> pa.Table:
    starts = np.array([v.start for v in visits], dtype=np.int64)
    ends = np.array([v.end for v in visits], dtype=np.int64)
    count = len(visits)
    columns = {
        "site_id": [plan.site_id] * count,
        "unit_id": [zone.unit_id] * count,
        "zone_id": [zone.zone_id] * count,
        "tracklet_id": [v.tracklet_id for v in visits],
        "entered_at_utc": starts,
        "left_at_utc": ends,
        "dwell_s": (ends - starts) / 1e6,
        "is_start_censored": [v.is_start_censored for v in visits],
        "is_end_censored": [v.is_end_censored for v in visits],
        "hour_start_utc": hour_starts_us(starts, plan.zone_info),
        "rule_version": np.full(count, RULE_VERSION),
        "geometry_version": [zone.geometry_version] * count,
    }
    return event_table(columns, VISITS)
