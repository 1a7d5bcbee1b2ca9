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

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ksi_pipeline.core.crossings import Crossings, crossing_table, line_crossings
from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.plan import SitePlan
from ksi_pipeline.core.schemas import DATASETS, LINE_CROSSINGS, VISITS
from ksi_pipeline.core.tally import tally
from ksi_pipeline.core.visits import valid_stays, visit_table
from ksi_pipeline.core.walks import (
    IntArray,
    Names,
    Walks,
    coded_schema,
    encoded,
    instant_us,
    names_of,
    present,
    ranks_of,
    walks_of,
)

# A plan and when it holds, [from, to); None is without end.
Period = tuple[datetime | None, datetime | None, SitePlan]
_ENDS = np.iinfo(np.int64)
_MOST_RANKS, _MOST_OF_A_RANK = 8, 64


@dataclass(frozen=True, slots=True)
class Events:
    """Visits and line crossings of one set of tracklets, in the schemas of core.schemas.

    Text may be dictionary-encoded; `plain` gives it as the schemas say.
    """

    visits: pa.Table
    line_crossings: pa.Table

    @classmethod
    def joined(cls, parts: Iterable["Events"]) -> "Events":
        """Give events with encoded text one after the other; none of none."""
        listed = list(parts)
        visits, crossings = coded_schema(VISITS), coded_schema(LINE_CROSSINGS)
        return cls(
            pa.concat_tables([visits.empty_table(), *(part.visits for part in listed)]),
            pa.concat_tables([crossings.empty_table(), *(part.line_crossings for part in listed)]),
        )

    def plain(self) -> "Events":
        """Give the same rows in exactly the schemas."""
        return Events(self.visits.cast(VISITS), self.line_crossings.cast(LINE_CROSSINGS))


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Events of whole tracklets of one camera as numbers, in order.

    Attributes:
        plan: whose zones and lines they are; also that of former times of the camera.
        names: the tracklets.
        stays: see core.visits.valid_stays, ordered by tracklet, entry and zone.
        crossings: ordered by tracklet, instant and line.
    """

    plan: SitePlan
    names: Names
    stays: IntArray
    crossings: Crossings


def find(walk: Walks, camera_id: str, periods: Sequence[Period]) -> Found:
    """Count what one camera saw.

    Args:
        walk: samples of whole tracklets.
        camera_id: the camera, which counts only what it sees.
        periods: plans one after the other, of the same zones and lines. A tracklet that goes on
            from one into the next is cut there, and censored.
    """
    stays, crossings = [], []
    for start, end, plan in periods:
        part = walk
        if start is not None or end is not None:
            low = _ENDS.min if start is None else instant_us(start)
            high = _ENDS.max if end is None else instant_us(end)
            part = walk.rows(np.flatnonzero((walk.ts >= low) & (walk.ts < high)))
        of_zones, of_lines = _count(part, plan, plan.sees.get(camera_id, frozenset()))
        stays.append(of_zones)
        crossings.append(of_lines)
    found, crossed = np.concatenate(stays), Crossings.joined(crossings)
    zone_ids, line_ids = [z.zone_id for z in plan.zones], [li.line_id for li in plan.lines]
    names = walk.names
    zone, code, entered = np.ascontiguousarray(found.T[:3])
    by_tracklet = _order(names, code, entered, _places(zone_ids)[zone])
    of_line = _places(line_ids)[crossed.line]
    return Found(
        plan,
        names,
        found[by_tracklet],
        crossed.rows(_order(names, crossed.codes, crossed.at, of_line)),
    )


def events_of(found: Iterable[Found]) -> Events:
    """Build tables from what was found; text is dictionary-encoded, rows stay in their order."""
    return Events.joined(
        _tables(list(of_one))
        for _, of_one in groupby(found, lambda part: (part.plan.site_id, part.plan.zones))
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
    return count_cameras(points, plan.site_id, lambda _camera_id: [(None, None, plan)])


def count_cameras(
    points: pa.Table, site_id: str, periods_of: Callable[[str], Sequence[Period]]
) -> Events:
    """Count as count_events does, each camera by plans of its own, see `find`."""
    _require_columns(points)
    foreign = set(present(encoded(points["site_id"]))) - {site_id}
    if foreign:
        raise ContractError(
            f"Counting site {site_id!r}: the points also hold site {sorted(foreign)[0]!r}. "
            "Give each site its own space model.",
            code="E_UNKNOWN_SITE",
        )
    cameras, tracklets = encoded(points["camera_id"]), encoded(points["tracklet_id"])
    names = names_of(tracklets)
    samples = pa.table(
        {"tracklet_id": tracklets, **{name: points[name] for name in ("ts_utc", "x_m", "y_m")}}
    )
    camera_ids = present(cameras)
    found = []
    for camera_id in camera_ids:
        of_camera = samples
        if len(camera_ids) > 1:
            of_camera = samples.filter(pc.equal(cameras, camera_id))
        found.append(find(walks_of(of_camera, names), camera_id, periods_of(camera_id)))
    return events_of(found).plain()


def _count(walk: Walks, plan: SitePlan, seen: frozenset[str]) -> tuple[IntArray, Crossings]:
    zones = np.array([i for i, zone in enumerate(plan.zones) if zone.zone_id in seen], np.int64)
    lines = np.array([i for i, line in enumerate(plan.lines) if line.line_id in seen], np.int64)
    stays, changes = tally(
        walk, [plan.zones[i] for i in zones], [plan.lines[i] for i in lines], plan.rules
    )
    stays[:, 0] = zones[stays[:, 0]]
    changes[:, 0] = lines[changes[:, 0]]
    return valid_stays(stays, plan), line_crossings(walk, changes, plan)


def _places(ids: Sequence[str]) -> IntArray:
    """Give each shape its place by id; those of one id keep their order."""
    places = np.empty(len(ids), dtype=np.int64)
    places[np.argsort(ranks_of(ids), kind="stable")] = np.arange(len(ids))
    return places


def _order(names: Names, codes: IntArray, at: IntArray, places: IntArray) -> IntArray:
    """Order by tracklet, instant and place."""
    from ksi_pipeline.core.compiled import order_of  # numba is slow to import

    if len(codes) == 0:
        return np.empty(0, dtype=np.int64)
    ranks = names.ranks[codes]
    ranks = ranks - ranks.min()
    rank_count = int(ranks.max()) + 1
    # Both are quick for what they are for; a tracklet of many rows has a long way to go in the one.
    if rank_count > _MOST_RANKS * len(ranks) or np.bincount(ranks).max() > _MOST_OF_A_RANK:
        return np.lexsort((places, at, ranks))
    order: IntArray = order_of(ranks, at, places, rank_count)
    return order


def _tables(found: Sequence[Found]) -> Events:
    plan = found[0].plan
    kinds = list({id(part.names): part.names for part in found}.values())
    sizes = [len(names.values) for names in kinds]
    first_of = dict(zip(map(id, kinds), np.cumsum([0, *sizes]).tolist(), strict=False))
    stays, crossings = [], []
    for part in found:
        first = first_of[id(part.names)]
        stays.append(part.stays + np.array([0, first, 0, 0, 0]))
        crossings.append(replace(part.crossings, codes=part.crossings.codes + first))
    tracklets = pa.concat_arrays([names.values for names in kinds])
    return Events(
        visit_table(np.concatenate(stays), tracklets, plan),
        crossing_table(Crossings.joined(crossings), tracklets, plan),
    )


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
