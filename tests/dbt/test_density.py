"""Sales for each square metre over a small lake: 84,000 of each unit in February 2026."""

from datetime import date
from decimal import Decimal

import pytest

from .cases import lake_of
from .small_site import make_lake, rows_of
from .test_benchmarks import MIDDLE, house

pytestmark = pytest.mark.slow


def house_with_vacancies():
    """M1, M2 and M3 of the benchmarks, a unit that is let for half of the month, and a corridor."""
    site = house()
    always = {"valid_from_utc": None, "valid_to_utc": None, "site_id": "house"}
    site.unit("half", is_linked=False)
    site.lake["space_tenancy"][-1]["valid_to_utc"] = site.at(MIDDLE)
    site.unit("empty", is_linked=False)
    site.lake["space_tenancy"].pop()
    site.lake["space_area"].append(
        {**always, "unit_id": "_common", "gla_m2": 50.0, "selling_m2": None}
    )
    return site


@pytest.fixture(scope="module")
def density(tmp_path_factory, dbt):
    path = tmp_path_factory.mktemp("density") / "build.duckdb"
    make_lake(path, lake_of(house_with_vacancies()))
    marts = ("dim_unit", "fct_sales_density_monthly", "fct_site_sales_density_monthly")
    dbt(path, "run", "--select", *(f"+{name}" for name in marts))

    def row(mart, **keys):
        where = " and ".join(f"{key} = '{value}'" for key, value in keys.items())
        (found,) = rows_of(path, f"select * from marts.{mart} where {where}")
        return found

    return row


def test_golden_month_and_area_that_changed_in_the_middle_of_it(density):
    rates = {
        unit_id: density("fct_sales_density_monthly", unit_id=unit_id) for unit_id in ("M1", "M2")
    }
    assert rates["M1"]["net_sales_per_gla_m2"] == 700.0
    assert rates["M1"]["annualised_net_sales_per_gla_m2"] == 9125.0
    assert rates["M1"]["annualised_net_sales_per_selling_m2"] == 13687.5
    assert round(rates["M2"]["net_sales_per_gla_m2"], 2) == 763.64
    # one open hour on each of 28 days
    assert rates["M1"]["net_sales_per_gla_m2_trading_hour"] == 25.0


def test_a_day_has_the_tenant_and_the_area_of_its_morning(density):
    for day, tenant_id in ((14, "M3"), (15, "M3b")):
        row = density(
            "fct_sales_density_daily", unit_id="M3", business_date=date(2026, 2, day).isoformat()
        )
        assert row["tenant_id"] == tenant_id
    sold = density("fct_sales_density_daily", unit_id="M2", business_date="2026-02-20")
    assert (sold["gla_m2"], sold["net_sales_per_gla_m2"]) == (100.0, 840.0)


def test_vacant_units_and_the_common_area_are_in_the_rate_of_the_centre_only(density):
    site = "fct_site_sales_density_monthly"
    tenants = density(site, rate_scope="tenants", site_id="house")
    centre = density(site, rate_scope="centre", site_id="house")
    assert tenants["net_sales"] == centre["net_sales"] == Decimal(252_000)
    assert tenants["gla_m2"] == 120 + 110 + 120
    # 120 m2 of the empty unit, those of the other for half of the month, 50 of the corridor
    assert centre["gla_m2"] == 350 + 120 + 60 + 50
    assert (tenants["net_sales_per_gla_m2"], tenants["unit_count"]) == (720.0, 3)
    assert centre["net_sales_per_gla_m2"] == pytest.approx(252_000 / 580)
    # the tenant that reported nothing for half of the month
    assert tenants["left_out_unit_count"] == 1


def test_a_unit_without_a_rate_says_why(density):
    reasons = {
        unit_id: density("fct_sales_density_monthly", unit_id=unit_id)["reason"]
        for unit_id in ("half", "empty", "_common")
    }
    assert reasons == {"half": "feed_not_linked", "empty": "vacant", "_common": "common_area"}
