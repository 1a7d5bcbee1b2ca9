"""`ksi tickets show|reconcile|replay`: what is known of tickets, and whether it can be proven."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from ksi_pipeline.cli.connector import ConnectorId, DataDir, config_of, open_home
from ksi_pipeline.cli.console import (
    DATA_SAYS_NO,
    FROM_TIME,
    TO_TIME,
    AsJson,
    err,
    errors_as_messages,
    instant_option,
    out,
    print_json,
    progress_bar,
)
from ksi_pipeline.cli.tickets import tickets
from ksi_pipeline.core.ticket_revisions import current_revisions
from ksi_pipeline.core.time import Window
from ksi_pipeline.defs.steps.ticket_history import known_at, ticket_history
from ksi_pipeline.defs.steps.ticket_replay import Replay, replay_tickets
from ksi_pipeline.defs.steps.ticket_totals import ConnectorTotals, ticket_totals

_FIGURES = ("rows_in", "rows_loaded", "rows_unchanged", "rows_quarantined", "rows_skipped")


@tickets.command()
def show(
    connector_id: ConnectorId,
    code: Annotated[str, typer.Option(help="ext_ref_code as the source writes it.")],
    from_time: Annotated[str, FROM_TIME],
    to_time: Annotated[str, TO_TIME],
    as_of: Annotated[
        str | None, typer.Option(help="What was known at this instant; default: now.")
    ] = None,
    revisions: Annotated[
        bool, typer.Option("--revisions", help="Every revision until then, not only what holds.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the ticket hours of a code that start in [from, to), as known now or at an instant."""
    with errors_as_messages():
        workspace = open_home(data_dir)
        config = config_of(workspace, connector_id)
        window = Window(instant_option(from_time), instant_option(to_time))
        found = ticket_history(workspace, config.id, code, window)
        instant = None if as_of is None else instant_option(as_of)
        found = known_at(found, instant)
        if not revisions:
            found = current_revisions(found)
    rows = found.to_pylist()
    if as_json:
        print_json({"connector_id": config.id, "ext_ref_code": code, "hours": rows})
        return
    if not rows:
        err.print("Nothing is known of these hours.", markup=False)
        return
    _print_hours(rows)


@tickets.command()
def reconcile(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Say what became of every row that ever came; exits with 1 where a row is unaccounted for."""
    with errors_as_messages():
        found = ticket_totals(open_home(data_dir))
    if as_json:
        print_json({"connectors": [totals.as_dict() for totals in found]})
    else:
        _print_totals(found)
    if not all(totals.is_balanced for totals in found):
        raise typer.Exit(DATA_SAYS_NO)


@tickets.command()
def replay(
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Read all raw answers and files again, aside, and compare with what counts.

    Exits with 1 where something differs, or a raw file is not what came.
    """
    with errors_as_messages(), progress_bar("replay") as progress:
        workspace = open_home(data_dir)
        workspace.progress = progress
        found = replay_tickets(workspace)
    if as_json:
        print_json(
            {
                "is_equal": found.is_equal,
                "rows": found.rows,
                "missing": found.missing,
                "extra": found.extra,
                "damaged": found.damaged,
                "waiting": found.waiting,
                "left_out": found.left_out,
            }
        )
    else:
        _print_replay(found)
    if not found.is_equal:
        raise typer.Exit(DATA_SAYS_NO)


def _print_hours(rows: Sequence[dict[str, Any]]) -> None:
    aside = {"connector_id", "ext_ref_code", "utc_offset_s", "row_number", "raw_sha256"}
    names = [
        name for name in rows[0] if name not in aside and any(row[name] is not None for row in rows)
    ]
    table = Table(*names)
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in names))
    out.print(table)


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%SZ")
    return "" if value is None else str(value)


def _print_totals(found: Sequence[ConnectorTotals]) -> None:
    if not found:
        out.print("No ticket row ever came.")
    for totals in found:
        figures = [f"{name.removeprefix('rows_')} {getattr(totals, name)}" for name in _FIGURES]
        figures.append(f"unmatched {totals.rows_unmatched}")
        verdict = "balanced" if totals.is_balanced else "[red]NOT balanced[/red]"
        out.print(f"{totals.connector_id}: {verdict}; {', '.join(figures)}.")
        for reason in totals.reasons:
            seen = f"{reason.first_seen_utc:%Y-%m-%d} to {reason.last_seen_utc:%Y-%m-%d}"
            out.print(f"  {reason.code}: {reason.count}, seen {seen}")
        for code, count in sorted(totals.unmatched_codes.items()):
            out.print(f"  code {code!r} is linked to nothing: {count} rows wait", markup=False)
        if totals.unread:
            out.print(f"  {totals.unread} answers or files wait to be read")


def _print_replay(found: Replay) -> None:
    for path in found.damaged:
        err.print(f"{path} is not what came, or gone.", markup=False)
    if found.left_out:
        names = ", ".join(found.left_out)
        err.print(f"Not compared, because they are not configured: {names}.", markup=False)
    if found.waiting:
        err.print(
            f"Not compared, because nobody has read them yet: {found.waiting} answers or files."
        )
    if found.damaged:
        out.print("Nothing was read again. Bring the raw files back from a backup.")
        return
    for dataset, count in found.rows.items():
        missing, extra = found.missing[dataset], found.extra[dataset]
        verdict = "equal" if not missing and not extra else "[red]different[/red]"
        more = f"; {missing} not read again, {extra} only read again" if missing or extra else ""
        out.print(f"{dataset}: {verdict}, {count} rows{more}.")
