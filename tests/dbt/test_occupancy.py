"""Occupancy over the cases: who is inside, and how far counting drifts by the day's end."""

import pytest

from .cases import DAY, NINE, TEN
from .small_site import rows_of

pytestmark = pytest.mark.slow

COLUMNS = ("occupancy", "basis", "reason")


@pytest.fixture
def hour(built):
    def row(unit_id, local_hour):
        (found,) = rows_of(
            built,
            f"select * from marts.fct_occupancy_hourly where site_id = 'sp' "
            f"and unit_id = '{unit_id}' and local_hour = timestamp '{local_hour}:00'",
        )
        return found

    return row


def picked(row, *columns):
    return tuple(row[column] for column in columns)


def test_who_is_inside_is_who_came_less_who_left_since_the_day_began(hour):
    assert picked(hour("passed", NINE), *COLUMNS) == (4, "measured", None)
    assert picked(hour("passed", TEN), *COLUMNS) == (2, "measured", None)


def test_who_came_while_the_site_was_closed_is_inside_when_it_opens(hour):
    assert picked(hour("0001", f"{DAY} 07:00"), *COLUMNS) == (3, "partial", "closed")
    assert hour("0001", NINE)["occupancy"] == 103


def test_a_closed_hour_that_nobody_watched_is_not_known(hour):
    assert picked(hour("passed", f"{DAY} 12:00"), *COLUMNS) == (None, "missing", "closed")


def test_a_dark_camera_leaves_occupancy_unknown_from_then_on(hour):
    assert picked(hour("partial", NINE), *COLUMNS) == (90, "partial", "camera_silent")
    assert picked(hour("partial", TEN), *COLUMNS) == (None, "missing", "camera_silent")


def test_the_drift_of_a_day_waits_for_the_next_day(hour):
    row = hour("passed", TEN)
    columns = ("residual_count", "drift_rate", "drift_reason", "is_provisional")
    assert picked(row, *columns) == (None, None, "not_yet_over", True)
