"""A year of five real stores gives the days of sales that were worked out elsewhere.

Two rules for units are about: the mart adds up every line's quantity, which counts fuel in
thousandths of a gallon and coupons as goods, and so does the column `units` of the expected file.
Its `units_excl_fuel_misc` leaves fuel and coupons out; a mart that knows no goods cannot.
"""

from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from ksi_pipeline.defs.steps.calendar import build_calendars
from ksi_pipeline.store.lake_views import pending_seq, register_lake

from ..grocer import STORES
from .small_site import rows_of

pytestmark = [pytest.mark.data, pytest.mark.slow]

SPRING, AUTUMN = date(2017, 3, 12), date(2017, 11, 5)
CENT, FOURTH = Decimal("0.01"), Decimal("0.0001")


@pytest.fixture(scope="module")
def build_db(grocer_year, dbt):
    """The build file of the year, with nothing but what the days of sales need."""
    workspace = grocer_year.workspace
    build_calendars(workspace)
    store = workspace.store
    register_lake(store, up_to_seq=pending_seq(store) or 0, all_hours=True, memory_limit="1GB")
    dbt(store.home.build_db, "run", "--select", "+fct_sales_daily")
    return store.home.build_db


@pytest.fixture(scope="module")
def days(build_db):
    """The rows of the mart by store and date."""
    rows = rows_of(build_db, "select * from marts.fct_sales_daily")
    return {(row["unit_id"].removeprefix("u"), row["business_date"]): row for row in rows}


@pytest.fixture(scope="module")
def expected(test_data):
    """The store-days worked out elsewhere; one without a ticket is absent."""
    path = test_data / "tickets" / "completejourney" / "expected" / "cj_daily.parquet"
    rows = pl.read_parquet(path).iter_rows(named=True)
    return {(row["ext_ref_code"], date.fromisoformat(row["date"])): row for row in rows}


def test_every_store_day_of_the_year_has_its_tickets_amount_and_units(days, expected):
    found = {
        key: (row["ticket_count"], row["net_sales"], row["units"])
        for key, row in days.items()
        if row["ticket_count"]
    }
    assert found == {
        key: (row["num_tickets"], Decimal(row["amount"]), row["units"])
        for key, row in expected.items()
    }
    assert len(found) == 1761
    assert {code for code, _ in found} == set(STORES)


def test_average_ticket_and_units_per_ticket_of_every_store_day_are_exact_ratios(days, expected):
    for key, row in expected.items():
        found, tickets = days[key], row["num_tickets"]
        for name, total, ratio in (
            ("average_ticket_value", Decimal(row["amount"]), row["atv"]),
            ("units_per_ticket", Decimal(row["units"]), row["upt"]),
        ):
            assert found[name] == float(total) / tickets, (key, name)
            # the file has four decimals
            assert (total / tickets).quantize(FOURTH) == Decimal(ratio), (key, name)


def test_a_store_day_without_a_ticket_has_no_amount_and_no_ratio(days, expected):
    quiet = [row for key, row in days.items() if key not in expected]
    assert len(quiet) > 50
    for row in quiet:
        assert row["ticket_count"] in (0, None)
        assert (row["average_ticket_value"], row["units_per_ticket"]) == (None, None)


@pytest.mark.parametrize(("day", "hours"), [(SPRING, 23), (AUTUMN, 25)], ids=["spring", "autumn"])
def test_the_days_on_which_clocks_change_hold_their_own_hours(build_db, days, expected, day, hours):
    for code in STORES:
        asked = f"where unit_id = 'u{code}' and business_date = date '{day}'"
        (found,) = rows_of(
            build_db,
            "select count(distinct hour_start_utc) as hours, sum(ticket_count) as tickets, "
            f"sum(net_sales) as net_sales from marts.fct_sales_hourly {asked}",
        )
        assert found["hours"] == hours
        row = expected[code, day]
        assert (found["tickets"], found["net_sales"]) == (
            row["num_tickets"],
            Decimal(row["amount"]),
        )
        assert days[code, day]["net_sales"].quantize(CENT) == Decimal(row["amount"])
