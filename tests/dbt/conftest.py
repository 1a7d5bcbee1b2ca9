"""dbt runs over small lakes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest

from ksi_pipeline.sandbox.pos_api import PosApi

from .cases import kathmandu, lake_of, madrid, sao_paulo
from .small_site import make_lake
from .stream_home import CALENDARS, TOKEN, StreamHome, begin

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"


@pytest.fixture(scope="session")
def dbt_project() -> Path:
    """The folder of the dbt project."""
    return PROJECT


@pytest.fixture(scope="session")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dbtRunnerResult]:
    """Run dbt on a file build.duckdb: dbt(build_db, *arguments).

    It runs in this process, and the project is parsed once: dbt takes two seconds to import, and as
    many to parse. What it parsed holds the name of the database, which is that of the file.
    """
    work = tmp_path_factory.mktemp("dbt")
    parsed: list[Manifest] = []

    def invoke(build_db: Path, *arguments: str, manifest: Manifest | None) -> dbtRunnerResult:
        assert build_db.name == "build.duckdb"
        folders = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
        folders += ["--target-path", str(work / "target"), "--log-path", str(work / "logs")]
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(work)
            patch.setenv("KSI_BUILD_DB", str(build_db))
            patch.setenv("KSI_DUCKDB_TEMP_DIRECTORY", str(work / "spill"))
            result = dbtRunner(manifest=manifest).invoke(
                [*arguments, "--no-partial-parse", "--quiet", *folders]
            )
        # dbt leaves this to the end of the process, and nobody else can open the file until then
        DuckDBConnectionManager.close_all_connections()
        assert result.success, result.exception or [
            f"{each.node.name}: {each.message}" for each in result.result if each.message
        ]
        return result

    def run(build_db: Path, *arguments: str) -> dbtRunnerResult:
        if not parsed:
            parsed.append(invoke(build_db, "parse", manifest=None).result)
        # a run leaves in it what it compiled
        return invoke(build_db, *arguments, manifest=parsed[0].deepcopy())

    return run


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
