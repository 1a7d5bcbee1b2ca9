"""Crossings of one counting line, from the walks of one camera."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ksi_pipeline.core.geometry import BoolArray, FloatArray, signed_side
from ksi_pipeline.core.plan import LineShape, SitePlan
from ksi_pipeline.core.schemas import LINE_CROSSINGS
from ksi_pipeline.core.time import hour_starts_us
from ksi_pipeline.core.walks import RULE_VERSION, IntArray, Walks, event_table, instant_us


def line_crossings(walk: Walks, line: LineShape, plan: SitePlan) -> pa.Table:
    """Find every crossing of one line by one camera's tracklets, in the schema LINE_CROSSINGS."""
    a, b = np.array(line.a), np.array(line.b)
    distance = signed_side(walk.xy, a, b)
    run_ends = np.flatnonzero(~walk.joined)
    side = _filled_sides(np.sign(distance).astype(np.int64), run_ends)
    row = _confirmed_changes(side, run_ends, plan.rules.confirm_samples)
    nxt = row + 1
    share: FloatArray = distance[row] / (distance[row] - distance[nxt])
    hit = walk.xy[row] + share[:, None] * (walk.xy[nxt] - walk.xy[row])
    along = ((hit - a) @ (b - a)) / float((b - a) @ (b - a))
    on_segment = (along >= 0.0) & (along < 1.0)
    row, nxt, share, hit = row[on_segment], nxt[on_segment], share[on_segment], hit[on_segment]
    at = walk.ts[row] + np.rint(share * (walk.ts[nxt] - walk.ts[row])).astype(np.int64)
    onto_left = side[nxt] > 0
    is_in = onto_left if line.inside == "left" else ~onto_left
    keep = _not_turned_back(walk.ids[row], at, is_in, plan.rules.min_inside_s)
    keep &= _valid_at(at, line)
    row, at, is_in, hit = row[keep], at[keep], is_in[keep], hit[keep]
    count = len(row)
    columns = {
        "site_id": [plan.site_id] * count,
        "unit_id": [line.unit_id] * count,
        "line_id": [line.line_id] * count,
        "tracklet_id": list(walk.ids[row]),
        "at_utc": at,
        "direction": ["in" if way else "out" for way in is_in],
        "x_m": hit[:, 0],
        "y_m": hit[:, 1],
        "hour_start_utc": hour_starts_us(at, plan.zone_info),
        "rule_version": np.full(count, RULE_VERSION),
        "geometry_version": [line.geometry_version] * count,
    }
    return event_table(columns, LINE_CROSSINGS)


def _filled_sides(side: IntArray, run_ends: IntArray) -> IntArray:
    """Give samples on the line the side before them, or after them at the start of a run."""
    filled = side.copy()
    start = 0
    for end in run_ends + 1:
        run = filled[start:end]
        known = np.flatnonzero(run)
        if len(known) and len(known) < len(run):
            before = np.maximum.accumulate(np.where(run != 0, np.arange(len(run)), -1))
            run[:] = run[np.where(before >= 0, before, known[0])]
        start = end
    return filled


def _confirmed_changes(side: IntArray, run_ends: IntArray, confirm: int) -> IntArray:
    """Rows after which the side changes for at least `confirm` samples of the same run."""
    rows: list[int] = []
    start = 0
    for end in run_ends + 1:
        changes = start + np.flatnonzero(side[start : end - 1] != side[start + 1 : end])
        if confirm <= 1:
            rows.extend(changes)
        elif len(changes):
            settled = side[start]
            stretch_ends = np.append(changes[1:], end - 1)
            for change, last in zip(changes, stretch_ends, strict=True):
                if side[change + 1] != settled and last - change >= confirm:
                    rows.append(int(change))
                    settled = side[change + 1]
        start = end
    return np.array(rows, dtype=np.int64)


def _not_turned_back(
    ids: NDArray[np.object_], at: IntArray, is_in: BoolArray, min_inside_s: float
) -> BoolArray:
    keep = np.ones(len(at), dtype=np.bool_)
    for i in range(len(at) - 1):
        is_return = keep[i] and is_in[i] and not is_in[i + 1] and ids[i] == ids[i + 1]
        if is_return and at[i + 1] - at[i] < min_inside_s * 1e6:
            keep[i] = keep[i + 1] = False
    return keep


def _valid_at(at: IntArray, line: LineShape) -> BoolArray:
    valid = np.ones(len(at), dtype=np.bool_)
    if line.valid_from:
        valid &= at >= instant_us(line.valid_from)
    if line.valid_to:
        valid &= at < instant_us(line.valid_to)
    return valid
