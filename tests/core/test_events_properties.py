"""What has to hold for any walk through any zone."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ksi_pipeline.core.events import count_events
from ksi_pipeline.core.geometry import first_self_crossing, inside_pieces, points_in_polygon
from ksi_pipeline.core.occupancy import zone_occupancy
from ksi_pipeline.core.plan import CountingRules, LineShape, SitePlan, ZoneShape
from ksi_pipeline.core.schemas import DATASETS

START = datetime(2026, 3, 2, 8, 59, 30, tzinfo=UTC)
# concave, with a vertical, a horizontal and oblique edges
CONCAVE = ((0.0, 0.0), (4.0, 0.0), (4.0, 3.0), (2.0, 1.0), (0.0, 3.0))
coordinate = st.floats(-2, 6, allow_nan=False).map(lambda v: round(v, 3))
steps = st.lists(st.tuples(coordinate, coordinate), min_size=2, max_size=30)


def plan(polygon=CONCAVE, a=(2.0, -2.0), b=(2.0, 6.0)) -> SitePlan:
    return SitePlan(
        site_id="mall",
        zone_info=ZoneInfo("Europe/Madrid"),
        rules=CountingRules(),
        zones=(ZoneShape("shelf", "0001", "selling", polygon),),
        lines=(LineShape("door", "0001", "entrance", a, b, "left"),),
        sees={"cam-1": frozenset({"shelf", "door"})},
    )


def table(walks: dict[str, list[tuple[float, float]]]) -> pa.Table:
    rows = [
        {
            "site_id": "mall",
            "camera_id": "cam-1",
            "tracklet_id": name,
            "ts_utc": START + timedelta(seconds=i),
            "x_m": x,
            "y_m": y,
            "confidence": None,
            "is_observed": True,
        }
        for name, walk in walks.items()
        for i, (x, y) in enumerate(walk)
    ]
    return pa.Table.from_pylist(rows, schema=DATASETS["tracklet_points"])


@given(steps)
def test_walking_back_swaps_in_and_out_and_keeps_the_dwell(walk):
    there = count_events(table({"a": walk}), plan())
    back = count_events(table({"a": walk[::-1]}), plan())
    ways = there.line_crossings["direction"].to_pylist()
    swapped = ["in" if way == "out" else "out" for way in ways[::-1]]
    assert back.line_crossings["direction"].to_pylist() == swapped
    assert sum(back.visits["dwell_s"].to_pylist()) == pytest.approx(
        sum(there.visits["dwell_s"].to_pylist()), abs=1e-4
    )


@given(steps, steps)
def test_person_seconds_add_up_to_the_dwell(one, two):
    visits = count_events(table({"a": one, "b": two}), plan()).visits
    minutes = zone_occupancy(visits, ZoneInfo("UTC"))
    dwell_us = round(sum(visits["dwell_s"].to_pylist()) * 1e6)
    assert round(sum(minutes["person_seconds"].to_pylist()) * 1e6) == dwell_us


@given(steps, st.randoms())
def test_the_order_of_the_rows_changes_nothing(walk, random):
    rows = table({"a": walk, "b": walk[::-1]})
    order = list(range(rows.num_rows))
    random.shuffle(order)
    assert count_events(rows.take(order), plan()) == count_events(rows, plan())


@given(steps)
def test_each_crossing_of_an_endless_line_alternates_between_in_and_out(walk):
    endless = plan(a=(2.0, -1e3), b=(2.0, 1e3))
    ways = count_events(table({"a": walk}), endless).line_crossings["direction"].to_pylist()
    assert all(one != two for one, two in pairwise(ways))


def turned(xy: np.ndarray, angle: float, by: tuple[float, float]) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return xy @ np.array([[cos, sin], [-sin, cos]]) + by


@given(
    st.integers(0, 2**32 - 1),
    st.floats(0, 6.3),
    st.tuples(st.floats(-100, 100), st.floats(-100, 100)),
)
def test_moving_and_turning_floor_and_walk_together_changes_nothing(seed, angle, by):
    random = np.random.default_rng(seed)
    # anywhere, so that no walk runs along an edge, where rounding would decide
    walk = random.uniform(-2, 6, (20, 2))
    here = count_events(table({"a": walk.tolist()}), plan())
    polygon, (a, b) = (
        turned(np.array(CONCAVE), angle, by),
        turned(np.array([(2, -2), (2, 6)]), angle, by),
    )
    moved_plan = plan(tuple(map(tuple, polygon.tolist())), tuple(a.tolist()), tuple(b.tolist()))
    there = count_events(table({"a": turned(walk, angle, by).tolist()}), moved_plan)
    assert there.visits.num_rows == here.visits.num_rows
    assert there.visits["dwell_s"].to_pylist() == pytest.approx(
        here.visits["dwell_s"].to_pylist(), abs=1e-5
    )
    assert there.line_crossings["direction"] == here.line_crossings["direction"]


@given(st.lists(st.tuples(coordinate, coordinate, coordinate, coordinate), min_size=1, max_size=5))
def test_pieces_inside_agree_with_a_fine_walk_along_the_segment(segments):
    ends = np.array(segments)
    start, end = ends[:, :2], ends[:, 2:]
    polygon = np.array(CONCAVE)
    walk, low, high = inside_pieces(start, end, polygon)
    shares = (np.arange(400) + 0.5) / 400
    for i in range(len(ends)):
        points = start[i] + shares[:, None] * (end[i] - start[i])
        sampled = points_in_polygon(points, polygon).mean()
        assert (high - low)[walk == i].sum() == pytest.approx(sampled, abs=0.02)


@given(st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=3, unique=True))
def test_a_triangle_with_area_never_crosses_itself(points):
    (ax, ay), (bx, by), (cx, cy) = points
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    if area != 0:
        assert first_self_crossing(points) is None


def test_a_touching_corner_is_found_as_a_self_crossing():
    assert first_self_crossing([(0, 0), (4, 0), (4, 4), (2, 0), (0, 4)]) is not None
