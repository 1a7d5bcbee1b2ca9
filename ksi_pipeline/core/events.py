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

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ksi_pipeline.core.crossings import line_crossings
from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.plan import SitePlan
from ksi_pipeline.core.schemas import DATASETS, LINE_CROSSINGS, VISITS
from ksi_pipeline.core.visits import zone_visits
from ksi_pipeline.core.walks import walks_of


@dataclass(frozen=True, slots=True)
class Events:
    """Visits and line crossings of one set of tracklets, in the schemas of core.schemas."""

    visits: pa.Table
    line_crossings: pa.Table


def count_events(points: pa.Table, plan: SitePlan) -> Events:
    """Count visits and line crossings of all tracklets of one site.

    Args:
        points: schema TRACKLET_POINTS, any order; whole tracklets. Rows with null metres (a camera
            that is not calibrated) are left out.
        plan: zones, lines and rules of the site; a camera counts only what it sees.

    Returns:
        Visits ordered by (zone, entry, tracklet) and crossings ordered by (line, instant,
        tracklet); equal input rows in any order give equal tables.

    Raises:
        ContractError: a row of another site, or a tracklet with a repeated instant.
    """
    _require_columns(points)
    foreign = set(pc.unique(points["site_id"]).to_pylist()) - {plan.site_id}
    if foreign:
        raise ContractError(
            f"Counting site {plan.site_id!r}: the points also hold site {sorted(foreign)[0]!r}. "
            "Give each site its own space model.",
            code="E_UNKNOWN_SITE",
        )
    visits: list[pa.Table] = []
    crossings: list[pa.Table] = []
    for camera_id in sorted(pc.unique(points["camera_id"]).to_pylist()):
        seen = plan.sees.get(camera_id, frozenset())
        walk = walks_of(
            points.filter(pc.equal(points["camera_id"], camera_id)), plan.rules.max_gap_s
        )
        visits += [zone_visits(walk, zone, plan) for zone in plan.zones if zone.zone_id in seen]
        crossings += [
            line_crossings(walk, line, plan) for line in plan.lines if line.line_id in seen
        ]
    return Events(
        visits=pa.concat_tables([VISITS.empty_table(), *visits]).sort_by(
            [(c, "ascending") for c in ("zone_id", "entered_at_utc", "tracklet_id")]
        ),
        line_crossings=pa.concat_tables([LINE_CROSSINGS.empty_table(), *crossings]).sort_by(
            [(c, "ascending") for c in ("line_id", "at_utc", "tracklet_id")]
        ),
    )


def _require_columns(points: pa.Table) -> None:
    wanted = {
        field.name: field.type
        for field in DATASETS["tracklet_points"]
        if field.name not in {"confidence", "is_observed"}
    }
    for name, kind in wanted.items():
        if name not in points.column_names or points.schema.field(name).type != kind:
            found = points.schema.field(name).type if name in points.column_names else "nothing"
            raise ContractError(
                f"Tracklet points need column {name!r} of type {kind}, found {found}. "
                "docs/reference/datasets.md lists the columns.",
                code="E_SCHEMA",
            )
