"""Data homes for tests of the whole pipeline, and how to run and read them."""

from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import duckdb

from ksi_pipeline.definitions import make_definitions
from ksi_pipeline.defs.run import RunReport, run_main_job
from ksi_pipeline.defs.steps.after_python import mark_all_built
from ksi_pipeline.defs.steps.build import (
    BuildPlan,
    dbt_arguments,
    mark_first_built,
    plan_build,
    publish_marts,
)
from ksi_pipeline.defs.steps.calendar import build_calendars
from ksi_pipeline.defs.steps.events import update_events
from ksi_pipeline.defs.steps.parse import parse_answers
from ksi_pipeline.defs.steps.space import load_spaces
from ksi_pipeline.defs.workspace import VideoSettings, Workspace
from ksi_pipeline.store.lake_views import open_duckdb
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.store import Change, Store

REPO = Path(__file__).resolve().parents[2]
TOKEN = "a-token-that-no-file-may-hold"
NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
DAY = date(2026, 3, 27)


def make_workspace(home: Path, **changes: object) -> Workspace:
    """A workspace with a fixed clock, so that what it writes can be compared.

    Data tests take half of a small build; the mall of conftest.py has them.
    """
    workspace = Workspace(
        store=Store(DataHome(home.resolve())),
        dbt_project_dir=REPO / "dbt_project",
        secrets={"KSI_POS_MAIN_TOKEN": TOKEN}.get,
        clock=lambda: NOW,
        video=VideoSettings(sample_hz=5.0),
        data_tests=False,
    )
    for name, value in changes.items():
        setattr(workspace, name, value)
    return workspace


def dagster_instance() -> dg.DagsterInstance:
    """An instance that is forgotten afterwards."""
    return dg.DagsterInstance.ephemeral()


def run(
    workspace: Workspace,
    first: date = DAY,
    last: date | None = None,
    instance: dg.DagsterInstance | None = None,
) -> RunReport:
    """Run the main job in process, on an instance that is forgotten afterwards unless given."""
    with nullcontext(instance) if instance else dagster_instance() as used:
        return run_main_job(
            make_definitions(workspace), used, first, last or first, home=workspace.home.root
        )


def marts_of(home: Path) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all published marts."""
    with duckdb.connect(str(home / "published" / "current.duckdb"), read_only=True) as connection:
        names = [
            row[0]
            for row in connection.execute(
                "select table_name from duckdb_tables() order by table_name"
            ).fetchall()
        ]
        return {
            name: connection.execute(f"select * from {name} order by all").fetchall()
            for name in names
        }


def query(home: Path, sql: str) -> list[tuple[object, ...]]:
    """Ask the published snapshot."""
    with duckdb.connect(str(home / "published" / "current.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def build_mart(workspace: Workspace, dbt: Callable[..., object], mart: str) -> None:
    """Do what a run does once inputs have come, but of the models only one mart and what it reads.

    It is not published: see query_build.
    """
    load_spaces(workspace)
    parse_answers(workspace)
    update_events(workspace)
    build_calendars(workspace)
    plan = plan_build(workspace, full_refresh=False)
    assert plan is not None
    told = dbt_arguments(workspace, full_refresh=False, rules=plan.rules)
    vars_told = told[told.index("--vars") :] if "--vars" in told else []
    dbt(workspace.home.build_db, "run", "--select", f"+{mart}", *vars_told)


def query_build(workspace: Workspace, sql: str) -> list[tuple[object, ...]]:
    """Ask the build database; marts are in its schema marts."""
    with open_duckdb(workspace.home.build_db) as connection:
        return connection.execute(sql).fetchall()


def touched(workspace: Workspace) -> Workspace:
    """The workspace, with an hour that no build has consumed."""
    change = Change(cause="a test")
    change.affect([("shop", "0001", NOW)])
    workspace.store.commit(change)
    return workspace


def finish(workspace: Workspace, plan: BuildPlan) -> None:
    """Note a build as a run does, with an empty mart in the place of what dbt makes."""
    with open_duckdb(workspace.home.build_db) as connection:
        connection.execute("create schema if not exists marts")
        connection.execute("create table if not exists marts.dim_unit (unit_key varchar)")
    mark_first_built(workspace, plan)
    mark_all_built(workspace)
    publish_marts(workspace)


SPACE = """\
schema: 1
site: {id: shop, name: Shop, timezone: Europe/Madrid, currency: EUR}
units:
  - {id: "0001"}
lines:
  - {id: door, unit: "0001", role: entrance, a: [0, 0], b: [4, 0], inside: left}
cameras:
  - id: cam-1
    sees: [door]
    homography: [[0, 0, 0, 0], [64, 0, 4, 0], [64, 48, 4, 3], [0, 48, 0, 3]]
links:
  - {connector: pos-main, ext_ref_code: "0001", unit: "0001"}
"""
