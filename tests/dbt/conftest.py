"""dbt runs over small lakes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dbt.cli.main import dbtRunnerResult

from ksi_pipeline.sandbox.pos_api import PosApi

from ..dbt_in_process import PROJECT, dbt_in_process
from .cases import kathmandu, lake_of, madrid, sao_paulo
from .small_site import make_lake
from .stream_home import CALENDARS, TOKEN, StreamHome, begin


@pytest.fixture(scope="session")
def dbt_project() -> Path:
    """The folder of the dbt project."""
    return PROJECT


@pytest.fixture(scope="session")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dbtRunnerResult]:
    """Run dbt on a file build.duckdb: dbt(build_db, *arguments)."""
    return dbt_in_process(tmp_path_factory.mktemp("dbt"))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, dbt: Callable[..., dbtRunnerResult]) -> Path:
    """A build file with the marts of the cases, all data tests passed."""
    path = tmp_path_factory.mktemp("marts") / "build.duckdb"
    make_lake(path, lake_of(sao_paulo(), madrid(), kathmandu()))
    dbt(path, "build", "--exclude-resource-type", "unit_test")
    return path


@pytest.fixture(scope="session")
def begun(
    dbt: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], StreamHome]]:
    """Gives the home of a calendar, up to date; to be copied and never changed."""
    homes: dict[str, StreamHome] = {}

    def make(name: str) -> StreamHome:
        if name not in homes:
            homes[name] = begin(CALENDARS[name], tmp_path_factory.mktemp("begun"), api, dbt)
        return homes[name]

    with PosApi([], token=TOKEN) as api:
        yield make
