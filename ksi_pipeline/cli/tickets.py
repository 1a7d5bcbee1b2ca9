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
from ksi_pipeline.cli.ticket_load import load
from ksi_pipeline.core.time import Window
from ksi_pipeline.defs.steps.parse import parse_answers
from ksi_pipeline.defs.steps.pull import pull_answers
from ksi_pipeline.defs.steps.space import load_spaces
from ksi_pipeline.settings import load_settings
from ksi_pipeline.store.lock import only_run

tickets = typer.Typer(no_args_is_help=True)
tickets.command()(load)


@tickets.command()
def pull(
    connector: Annotated[str, typer.Argument(help="Id of a connector in connectors.yaml.")],
    from_time: Annotated[str, FROM_TIME],
    to_time: Annotated[str, TO_TIME],
    data_dir: Annotated[
        Path | None, typer.Option("--dir", help="Data home; default: KSI_DATA_DIR.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask a connector for the hours that start in [from, to) and load its answers."""
    with errors_as_messages(), progress_bar("tickets") as progress:
        # Dagster takes seconds to import; verbs that do not need it should not wait for it.
        from ksi_pipeline.definitions import make_workspace

        settings = load_settings(data_dir)
        require_home(settings)
        workspace = make_workspace(settings, progress)
        window = Window(instant_option(from_time), instant_option(to_time))
        with only_run(workspace.home):
            load_spaces(workspace)
            pulled = pull_answers(workspace, window, only=connector)
            parsed = parse_answers(workspace)
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
