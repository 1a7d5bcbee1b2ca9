"""What a campaign reads from the daily marts: which days of a unit have a figure."""

from datetime import date, timedelta

import duckdb
import pytest

from ksi_pipeline.core.campaigns import METRICS, Campaign
from ksi_pipeline.core.effect_days import Days
from ksi_pipeline.defs.steps.campaigns import unit_records

FIRST = date(2026, 2, 2)
BEFORE, DURING = Days(FIRST, date(2026, 2, 15)), Days(date(2026, 2, 16), date(2026, 3, 1))
NONE = "feed_has_no_amount"
CAMPAIGN = Campaign("window", ("m/told",), ("m/counted",), BEFORE, DURING, ("net_sales",))


@pytest.fixture
def marts():
    """Two units that sell from Monday to Saturday; the feed of one never has amounts."""
    with duckdb.connect() as connection:
        connection.execute(
            "create schema marts; create table marts.fct_sales_daily (unit_key text, "
            "business_date date, basis text, reason text, ticket_count bigint, "
            "net_sales decimal(18, 4), amount_reason text, currency text, tax_included boolean, "
            "is_provisional boolean, as_of_utc timestamp)"
        )
        for n in range(28):
            day = FIRST + timedelta(days=n)
            is_idle = day.weekday() == 6
            for unit, amount, lacking in (("told", 70, None), ("counted", None, NONE)):
                sold = (0, None, "no_tickets") if is_idle else (7, amount, lacking)
                connection.execute(
                    "insert into marts.fct_sales_daily values "
                    "(?, ?, 'measured', null, ?, ?, ?, 'EUR', false, false, null)",
                    [f"m/{unit}", day, *sold],
                )
        yield connection


def values(marts, unit, metric="net_sales"):
    records = unit_records(marts, METRICS[metric], CAMPAIGN, ["m/told", "m/counted"])
    return {known.value for known in records[unit].history.values()}


def test_a_day_without_tickets_has_sales_of_nothing(marts):
    assert values(marts, "m/told") == {0.0, 70.0}


def test_a_day_without_tickets_has_no_sales_where_the_feed_never_has_amounts(marts):
    assert values(marts, "m/counted") == {None}


def test_tickets_count_whether_or_not_the_feed_has_amounts(marts):
    assert values(marts, "m/counted", "ticket_count") == {0.0, 7.0}
