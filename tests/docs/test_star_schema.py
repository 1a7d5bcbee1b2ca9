"""The page of the star schema says what the models test and declare, and leaves no figure out."""

import copy
import re

import pytest
import yaml

from .pages import REFERENCE, REPO, bare, rows, section
from .test_reference import builder

MARTS = REPO / "dbt_project" / "models" / "marts"
PAGE = REFERENCE / "star-schema.md"
BUILDER = builder("build_star_schema")


@pytest.fixture
def marts():
    return copy.deepcopy(BUILDER.models())


def mart(marts, name):
    return next(each for each in marts if each["name"] == name)


def column(marts, name):
    mart_name, _, column_name = name.partition(".")
    return next(c for c in mart(marts, mart_name)["columns"] if c["name"] == column_name)


def test_the_page_is_what_the_models_say(marts):
    assert PAGE.read_text() == BUILDER.build(marts), "run: python docs/build_star_schema.py"


def test_every_mart_has_its_place_on_the_page():
    facts = set(re.findall(r"^## (fct_\w+)$", PAGE.read_text(), re.M))
    dimensions = {bare(row[0]) for row in rows(section(PAGE, "Dimensions"))}
    assert facts | dimensions == {path.stem for path in MARTS.glob("*.sql")}


def test_every_relationship_that_dbt_tests_of_a_fact_is_on_the_page():
    shown = 0
    for path in MARTS.glob("fct_*.yml"):
        (model,) = yaml.safe_load(path.read_text())["models"]
        text = section(PAGE, model["name"])
        for each in model["columns"]:
            for test in each.get("data_tests", []):
                if "relationships" in test:
                    dimension = test["relationships"]["arguments"]["to"][5:-2]
                    assert f"`{dimension}` by `{each['name']}`" in text
                    shown += 1
    assert shown


def test_every_key_of_a_mart_is_held_to_its_dimension(marts):
    assert BUILDER.untested_keys(marts) == []


def test_a_key_without_its_test_is_found(marts):
    del column(marts, "fct_zone_hourly.zone_key")["data_tests"]
    assert BUILDER.untested_keys(marts) == ["fct_zone_hourly.zone_key"]


def test_every_figure_of_a_fact_is_a_sum_or_a_ratio_or_neither(marts):
    assert BUILDER.misfiled(marts) == [], "name it under `sums` or `no_sums` of the mart's `meta`"


def test_a_figure_that_nothing_is_said_of_is_found(marts):
    mart(marts, "fct_sales_daily")["columns"].append({"name": "coupons", "data_type": "bigint"})
    assert BUILDER.misfiled(marts) == ["fct_sales_daily.coupons"]


def test_a_ratio_that_is_declared_a_sum_is_found(marts):
    sums = mart(marts, "fct_sales_daily")["config"]["meta"]["sums"]
    sums.append({"columns": ["average_ticket_value"], "over": "days"})
    assert BUILDER.misfiled(marts) == ["fct_sales_daily.average_ticket_value"]


def test_a_sum_that_is_no_column_is_found(marts):
    mart(marts, "fct_sales_daily")["config"]["meta"]["sums"][0]["columns"].append("gone")
    assert BUILDER.misfiled(marts) == ["fct_sales_daily.gone"]


def test_a_ratio_is_recomputed_from_sums_of_its_own_mart_only(marts):
    pair = {"numerator": "ticket_count", "denominator": "net_entry_count"}
    assert BUILDER.parts(pair, mart(marts, "fct_conversion_daily")) == (
        "ticket_count",
        "net_entry_count",
    )
    assert BUILDER.parts(pair, mart(marts, "fct_sales_daily")) is None
