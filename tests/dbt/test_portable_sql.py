"""The SQL of every model is what all warehouses understand, so far as it can be read here."""

import re

import pytest
import sqlglot
import yaml

from ..portable.sql import DIALECTS, uncast_money, unportable, without_comments

pytestmark = pytest.mark.slow
CALLS_OF_MACROS = re.compile(r"\b(?:round\(|dbt\.date\w+)")


@pytest.fixture(scope="module")
def compiled(built, dbt):
    """The SQL of every model and test of ours by name and run: a full build, an incremental one.

    An incremental run writes the marts in another way, and nothing else.
    """
    runs = {
        "full": ["--full-refresh", "--select", "resource_type:model", "test_type:singular"],
        "incremental": ["--select", "config.materialized:incremental"],
    }
    found = {
        (each.node.name, run): each.node.compiled_code
        for run, options in runs.items()
        for each in dbt(built, "compile", "--indirect-selection", "empty", *options).result
    }
    assert "as changed" in found["fct_traffic_hourly", "incremental"]
    assert "as changed" not in found["fct_traffic_hourly", "full"]
    return found


@pytest.fixture(scope="module")
def trees(compiled):
    # macro utc_timestamp spells a cast so, on DuckDB alone
    cast = re.compile(r"make_timestamp\(epoch_us\((\w+)\)\)")
    portable = {name: cast.sub(r"cast(\1 as timestamp)", sql) for name, sql in compiled.items()}
    return {name: sqlglot.parse_one(sql, read="duckdb") for name, sql in portable.items()}


def test_every_model_keeps_to_what_all_engines_share(trees, dbt_project):
    models = {path.stem for path in (dbt_project / "models").rglob("*.sql")}
    assert models < {name for name, _ in trees}
    found = {name: unportable(tree) for name, tree in trees.items()}
    assert {name: what for name, what in found.items() if what} == {}


def test_no_cast_is_spelled_as_bigquery_cannot_read_it(dbt_project):
    """In the sources, because the DuckDB adapter spells its own so."""
    for folder in ("models", "macros", "tests"):
        for path in (dbt_project / folder).rglob("*.sql"):
            assert "::" not in without_comments(path.read_text()), path.name


def test_models_round_doubles_and_reckon_with_times_by_macros_only(dbt_project):
    """PostgreSQL rounds halves to the even number; dbt's own dates drop fractions on Spark."""
    found = {
        (path.stem, call)
        for path in (dbt_project / "models").rglob("*.sql")
        for call in CALLS_OF_MACROS.findall(without_comments(path.read_text()))
    }
    # a decimal, which all engines round alike
    assert found == {("int_tenant_months", "round(")}


def test_a_cast_is_found_in_a_source_and_not_in_its_comments():
    assert "::" in without_comments("select {{ a }}::date -- a cast")
    assert "::" not in without_comments("{#- a::date\n b::date -#} select a -- a::date")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_model_reads_in_the_dialect_of_the_warehouse(trees, dialect):
    for name, tree in trees.items():
        assert sqlglot.parse_one(tree.sql(dialect), read=dialect), name


def test_marts_cast_money_last(compiled, dbt_project):
    """A case forgets the scale on PostgreSQL, and dbt takes that for a new type of column."""
    checked = 0
    for path in sorted((dbt_project / "models" / "marts").glob("[!_]*.yml")):
        (model,) = yaml.safe_load(path.read_text())["models"]
        money = {c["name"] for c in model["columns"] if c["data_type"].startswith("decimal")}
        if "materialized='table'" in path.with_suffix(".sql").read_text():
            continue
        for run in ("full", "incremental"):
            assert uncast_money(compiled[model["name"], run], money) == [], model["name"]
        checked += len(money)
    assert checked > 0


@pytest.mark.parametrize(
    "planted",
    [
        "select list_sum(a) as n from t",
        "select count(*) filter (where a > 0) as n from t",
        "select a from t qualify row_number() over (order by a) = 1",
        "select a, count(*) as n from t group by all",
        "select * exclude (a) from t",
        "select bool_or(a) as n from t",
        "select arg_max(a, b) as n from t",
        "select quantile_cont(a, 0.5) as n from t",
        "select [a] as n from t",
        "select try_cast(a as integer) as n from t",
        "select distinct on (a) a from t",
        "select a from t asof join u on t.a >= u.a",
        "select strftime(a, '%Y') as n from t",
        "select a from t union select a from u",
        "select a from t except select a from u",
        "select sum(a > 0) as n from t",
    ],
)
def test_what_one_engine_alone_understands_is_found(planted):
    assert unportable(planted)


def test_money_that_is_no_cast_is_found():
    money = "case when a then cast(b as decimal(18, 4)) end as net"
    assert uncast_money(f"with final as (select {money}) select * from final", {"net"}) == ["net"]
