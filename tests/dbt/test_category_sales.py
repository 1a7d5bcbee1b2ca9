"""Sales by category and by zone: what is known of either, and that nothing is lost."""

from decimal import Decimal

import pytest

from .cases import NINE
from .small_site import rows_of

pytestmark = pytest.mark.slow


@pytest.fixture
def at_nine(built):
    """What a mart says of a unit at nine, by category or zone."""

    def rows(mart, unit_id, key, *columns):
        found = rows_of(
            built,
            f"select * from marts.{mart} where unit_key = 'sp/{unit_id}' "
            f"and local_hour = timestamp '{NINE}:00'",
        )
        return {row[key]: tuple(row[name] for name in columns) for row in found}

    return rows


def test_a_feed_by_category_adds_up_to_its_total_and_its_tickets_do_not(at_nine):
    found = at_nine(
        "fct_category_sales_hourly", "goods", "category", "net_sales", "units", "ticket_count"
    )
    assert found == {
        "shoes": (Decimal(100), 5, 4),
        "bags": (Decimal(40), 6, 7),
        "_uncategorised": (Decimal(10), 1, None),
    }


def test_lines_of_tickets_tell_their_categories_and_voids_and_old_revisions_nothing(at_nine):
    amounts = ("gross_sales", "returns_amount", "net_sales", "units")
    counts = ("ticket_count", "return_count")
    found = at_nine("fct_category_sales_hourly", "lined", "category", *amounts, *counts)
    assert found == {
        "shoes": (Decimal(70), Decimal(30), Decimal(40), 1, 2, 1),
        "bags": (Decimal(60), Decimal(0), Decimal(60), 2, 2, 0),
        "_uncategorised": (Decimal(5), Decimal(0), Decimal(5), 1, 1, 0),
    }


def test_all_of_a_feed_without_categories_is_in_one_row_that_says_so(at_nine):
    columns = ("ticket_count", "net_sales", "category_reason", "amount_reason")
    assert at_nine("fct_category_sales_hourly", "0001", "category", *columns) == {
        "_uncategorised": (25, None, "feed_has_no_category", "feed_has_no_amount")
    }


def test_a_category_is_split_over_the_zones_that_show_it_and_the_rest_is_unmapped(at_nine):
    columns = ("net_sales", "ticket_count", "ticket_reason", "zone_conversion_rate")
    found = at_nine("fct_zone_sales_hourly", "goods", "zone_id", *columns)
    by_category = "tickets_by_category_only"
    assert found == {
        "aisle": (Decimal("73.3334"), None, by_category, None),
        "bench": (Decimal("33.3333"), 4, None, 0.25),
        "corner": (Decimal("33.3333"), 4, None, None),
        "_unmapped": (Decimal(10), None, by_category, None),
    }


def test_a_ticket_of_two_categories_counts_once_in_the_zone_that_shows_both(at_nine):
    columns = ("net_sales", "ticket_count")
    found = at_nine("fct_zone_sales_hourly", "lined", "zone_id", *columns)
    assert found == {"front": (Decimal(100), 3), "_unmapped": (Decimal(5), 1)}


def test_categories_are_those_sold_or_shown_with_their_zones(built):
    found = rows_of(built, "select * from marts.dim_category where site_id = 'sp'")
    assert {row["category"]: row["zone_count"] for row in found} == {
        "shoes": 4,
        "bags": 2,
        "_uncategorised": 0,
    }
