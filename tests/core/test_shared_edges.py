"""Zones that share edges and corners: exactly one owns each sample, and no time is lost between."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ksi_pipeline.core.events import count_events
from ksi_pipeline.core.geometry import points_in_polygon
from ksi_pipeline.core.plan import CountingRules, SitePlan, ZoneShape
from ksi_pipeline.core.schemas import DATASETS

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
CORNERS = [(0.0, 0.0), (4.0, 0.0), (4.0, 3.0), (0.0, 3.0)]
inner = st.tuples(st.floats(0.1, 3.9), st.floats(0.1, 2.9))
lattice = st.tuples(st.integers(1, 7).map(lambda v: v / 2), st.integers(1, 5).map(lambda v: v / 2))


@st.composite
def tilings(draw):
    """A room cut into triangles around a point, each drawn either way round."""
    middle = draw(inner | lattice)
    polygons = []
    for i in range(4):
        triangle = [CORNERS[i], CORNERS[(i + 1) % 4], middle]
        turn = draw(st.integers(0, 2))
        triangle = triangle[turn:] + triangle[:turn]
        polygons.append(triangle[::-1] if draw(st.booleans()) else triangle)
    return middle, polygons


def on_edges(middle: tuple[float, float], shares: list[float]) -> np.ndarray:
    """The inner corner, and points as near the inner edges as floats come."""
    places = [middle]
    for corner in CORNERS:
        for share in shares:
            places.append(tuple(m + share * (c - m) for m, c in zip(middle, corner, strict=True)))
    xy = np.array(places)
    return xy[(xy > 0).all(axis=1) & (xy < [4, 3]).all(axis=1)]


@given(tilings(), st.lists(st.floats(0.01, 0.99), max_size=20))
def test_each_point_of_a_tiled_room_is_in_exactly_one_zone(tiling, shares):
    middle, polygons = tiling
    points = on_edges(middle, shares)
    owners = sum(points_in_polygon(points, np.array(polygon)).astype(int) for polygon in polygons)
    assert owners.tolist() == [1] * len(points)


@pytest.mark.parametrize(
    ("point", "owner"),
    [
        ((2.0, 1.0), "right"),  # on the upright edge between them
        ((2.0, 0.0), "right"),  # its lower end
        ((1.0, 0.0), "left"),  # on a level edge, the zone above it
        ((1.0, 2.0), None),  # on a level edge with no zone above it
    ],
)
def test_a_point_on_an_edge_is_of_the_zone_to_its_right_or_above_it(point, owner):
    left = [(0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0)]
    right = [(2.0, 0.0), (2.0, 2.0), (4.0, 2.0), (4.0, 0.0)]
    zones = {"left": left, "right": right}
    at = np.array([point])
    inside = [name for name, zone in zones.items() if points_in_polygon(at, np.array(zone))[0]]
    assert inside == ([owner] if owner else [])


@given(
    tilings(),
    st.lists(inner | lattice, min_size=2, max_size=12),
    st.sampled_from(["linear", "hold"]),
)
def test_a_walk_in_a_tiled_room_is_at_every_moment_in_one_zone(tiling, walk, position):
    zones = tuple(
        ZoneShape(f"zone-{i}", "_common", "passage", tuple(polygon))
        for i, polygon in enumerate(tiling[1])
    )
    sees = {"cam-1": frozenset(zone.zone_id for zone in zones)}
    rules = CountingRules(position=position)
    plan = SitePlan("mall", ZoneInfo("UTC"), rules, zones, (), sees)
    rows = [
        {
            "site_id": "mall",
            "camera_id": "cam-1",
            "tracklet_id": "a",
            "ts_utc": START + timedelta(seconds=i),
            "x_m": x,
            "y_m": y,
            "confidence": None,
            "is_observed": True,
        }
        for i, (x, y) in enumerate(walk)
    ]
    visits = count_events(pa.Table.from_pylist(rows, schema=DATASETS["tracklet_points"]), plan)
    stays = visits.visits
    ends = sorted(
        zip(*(stays[n].to_pylist() for n in ("entered_at_utc", "left_at_utc")), strict=True)
    )
    assert ends[0][0] == START
    assert ends[-1][1] == START + timedelta(seconds=len(walk) - 1)
    assert all(one[1] == two[0] for one, two in zip(ends, ends[1:], strict=False))
