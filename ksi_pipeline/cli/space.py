"""`ksi space`: the physical space."""

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ksi_pipeline.cli.console import AsJson, day_option, err, errors_as_messages, out, print_json
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.defs.steps.video_files import check_calibrations
from ksi_pipeline.settings import load_settings
from ksi_pipeline.space.checks import warnings
from ksi_pipeline.space.load import Space, load_space
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.store import Store

if TYPE_CHECKING:
    from ksi_pipeline.report.foot_points import FootPoints

space = typer.Typer(no_args_is_help=True)


@space.callback()
def _group() -> None:
    """Keep `check` a verb of its own while it is the only one."""


@space.command()
def check(
    file: Annotated[Path, typer.Argument(help="Space file, data/spaces/<site>.yaml.")],
    plot: Annotated[Path | None, typer.Option(help="Draw the plan into this PNG.")] = None,
    points: Annotated[
        Path | None,
        typer.Option(help="Tracklet points to show in the plan; default: those of the data home."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(help="Local day to draw; default: the last day of the points, else today."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Validate a space file; every error names its line, its entry and what to change."""
    with errors_as_messages():
        if plot is None and (points or at):
            raise ConfigError(
                "--points and --at say what a picture shows, and no picture was asked for. "
                "Name its file with --plot.",
                code="E_PLOT",
            )
        loaded = load_space(file)
        mismeasured = check_calibrations(loaded)
        drawn = None if plot is None else _draw(file, loaded, plot, points, at)
    doubts = [*warnings(loaded.file), *mismeasured]
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
        print_json({**summary, "warnings": doubts, **({} if drawn is None else {"plot": drawn})})
        return
    for doubt in doubts:
        err.print("[yellow]check[/yellow] ", end="")
        err.print(doubt, markup=False)
    counts = ", ".join(
        f"{summary[name]} {name}" for name in ("units", "zones", "lines", "cameras", "links")
    )
    out.print(f"{file.name} is valid: site {loaded.site_id}, {content.site.timezone}, {counts}.")
    if drawn is not None:
        _tell(drawn)


def _draw(
    file: Path, loaded: Space, picture: Path, points: Path | None, at: str | None
) -> dict[str, Any]:
    # matplotlib takes half a second to import; checking alone should not wait for it.
    from ksi_pipeline.report.plan_picture import draw_plan
    from ksi_pipeline.report.plan_shapes import shapes_on

    day = None if at is None else day_option(at)
    found = _foot_points(file, loaded, points, day)
    day = day or (found.day if found else datetime.now(loaded.file.site.zone_info).date())
    shapes = shapes_on(loaded, day)
    unlabelled = draw_plan(loaded, shapes, found, picture)
    return {
        "file": str(picture),
        "day": day,
        "zones": len(shapes.zones),
        "lines": len(shapes.lines),
        "cameras": len(shapes.cameras),
        "foot_points": None if found is None else found.sample_count,
        "not_drawn": [{"kind": n.kind, "id": n.id, "reason": n.reason} for n in shapes.not_drawn],
        "without_label": unlabelled,
    }


def _foot_points(
    file: Path, loaded: Space, points: Path | None, day: date | None
) -> "FootPoints | None":
    """Give the points to show: those of a file, else those of the data home the file lies in."""
    from ksi_pipeline.report.foot_points import points_of_file, points_of_lake

    if points is not None:
        return points_of_file(points, loaded, day)
    home = DataHome(file.resolve().parent.parent)
    if file.resolve().parent != home.spaces or not home.lake.is_dir():
        return None
    return points_of_lake(Store(home, load_settings(home.root).ledger_url), loaded, day)


def _tell(drawn: dict[str, Any]) -> None:
    feet = drawn["foot_points"]
    shown = "no foot points" if feet is None else f"{feet:,} foot points"
    out.print(
        f"{drawn['file']} shows {drawn['day']}: {drawn['zones']} zones, {drawn['lines']} lines, "
        f"{drawn['cameras']} cameras, {shown}.",
        markup=False,
        soft_wrap=True,
    )
    for entry in drawn["not_drawn"]:
        line = f"Not drawn: {entry['kind']} {entry['id']}, {entry['reason']}."
        out.print(line, markup=False, soft_wrap=True)
    if drawn["without_label"]:
        names = ", ".join(drawn["without_label"])
        out.print(f"No room for the label of: {names}.", markup=False, soft_wrap=True)
