"""Gathers the verbs."""

from typing import Annotated

import typer

from ksi_pipeline import __version__

# these add their verbs to `connector` and `tickets`
from ksi_pipeline.cli import (  # noqa: F401
    connector_certify,
    connector_files,
    connector_trial,
    ticket_truth,
)
from ksi_pipeline.cli.connector import connector
from ksi_pipeline.cli.demo import demo
from ksi_pipeline.cli.events import events
from ksi_pipeline.cli.marts import marts
from ksi_pipeline.cli.publish import publish
from ksi_pipeline.cli.run import run
from ksi_pipeline.cli.sandbox import sandbox
from ksi_pipeline.cli.space import space
from ksi_pipeline.cli.tickets import tickets
from ksi_pipeline.cli.video import video

app = typer.Typer(
    help="Retail space analytics: camera chunks and tickets in, measured conversion out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(demo)
app.command()(run)
app.command()(events)
app.command()(marts)
app.command()(publish)
app.command()(sandbox)
app.add_typer(space, name="space", help="The physical space: check a space file.")
app.add_typer(video, name="video", help="Camera chunks to anonymous tracklets.")
app.add_typer(connector, name="connector", help="Ticket sources, from draft to schedule.")
app.add_typer(tickets, name="tickets", help="Tickets from a connector or a file, by hand.")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"ksi {__version__}")
        raise typer.Exit


@app.callback()
def ksi(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Retail space analytics: camera chunks and tickets in, measured conversion out."""
