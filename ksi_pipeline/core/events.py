"""Visits, line crossings and occupancy from stored tracklet points, by rule version 1.

The rule (docs/explanation/counting.md): position is linear between samples at most `max_gap_s`
apart; enter and leave instants are where that walk meets the boundary, so a walk that passes
through a zone between two samples is a visit too. A tracklet that begins (ends) inside is start
(end) censored at that sample, and so is one cut by a longer gap or by the validity of the zone. A
visit is a maximal inside interval of positive length. A crossing is a change of side between
consecutive samples whose hit lies on the segment (0 <= u < 1 from a); a sample exactly on the line
keeps the side of the sample before it, a first one takes the side of the next off the line.

Instants are rounded to microseconds; dwell and occupancy are sums of the rounded instants, so that
person-seconds of the minutes add up to the dwell of the visits.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ksi_pipeline.core.crossings import Crossings, crossing_table, line_crossings
from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.plan import SitePlan
from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.core.tally import tally
from ksi_pipeline.core.visits import visit_table
from ksi_pipeline.core.walks import IntArray, encoded, names_of, present, walks_of


@dataclass(frozen=True, slots=True)
class Events:
    """Visits and line crossings of one set of tracklets, in the schemas of core.schemas."""

    visits: pa.Table
    line_crossings: pa.Table

    @classmethod
    def joined(cls, parts: Iterable["Events"]) -> "Events":
        """Give events one after the other; none of none."""
        listed = list(parts)
        return cls(
            *(
                pa.concat_tables(
                    [DATASETS[name].empty_table(), *(getattr(e, name) for e in listed)]
                )
                for name in ("visits", "line_crossings")
            )
        )


def count_events(points: pa.Table, plan: SitePlan) -> Events:
    """Count visits and line crossings of all tracklets of one site.

    Args:
        points: schema TRACKLET_POINTS, any order; whole tracklets. Rows with null metres (a camera
            that is not calibrated) are left out. Strings may be dictionary-encoded (32-bit
            indices), and points sorted by tracklet and time are counted faster.
        plan: zones, lines and rules of the site; a camera counts only what it sees.

    Returns:
        Visits and crossings in the order of sorted points: by camera, tracklet and instant, then
        by zone or line; equal input rows in any order give equal tables.

    Raises:
        ContractError: a row of another site, or a tracklet with a repeated instant.
    """
    _require_columns(points)
    foreign = set(present(encoded(points["site_id"]))) - {plan.site_id}
    if foreign:
        raise ContractError(
            f"Counting site {plan.site_id!r}: the points also hold site {sorted(foreign)[0]!r}. "
            "Give each site its own space model.",
            code="E_UNKNOWN_SITE",
        )
    cameras, tracklets = encoded(points["camera_id"]), encoded(points["tracklet_id"])
    names = names_of(tracklets)
    samples = pa.table(
        {"tracklet_id": tracklets, **{name: points[name] for name in ("ts_utc", "x_m", "y_m")}}
    )
    camera_ids = present(cameras)
    stays: list[IntArray] = []
    crossings: list[list[Crossings]] = []
    for camera_id in camera_ids:
        of_camera = samples
        if len(camera_ids) > 1:
            of_camera = samples.filter(pc.equal(cameras, camera_id))
        walk = walks_of(of_camera, plan.rules.max_gap_s, names)
        seen = plan.sees.get(camera_id, frozenset())
        zones = [i for i, zone in enumerate(plan.zones) if zone.zone_id in seen]
        lines = [i for i, line in enumerate(plan.lines) if line.line_id in seen]
        found, changes = tally(
            walk, [plan.zones[i] for i in zones], [plan.lines[i] for i in lines], plan.rules
        )
        found[:, 0] = np.array(zones, dtype=np.int64)[found[:, 0]]
        stays.append(found)
        crossings.append(
            [
                line_crossings(walk, changes[changes[:, 0] == k, 1:], i, plan)
                for k, i in enumerate(lines)
            ]
        )
    return Events(visit_table(stays, names, plan), crossing_table(crossings, names, plan))


def _require_columns(points: pa.Table) -> None:
    wanted = {
        field.name: field.type
        for field in DATASETS["tracklet_points"]
        if field.name not in {"confidence", "is_observed"}
    }
    for name, kind in wanted.items():
        is_text = pa.types.is_string(kind)
        kinds = (kind, pa.dictionary(pa.int32(), kind)) if is_text else (kind,)
        if name not in points.column_names or points.schema.field(name).type not in kinds:
            found = points.schema.field(name).type if name in points.column_names else "nothing"
            raise ContractError(
                f"Tracklet points need column {name!r} of type {kind}, found {found}. "
                "docs/reference/datasets.md lists the columns.",
                code="E_SCHEMA",
            )
