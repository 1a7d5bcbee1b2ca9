"""`ksi video models`: which weights there are, whether they work, and what their licence asks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ksi_pipeline.cli.console import (
    DATA_SAYS_NO,
    AsJson,
    err,
    errors_as_messages,
    out,
    print_json,
    progress_bar,
)
from ksi_pipeline.settings import load_settings
from video_ingest.detectors.auto import Choice, choose
from video_ingest.weights import FAMILIES, Checked, Found, check, fetch, find_weights

models = typer.Typer()

Weights = Annotated[
    Path | None, typer.Option("--weights", help="Folder of weights; default: KSI_WEIGHTS_DIR.")
]


@models.callback(invoke_without_command=True)
def list_models(context: typer.Context, weights: Weights = None, as_json: AsJson = False) -> None:
    """List weights that are known or lie in a folder, try each, and explain its licence."""
    if context.invoked_subcommand is not None:
        return
    with errors_as_messages(), progress_bar("weights") as progress:
        folder = weights or load_settings().weights
        found = find_weights(folder)
        checked = []
        for number, each in enumerate(found):
            progress(f"trying {each.path.name}", number / len(found))
            checked.append(check(each))
        choice = choose("auto", None, folder)
    if as_json:
        print_json(_as_json(folder, checked, choice))
    else:
        _print(folder, checked, choice)
    if any(each.code not in (None, "E_DETECTOR_MISSING") for each in checked):
        raise typer.Exit(DATA_SAYS_NO)


@models.command()
def get(
    name: Annotated[str, typer.Argument(help="Name of the weights, such as yolo11n.")],
    weights: Weights = None,
    as_json: AsJson = False,
) -> None:
    """Download weights through ultralytics; the one command of video that uses the network."""
    with errors_as_messages():
        folder = weights or load_settings().weights
        path = fetch(name, folder)
        (found,) = [each for each in find_weights(folder) if each.path == path]
        checked = check(found)
    if as_json:
        print_json(_row(checked))
    else:
        out.print(f"{path} is there: {checked.message or checked.layout}", markup=False)
        out.print(f"Licence: {found.licence}.", markup=False)
    if checked.code is not None:
        raise typer.Exit(DATA_SAYS_NO)


def _print(folder: Path, checked: Sequence[Checked], choice: Choice) -> None:
    if checked:
        for each in checked:
            licence = each.found.licence.partition(":")[0]
            out.print(str(each.found.path.relative_to(folder)), markup=False)
            out.print(f"  {each.found.detector}; {_state(each)}; {licence}", markup=False)
    else:
        out.print(f"No weights lie in {folder}.", markup=False)
    for each in checked:
        if each.message:
            err.print(f"{each.code}: {each.message}", markup=False)
    _print_known({each.found.name for each in checked})
    for licence in dict.fromkeys(family.licence for family in FAMILIES):
        out.print(f"{licence}.", markup=False)
    out.print(f"auto takes {choice.detector}: {choice.why}.", markup=False)


def _print_known(names: set[str]) -> None:
    out.print("\nKnown, and not there:")
    for family in FAMILIES:
        missing = [name for name in family.names if name not in names]
        if missing:
            how = f"ksi video models get {missing[0]}" if family.can_fetch else family.origin
            licence = family.licence.partition(":")[0]
            out.print(f"  {', '.join(missing)} ({licence}; {how})", markup=False)
    out.print()


def _state(checked: Checked) -> str:
    if checked.code is None:
        return f"works: {checked.layout}"
    return "package not installed" if checked.code == "E_DETECTOR_MISSING" else checked.code


def _as_json(folder: Path, checked: Sequence[Checked], choice: Choice) -> dict[str, Any]:
    names = {each.found.name for each in checked}
    missing = [
        {
            "name": name,
            "licence": family.licence,
            "origin": family.origin,
            "can_fetch": family.can_fetch,
        }
        for family in FAMILIES
        for name in family.names
        if name not in names
    ]
    auto = {"detector": choice.detector, "model": choice.model, "why": choice.why}
    rows = [_row(each) for each in checked]
    return {"folder": folder, "found": rows, "missing": missing, "auto": auto}


def _row(checked: Checked) -> dict[str, Any]:
    found: Found = checked.found
    return {
        "name": found.name,
        "path": found.path,
        "detector": found.detector,
        "is_known": found.family is not None,
        "licence": found.licence,
        "is_working": checked.code is None,
        "layout": checked.layout,
        "code": checked.code,
        "message": checked.message,
    }
