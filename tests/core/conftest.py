"""Compile before the tests, so that no hypothesis deadline falls into a compilation."""

from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ksi_pipeline.core.geometry import inside_pieces

from .test_events import CountingRules, count, walk
from .test_events import zone_occupancy as occupancy


@pytest.fixture(scope="session", autouse=True)
def _compiled():
    rows = walk((1.0, -1.0), (1.0, 1.0), (1.0, -1.0))
    events = count(rows, rules=CountingRules(min_inside_s=0.1))
    occupancy(events.visits, ZoneInfo("UTC"))
    corner = np.array([[0.0, 0.0]])
    inside_pieces(corner, corner + 1.0, np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
