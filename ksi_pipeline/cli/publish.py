"""`ksi publish`: the marts to a target of targets.yaml."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ksi_pipeline.cli.connector import open_home
from ksi_pipeline.cli.console import AsJson, errors_as_messages, out, print_json, progress_bar

if TYPE_CHECKING:
    from ksi_pipeline.publishers.plan import Change


def publish(
    target: Annotated[str, typer.Argument(help="Id of a target in targets.yaml.")],
    mart: Annotated[str | None, typer.Option(help="Only this mart.")] = None,
    first: Annotated[
        str | None, typer.Option("--from", help="First month of business dates, like 2026-03.")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", help="Last month of business dates, included.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and the SQL; change nothing.")
    ] = False,
    grants: Annotated[
        bool, typer.Option("--grants", help="Print the least rights that the target needs.")
    ] = False,
    data_dir: Annotated[
        Path | None, typer.Option("--dir", help="Data home; default: KSI_DATA_DIR.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Publish to a target what it lacks, and prove it: twice is once."""
    from ksi_pipeline.defs.steps import targets

    if dry_run and grants:
        raise typer.BadParameter("--dry-run and --grants do not go together.")
    with errors_as_messages(), progress_bar(f"ksi publish {target}") as progress:
        workspace = open_home(data_dir)
        workspace.progress = progress
        scope = targets.Scope(mart, first, last)
        if grants:
            _, opened, _ = targets.open_target(workspace, target)
            rights = opened.grants()
        elif dry_run:
            planned = targets.dry_run(workspace, target, scope)
        else:
            changes = targets.publish_to(workspace, target, scope).changes
            planned = [(change, []) for change in changes]
    if grants:
        _print_grants(rights, as_json)
    elif as_json:
        print_json({"target": target, "is_dry_run": dry_run, **_told(planned)})
    else:
        _print_plan(planned, dry_run)


def _print_grants(rights: list[str], as_json: bool) -> None:
    if as_json:
        print_json({"grants": rights})
        return
    for line in rights:
        out.print(line, markup=False)


def _told(planned: "list[tuple[Change, list[str]]]") -> dict[str, Any]:
    return {
        "counts": _counts(planned),
        "changes": [
            {
                "mart": change.part.mart,
                "partition": change.part.month,
                "action": change.action,
                "reason": change.reason,
                "rows": change.batch.rows if change.batch else 0,
                "batch_id": change.batch.batch_id if change.batch else None,
                "statements": statements,
            }
            for change, statements in planned
        ],
    }


def _print_plan(planned: "list[tuple[Change, list[str]]]", dry_run: bool) -> None:
    for change, statements in planned:
        if change.action == "skip":
            continue
        rows = f", {change.batch.rows} rows" if change.batch else ""
        out.print(f"{change.action} {change.part}: {change.reason}{rows}", markup=False)
        for statement in statements:
            out.print(f"    {statement}", markup=False)
    counts = ", ".join(f"{count} {action}" for action, count in _counts(planned).items())
    said = "Nothing was changed; it would be" if dry_run else "Partitions"
    out.print(f"{said}: {counts or 'none'}.", markup=False)


def _counts(planned: "list[tuple[Change, list[str]]]") -> dict[str, int]:
    actions = [change.action for change, _ in planned]
    named = ("publish", "replace", "remove", "skip")
    return {action: actions.count(action) for action in named if action in actions}
