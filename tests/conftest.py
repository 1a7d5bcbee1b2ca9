"""Shared fixtures: real data, and servers that tests start. In which order tests run."""

import os
import sys
from collections.abc import Generator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ksi_pipeline.defs.steps import dbt_command

from .fork_server import ForkServer
from .services.kafka import KafkaServer, running_kafka
from .services.postgres import PostgresServer, running_postgres
from .services.snowflake import SnowflakeServer, running_snowflake

if TYPE_CHECKING:
    import polars as pl
    from xdist.remote import Producer
    from xdist.scheduler import LoadFileScheduling

    from .grocer import GrocerYear

REPO = Path(__file__).resolve().parents[1]
WITH_MALL = {
    f"tests/pipeline/test_{name}.py"
    for name in (
        *("accuracy", "bad_input", "killed", "main_job", "metric_rules", "model_columns"),
        *("privacy", "read_the_results"),
    )
}
QUICK_DBT = ForkServer(
    "ksi-dbt",
    "from ksi_pipeline.dbt_process import main; main()",
    [
        *("dbt.adapters.duckdb.impl", "dbt.task.build", "ksi_pipeline.dbt_process"),
        # DuckDB takes it along where it is installed
        *(["pandas"] if find_spec("pandas") else []),
    ],
)


def with_mall(nodeid: str) -> bool:
    """Whether a test is in a file that shares the simulated mall of tests/pipeline."""
    return nodeid.split("::", 1)[0] in WITH_MALL


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that have slow tests, so that no process waits for the last of them.

    Those with the simulated mall come before all others.
    """
    with_it = {item.nodeid.split("::", 1)[0] for item in items if _asks_for_mall(item)}
    if unnamed := sorted(with_it - WITH_MALL):
        raise pytest.UsageError(f"{unnamed} share the simulated mall: name them in WITH_MALL.")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (not with_mall(item.nodeid), item.path not in slow))


def _asks_for_mall(item: pytest.Item) -> bool:
    # a module may have a mall of its own, which is another one
    return "simulated" in getattr(item, "fixturenames", ())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where dbt cannot be forked, Dagster says that it failed and keeps to itself what it said."""
    report = yield
    if report.failed and (written := QUICK_DBT.died()) is not None:
        report.sections.append(("What dbt is a fork of is gone; it wrote", written))
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(
    config: pytest.Config, log: "Producer"
) -> "LoadFileScheduling | None":
    """With `--dist loadfile`, tests that share what takes long to make are one file.

    Those are the files with the simulated mall, and what is published to one kind of target, whose
    server is started once per process. Marks `xdist_group` do nothing here: ids stay without a
    group (xdist 3.8, pytest 9.2).
    """
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    from .publishers.kinds import SERVERS

    class ByWhatIsShared(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            if with_mall(nodeid):
                return "simulated mall"
            kinds = [kind for kind in sorted(SERVERS) if kind in nodeid.lower()]
            if nodeid.startswith("tests/publishers/") and kinds:
                return f"published to {kinds[0]}"
            return super()._split_scope(nodeid)

    return ByWhatIsShared(config, log)


@pytest.fixture(scope="session", autouse=True)
def _commands_build_without_data_tests() -> Iterator[None]:
    """They take half of a small build; the mall of tests/pipeline has them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KSI_DATA_TESTS", "false")
        yield


@pytest.fixture(scope="session", autouse=True)
def _dbt_is_read_once() -> Iterator[None]:
    """Half of what a small build takes is Python reading dbt."""
    beside, usual = dbt_command.beside, sys.executable

    def quick_beside(python: str) -> Path:
        return quick.command() if python == usual else beside(python)

    with QUICK_DBT as quick, pytest.MonkeyPatch.context() as patch:
        patch.setattr(dbt_command, "beside", quick_beside)
        yield


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real inputs; where KSI_TEST_DATA is set, a missing folder fails the test."""
    named = os.environ.get("KSI_TEST_DATA")
    folder = Path(named) if named else REPO.parent / "shared" / "data"
    if folder.is_dir():
        return folder
    if named:
        pytest.fail(f"KSI_TEST_DATA={named} is no folder; real data must be there where it is set.")
    pytest.skip("No real data: set KSI_TEST_DATA to the folder that holds it.")


@pytest.fixture(scope="session")
def grocer(test_data: Path) -> "pl.DataFrame":
    """Every line of a year of five real stores."""
    # imports the whole pipeline, which most tests do not need
    from .grocer import lines_of

    return lines_of(test_data / "tickets" / "completejourney")


@pytest.fixture(scope="session")
def grocer_year(grocer: "pl.DataFrame", tmp_path_factory: pytest.TempPathFactory) -> "GrocerYear":
    """That year in a data home; loaded once, so the lake in it is only read."""
    from .grocer import load_year

    return load_year(tmp_path_factory.mktemp("grocer-year"), grocer)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server for the session; tests that use it are marked `services`."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaServer]:
    """A broker of Kafka's protocol for the session; tests that use it are marked `services`."""
    with running_kafka() as server:
        yield server


@pytest.fixture(scope="session")
def snowflake() -> Iterator[SnowflakeServer]:
    """A stand-in for Snowflake for the session; tests that use it are marked `services`."""
    with running_snowflake() as server:
        yield server
