"""The SQL of every model is what all warehouses understand, so far as it can be read here."""

import re

import pytest
import sqlglot
import yaml

from ..portable.sql import DIALECTS, uncast_money, unportable

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def compiled(built, dbt):
    """The SQL of every model and data test, as a full build and as an incremental run have it."""
    found = {}
    for run in ([], ["--full-refresh"]):
        for each in dbt(built, "compile", *run).result:
            found[each.node.name, bool(run)] = each.node.compiled_code
    incremental, full = (found["fct_traffic_hourly", run] for run in (False, True))
    assert "as changed" in incremental
    assert "as changed" not in full
    return found


def test_every_model_keeps_to_what_all_engines_share(compiled):
    found = {name: unportable(sql) for name, sql in compiled.items()}
    assert {name: what for name, what in found.items() if what} == {}


def test_no_cast_is_spelled_as_bigquery_cannot_read_it(dbt_project):
    """In the sources, because the DuckDB adapter spells its own so."""
    for folder in ("models", "macros", "tests"):
        for path in (dbt_project / folder).rglob("*.sql"):
            assert "::" not in re.sub(r"--.*", "", path.read_text()), path.name


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_model_reads_in_the_dialect_of_the_warehouse(compiled, dialect):
    for (name, _), sql in compiled.items():
        (written,) = sqlglot.transpile(sql, read="duckdb", write=dialect)
        assert sqlglot.parse_one(written, read=dialect), name


def test_marts_cast_money_last(compiled, dbt_project):
    """A case forgets the scale on PostgreSQL, and dbt takes that for a new type of column."""
    checked = 0
    for path in sorted((dbt_project / "models" / "marts").glob("[!_]*.yml")):
        (model,) = yaml.safe_load(path.read_text())["models"]
        money = {c["name"] for c in model["columns"] if c["data_type"].startswith("decimal")}
        if "materialized='table'" in path.with_suffix(".sql").read_text():
            continue
        for full in (True, False):
            assert uncast_money(compiled[model["name"], full], money) == [], model["name"]
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
        "select a // 2 as n from t",
    ],
)
def test_what_one_engine_alone_understands_is_found(planted):
    assert unportable(planted)


def test_money_that_is_no_cast_is_found():
    money = "case when a then cast(b as decimal(18, 4)) end as net"
    assert uncast_money(f"with final as (select {money}) select * from final", {"net"}) == ["net"]
