"""What the verbs share: the console, progress, JSON, errors as one message and an exit code."""

import errno
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from sqlalchemy.exc import SQLAlchemyError

from ksi_pipeline.core.errors import ConfigError, KsiError
from ksi_pipeline.core.progress import Progress as ProgressCallback
from ksi_pipeline.core.time import YEARS, parse_instant
from video_ingest.contract import DetectorError, VideoError

OK, DATA_SAYS_NO, USAGE, INTERRUPTED = 0, 1, 2, 130

# Raised for data as well, but here for what was typed or configured: what is wrong with data is
# set aside, and never ends a command.
_OF_THE_CALL = {
    "E_BACKGROUND",
    "E_BAD_TIME",
    "E_BOXES",
    "E_CALIBRATION",
    "E_CHUNK_LENGTH",
    "E_CHUNK_MISSING",
    "E_EMPTY_WINDOW",
    "E_FILE",
    "E_NAIVE_TIME",
    "E_OVERLAY",
    "E_SCORE_MISSING",
    "E_TRACKER_MISSING",
    "E_TRUTH",
    "E_TRUTH_TIME",
}

# No room, quota used up, a fault of the disk: everything was called rightly.
_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EIO}

# Lines are broken for a terminal only: in a file or a pipe, whoever reads them breaks them.
out = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
err = Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())

FROM_TIME = typer.Option("--from", help="ISO 8601 instant with its offset.")
TO_TIME = typer.Option("--to", help="ISO 8601 instant with its offset.")
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]


@contextmanager
def errors_as_messages() -> Iterator[None]:
    """Print an expected error without a traceback and leave with its exit code."""
    try:
        yield
    except KeyboardInterrupt as stop:
        err.print("Interrupted. Nothing is half done; run it again.")
        raise typer.Exit(INTERRUPTED) from stop
    except (KsiError, VideoError) as error:
        _say(error.code, str(error))
        is_usage = isinstance(error, ConfigError | DetectorError) or error.code in _OF_THE_CALL
        raise typer.Exit(USAGE if is_usage else DATA_SAYS_NO) from error
    except OSError as error:
        _say("E_FILE", _about_file(error))
        raise typer.Exit(DATA_SAYS_NO if error.errno in _OF_THE_DISK else USAGE) from error
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", None) or error).splitlines()[0]
        _say(
            "E_LEDGER",
            f"Working with the ledger failed: {said}. What was not written by then is not there, "
            "and nothing is half done. Mend the cause, then run it again.",
        )
        raise typer.Exit(DATA_SAYS_NO) from error


def _say(code: str, message: str) -> None:
    err.print(f"[red]{code}[/red]: ", end="")
    err.print(message, markup=False)


def _about_file(error: OSError) -> str:
    named = f" {error.filename}" if error.filename else ""
    return (
        f"Reading or writing{named} failed: {error.strerror or error}. What was not written by "
        "then is not there, and nothing is half done. Check the path, its rights and the room on "
        "the disk, then run it again."
    )


@contextmanager
def progress_bar(title: str) -> Iterator[ProgressCallback]:
    """Show progress: a bar on a terminal, a plain line for each new thing otherwise."""
    if not err.is_terminal:
        shown: set[str] = set()

        def line(what: str, _share: float) -> None:
            kind = what.split(" ")[0]
            if kind not in shown:
                shown.add(kind)
                err.print(f"{title}: {what}", markup=False)

        yield line
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(title, total=1.0)

        def update(what: str, share: float) -> None:
            progress.update(task, completed=share, description=f"{title}: {what}"[:60])

        yield update


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object; instants as ISO 8601."""
    typer.echo(json.dumps(value, default=_as_text, indent=2))


def counted(codes: Mapping[str, int]) -> str:
    """Write how often each code came, the most frequent first."""
    listed = sorted(codes.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{code} {count}" for code, count in listed)


def instant_option(text: str) -> datetime:
    """Read an option that names an instant with its offset."""
    instant = parse_instant(text)
    if instant.year not in YEARS:
        raise ConfigError(
            f"{text!r} lies before {YEARS.start} or after {YEARS.stop - 1}; nothing was done. "
            "Correct the year.",
            code="E_BAD_TIME",
        )
    return instant


def day_option(text: str) -> date:
    """Read an option that names a UTC day."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"{text!r} is no day. Write it like 2026-03-27.", code="E_BAD_TIME"
        ) from error


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime | date) else str(value)
