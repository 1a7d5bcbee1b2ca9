"""What the picture of a plan shows on a day, and which way its arrows point."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ksi_pipeline.core.geometry import signed_side
from ksi_pipeline.report.plan_shapes import (
    NotDrawn,
    arrow_onto_inside,
    calibrated_floor,
    hull,
    round_length_m,
    shapes_on,
    units_of,
)
from ksi_pipeline.space.load import Space, load_space

SPACE = """\
schema: 1
site: {id: shop, name: Shop, timezone: Europe/Madrid, currency: EUR}
units: [{id: "0001"}, {id: "0002"}]
zones:
  - {id: shelf, unit: "0001", role: selling, polygon: [[0, 0], [2, 0], [2, 2]], to: 2026-03-02}
  - {id: shelf, unit: "0001", role: selling, polygon: [[0, 0], [3, 0], [3, 3]], from: 2026-03-02}
  - {id: corridor, role: passage, polygon: [[0, -9], [8, -9], [8, -7]]}
lines:
  - {id: door, unit: "0001", role: entrance, a: [0, -1], b: [2, -1], inside: left, from: 2027-01-01}
cameras:
  - {id: cam-1, sees: [shelf]}
  - id: cam-2
    homography: [[0, 0, 0, 0], [9, 0, 4, 0], [9, 9, 4, 4], [0, 9, 0, 4], [4, 4, 2, 2]]
"""


@pytest.fixture
def space(tmp_path: Path) -> Space:
    path = tmp_path / "shop.yaml"
    path.write_text(SPACE)
    return load_space(path)


coordinate = st.integers(-1000, 1000).map(lambda n: n / 8)
point = st.tuples(coordinate, coordinate)


@given(a=point, b=point, inside=st.sampled_from(["left", "right"]))
def test_the_arrow_begins_outside_and_ends_inside_whatever_way_the_line_runs(a, b, inside):
    if a == b:
        return
    ends = np.array(arrow_onto_inside(a, b, inside, 1.0))
    tail, head = np.sign(signed_side(ends, np.array(a), np.array(b)))
    assert (tail, head) == ((-1, 1) if inside == "left" else (1, -1))


def test_the_arrow_stands_upright_on_the_middle_of_the_line():
    assert arrow_onto_inside((1.0, 5.0), (3.0, 5.0), "left", 4.0) == ((2.0, 4.0), (2.0, 8.0))
    assert arrow_onto_inside((1.0, 5.0), (3.0, 5.0), "right", 4.0) == ((2.0, 6.0), (2.0, 2.0))


def test_of_a_redrawn_zone_only_the_shape_of_that_day_is_drawn(space):
    def drawn(day):
        return [zone.polygon[1] for zone in shapes_on(space, day).zones if zone.id == "shelf"]

    assert drawn(date(2026, 3, 1)) == [(2.0, 0.0)]
    assert drawn(date(2026, 3, 2)) == [(3.0, 0.0)]


def test_everything_that_is_not_drawn_is_named_with_its_reason(space):
    assert shapes_on(space, date(2026, 3, 2)).not_drawn == (
        NotDrawn("zone", "shelf", "valid to 2026-03-02, not on 2026-03-02"),
        NotDrawn("line", "door", "valid from 2027-01-01, not on 2026-03-02"),
        NotDrawn("camera", "cam-1", "has no homography, so its floor is not known"),
    )


def test_a_camera_shows_the_hull_of_its_floor_points(space):
    (camera,) = shapes_on(space, date(2026, 3, 2)).cameras
    assert calibrated_floor(camera) == [(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)]


def test_a_unit_reaches_around_its_zones_and_lines_and_the_common_area_is_none(space):
    units = units_of(shapes_on(space, date(2027, 1, 1)))
    assert units == {"0001": [(0.0, -1.0), (2.0, -1.0), (3.0, 0.0), (3.0, 3.0), (0.0, 0.0)]}


def test_no_shape_lies_beyond_the_corners_of_the_picture(space):
    corners = np.array(shapes_on(space, date(2026, 3, 2)).corners)
    assert corners.min(axis=0).tolist() == [0.0, -9.0]
    assert corners.max(axis=0).tolist() == [8.0, 4.0]


def test_points_in_a_row_have_no_hull_to_fill():
    assert hull([(0.0, 0.0), (1.0, 1.0), (2.0, 2.0)]) == [(0.0, 0.0), (2.0, 2.0)]


@pytest.mark.parametrize(
    ("longest", "length"),
    [(1.0, 1.0), (1.99, 1.0), (4.0, 2.0), (73.0, 50.0), (0.3, 0.2)],
    ids=str,
)
def test_the_scale_bar_is_the_longest_round_length_that_fits(longest, length):
    assert round_length_m(longest) == pytest.approx(length)
