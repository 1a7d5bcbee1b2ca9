"""True stays in zones, by walks small enough to check by hand."""

import numpy as np

from ksi_pipeline.sandbox.mall import Box, Shop
from ksi_pipeline.sandbox.stays import stays

UNIT = Box(0.0, 0.0, 2.0, 2.0)


def stays_of(*path):
    t_s, x, y = np.array(path, dtype=float).T
    return stays(t_s, np.stack([x, y], axis=1), UNIT)


def test_a_walk_through_is_in_from_edge_to_edge():
    assert stays_of((0, -1, 1), (4, 3, 1)) == [(1.0, 3.0)]


def test_legs_within_a_zone_are_one_stay():
    assert stays_of((0, -1, 1), (2, 1, 1), (12, 1, 1), (13, 1.5, 1.5), (15, 1.5, 3.5)) == [
        (1.0, 13.5)
    ]


def test_who_leaves_and_comes_back_stays_twice():
    assert stays_of((0, 1, 1), (2, 3, 1), (4, 1, 1)) == [(0.0, 1.0), (3.0, 4.0)]


def test_a_corner_that_is_touched_and_a_walk_beside_are_no_stay():
    assert stays_of((0, -1, 1), (2, 1, -1)) == []
    assert stays_of((0, -1, 3), (2, 5, 3)) == []


def test_standing_still_outside_is_no_stay():
    assert stays_of((0, 3, 1), (10, 3, 1)) == []


def test_the_zones_of_a_shop_are_those_of_its_space_file():
    assert list(Shop(1).zones) == ["window-0002", "shelf-0002", "till-0002"]
