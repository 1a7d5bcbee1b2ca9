"""A small simulated mall, run through the whole pipeline once for all tests that only look."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from ksi_pipeline.defs.run import RunReport
from ksi_pipeline.defs.steps.build import plan_build
from ksi_pipeline.defs.steps.events import update_events
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.sandbox.home import MallTruth, simulate_mall, write_connectors
from ksi_pipeline.sandbox.pos_api import PosApi

from .homes import SPACE, TOKEN, finish, make_workspace, run, touched
from .shop_days import BEFORE, DAYS, draw, walk_in


@dataclass(frozen=True)
class RunMall:
    """A mall that went through the pipeline."""

    home: Path
    truth: MallTruth
    report: RunReport
    workspace: Workspace
    api: PosApi


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> MallTruth:
    """One day, two units, one minute of video, as delivered: to be copied and never run."""
    return simulate_mall(tmp_path_factory.mktemp("simulated"), video_minutes=1)


@pytest.fixture(scope="session")
def mall(simulated: MallTruth, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunMall]:
    """The simulated mall, run; the till goes on answering."""
    home = tmp_path_factory.mktemp("mall")
    shutil.copytree(simulated.home, home, dirs_exist_ok=True)
    with PosApi(simulated.feed_path, token=TOKEN) as api:
        write_connectors(home, api.url)
        workspace = make_workspace(home, data_tests=True)
        (home / "dagster").mkdir()
        with dg.DagsterInstance.local_temp(str(home / "dagster")) as instance:
            report = run(workspace, instance=instance)
        yield RunMall(home, simulated, report, workspace, api)


@pytest.fixture(scope="session")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., object]:
    """Run dbt on a file build.duckdb in this process: dbt(build_db, *arguments)."""
    # imports dbt, which few of these tests need
    from ..dbt_in_process import dbt_in_process

    return dbt_in_process(tmp_path_factory.mktemp("dbt"))


@pytest.fixture
def shop(tmp_path: Path) -> Callable[..., Path]:
    """Makes a data home with one small shop."""

    def make(name: str = "home", space: str = SPACE) -> Path:
        home = tmp_path / name
        (home / "spaces").mkdir(parents=True)
        (home / "spaces" / "shop.yaml").write_text(space)
        return home

    return make


@pytest.fixture
def built(shop: Callable[..., Path]) -> Workspace:
    """A workspace whose marts were built by the rules as shipped, with nothing to do."""
    workspace = touched(make_workspace(shop()))
    plan = plan_build(workspace, full_refresh=False)
    assert plan is not None
    finish(workspace, plan)
    assert plan_build(workspace, full_refresh=False) is None
    return workspace


@pytest.fixture(scope="session")
def counted(tmp_path_factory):
    """Four days on which two people walk in through the first door and one through the moved."""
    home = tmp_path_factory.mktemp("counted")
    draw(home, BEFORE)
    workspace = make_workspace(home)
    for day in DAYS:
        walk_in(workspace, day, [1, 2, 6])
    update_events(workspace)
    return home
