"""`ksi connector test`: one small question to a source, and all that can be seen in its answer."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from ksi_pipeline.cli.connector import ConnectorId, DataDir, config_of, connector, open_home
from ksi_pipeline.cli.console import (
    DATA_SAYS_NO,
    FROM_TIME,
    TO_TIME,
    AsJson,
    errors_as_messages,
    instant_option,
    out,
    print_json,
)
from ksi_pipeline.connectors.base_config import ConnectorBase
from ksi_pipeline.connectors.hourly_config import HourlyApiConfig
from ksi_pipeline.connectors.sql.config import SqlConfig
from ksi_pipeline.connectors.ticket_files.config import TicketFilesConfig
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.time import Window
from ksi_pipeline.defs.steps import connector_state
from ksi_pipeline.defs.steps.file_trial import try_files
from ksi_pipeline.defs.steps.hourly_trial import question_of, try_connector
from ksi_pipeline.defs.steps.sql_trial import try_database
from ksi_pipeline.defs.steps.trial import Trial


@connector.command("test")
def try_connector_once(
    connector_id: ConnectorId,
    code: Annotated[
        list[str] | None,
        typer.Option(help="ext_ref_code to ask for; again for more; default: those linked."),
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(help="Zone to ask in; default: that of the site.")
    ] = None,
    from_time: Annotated[str | None, FROM_TIME] = None,
    to_time: Annotated[str | None, TO_TIME] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="Of ticket files: the one to read; default: the newest of the inbox."),
    ] = None,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Let an answer without rows pass.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Ask a source one small thing and look at all of its answer; no ticket is written."""
    with errors_as_messages():
        workspace = open_home(data_dir)
        config = config_of(workspace, connector_id)
        window = _window(from_time, to_time)
        if isinstance(config, HourlyApiConfig):
            _refuse(config, {"--file": file})
            question = question_of(workspace, config, code or (), timezone, window)
            trial = try_connector(workspace, config, question, is_empty_allowed=allow_empty)
        elif isinstance(config, TicketFilesConfig):
            given = {"--code": code, "--timezone": timezone, "--from and --to": window}
            _refuse(config, given)
            trial = try_files(workspace, config, file, is_empty_allowed=allow_empty)
        elif isinstance(config, SqlConfig):
            _refuse(config, {"--code": code, "--timezone": timezone, "--file": file})
            trial = try_database(workspace, config, window, is_empty_allowed=allow_empty)
        else:
            raise ConfigError(
                f"Connector {config.id!r} is of kind {config.kind}, which has no test.",
                code="E_CONNECTOR_KIND",
            )
        state = connector_state.state_of(workspace, config)
        if trial.is_passed:
            state = connector_state.note_tested(workspace, config)
    if as_json:
        checks = [{"check": c.name, "code": c.code, "said": c.said} for c in trial.checks]
        outcome = {"id": config.id, "is_passed": trial.is_passed, "state": state}
        told = {"rows": trial.row_count, "checks": checks, "notes": trial.notes}
        print_json({**outcome, **trial.told, **told})
    else:
        _show(trial, state)
    if not trial.is_passed:
        raise typer.Exit(DATA_SAYS_NO)


def _window(from_time: str | None, to_time: str | None) -> Window | None:
    if (from_time is None) != (to_time is None):
        raise ConfigError(
            "--from and --to go together; without both, the last three days are asked for.",
            code="E_DAYS",
        )
    if from_time is None or to_time is None:
        return None
    return Window(instant_option(from_time), instant_option(to_time))


def _refuse(config: ConnectorBase, given: dict[str, object]) -> None:
    """Refuse options that mean nothing to a kind: whoever gave one expects it to do something."""
    useless = [name for name, value in given.items() if value]
    if useless:
        raise ConfigError(
            f"Connector {config.id!r} is of kind {config.kind}, to which {', '.join(useless)} "
            "means nothing. Nothing was asked. Leave it out.",
            code="E_CONNECTOR_KIND",
        )


def _show(trial: Trial, state: str) -> None:
    out.print(f"Asked {trial.connector_id} {trial.asked}.", markup=False)
    for check in trial.checks:
        verdict = "[green]ok[/green]    " if check.code is None else "[red]failed[/red]"
        code = f"{check.code}: " if check.code else ""
        out.print(f"{verdict} {check.name}: {escape(code + check.said)}", soft_wrap=True)
    for note in trial.notes:
        out.print(f"[yellow]note[/yellow]   {escape(note)}", soft_wrap=True)
    if not trial.is_passed:
        out.print(f"{trial.connector_id} did not pass; it stays {state}.", markup=False)
    elif state == "active":
        out.print(f"{trial.connector_id} passed, and is active.", markup=False)
    else:
        name = trial.connector_id
        out.print(f"{name} passed. Next: ksi connector activate {name}", markup=False)
