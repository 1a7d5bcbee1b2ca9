"""Runs the main job in this process: what the schedule does, by hand."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.events import RunFailureReason

from ksi_pipeline.defs.automation import ASK_DUE, BY_HAND, ONE_RUN, RANGE_END, RANGE_START
from ksi_pipeline.defs.dbt import FULL_REFRESH
from ksi_pipeline.defs.steps.quarantine import SetAside

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, slots=True)
class RunReport:
    """What one run did.

    Attributes:
        run_id: under which the Dagster UI shows it.
        failures: one message for each step that failed, with its code first.
        warnings: checks that did not pass; the run went on.
        figures: metadata of the assets, by asset name.
        set_aside: what this run found for the first time and cannot use.
    """

    run_id: str
    failures: list[str]
    warnings: list[str] = field(default_factory=list)
    figures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    set_aside: Sequence[SetAside] = ()

    @property
    def is_success(self) -> bool:
        """Whether every step succeeded."""
        return not self.failures

    @property
    def changed_nothing(self) -> bool:
        """Whether everything was already there."""
        changed = any(self.number(*name) for name in _SIGNS_OF_CHANGE)
        return self.is_success and not changed and not self.set_aside

    def number(self, asset: str, name: str) -> int:
        """Give one figure, 0 where the asset did not report it."""
        return int(self.figures.get(asset, {}).get(name, 0) or 0)


_SIGNS_OF_CHANGE = (
    ("tracklets", "chunks_decoded"),
    ("tracklets", "deliveries_taken"),
    ("hourly_tickets", "new_answers"),
    ("ticket_drops", "new_files"),
    ("database_tickets", "new_windows"),
    ("ticket_hours", "rows_loaded"),
    ("visits", "days_counted"),
    ("published_snapshot", "is_new"),
)


def run_main_job(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    first: date,
    last: date,
    *,
    home: Path,
    full_refresh: bool = False,
    ask_due: bool = False,
) -> RunReport:
    """Run the main job for the UTC days first to last, both included, as one run.

    With `ask_due`, connectors are also asked for what is due and what was missed.

    The caller holds the data home's run lock: an earlier run by hand that still counts as running
    was killed, and its place in the writer pool is given free.

    Raises:
        KeyboardInterrupt: the run was stopped by Ctrl-C or SIGTERM.
    """
    _bury_killed_runs(instance, home)
    job = definitions.resolve_job_def("main_job")
    tags = {
        RANGE_START: first.isoformat(),
        RANGE_END: last.isoformat(),
        FULL_REFRESH: "true" if full_refresh else "false",
        BY_HAND: str(home),
        ONE_RUN: "by_hand",
        ASK_DUE: "true" if ask_due else "false",
    }
    # Dagster also warns of every dbt check that did not run because dbt had nothing to build. A run
    # sets the level of its logger `dagster` anew, so it is those below that are quietened.
    for name in ("dagster", "dagster._core"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # dbt's lines go to its own log; here they would break the progress bar.
    with redirect_stdout(StringIO()):
        result = job.execute_in_process(
            instance=instance, run_config=_QUIET, raise_on_error=False, tags=tags
        )
    if any(_is_interrupt(event) for event in result.all_events):
        raise KeyboardInterrupt
    figures: dict[str, dict[str, Any]] = {}
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        values = {name: value.value for name, value in materialization.metadata.items()}
        figures[materialization.asset_key.to_user_string()] = values
    return RunReport(
        run_id=result.run_id,
        failures=[_failure(event) for event in result.all_events if event.is_step_failure],
        warnings=[
            _warning(event)
            for event in result.get_asset_check_evaluations()
            if not event.passed and event.severity == dg.AssetCheckSeverity.ERROR
        ],
        figures=figures,
    )


def _bury_killed_runs(instance: dg.DagsterInstance, home: Path) -> None:
    unfinished = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED],
        tags={BY_HAND: str(home)},
    )
    for run in instance.get_runs(unfinished):
        instance.report_run_failed(run, "The process of this run was killed.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def _is_interrupt(event: dg.DagsterEvent) -> bool:
    if event.event_type != dg.DagsterEventType.RUN_FAILURE:
        return False
    return event.job_failure_data.failure_reason == RunFailureReason.UNEXPECTED_TERMINATION


def _failure(event: dg.DagsterEvent) -> str:
    failure = event.step_failure_data
    said = failure.user_failure_data
    if said is not None and said.description:
        return said.description
    error = failure.error
    # Dagster wraps what happened in what it was doing; the innermost error is the reason.
    while error and error.cause:
        error = error.cause
    return f"{event.step_key}: {error.message.strip() if error else 'failed'}"


def _warning(check: dg.AssetCheckEvaluation) -> str:
    said = "; ".join(str(value.value) for value in check.metadata.values())
    return f"{check.check_name}: {said or 'did not pass'}"
