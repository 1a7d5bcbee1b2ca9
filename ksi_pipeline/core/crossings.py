"""Crossings of counting lines, from the changes of side of the walks."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ksi_pipeline.core.geometry import BoolArray, FloatArray, share_along, signed_side
from ksi_pipeline.core.plan import SitePlan
from ksi_pipeline.core.schemas import LINE_CROSSINGS
from ksi_pipeline.core.time import hour_starts_us
from ksi_pipeline.core.walks import (
    RULE_VERSION,
    IntArray,
    Walks,
    coded,
    coded_in_runs,
    coded_schema,
    instant_us,
    table_of,
)


@dataclass(frozen=True, slots=True, eq=False)
class Crossings:
    """Crossings of lines; all arrays of shape (M,).

    Attributes:
        line: indexes into the plan's lines.
        codes: tracklets.
        at: microseconds since the epoch.
        is_in: whether onto the side that the line names inside.
        hit: floor metres, shape (M, 2).
    """

    line: IntArray
    codes: IntArray
    at: IntArray
    is_in: BoolArray
    hit: FloatArray

    @classmethod
    def joined(cls, parts: Iterable["Crossings"]) -> "Crossings":
        """Give crossings one after the other; at least one part."""
        listed = list(parts)
        return cls(
            np.concatenate([part.line for part in listed]),
            np.concatenate([part.codes for part in listed]),
            np.concatenate([part.at for part in listed]),
            np.concatenate([part.is_in for part in listed]),
            np.concatenate([part.hit for part in listed]),
        )

    def rows(self, chosen: NDArray[np.int64] | BoolArray) -> "Crossings":
        """Give some rows, by index or mask."""
        return Crossings(
            self.line[chosen],
            self.codes[chosen],
            self.at[chosen],
            self.is_in[chosen],
            self.hit[chosen],
        )


def line_crossings(walk: Walks, changes: IntArray, plan: SitePlan) -> Crossings:
    """Tell which changes of side cross their line, and when and where.

    Args:
        walk: the samples of one camera.
        changes: as core.tally gives them, the line as an index into `plan.lines`.
        plan: its rules and lines.

    Returns:
        Crossings by line and tracklet, in time.
    """
    # Those of one line come by row, which is by time within a tracklet.
    codes = walk.codes[changes[:, 1]].astype(np.int64)
    order = np.lexsort((walk.names.ranks[codes], changes[:, 0]))
    changes, codes = changes[order], codes[order]
    line, row, side = changes[:, 0], changes[:, 1], changes[:, 2]
    ends = np.array([(*shape.a, *shape.b) for shape in plan.lines]).reshape(-1, 4)[line].T
    a, b = ends[:2], ends[2:]
    here = np.column_stack([walk.x[row], walk.y[row]])
    there = np.column_stack([walk.x[row + 1], walk.y[row + 1]])
    distance = signed_side(here, a, b)
    share: FloatArray = distance / (distance - signed_side(there, a, b))
    hit = here + share[:, None] * (there - here)
    along = share_along(hit, a, b)
    if plan.rules.position == "hold":
        share = np.ones(len(share))
    at = walk.ts[row] + np.rint(share * (walk.ts[row + 1] - walk.ts[row])).astype(np.int64)
    is_left_in = np.array([shape.inside == "left" for shape in plan.lines], dtype=np.bool_)
    found = Crossings(line, codes, at, (side > 0) == is_left_in[line], hit)
    found = found.rows((along >= 0.0) & (along < 1.0))
    keep = _not_turned_back(found, plan.rules.min_inside_s)
    return found.rows(keep & _are_valid(found, plan))


def crossing_table(found: Crossings, tracklets: pa.Array, plan: SitePlan) -> pa.Table:
    """Build the crossings of one site, in the order of `found`.

    Args:
        found: the crossings.
        tracklets: strings that `found.codes` point into.
        plan: whose lines they are.

    Returns:
        Schema LINE_CROSSINGS, but with dictionary-encoded text.
    """
    line, count = found.line, len(found.line)
    columns = {
        "site_id": coded([plan.site_id], np.zeros(count, dtype=np.int64)),
        "unit_id": coded([shape.unit_id for shape in plan.lines], line),
        "line_id": coded([shape.line_id for shape in plan.lines], line),
        "tracklet_id": coded_in_runs(tracklets, found.codes),
        "at_utc": found.at,
        "direction": coded(["out", "in"], found.is_in.astype(np.int64)),
        "x_m": np.ascontiguousarray(found.hit[:, 0]),
        "y_m": np.ascontiguousarray(found.hit[:, 1]),
        "hour_start_utc": hour_starts_us(found.at, plan.zone_info),
        "rule_version": np.full(count, RULE_VERSION),
        "geometry_version": coded([shape.geometry_version for shape in plan.lines], line),
    }
    return table_of(columns, coded_schema(LINE_CROSSINGS))


def _not_turned_back(found: Crossings, min_inside_s: float) -> BoolArray:
    if min_inside_s <= 0:
        return np.ones(len(found.at), dtype=np.bool_)
    from ksi_pipeline.core.compiled import not_turned_back  # numba is slow to import

    keep: BoolArray = not_turned_back(
        found.line, found.codes, found.at, found.is_in, float(min_inside_s * 1e6)
    )
    return keep


def _are_valid(found: Crossings, plan: SitePlan) -> BoolArray:
    """Tell which crossings lie in the validity of their line."""
    ends = np.iinfo(np.int64)
    low = [instant_us(shape.valid_from) if shape.valid_from else ends.min for shape in plan.lines]
    high = [instant_us(shape.valid_to) if shape.valid_to else ends.max for shape in plan.lines]
    after = found.at >= np.array(low, dtype=np.int64)[found.line]
    valid: BoolArray = after & (found.at < np.array(high, dtype=np.int64)[found.line])
    return valid
