"""The area of a polygon and its well-known text, beside shapely."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely import from_wkt
from shapely.geometry import Polygon

from ksi_pipeline.core.geometry import polygon_area, polygon_wkt

ELL = [(0.0, 0.0), (4.0, 0.0), (4.0, 1.0), (1.0, 1.0), (1.0, 3.0), (0.0, 3.0)]


@st.composite
def stars(draw):
    """Polygons around a centre, concave ones too; they never cross themselves."""
    count = draw(st.integers(3, 12))
    radii = draw(st.lists(st.floats(0.1, 50), min_size=count, max_size=count))
    x, y = draw(st.tuples(st.floats(-500, 500), st.floats(-500, 500)))
    turns = [2 * math.pi * n / count for n in range(count)]
    return [(x + r * math.cos(t), y + r * math.sin(t)) for r, t in zip(radii, turns, strict=True)]


@given(stars())
def test_it_is_the_area_that_shapely_finds(polygon):
    assert polygon_area(polygon) == pytest.approx(Polygon(polygon).area, rel=1e-6)


@given(stars(), st.integers(0, 11), st.booleans())
def test_neither_the_first_point_nor_the_way_round_matters(polygon, first, is_reversed):
    other = polygon[first % len(polygon) :] + polygon[: first % len(polygon)]
    other = other[::-1] if is_reversed else other
    assert polygon_area(other) == pytest.approx(polygon_area(polygon), rel=1e-9)


def test_a_concave_zone_has_what_is_inside():
    assert polygon_area(ELL) == 6.0


def test_far_from_the_origin_it_is_as_large():
    far = [(x + 4e6, y + 5e6) for x, y in ELL]
    assert polygon_area(far) == 6.0


@given(stars())
def test_the_text_reads_back_as_the_polygon_to_the_last_digit(polygon):
    assert list(from_wkt(polygon_wkt(polygon)).exterior.coords) == [*polygon, polygon[0]]
