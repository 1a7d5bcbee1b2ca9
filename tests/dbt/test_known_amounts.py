"""A feed by category over a small lake: its amounts are known, and its tickets are not."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from ksi_pipeline.core.time import OpeningHours

from .cases import lake_of
from .small_site import SmallSite, make_lake, rows_of

pytestmark = pytest.mark.slow

NINE_TO_ELEVEN = OpeningHours(weekly=dict.fromkeys(range(7), ((9 * 60, 11 * 60),)))
FIRST, UNTIL, LATER = "2026-01-01 00:00", "2026-02-02 00:00", "2026-02-20 12:00"


def twins():
    """Two units that sell 100 each day of January, the one told by category and the other whole."""
    site = SmallSite("mall", "Etc/UTC", NINE_TO_ELEVEN)
    site.calendar(FIRST, UNTIL)
    for unit_id in ("categories", "totals"):
        site.unit(unit_id)
        site.asked(unit_id, FIRST, UNTIL, LATER)
    euros = {"currency": "EUR", "tax_included": False}
    for day in range(31):
        hour = f"{date(2026, 1, 1) + timedelta(days=day)} 09:00"
        for n, (category, net) in enumerate((("shoes", 60), ("bags", 40))):
            goods = {"category": category, "net_sales": Decimal(net), "row_number": n}
            site.tickets("categories", hour, 3, LATER, **goods, **euros)
        site.tickets("totals", hour, 4, LATER, net_sales=Decimal(100), **euros)
    return site


@pytest.fixture(scope="module")
def twin_rows(tmp_path_factory, dbt):
    path = tmp_path_factory.mktemp("amounts") / "build.duckdb"
    make_lake(path, lake_of(twins()))
    marts = ("fct_sales_density_monthly", "fct_ticket_reconciliation_daily", "int_tenant_months")
    dbt(path, "run", "--select", *(f"+{name}" for name in (*marts, "dim_unit")))

    def rows(columns, table, where="true"):
        found = rows_of(path, f"select {columns} from {table} where {where} order by 1")
        return [tuple(row.values())[1:] for row in found]

    return rows


@pytest.mark.parametrize(
    ("columns", "table"),
    [
        (
            "unit_id, known_open_s, net_sales_per_gla_m2_trading_hour, basis",
            "marts.fct_sales_density_daily",
        ),
        (
            "unit_id, net_sales, net_sales_per_gla_m2, completeness, basis, reason",
            "marts.fct_sales_density_monthly",
        ),
        ("unit_id, net_sales, no_sales_reason", "intermediate.int_tenant_months"),
        (
            "ext_ref_code, in_marts_net_sales, withheld_net_sales",
            "marts.fct_ticket_reconciliation_daily",
        ),
    ],
)
def test_sales_by_category_are_those_of_a_feed_with_totals(twin_rows, columns, table):
    where = "business_date = '2026-01-05'" if "density_daily" in table else "true"
    where = "day_utc = '2026-01-05'" if "reconciliation" in table else where
    categories, totals = twin_rows(columns, table, where)
    assert categories == totals
    assert totals[0] is not None


def test_a_day_of_tickets_by_category_has_no_number_of_tickets(twin_rows):
    columns = "unit_id, ticket_count, net_sales, amount_completeness"
    days = twin_rows(columns, "marts.fct_sales_daily", "business_date = '2026-01-05'")
    assert days == [(None, Decimal(100), 1.0), (4, Decimal(100), 1.0)]
