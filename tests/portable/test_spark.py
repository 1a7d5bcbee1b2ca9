"""The marts on Spark are those on DuckDB, value for value; there they are always built whole."""

import pytest

from ..dbt.cases import sao_paulo
from .engines import BUILD, spark_build
from .lake import portable_lake
from .marts import assert_equal, marts_of_duckdb, marts_of_parquet

pytestmark = [pytest.mark.spark, pytest.mark.slow]


def test_a_full_build_has_the_same_marts_value_for_value(tmp_path, built):
    spark_build(tmp_path, portable_lake(sao_paulo()), *BUILD)
    here = marts_of_duckdb(built)
    assert [name for name, (_, rows) in here.items() if not rows] == []
    assert_equal(here, marts_of_parquet(tmp_path / "marts"))
