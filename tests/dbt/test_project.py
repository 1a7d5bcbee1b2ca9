"""The dbt project itself: it parses alone, builds on nothing, and says what it means."""

import re

import pytest
import yaml
from dbt.cli.main import dbtRunner

from ksi_pipeline.core.schemas import DATASETS, LEDGER_VIEWS

from .small_site import make_lake, marts_of, rows_of

pytestmark = pytest.mark.slow

KINDS = {
    "string": "string",
    "int64": "bigint",
    "double": "double",
    "bool": "boolean",
    "date32[day]": "date",
    "timestamp[us]": "timestamp",
    "timestamp[us, tz=UTC]": "timestamp with time zone",
    "decimal128(18, 4)": "decimal(18,4)",
}


@pytest.fixture(scope="module")
def empty_build(tmp_path_factory, dbt):
    path = tmp_path_factory.mktemp("empty") / "build.duckdb"
    make_lake(path, {})
    dbt(path, "build")
    return path


def mart_files(dbt_project):
    return sorted((dbt_project / "models" / "marts").glob("[!_]*.yml"))


def test_parsing_needs_no_database(dbt_project, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KSI_BUILD_DB", str(home / "no" / "such" / "folder" / "build.duckdb"))
    folders = ("--project-dir", dbt_project, "--profiles-dir", dbt_project)
    folders += ("--target-path", tmp_path / "target", "--log-path", tmp_path / "logs")
    result = dbtRunner().invoke(["parse", "--no-partial-parse", *map(str, folders)])
    assert result.success, result.exception
    assert list(home.iterdir()) == []


def test_an_empty_lake_builds_and_passes_every_test_and_golden_number(empty_build):
    marts = marts_of(empty_build)
    assert set(marts) == {
        "dim_camera",
        "dim_category",
        "dim_hour",
        "dim_line",
        "dim_site",
        "dim_tenant",
        "dim_unit",
        "dim_zone",
        "fct_campaign_effect",
        "fct_category_sales_hourly",
        "fct_conversion_daily",
        "fct_conversion_hourly",
        "fct_data_completeness_hourly",
        "fct_funnel_daily",
        "fct_metric_conventions_daily",
        "fct_occupancy_hourly",
        "fct_queue_hourly",
        "fct_sales_daily",
        "fct_sales_density_daily",
        "fct_sales_density_monthly",
        "fct_sales_hourly",
        "fct_site_sales_density_monthly",
        "fct_tenant_benchmark_monthly",
        "fct_ticket_reconciliation_daily",
        "fct_traffic_hourly",
        "fct_zone_hourly",
        "fct_zone_sales_hourly",
    }
    assert all(rows == [] for rows in marts.values())


def test_schemas_are_plain_names(empty_build):
    found = rows_of(empty_build, "select distinct table_schema as s from information_schema.tables")
    assert {row["s"] for row in found} == {"lake", "staging", "intermediate", "marts"}


def test_staging_and_marts_hold_naive_utc(empty_build):
    zoned = rows_of(
        empty_build,
        "select table_name from information_schema.columns "
        "where table_schema <> 'lake' and data_type like '%WITH TIME ZONE'",
    )
    assert zoned == []


def test_sources_spell_the_columns_of_the_lake_schemas(dbt_project):
    text = (dbt_project / "models" / "staging" / "_sources.yml").read_text()
    tables = yaml.safe_load(text)["sources"][0]["tables"]
    schemas = {**DATASETS, **LEDGER_VIEWS}
    for table in tables:
        spelled = [(column["name"], column["data_type"]) for column in table["columns"]]
        assert spelled == [(f.name, KINDS[str(f.type)]) for f in schemas[table["name"]]]
    assert "affected_hours" in {table["name"] for table in tables}


def test_every_mart_column_is_described_and_says_what_null_means(dbt_project):
    for path in mart_files(dbt_project):
        (model,) = yaml.safe_load(path.read_text())["models"]
        assert model["description"]
        for column in model["columns"]:
            nullable = not column.get("constraints")
            text = column.get("description", "")
            assert text, f"{model['name']}.{column['name']} has no description"
            assert not nullable or re.search(r"\bnull\b", text, re.IGNORECASE), (
                f"{model['name']}.{column['name']} may be null and does not say what that means"
            )


def test_the_hours_of_every_hourly_fact_are_looked_up_in_dim_hour(dbt_project):
    check = dbt_project / "tests" / "assert_hours_of_facts_are_in_dim_hour.sql"
    hourly = {path.stem for path in (dbt_project / "models" / "marts").glob("fct_*_hourly.sql")}
    assert set(re.findall(r"'(fct_\w+)'", check.read_text())) == hourly


def test_sql_stays_portable_and_layers_stay_apart(dbt_project):
    forbidden = re.compile(r"::|\bfilter\s*\(|\bqualify\b|group by all|bool_(or|and)\b", re.I)
    for path in (dbt_project / "models").rglob("*.sql"):
        sql = path.read_text()
        code = re.sub(r"--.*", "", sql)
        assert not forbidden.search(code), path.name
        assert "/" not in re.sub(r"'[^']*'|\{#.*?#\}", "", code), f"{path.name} divides by itself"
        assert ("source(" in code) == (path.parent.name == "staging"), path.name
        if path.parent.name == "marts":
            assert "ref('stg_" not in code, path.name
        assert sql.startswith("-- Grain: one row per"), path.name
        assert sql.rstrip().endswith("select * from final"), path.name
