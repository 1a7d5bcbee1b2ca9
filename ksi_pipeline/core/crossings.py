"""Crossings of counting lines, from the changes of side of the walks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ksi_pipeline.core.geometry import BoolArray, FloatArray, share_along, signed_side
from ksi_pipeline.core.plan import LineShape, SitePlan
from ksi_pipeline.core.schemas import LINE_CROSSINGS
from ksi_pipeline.core.time import hour_starts_us
from ksi_pipeline.core.walks import (
    RULE_VERSION,
    IntArray,
    Names,
    Walks,
    instant_us,
    ranks_of,
    table_of,
    taken,
)


@dataclass(frozen=True, slots=True, eq=False)
class Crossings:
    """Crossings of one line by the tracklets of one camera; all arrays of shape (M,).

    Attributes:
        line: index into the plan's lines.
        codes: tracklets.
        at: microseconds since the epoch.
        is_in: whether onto the side that the line names inside.
        hit: floor metres, shape (M, 2).
    """

    line: int
    codes: NDArray[np.int32]
    at: IntArray
    is_in: BoolArray
    hit: FloatArray


def line_crossings(walk: Walks, changes: IntArray, index: int, plan: SitePlan) -> Crossings:
    """Tell which changes of side cross line `index`, and when and where.

    Args:
        walk: the samples of one camera.
        changes: shape (C, 2), the row before each confirmed change and the new side.
        index: the line in `plan.lines`.
        plan: its rules and lines.
    """
    line = plan.lines[index]
    a, b = np.array(line.a), np.array(line.b)
    if np.any(np.diff(walk.names.ranks[walk.codes[changes[:, 0]]]) < 0):
        changes = changes[np.argsort(walk.names.ranks[walk.codes[changes[:, 0]]], kind="stable")]
    row, side = changes[:, 0], changes[:, 1]
    here = np.column_stack([walk.x[row], walk.y[row]])
    there = np.column_stack([walk.x[row + 1], walk.y[row + 1]])
    distance = signed_side(here, a, b)
    share: FloatArray = distance / (distance - signed_side(there, a, b))
    hit = here + share[:, None] * (there - here)
    along = share_along(hit, a, b)
    on_segment = (along >= 0.0) & (along < 1.0)
    row, side, share, hit = row[on_segment], side[on_segment], share[on_segment], hit[on_segment]
    if plan.rules.position == "hold":
        share = np.ones(len(share))
    at = walk.ts[row] + np.rint(share * (walk.ts[row + 1] - walk.ts[row])).astype(np.int64)
    is_in = (side > 0) == (line.inside == "left")
    keep = _not_turned_back(walk.codes[row], at, is_in, plan.rules.min_inside_s)
    keep &= _valid_at(at, line)
    return Crossings(index, walk.codes[row[keep]], at[keep], is_in[keep], hit[keep])


def crossing_table(found: Sequence[Sequence[Crossings]], names: Names, plan: SitePlan) -> pa.Table:
    """Build the crossings of one site, in the schema LINE_CROSSINGS.

    Args:
        found: for each camera in order, for each of its lines.
        names: the tracklets.
        plan: whose lines they are.

    Returns:
        Crossings in the order of sorted points: by camera, tracklet and instant, then by line.
    """
    parts = [part for of_camera in found for part in of_camera]
    counts = [len(part.at) for part in parts]
    camera = np.repeat([i for i, of_camera in enumerate(found) for _ in of_camera], counts)
    line = np.repeat([part.line for part in parts], counts).astype(np.int64)
    codes = np.concatenate([np.empty(0, dtype=np.int32), *(part.codes for part in parts)])
    at = np.concatenate([np.empty(0, dtype=np.int64), *(part.at for part in parts)])
    is_in = np.concatenate([np.empty(0, dtype=np.bool_), *(part.is_in for part in parts)])
    hit = np.concatenate([np.empty((0, 2)), *(part.hit for part in parts)])
    ranks = ranks_of([shape.line_id for shape in plan.lines])[line]
    order = np.lexsort((line, ranks, at, names.ranks[codes], camera))
    line, at, hit = line[order], at[order], hit[order]
    columns = {
        "site_id": taken([plan.site_id], np.zeros(len(order), dtype=np.int64)),
        "unit_id": taken([shape.unit_id for shape in plan.lines], line),
        "line_id": taken([shape.line_id for shape in plan.lines], line),
        "tracklet_id": names.values.take(pa.array(codes[order])),
        "at_utc": at,
        "direction": taken(["out", "in"], is_in[order].astype(np.int64)),
        "x_m": hit[:, 0],
        "y_m": hit[:, 1],
        "hour_start_utc": hour_starts_us(at, plan.zone_info),
        "rule_version": np.full(len(order), RULE_VERSION),
        "geometry_version": taken([shape.geometry_version for shape in plan.lines], line),
    }
    return table_of(columns, LINE_CROSSINGS)


def _not_turned_back(
    codes: NDArray[np.int32], at: IntArray, is_in: BoolArray, min_inside_s: float
) -> BoolArray:
    if min_inside_s <= 0:
        return np.ones(len(at), dtype=np.bool_)
    from ksi_pipeline.core.compiled import not_turned_back  # numba is slow to import

    keep: BoolArray = not_turned_back(codes, at, is_in, float(min_inside_s * 1e6))
    return keep


def _valid_at(at: IntArray, line: LineShape) -> BoolArray:
    valid = np.ones(len(at), dtype=np.bool_)
    if line.valid_from:
        valid &= at >= instant_us(line.valid_from)
    if line.valid_to:
        valid &= at < instant_us(line.valid_to)
    return valid
