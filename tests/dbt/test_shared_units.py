"""Units that tenants share by parts: nothing is lost, and nothing counts twice; February 2026."""

import random
from decimal import Decimal

import pytest

from .cases import lake_of
from .small_site import make_lake, rows_of
from .test_benchmarks import (
    FIRST,
    HOUR,
    LATER,
    MIDDLE,
    TEN_TO_ELEVEN,
    UNTIL,
    SmallSite,
    add_tenant,
)

pytestmark = pytest.mark.slow
FIGURES = ("net_sales", "matched_net_sales", "net_entry_count", "ticket_count")


def shares_of(dice):
    """Two to five shares in millionths that add up to one."""
    cuts = sorted(dice.sample(range(1, 1_000_000), dice.randint(1, 4)))
    ends = zip([0, *cuts], [*cuts, 1_000_000], strict=True)
    return [(high - low) / 1_000_000 for low, high in ends]


def shared_site(seed):
    """Ten units with random shares and figures; those of odd number are shared from the middle."""
    dice = random.Random(seed)
    site = SmallSite("house", "Etc/UTC", TEN_TO_ELEVEN)
    site.calendar(FIRST, UNTIL)
    for n in range(10):
        unit_id = f"u{n}"
        site.unit(unit_id)
        site.lake["space_area"][-1]["gla_m2"] = dice.randint(2000, 40_000) / 100
        (alone,) = [row for row in site.lake["space_tenancy"] if row["unit_id"] == unit_id]
        site.lake["space_tenancy"].remove(alone)
        begins = site.at(MIDDLE) if n % 2 else None
        if begins:
            site.lake["space_tenancy"].append({**alone, "valid_to_utc": begins})
        for k, share in enumerate(shares_of(dice)):
            tenant = {"tenant_id": f"{unit_id}-{k}", "operator_id": f"{unit_id}-{k}"}
            held = {"share": share, "valid_from_utc": begins}
            site.lake["space_tenancy"].append({**alone, **tenant, **held})
        site.chunks(f"cam-{unit_id}", FIRST, UNTIL, minutes=24 * 60)
        site.asked(unit_id, FIRST, UNTIL, LATER)
        for hour in (HOUR, "2026-02-03 10:00"):
            site.crossings(unit_id, hour, dice.randint(1, 60))
            site.tickets(unit_id, hour, dice.randint(1, 30), LATER)
            money = Decimal(dice.randint(1, 10**9)) / 10**4
            site.lake["ticket_hours"][-1].update(
                net_sales=money, currency="EUR", tax_included=False
            )
    return site


@pytest.fixture(scope="module", params=[1, 2])
def shared(request, tmp_path_factory, dbt):
    path = tmp_path_factory.mktemp("shared") / "build.duckdb"
    make_lake(path, lake_of(shared_site(request.param)))
    marts = ("int_tenant_months", "dim_unit", "fct_sales_density_monthly")
    dbt(path, "run", "--select", *(f"+{name}" for name in marts))
    return lambda sql: rows_of(path, sql)


def test_the_tenants_of_a_unit_add_up_to_the_unit_to_the_last_decimal(shared):
    added = ", ".join(f"sum({name}) as {name}" for name in FIGURES)
    tenants = shared(
        f"select unit_id, {added} from intermediate.int_tenant_months group by all order by all"
    )
    units = shared(
        "select unit_id, sum(sales.net_sales) as net_sales, "
        "sum(conversion.net_sales) as matched_net_sales, "
        "sum(net_entry_count) as net_entry_count, sum(conversion.ticket_count) as ticket_count "
        "from marts.fct_sales_daily as sales join marts.fct_conversion_daily as conversion "
        "using (unit_id, business_date) where business_date < '2026-03-01' "
        "group by all order by all"
    )
    assert tenants == units
    assert len(units) == 10
    assert sum(row["net_entry_count"] for row in units) > 0


def test_the_areas_of_the_tenants_add_up_to_that_of_the_unit(shared):
    rows = shared(
        "select sum(tenants.gla_m2) as parts, any_value(dim_unit.gla_m2) as whole "
        "from intermediate.int_tenant_months as tenants join marts.dim_unit using (unit_id) "
        "group by unit_id"
    )
    assert [row["parts"] for row in rows] == pytest.approx([row["whole"] for row in rows])


def test_each_tenant_has_its_share_within_one_of_the_last_place(shared):
    rows = shared(
        "select months.net_sales, round(daily.net_sales * part, 4) as wanted, "
        "months.net_entry_count as entries, daily.net_entry_count * part as wanted_entries "
        "from intermediate.int_tenant_months as months "
        "join (select unit_id, tenant_id, max(unit_share) as part "
        "from intermediate.int_tenant_days group by all) as days using (unit_id, tenant_id) "
        "join (select unit_id, sum(net_sales) as net_sales, "
        "sum(net_entry_count) as net_entry_count from marts.fct_conversion_daily "
        "group by all) as daily using (unit_id) "
        "where unit_id in ('u0', 'u2', 'u4', 'u6', 'u8')"
    )
    assert len(rows) >= 10
    for row in rows:
        assert abs(row["net_sales"] - row["wanted"]) <= Decimal("0.0001")
        assert abs(float(row["entries"]) - float(row["wanted_entries"])) < 1


def test_a_shared_unit_has_no_one_tenant_and_its_own_rate(shared):
    (unit,) = shared("select * from marts.dim_unit where unit_id = 'u1'")
    assert (unit["tenant_id"], unit["operator_id"], unit["category"]) == (None, None, "fashion")
    days = shared(
        "select tenant_id, tenancy_count > 1 as is_shared, count(*) as days "
        "from marts.fct_sales_density_daily "
        "where unit_id = 'u1' and business_date < '2026-03-01' group by all order by all"
    )
    assert [(row["tenant_id"], row["is_shared"], row["days"]) for row in days] == [
        ("T1", False, 14),
        (None, True, 14),
    ]
    (rate,) = shared("select * from marts.fct_sales_density_monthly where unit_id = 'u1'")
    assert rate["net_sales_per_gla_m2"] == float(rate["net_sales"]) / rate["gla_m2"]


def test_a_day_that_sells_hundreds_of_millions_is_shared(tmp_path, dbt):
    site = SmallSite("house", "Etc/UTC", TEN_TO_ELEVEN)
    site.calendar(FIRST, UNTIL)
    add_tenant(site, "u", "suites", 100, 10, 5, 123_456_789_012)
    alone = site.lake["space_tenancy"].pop()
    for tenant_id, share in (("a", 0.25), ("b", 0.75)):
        site.lake["space_tenancy"].append({**alone, "tenant_id": tenant_id, "share": share})
    path = tmp_path / "build.duckdb"
    make_lake(path, lake_of(site))
    dbt(path, "run", "--select", "+int_tenant_months")
    parts = rows_of(path, "select net_sales from intermediate.int_tenant_months order by 1")
    assert [row["net_sales"] for row in parts] == [30_864_197_253, 92_592_591_759]
