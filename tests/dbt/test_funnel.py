"""The funnel over the cases: from who passed a unit to who bought in it."""

import pytest

from .small_site import rows_of

pytestmark = pytest.mark.slow


@pytest.fixture
def day(built):
    def row(unit_id):
        (found,) = rows_of(
            built,
            f"select * from marts.fct_funnel_daily where site_id = 'sp' and unit_id = '{unit_id}'",
        )
        return found

    return row


def picked(row, *columns):
    return tuple(row[column] for column in columns)


def test_golden_funnel(day):
    row = day("passed")
    counts = ("outside_count", "entry_count", "engaged_count", "ticket_count")
    assert picked(row, *counts) == (200, 24, 15, 6)
    rates = ("enter_rate", "engaged_rate", "engaged_conversion_rate", "conversion_rate")
    assert picked(row, *rates, "end_to_end_rate") == (0.12, 0.625, 0.4, 0.25, 0.03)
    assert picked(row, "matched_hours", "basis", "reason") == (2, "measured", None)


def test_a_unit_without_outside_line_and_zones_has_the_stages_that_it_has(day):
    row = day("0002")
    columns = ("outside_reason", "engaged_reason", "ticket_reason", "conversion_rate")
    assert picked(row, *columns) == ("no_outside_line", "no_engaging_zone", None, 380 / 540)
    assert picked(row, "outside_count", "engaged_count", "is_over_previous_stage") == (
        None,
        None,
        False,
    )


def test_a_feed_that_refused_leaves_no_hour_to_count_over(day):
    row = day("refused")
    columns = ("entry_count", "ticket_count", "matched_hours", "basis", "reason")
    assert picked(row, *columns) == (None, None, 0, "missing", "E_FEED_REFUSED")


def test_a_unit_without_a_link_is_counted_up_to_its_entries(day):
    row = day("unlinked")
    columns = ("entry_count", "ticket_count", "ticket_reason", "basis")
    assert picked(row, *columns) == (5, None, "feed_not_linked", "measured")
