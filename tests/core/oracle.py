"""The counting rule as plain numpy and Python, one zone and one line at a time.

Slow and easy to check against docs/explanation/counting.md. core.events must give the same tables,
bit for bit; see test_equals_oracle.
"""

from collections import defaultdict
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.events import Events
from ksi_pipeline.core.geometry import (
    BoolArray,
    FloatArray,
    edges_of,
    points_in_polygon,
    signed_side,
)
from ksi_pipeline.core.plan import LineShape, SitePlan, ZoneShape
from ksi_pipeline.core.schemas import LINE_CROSSINGS, VISITS, ZONE_OCCUPANCY
from ksi_pipeline.core.time import _EPOCH, _MINUTE, _QUARTER_US, _US, hour_start_utc
from ksi_pipeline.core.walks import RULE_VERSION, IntArray, instant_us

MINUTE_US = 60_000_000


def count_events(points: pa.Table, plan: SitePlan) -> Events:
    visits: list[pa.Table] = [VISITS.empty_table()]
    crossings: list[pa.Table] = [LINE_CROSSINGS.empty_table()]
    for camera_id in sorted(pc.unique(points["camera_id"]).to_pylist()):
        seen = plan.sees.get(camera_id, frozenset())
        walk = walks_of(
            points.filter(pc.equal(points["camera_id"], camera_id)), plan.rules.max_gap_s
        )
        zones = [zone_visits(walk, zone, plan) for zone in plan.zones if zone.zone_id in seen]
        lines = [line_crossings(walk, line, plan) for line in plan.lines if line.line_id in seen]
        visits.append(in_order([VISITS.empty_table(), *zones], "entered_at_utc", "zone_id"))
        crossings.append(in_order([LINE_CROSSINGS.empty_table(), *lines], "at_utc", "line_id"))
    return Events(pa.concat_tables(visits), pa.concat_tables(crossings))


def in_order(tables: list[pa.Table], instant: str, shape: str) -> pa.Table:
    """Put the events of one camera in order."""
    table = pa.concat_tables(tables)
    return table.sort_by([(name, "ascending") for name in ("tracklet_id", instant, shape)])


@dataclass(frozen=True, slots=True)
class Walks:
    """Samples of one camera, sorted by tracklet and time.

    Attributes:
        ids: tracklet of each sample, shape (N,).
        ts: microseconds since the epoch, shape (N,).
        xy: floor metres, shape (N, 2).
        joined: whether sample i and i + 1 are joined by a straight walk, shape (N,); last False.
    """

    ids: NDArray[np.object_]
    ts: IntArray
    xy: FloatArray
    joined: BoolArray


def walks_of(points: pa.Table, max_gap_s: float) -> Walks:
    """Sort points into walks; rows with null metres are left out.

    Raises:
        ContractError: E_REPEATED_SAMPLE or E_NOT_FINITE, naming the tracklet and the instant.
    """
    points = points.filter(pc.and_(pc.is_valid(points["x_m"]), pc.is_valid(points["y_m"])))
    points = points.sort_by([("tracklet_id", "ascending"), ("ts_utc", "ascending")])
    ids = np.asarray(points["tracklet_id"].to_pylist(), dtype=object)
    ts = points["ts_utc"].cast(pa.int64()).to_numpy()
    xy = np.column_stack([points["x_m"].to_numpy(), points["y_m"].to_numpy()]).astype(np.float64)
    finite = np.isfinite(xy).all(axis=1)
    if not finite.all():
        raise ContractError(
            f"{_sample(points, int(np.argmin(finite)))} has a position that is no number. "
            "Write null metres for unknown.",
            code="E_NOT_FINITE",
        )
    same, step = ids[:-1] == ids[1:], np.diff(ts)
    repeated = same & (step == 0)
    if repeated.any():
        raise ContractError(
            f"{_sample(points, int(np.argmax(repeated)))} comes twice, so the tracklet has no "
            "single position there. Remove the repeated sample.",
            code="E_REPEATED_SAMPLE",
        )
    joined = np.zeros(len(ts), dtype=np.bool_)
    joined[:-1] = same & (step <= round(max_gap_s * 1e6))
    return Walks(ids, ts, xy, joined)


