"""Composition root: settings in, Dagster definitions out. No logic."""

import shutil

import dagster as dg
from dagster._core.instance.ref import InstanceRef

from ksi_pipeline.core.benchmarks import BenchmarkRules
from ksi_pipeline.core.disclosure import Protection
from ksi_pipeline.core.progress import Progress, no_progress
from ksi_pipeline.core.time import HOUR
from ksi_pipeline.defs.automation import (
    CONNECTORS_DUE,
    HOURLY,
    backfill_job,
    main_job,
    tickets_job,
)
from ksi_pipeline.defs.checks import CHECKS
from ksi_pipeline.defs.dbt import dbt_marts, dbt_marts_after_python, mart_names
from ksi_pipeline.defs.events import calendar, zone_events
from ksi_pipeline.defs.publish import published
from ksi_pipeline.defs.publish_targets import target_definitions
from ksi_pipeline.defs.python_steps import python_steps
from ksi_pipeline.defs.run_storage import with_open_connections
from ksi_pipeline.defs.space import space_model
from ksi_pipeline.defs.ticket_backfill import ticket_backfill
from ksi_pipeline.defs.tickets import (
    database_tickets,
    hourly_tickets,
    ticket_drops,
    ticket_hours,
)
from ksi_pipeline.defs.vision import camera_chunks, tracklets
from ksi_pipeline.defs.workspace import VideoSettings, Workspace
from ksi_pipeline.settings import REPOSITORY, Settings, load_settings, secret
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.store import Store


def make_workspace(settings: Settings, progress: Progress = no_progress) -> Workspace:
    """Open the data home that the settings name."""
    home = DataHome(settings.data_dir.resolve())
    home.require_usable()
    return Workspace(
        store=Store(home, settings.ledger_url),
        dbt_project_dir=settings.dbt_project_dir,
        secrets=secret,
        video=VideoSettings(
            settings.detector,
            settings.model,
            settings.sample_hz,
            settings.video_workers,
            settings.weights,
            settings.crop,
        ),
        benchmarks=BenchmarkRules(
            Protection(
                settings.benchmark_min_operators,
                settings.benchmark_max_share,
                settings.benchmark_min_rest,
            ),
            settings.benchmark_memory_months,
        ),
        final_after=settings.final_after_h * HOUR,
        memory_limit=settings.duckdb_memory_limit,
        dbt_threads=settings.dbt_threads,
        data_tests=settings.data_tests,
        progress=progress,
    )


def make_instance(settings: Settings) -> dg.DagsterInstance:
    """Open the Dagster instance that the settings name, so that runs by hand show in its UI."""
    home = (settings.dagster_home or settings.data_dir / "dagster").resolve()
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        shutil.copy(REPOSITORY / "dagster.yaml", home / "dagster.yaml")
    # Output of steps by hand belongs on the terminal. Kept as files, it passes through two helper
    # processes for each step, which answer Ctrl-C with tracebacks of their own.
    kept_nowhere = {
        "compute_logs": {
            "module": "dagster._core.storage.noop_compute_log_manager",
            "class": "NoOpComputeLogManager",
        }
    }
    ref = InstanceRef.from_dir(str(home), overrides=kept_nowhere)
    return dg.DagsterInstance.from_ref(with_open_connections(ref))


def make_definitions(workspace: Workspace) -> dg.Definitions:
    """Wire the assets to one workspace."""
    targets = target_definitions(workspace, lambda: mart_names(workspace.dbt_project_dir))
    return dg.Definitions(
        assets=[
            space_model,
            camera_chunks,
            tracklets,
            hourly_tickets,
            ticket_drops,
            database_tickets,
            ticket_hours,
            ticket_backfill,
            zone_events,
            calendar,
            dbt_marts(workspace.dbt_project_dir),
            *python_steps(),
            dbt_marts_after_python(workspace.dbt_project_dir),
            published(workspace.dbt_project_dir),
            *targets.assets,
        ],
        asset_checks=CHECKS,
        jobs=[main_job, tickets_job, backfill_job, *targets.jobs],
        schedules=[HOURLY, *targets.schedules],
        sensors=[CONNECTORS_DUE],
        resources={"workspace": workspace},
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster loads; evaluated when it asks, so that an import opens nothing."""
    return make_definitions(make_workspace(load_settings()))
