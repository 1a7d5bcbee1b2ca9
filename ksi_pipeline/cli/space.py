"""`ksi space`: the physical space."""

from pathlib import Path
from typing import Annotated

import typer

from ksi_pipeline.cli.console import AsJson, errors_as_messages, out, print_json
from ksi_pipeline.space.load import load_space

space = typer.Typer(no_args_is_help=True)


@space.callback()
def _group() -> None:
    """Keep `check` a verb of its own while it is the only one."""


@space.command()
def check(
    file: Annotated[Path, typer.Argument(help="Space file, data/spaces/<site>.yaml.")],
    as_json: AsJson = False,
) -> None:
    """Validate a space file; every error names its line, its entry and what to change."""
    with errors_as_messages():
        loaded = load_space(file)
    content = loaded.file
    summary = {
        "site": loaded.site_id,
        "version": loaded.version,
        "timezone": content.site.timezone,
        "units": len(content.units),
        "zones": len(content.zones),
        "lines": len(content.lines),
        "cameras": len(content.cameras),
        "links": len(content.links),
    }
    if as_json:
        print_json(summary)
        return
    counts = ", ".join(
        f"{summary[name]} {name}" for name in ("units", "zones", "lines", "cameras", "links")
    )
    out.print(f"{file.name} is valid: site {loaded.site_id}, {content.site.timezone}, {counts}.")