def event_table(columns: dict[str, object], schema: pa.Schema) -> pa.Table:
    """Build a table; columns of instants are given in microseconds since the epoch, UTC."""
    arrays = [
        pa.array(columns[field.name], pa.int64()).cast(field.type)
        if pa.types.is_timestamp(field.type)
        else pa.array(columns[field.name], field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _sample(points: pa.Table, row: int) -> str:
    tracklet, instant = points["tracklet_id"][row].as_py(), points["ts_utc"][row].as_py()
    return f"Tracklet {tracklet!r}, sample at {instant.isoformat()},"


def zone_visits(walk: Walks, zone: ZoneShape, plan: SitePlan) -> pa.Table:
    """Find every visit of one camera's tracklets to one zone, in the schema VISITS."""
    rows = np.flatnonzero(walk.joined)
    polygon = np.array(zone.polygon, dtype=np.float64)
    if plan.rules.position == "hold":
        piece = np.flatnonzero(points_in_polygon(walk.xy[rows], polygon))
        from_share, to_share = np.zeros(len(piece)), np.ones(len(piece))
        goes_on = points_in_polygon(walk.xy[rows[piece] + 1], polygon)
    else:
        piece, from_share, to_share = inside_pieces(walk.xy[rows], walk.xy[rows + 1], polygon)
        goes_on = to_share == 1.0
    row = rows[piece] if len(piece) else np.array([], dtype=np.int64)
    length = walk.ts[np.minimum(row + 1, len(walk.ts) - 1)] - walk.ts[row]
    starts = walk.ts[row] + np.rint(from_share * length).astype(np.int64)
    ends = walk.ts[row] + np.rint(to_share * length).astype(np.int64)
    before = np.zeros(len(row), dtype=np.bool_)
    before[row > 0] = walk.joined[row[row > 0] - 1]
    is_start_censored = (from_share == 0.0) & ~before
    is_end_censored = goes_on & ~walk.joined[np.minimum(row + 1, len(walk.ts) - 1)]
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
    step = b - a
    along = ((hit - a) * step).sum(axis=1) / (step * step).sum()
    on_segment = (along >= 0.0) & (along < 1.0)
    row, nxt, share, hit = row[on_segment], nxt[on_segment], share[on_segment], hit[on_segment]
    if plan.rules.position == "hold":
        share = np.ones(len(share))
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


def inside_pieces(
    start: FloatArray, end: FloatArray, polygon: FloatArray
) -> tuple[NDArray[np.int64], FloatArray, FloatArray]:
    hits = _boundary_hits(start, end, polygon)
    # Boxes apart from the polygon cannot be inside anywhere; this is most walks.
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    near = np.all((np.maximum(start, end) >= low) & (np.minimum(start, end) <= high), axis=1)
    walks: list[int] = []
    froms: list[float] = []
    tos: list[float] = []
    plain = near & ~np.isfinite(hits).any(axis=1)
    middle_inside = np.zeros(len(start), dtype=np.bool_)
    if plain.any():
        middle_inside[plain] = points_in_polygon((start[plain] + end[plain]) / 2.0, polygon)
    for walk in np.flatnonzero(near):
        if plain[walk]:
            pieces = [(0.0, 1.0)] if middle_inside[walk] else []
        else:
            pieces = _pieces_of_one(start[walk], end[walk], hits[walk], polygon)
        for from_share, to_share in pieces:
            walks.append(int(walk))
            froms.append(from_share)
            tos.append(to_share)
    return np.array(walks, dtype=np.int64), np.array(froms), np.array(tos)


def _boundary_hits(start: FloatArray, end: FloatArray, polygon: FloatArray) -> FloatArray:
    """Shares of each walk at which it meets each edge; shape (N, V), NaN where it does not."""
    step = end - start
    hits = np.full((len(start), len(polygon)), np.nan)
    for i, (low_x, low_y, high_x, high_y) in enumerate(edges_of(polygon)):
        edge, from_edge = (high_x - low_x, high_y - low_y), np.array([low_x, low_y]) - start
        crossing = step[:, 0] * edge[1] - step[:, 1] * edge[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = (from_edge[:, 0] * edge[1] - from_edge[:, 1] * edge[0]) / crossing
            along = (from_edge[:, 0] * step[:, 1] - from_edge[:, 1] * step[:, 0]) / crossing
        valid = (crossing != 0) & (share > 0) & (share < 1) & (along >= 0) & (along <= 1)
        hits[valid, i] = share[valid]
    return hits


def _pieces_of_one(
    start: FloatArray, end: FloatArray, hits: FloatArray, polygon: FloatArray
) -> list[tuple[float, float]]:
    cuts = np.unique(np.concatenate(([0.0], hits[np.isfinite(hits)], [1.0])))
    middles = (cuts[:-1] + cuts[1:]) / 2.0
    inside = points_in_polygon(start + middles[:, None] * (end - start), polygon)
    pieces: list[tuple[float, float]] = []
    for from_share, to_share, is_inside in zip(cuts[:-1], cuts[1:], inside, strict=True):
        if not is_inside:
            continue
        if pieces and pieces[-1][1] == from_share:
            pieces[-1] = (pieces[-1][0], float(to_share))
        else:
            pieces.append((float(from_share), float(to_share)))
    return pieces


def hour_starts_us(instants_us: NDArray[np.int64], zone: ZoneInfo) -> NDArray[np.int64]:
    quarters, back = np.unique(instants_us // _QUARTER_US, return_inverse=True)
    starts = [
        (hour_start_utc(_EPOCH + int(quarter) * 15 * _MINUTE, zone) - _EPOCH) // _US
        for quarter in quarters
    ]
    return np.array(starts, dtype=np.int64)[back]


_Key = tuple[str, str, str, str, int, int]


def zone_occupancy(visits: pa.Table, zone: ZoneInfo) -> pa.Table:
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
