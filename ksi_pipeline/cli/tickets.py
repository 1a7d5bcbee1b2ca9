"""`ksi tickets`: tickets by hand."""

from pathlib import Path
from typing import Annotated

import typer

from ksi_pipeline.cli.console import (
    DATA_SAYS_NO,
    FROM_TIME,
    TO_TIME,
    AsJson,
    counted,
    err,
    errors_as_messages,
    instant_option,
    out,
    print_json,
    progress_bar,
)
from ksi_pipeline.cli.run import require_home
from ksi_pipeline.cli.ticket_backfill import backfill
from ksi_pipeline.cli.ticket_load import load
from ksi_pipeline.connectors.base_config import ConnectorBase
from ksi_pipeline.connectors.config import find_connector
from ksi_pipeline.connectors.sql.config import SqlConfig
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.time import Window
from ksi_pipeline.defs.steps.parse import parse_answers
from ksi_pipeline.defs.steps.pull import pull_answers
from ksi_pipeline.defs.steps.space import load_spaces
from ksi_pipeline.defs.steps.sql_pull import SqlPullReport, pull_databases
from ksi_pipeline.defs.steps.ticket_files import COUNTS, FilesReport, parse_ticket_files
from ksi_pipeline.settings import load_settings
from ksi_pipeline.store.lock import one_reader_of_answers, only_run

tickets = typer.Typer(no_args_is_help=True)
tickets.command()(load)
tickets.command()(backfill)


@tickets.command()
def pull(
    connector: Annotated[str, typer.Argument(help="Id of a connector in connectors.yaml.")],
    from_time: Annotated[str | None, FROM_TIME] = None,
    to_time: Annotated[str | None, TO_TIME] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--dir", help="Data home; default: KSI_DATA_DIR.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask a connector for [from, to) and load its answers; a database also for what is new."""
    with errors_as_messages(), progress_bar("tickets") as progress:
        # Dagster takes seconds to import; verbs that do not need it should not wait for it.
        from ksi_pipeline.definitions import make_workspace

        settings = load_settings(data_dir)
        require_home(settings)
        workspace = make_workspace(settings, progress)
        config = find_connector(workspace.home.connectors, connector, ConnectorBase)
        window = _window(from_time, to_time, is_needed=not isinstance(config, SqlConfig))
        with only_run(workspace.home):
            load_spaces(workspace)
            if isinstance(config, SqlConfig):
                of_database = pull_databases(workspace, only=connector, window=window)
                files = parse_ticket_files(workspace, only=connector)
            elif window is not None:
                pulled = pull_answers(workspace, window, only=connector)
                with one_reader_of_answers(workspace.home):
                    parsed = parse_answers(workspace)
    if isinstance(config, SqlConfig):
        _show_database(of_database, files, as_json=as_json)
        return
    figures = {
        "answers": pulled.answer_count,
        "new_answers": pulled.new_count,
        "rows_in": parsed.rows_in,
        "rows_loaded": parsed.rows_loaded,
        "rows_unchanged": parsed.rows_unchanged,
        "rows_quarantined": parsed.rows_quarantined,
        "rows_unmatched": parsed.rows_unmatched,
    }
    if as_json:
        told = {"codes": parsed.codes, "failed": pulled.failed, "unasked": pulled.unasked}
        print_json({**figures, **told})
    else:
        unasked = [pulled.unasked] if pulled.unasked else []
        for message in dict.fromkeys((*unasked, *pulled.failed.values(), *parsed.messages)):
            err.print(message, markup=False)
        out.print(", ".join(f"{name.replace('_', ' ')} {n}" for name, n in figures.items()) + ".")
        if parsed.codes:
            out.print(f"Set aside: {counted(parsed.codes)}.")
    if pulled.failed:
        raise typer.Exit(DATA_SAYS_NO)


def _window(from_time: str | None, to_time: str | None, *, is_needed: bool) -> Window | None:
    if from_time is not None and to_time is not None:
        return Window(instant_option(from_time), instant_option(to_time))
    if is_needed or (from_time, to_time) != (None, None):
        raise ConfigError(
            "--from and --to go together; only a connector of kind sql can be asked without them, "
            "for what is new. Nothing was asked.",
            code="E_DAYS",
        )
    return None


def _show_database(pulled: SqlPullReport, files: FilesReport, *, as_json: bool) -> None:
    figures = {
        "windows": pulled.window_count,
        "new_windows": pulled.new_count,
        **{name: getattr(files, name) for name in ("tickets", *COUNTS)},
    }
    failed = {**pulled.failed, **files.failed}
    if as_json:
        print_json({**figures, "codes": files.codes, "failed": failed, "personal": files.personal})
    else:
        for message in dict.fromkeys((*failed.values(), *files.messages)):
            err.print(message, markup=False)
        out.print(", ".join(f"{name.replace('_', ' ')} {n}" for name, n in figures.items()) + ".")
        if files.codes:
            out.print(f"Set aside: {counted(files.codes)}.")
    if failed:
        raise typer.Exit(DATA_SAYS_NO)
