"""The jobs, and what starts them: the hourly schedule and the sensor of connectors' intervals.

All runs of a data home carry one tag, and `dagster.yaml` lets one run with it work at a time. So a
run that is due while another works waits for it; where one waits already, no other is added: it
would find nothing to do. `ksi run` holds a lock of its own, and nothing is started while it works.
"""

from datetime import timedelta

import dagster as dg

from ksi_pipeline.defs.steps.asking import due_connectors
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.store.lock import is_run_held

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"

# tickets are asked for by what is due and what was missed, not by the days of the run
ASK_DUE = "ksi/ask_due"
# ids, with commas between, of the connectors that the run is for
CONNECTORS = "ksi/connectors"
# its value is the data home, because several may share one instance
BY_HAND = "ksi/by_hand"
BACKFILL_GROUP = "backfill"
TARGETS_GROUP = "targets"
# One run with this tag at a time; see dagster.yaml. Runs by hand have another value: one that was
# killed counts as running until the next, and must not keep scheduled ones waiting.
ONE_RUN = "ksi/one_run"
_ONE_RUN = {ONE_RUN: "data_home"}

# What made a run fail rarely passes in seconds.
_REST_AFTER_FAILURE = timedelta(minutes=5)
# Chunks that come later than this wait for a run by hand.
LOOK_BACK = timedelta(days=4)

_WAITING = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.QUEUED]
_WORKING = [*_WAITING, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]

_EVERYTHING = dg.AssetSelection.all() - dg.AssetSelection.groups(BACKFILL_GROUP, TARGETS_GROUP)

main_job = dg.define_asset_job(
    "main_job",
    selection=_EVERYTHING,
    description="Chunks and tickets in, measured conversion out; touches only what is new.",
    tags=_ONE_RUN,
)

# All of dbt, or a build would consume affected hours that it did not compute.
tickets_job = dg.define_asset_job(
    "tickets_job",
    selection=_EVERYTHING - dg.AssetSelection.assets("camera_chunks", "tracklets"),
    description="What main_job does, without looking at chunks.",
    tags=_ONE_RUN,
)

# Beside live runs, and for as long as it takes: a week is far beyond thirty years of hours.
backfill_job = dg.define_asset_job(
    "backfill_job",
    selection=dg.AssetSelection.groups(BACKFILL_GROUP),
    description="The past of one connector; asks for what was never answered, oldest first.",
    tags={"dagster/max_runtime": "604800"},
)


@dg.schedule(job=main_job, cron_schedule="5 * * * *", execution_timezone="UTC")
def HOURLY(
    context: dg.ScheduleEvaluationContext, workspace: dg.ResourceParam[Workspace]
) -> dg.RunRequest | dg.SkipReason:
    """Take in what is new, five minutes after each hour.

    Connectors without an interval of their own are asked at each run, the others when they are
    due; a run after some time out of order also asks for what was missed.
    """
    if reason := _reason_to_wait(context.instance, workspace, _WAITING):
        return dg.SkipReason(reason)
    today = context.scheduled_execution_time.date()
    return dg.RunRequest(
        run_key=context.scheduled_execution_time.isoformat(),
        tags={
            RANGE_START: (today - LOOK_BACK).isoformat(),
            RANGE_END: today.isoformat(),
            ASK_DUE: "true",
        },
    )


@dg.sensor(job=tickets_job, minimum_interval_seconds=30)
def CONNECTORS_DUE(
    context: dg.SensorEvaluationContext, workspace: dg.ResourceParam[Workspace]
) -> dg.RunRequest | dg.SkipReason:
    """Ask the connectors whose `every` has come round; several that are due share a run."""
    due = due_connectors(workspace)
    for connector_id, problem in due.problems.items():
        context.log.error("Connector %s: %s", connector_id, problem)
    if not due.ids:
        return dg.SkipReason("No connector is due.")
    reason = _reason_to_wait(context.instance, workspace, _WORKING)
    if reason or (reason := _has_failed(context.instance, workspace)):
        return dg.SkipReason(f"{reason} Due are {', '.join(due.ids)}.")
    today = workspace.clock().date().isoformat()
    return dg.RunRequest(
        tags={
            RANGE_START: today,
            RANGE_END: today,
            ASK_DUE: "true",
            CONNECTORS: ",".join(due.ids),
        }
    )


def _reason_to_wait(
    instance: dg.DagsterInstance, workspace: Workspace, statuses: list[dg.DagsterRunStatus]
) -> str | None:
    """Say why no run is to be started now, or None."""
    found = instance.get_runs(dg.RunsFilter(statuses=statuses, tags=_ONE_RUN), limit=1)
    if found:
        return f"Run {found[0].run_id} of {found[0].job_name} is not done yet."
    return "`ksi run` works on the data home." if is_run_held(workspace.home) else None


def _has_failed(instance: dg.DagsterInstance, workspace: Workspace) -> str | None:
    """Say that the sensor's last run failed just now, or None: it is not repeated at once."""
    lately = dg.RunsFilter(
        job_name=tickets_job.name,
        statuses=[dg.DagsterRunStatus.FAILURE],
        created_after=workspace.clock() - _REST_AFTER_FAILURE,
    )
    found = instance.get_runs(lately, limit=1)
    return f"Run {found[0].run_id} failed just now." if found else None
