"""`ksi tickets backfill`: the past of a ticket feed, batch by batch."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

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
from ksi_pipeline.cli.run import require_home, run_in, show
from ksi_pipeline.core.errors import TransientError
from ksi_pipeline.defs.steps.backfill import BackfillReport
from ksi_pipeline.defs.steps.backfill import backfill as ask_for_the_past
from ksi_pipeline.defs.steps.space import load_spaces
from ksi_pipeline.settings import load_settings


def backfill(
    connector: Annotated[str, typer.Argument(help="Id of a connector in connectors.yaml.")],
    from_day: Annotated[
        str | None, typer.Option("--from", help="First local day; default: the connector's since.")
    ] = None,
    to_day: Annotated[
        str | None, typer.Option("--to", help="Last local day, included; default: a week ago.")
    ] = None,
    no_build: Annotated[
        bool, typer.Option("--no-build", help="Leave the marts to the next run.")
    ] = False,
    data_dir: Annotated[
        Path | None, typer.Option("--dir", help="Data home; default: KSI_DATA_DIR.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask a connector for every hour of its past that it never answered, then build the marts.

    It works beside the schedule. Killed or stopped, it goes on where it was when run again.
    """
    with errors_as_messages(), progress_bar("backfill") as progress:
        # Dagster takes seconds to import; verbs that do not need it should not wait for it.
        from ksi_pipeline.definitions import make_workspace

        settings = load_settings(data_dir)
        require_home(settings)
        workspace = make_workspace(settings, progress)
        days = (day_option(text) if text else None for text in (from_day, to_day))
        load_spaces(workspace)
        report = ask_for_the_past(workspace, connector, *days)
        built = None
        if report.unit_hours and not no_build:
            try:
                built = run_in(workspace, settings, None, None)
            except TransientError as error:
                if error.code != "E_RUN_LOCKED":
                    raise
                err.print("A run works on the data home; the next one builds the marts.")
    if as_json:
        print_json(asdict(report))
    else:
        _show(report)
        if built is not None:
            show(built, workspace)
    if report.failed or (built is not None and (built.failures or built.warnings)):
        raise typer.Exit(DATA_SAYS_NO)


def _show(report: BackfillReport) -> None:
    if report.failed:
        err.print(report.failed, markup=False)
    out.print(
        f"requests {report.requests}, left {report.requests_left}, rows in {report.rows_in}, "
        f"loaded {report.rows_loaded}, quarantined {report.rows_quarantined}, unit-hours to build "
        f"{report.unit_hours}."
    )
    if report.codes:
        out.print(f"Set aside: {counted(report.codes)}.")
