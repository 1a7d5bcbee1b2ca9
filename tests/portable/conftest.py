"""dbt over small lakes on DuckDB, to compare with."""

import pytest

from ..dbt.cases import sao_paulo
from ..dbt.conftest import dbt
from ..dbt.small_site import make_lake
from .lake import portable_lake

__all__ = ["built", "dbt"]


@pytest.fixture(scope="session")
def built(tmp_path_factory, dbt):
    """A build file with the marts of the lake that engines are compared on."""
    path = tmp_path_factory.mktemp("marts") / "build.duckdb"
    make_lake(path, portable_lake(sao_paulo()))
    dbt(path, "run")
    return path
