"""Tenants beside their peers: dbt, what Python decides from it, and dbt again; February 2026."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from ksi_pipeline.core.benchmarks import BenchmarkRules
from ksi_pipeline.core.disclosure import Protection
from ksi_pipeline.core.time import OpeningHours
from ksi_pipeline.defs.steps.benchmarks import SUPPRESSION
from ksi_pipeline.defs.steps.build import AFTER_PYTHON
from ksi_pipeline.defs.steps.dbt_command import prepare_manifest
from ksi_pipeline.defs.steps.model_columns import columns_of_models
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.store import Change, Store

from .cases import lake_of
from .small_site import SmallSite, make_lake, rows_of

FIRST, UNTIL, LATER = "2026-02-01 00:00", "2026-03-02 00:00", "2026-03-09 00:00"
MIDDLE, HOUR = "2026-02-15 00:00", "2026-02-20 10:00"
TEN_TO_ELEVEN = OpeningHours(weekly=dict.fromkeys(range(7), ((600, 660),)))

# square metres, entries, sale tickets, net sales: golden 3.10
FASHION = {
    "T1": (100, 1000, 200, 10_000),
    "T2": (200, 1500, 225, 15_750),
    "T3": (150, 600, 150, 9_000),
    "T4": (50, 500, 50, 2_500),
    "T5": (100, 400, 120, 7_200),
}
FOOD = {"T6": (80, 900, 700, 24_000), "T7": (60, 300, 200, 7_000)}
SUITES = {"M1": (120, 10, 5, 84_000), "M2": (120, 10, 5, 84_000), "M3": (120, 10, 5, 84_000)}


def mall():
    return site_of("mall", {"fashion": FASHION, "food court": FOOD})


def house():
    site = site_of("house", {"suites": SUITES})
    two_areas(site)
    two_tenants(site)
    return site


def site_of(site_id, categories):
    site = SmallSite(site_id, "Etc/UTC", TEN_TO_ELEVEN)
    site.calendar(FIRST, UNTIL)
    for category, tenants in categories.items():
        for name, figures in tenants.items():
            add_tenant(site, name, category, *figures)
    return site


def add_tenant(site, name, category, gla_m2, entries, tickets, net_sales):
    site.unit(name)
    site.lake["space_area"][-1]["gla_m2"] = float(gla_m2)
    site.lake["space_tenancy"][-1].update(tenant_id=name, operator_id=name, category=category)
    site.chunks(f"cam-{name}", FIRST, UNTIL, minutes=24 * 60)
    site.asked(name, FIRST, UNTIL, LATER)
    site.crossings(name, HOUR, entries)
    site.tickets(name, HOUR, tickets, LATER)
    money = {"net_sales": Decimal(net_sales), "currency": "EUR", "tax_included": False}
    site.lake["ticket_hours"][-1].update(money)


def two_areas(site):
    """M2 has 120 m2 for 14 days, and 100 m2 for the other 14."""
    (before,) = [row for row in site.lake["space_area"] if row["unit_id"] == "M2"]
    after = {**before, "gla_m2": 100.0, "valid_from_utc": site.at(MIDDLE)}
    before["valid_to_utc"] = site.at(MIDDLE)
    site.lake["space_area"].append(after)


def two_tenants(site):
    """M3 is rented by another tenant from the middle of the month on, who sells it all."""
    (before,) = [row for row in site.lake["space_tenancy"] if row["unit_id"] == "M3"]
    after = {**before, "tenant_id": "M3b", "valid_from_utc": site.at(MIDDLE)}
    before["valid_to_utc"] = site.at(MIDDLE)
    site.lake["space_tenancy"].append(after)


@pytest.fixture(scope="module")
def built(tmp_path_factory, dbt):
    """A data home whose marts were built in two selections, with at least four other operators."""
    store = Store(DataHome(tmp_path_factory.mktemp("tenants")))
    workspace = Workspace(store, None, {}.get)
    workspace.benchmarks = BenchmarkRules(Protection(min_operators=4))
    path = workspace.home.build_db
    path.parent.mkdir()
    make_lake(path, lake_of(mall(), house()))
    # what Python decides from, and what the keys of the mart are looked up in
    read = (f"+{SUPPRESSION.mart}", "+dim_unit", "+dim_tenant")
    dbt(path, "run", "--select", *read, "--exclude", AFTER_PYTHON)
    decide(workspace, dbt)
    return workspace


def decide(workspace, dbt):
    SUPPRESSION.update(workspace)
    after = ("--select", f"+{SUPPRESSION.mart},{AFTER_PYTHON}")
    dbt(workspace.home.build_db, "build", "--exclude-resource-type", "unit_test", *after)
    workspace.store.commit(Change(steps=SUPPRESSION.shown(workspace)))


@pytest.fixture
def benchmark(built):
    def row(tenant_id, peer_group):
        (found,) = rows_of(
            built.home.build_db,
            "select * from marts.fct_tenant_benchmark_monthly "
            f"where tenant_id = '{tenant_id}' and peer_group = '{peer_group}'",
        )
        return found

    return row


def rounded(row, *columns):
    return tuple(None if row[name] is None else round(float(row[name]), 2) for name in columns)


INDICES = (
    "sales_per_m2",
    "density_index",
    "density_index_without_own",
    "draw_index",
    "conversion_index",
    "sales_per_visitor",
)


@pytest.mark.parametrize(
    ("tenant_id", "indices", "quadrant"),
    [
        ("T1", (100.0, 134.98, 145.14, 150.0, 107.38, 10.0), "attracts+converts"),
        ("T2", (78.75, 106.3, 109.76, 112.5, 80.54, 10.5), "attracts, leaks"),
        ("T3", (60.0, 80.99, 76.16, 60.0, 134.23, 15.0), "converts, hidden"),
        ("T4", (50.0, 67.49, 65.55, 150.0, 53.69, 5.0), "attracts, leaks"),
        ("T5", (72.0, 97.19, 96.64, 60.0, 161.07, 18.0), "converts, hidden"),
    ],
    ids=FASHION,
)
def test_golden_fashion_tenants(benchmark, tenant_id, indices, quadrant):
    row = benchmark(tenant_id, "fashion")
    assert rounded(row, *INDICES) == indices
    assert row["fair_share_index"] == pytest.approx(row["density_index"])
    assert (row["quadrant"], row["basis"], row["reason"]) == (quadrant, "measured", None)
    assert (row["peer_net_sales"], row["peer_operator_count"]) == (Decimal(44_450), 5)


def test_golden_food_court_stays_as_rows_without_figures(benchmark):
    for tenant_id, own in (("T6", 24_000), ("T7", 7_000)):
        row = benchmark(tenant_id, "food court")
        assert (row["basis"], row["reason"], row["traffic_reason"]) == (
            "suppressed",
            "below_k",
            "below_k",
        )
        of_peers = [name for name in row if name.startswith("peer_") and name != "peer_group"]
        shown = [name for name in [*of_peers, *INDICES[1:5], "quadrant"] if row[name] is not None]
        assert shown == []
        assert row["net_sales"] == own


def test_the_total_that_would_tell_the_food_court_is_hidden_for_its_sake(benchmark):
    row = benchmark("T1", "_all")
    assert (row["basis"], row["reason"]) == ("suppressed", "complementary")
    assert row["peer_net_sales"] is None


def test_golden_area_that_changed_in_the_middle_of_the_month(benchmark):
    assert rounded(benchmark("M1", "suites"), "gla_m2", "sales_per_m2") == (120.0, 700.0)
    assert rounded(benchmark("M2", "suites"), "gla_m2", "sales_per_m2") == (110.0, 763.64)


def test_a_unit_with_two_tenants_has_the_days_and_sales_of_each(benchmark):
    assert rounded(benchmark("M3b", "suites"), "gla_m2", "net_sales") == (60.0, 84_000.0)
    row = benchmark("M3", "suites")
    assert (row["net_sales"], row["reason"]) == (None, "no_tickets")


def test_a_month_that_is_not_over_has_no_row(built):
    months = rows_of(
        built.home.build_db, "select distinct month_start from marts.fct_tenant_benchmark_monthly"
    )
    assert [str(row["month_start"]) for row in months] == ["2026-02-01"]


@pytest.fixture(scope="module")
def columns():
    manifest = prepare_manifest(Path(__file__).resolve().parents[2] / "dbt_project")
    return columns_of_models(manifest)[SUPPRESSION.mart]


def test_what_was_decided_stands_until_a_month_or_a_rule_changes(built, columns):
    assert SUPPRESSION.is_shown(built, columns)
    SUPPRESSION.update(built)
    assert SUPPRESSION.is_shown(built, columns)
    stricter = replace(built, benchmarks=BenchmarkRules())
    SUPPRESSION.update(stricter)
    assert not SUPPRESSION.is_shown(stricter, columns)
    SUPPRESSION.update(built)


def test_a_mart_with_other_columns_does_not_show_what_was_decided(built, columns):
    first, *others = columns
    assert not SUPPRESSION.is_shown(built, {**columns, "one_more": "bigint"})
    assert not SUPPRESSION.is_shown(built, {name: columns[name] for name in others})
    assert not SUPPRESSION.is_shown(built, {**columns, first: "bigint"})


def test_other_thresholds_are_decided_anew_though_no_model_was_built(built):
    assert not SUPPRESSION.is_outdated(built)
    assert SUPPRESSION.is_outdated(replace(built, benchmarks=BenchmarkRules()))


def test_at_five_other_operators_fashion_is_hidden_and_all_of_the_site_is_shown(
    built, dbt, tmp_path
):
    copied = Workspace(Store(DataHome(tmp_path)), None, {}.get)
    copied.home.build_db.parent.mkdir()
    copied.home.build_db.write_bytes(built.home.build_db.read_bytes())
    decide(copied, dbt)
    rows = rows_of(
        copied.home.build_db,
        "select peer_group, basis, count(density_index) as shown "
        "from marts.fct_tenant_benchmark_monthly where tenant_id in ('T1', 'T6') group by all",
    )
    said = {row["peer_group"]: (row["basis"], row["shown"]) for row in rows}
    assert said == {
        "fashion": ("suppressed", 0),
        "food court": ("suppressed", 0),
        "_all": ("measured", 2),
    }


def test_a_stale_view_of_the_lake_is_replaced(built):
    with duckdb.connect(str(built.home.build_db), read_only=True) as connection:
        (count,) = connection.execute("select count(*) from lake.benchmark_suppression").fetchone()
    assert count == built.store.read("benchmark_suppression").num_rows > 0
