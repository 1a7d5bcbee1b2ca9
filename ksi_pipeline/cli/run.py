"""`ksi run`: what the schedule does, by hand."""

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ksi_pipeline.cli.console import (
    DATA_SAYS_NO,
    AsJson,
    counted,
    day_option,
    err,
    errors_as_messages,
    out,
    print_json,
    progress_bar,
)
from ksi_pipeline.connectors.config import load_connectors
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.defs.steps.days import FIRST_DAY, days_to_run
from ksi_pipeline.defs.steps.quarantine import newest_quarantine, set_aside_since
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.settings import Settings, load_settings
from ksi_pipeline.space.metrics import load_metric_rules
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.lock import only_run

if TYPE_CHECKING:
    from ksi_pipeline.defs.run import RunReport

# A feed that sends rubbish can set thousands of rows aside; --json has them all.
_MOST_SHOWN = 20


def run(
    from_day: Annotated[
        str | None, typer.Option("--from", help="First UTC day, like 2026-03-27.")
    ] = None,
    to_day: Annotated[
        str | None, typer.Option("--to", help="Last UTC day, included; default: the first.")
    ] = None,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Build every hour of the marts anew.")
    ] = False,
    data_dir: Annotated[
        Path | None, typer.Option("--dir", help="Data home; default: KSI_DATA_DIR.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ingest, count, build and publish what is new, through Dagster, in this process.

    Without days: yesterday and today, and every day that has chunks not decoded yet; the tills are
    also asked for the hours that can still change and those that were missed. Stored days that the
    space files now count otherwise are counted anew, however old.
    """
    with errors_as_messages(), progress_bar("ksi run") as progress:
        # Dagster takes seconds to import; verbs that do not need it should not wait for it.
        from ksi_pipeline.definitions import make_workspace

        settings = load_settings(data_dir)
        require_home(settings)
        workspace = make_workspace(settings, progress)
        report = run_in(workspace, settings, from_day, to_day, full_refresh=full_refresh)
    if as_json:
        print_json(_as_dict(report))
    else:
        show(report, workspace)
    if report.failures or report.warnings:
        raise typer.Exit(DATA_SAYS_NO)


def require_home(settings: Settings) -> None:
    """Refuse a data home that is not there, before it is made: most likely it is mistyped."""
    home = DataHome(settings.data_dir.resolve())
    home.require_usable()
    home.require_described()


def run_in(
    workspace: Workspace,
    settings: Settings,
    from_day: str | None,
    to_day: str | None,
    *,
    full_refresh: bool = False,
) -> "RunReport":
    """Run the main job in a workspace for the days asked for."""
    # What is wrong with the configuration is said at once, with exit code 2.
    workspace.spaces()
    load_connectors(workspace.home.connectors)
    load_metric_rules(workspace.home.metrics)
    if from_day is None:
        if to_day is not None:
            raise ConfigError("--to needs --from: say the first day as well.", code="E_DAYS")
        first, last = days_to_run(workspace)
    else:
        first = day_option(from_day)
        last = day_option(to_day) if to_day else first
    # A recorder's clock may be ahead, so a chunk may ask for tomorrow; a person may not.
    latest = workspace.clock().date() + timedelta(days=from_day is None)
    if not FIRST_DAY <= first <= last <= latest:
        raise ConfigError(
            f"The days {first} to {last} cannot be run: the last must not lie before the first, "
            f"nor in the future, and the first not before {FIRST_DAY}.",
            code="E_DAYS",
        )
    with only_run(workspace.home):
        return run_days(
            workspace,
            settings,
            first,
            last,
            full_refresh=full_refresh,
            ask_due=from_day is None,
        )


def run_days(
    workspace: Workspace,
    settings: Settings,
    first: date,
    last: date,
    *,
    full_refresh: bool = False,
    ask_due: bool = False,
) -> "RunReport":
    """Run the main job for some days; the caller holds the run lock."""
    from ksi_pipeline.definitions import make_definitions, make_instance
    from ksi_pipeline.defs.run import run_main_job

    known = newest_quarantine(workspace)
    with make_instance(settings) as instance:
        report = run_main_job(
            make_definitions(workspace),
            instance,
            first,
            last,
            home=workspace.home.root,
            full_refresh=full_refresh,
            ask_due=ask_due,
        )
    return replace(report, set_aside=set_aside_since(workspace, known))


def show(report: "RunReport", workspace: Workspace) -> None:
    """Print what a run did, what failed, and where to look."""
    for message in report.failures:
        err.print("[red]failed[/red] ", end="")
        err.print(message, markup=False)
    for message in report.warnings:
        err.print("[yellow]check[/yellow] ", end="")
        err.print(message, markup=False)
    _show_set_aside(report)
    if not workspace.spaces():
        err.print(
            f"No site is described in {workspace.home.spaces}, so nothing can be counted. Add a "
            "space file; docs/tutorials/first-hour.md begins with one.",
            markup=False,
        )
    if report.changed_nothing:
        out.print(
            "Nothing new: no chunk was decoded, no row was written, the marts are as they were."
        )
        return
    number = report.number
    out.print(
        f"chunks decoded {number('tracklets', 'chunks_decoded')}, "
        f"unreadable {number('tracklets', 'chunks_unreadable')}, "
        f"deliveries taken {number('tracklets', 'deliveries_taken')}; "
        f"tickets: rows in {number('ticket_hours', 'rows_in')}, "
        f"loaded {number('ticket_hours', 'rows_loaded')}, "
        f"quarantined {number('ticket_hours', 'rows_quarantined')}; "
        f"set aside {len(report.set_aside)}; "
        f"days counted {number('visits', 'days_counted')}; "
        f"snapshot {number('published_snapshot', 'snapshot') or 'unchanged'}."
    )
    if report.is_success:
        out.print(f"Results: {workspace.home.current_db}", markup=False)


def _show_set_aside(report: "RunReport") -> None:
    for thing in report.set_aside[:_MOST_SHOWN]:
        err.print(f"[yellow]set aside[/yellow] {thing.code}: ", end="")
        err.print(thing.message, markup=False)
    if len(report.set_aside) > _MOST_SHOWN:
        codes = counted(Counter(thing.code for thing in report.set_aside))
        err.print(
            f"{len(report.set_aside)} things were set aside in all: {codes}. The quarantine of the "
            "ledger has each; docs/how-to/troubleshoot.md says how to read it.",
        )


def _as_dict(report: "RunReport") -> dict[str, object]:
    return {
        "run_id": report.run_id,
        "is_success": report.is_success and not report.warnings,
        "changed_nothing": report.changed_nothing,
        "failures": report.failures,
        "warnings": report.warnings,
        "set_aside": [thing.as_dict() for thing in report.set_aside],
        "figures": report.figures,
    }
