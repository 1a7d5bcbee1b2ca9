"""`ksi marts`: the marts as another version of a space file gives them."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ksi_pipeline.cli.console import AsJson, errors_as_messages, out, print_json, progress_bar
from ksi_pipeline.cli.run import require_home
from ksi_pipeline.settings import load_settings


def marts(
    space_version: Annotated[
        str, typer.Option(help="Version of a space file, present or former, like 3f2a90c1d7be.")
    ],
    out_file: Annotated[Path, typer.Option("--out", help="DuckDB file to write.")],
    data_dir: Annotated[
        Path | None, typer.Option("--dir", help="Data home; default: KSI_DATA_DIR.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Build the marts by another version of a space file, beside those that are published."""
    # Dagster takes seconds to import; verbs that do not need it should not wait for it.
    from ksi_pipeline.definitions import make_workspace
    from ksi_pipeline.defs.steps.marts_aside import build_marts_aside

    with errors_as_messages(), progress_bar("ksi marts") as progress:
        settings = load_settings(data_dir)
        require_home(settings)
        workspace = make_workspace(settings, progress)
        built = build_marts_aside(workspace, space_version, out_file)
    if as_json:
        print_json({**asdict(built), "out": out_file})
        return
    out.print(
        f"The marts by space file {built.space_version} of {built.site_id} are in {out_file}; "
        f"days that count otherwise than now: {built.days_counted}.",
        markup=False,
    )
