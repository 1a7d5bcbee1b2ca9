"""`ksi video calibrate`: how well a camera's points fit, and a picture to check them by."""

from dataclasses import replace
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ksi_pipeline.cli.console import (
    AsJson,
    day_option,
    err,
    errors_as_messages,
    out,
    print_json,
    progress_bar,
)
from ksi_pipeline.defs.steps.video_calibrate import (
    CalibrationReport,
    check_calibration,
    draw_calibration,
)
from ksi_pipeline.space.load import load_space
from video_ingest.contract import VideoError
from video_ingest.detectors import require_use


def calibrate(
    videos: Annotated[list[Path], typer.Argument(help="Video files of the camera.")],
    camera: Annotated[str, typer.Option(help="Id of the camera in the space file.")],
    space: Annotated[Path, typer.Option(help="Space file of the site.")],
    picture: Annotated[
        Path | None,
        typer.Option("--out", help="Draws grid, zones and lines on the empty floor, as .png."),
    ] = None,
    detector: Annotated[
        str, typer.Option(help="Hides who stands still in the picture; motion finds nobody there.")
    ] = "motion",
    model: Annotated[Path | None, typer.Option(help="Weights of the detector.")] = None,
    at: Annotated[
        str | None,
        typer.Option(help="Local day on which the camera's entry holds. Default: today."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print how far each point of a homography is off, in centimetres, and what looks wrong."""
    with errors_as_messages(), progress_bar("calibrate") as progress:
        require_use(detector, model)
        loaded = load_space(space)
        instant = datetime.now(UTC)
        if at is not None:
            noon = datetime.combine(day_option(at), time(12), loaded.file.site.zone_info)
            instant = noon.astimezone(UTC)
        report = check_calibration(videos, loaded, camera, instant, picture)
        if not as_json:
            _show(report)
        if picture is not None:
            progress("reading the video", 0.0)
            try:
                hidden = draw_calibration(videos, loaded, camera, instant, detector, model, picture)
            except VideoError:
                # what is known of the points stands without the picture
                if as_json:
                    print_json({**report.as_dict(), "picture": None})
                raise
            report = replace(report, hidden_people=hidden)
    if as_json:
        print_json({**report.as_dict(), "picture": None if picture is None else str(picture)})
    elif picture is not None:
        out.print(
            f"{picture} shows the floor grid, zones and lines on the empty floor. Whoever stood "
            "still for most of the video, and is no patch of grey, is still in it: look before you "
            "pass it on.",
            markup=False,
        )


def _show(report: CalibrationReport) -> None:
    table = Table("point", "pixel", "floor, m", "beside its place, cm")
    for number, point in enumerate(report.points, 1):
        table.add_row(
            str(number),
            f"{point['u']:g}, {point['v']:g}",
            f"{point['x_m']:g}, {point['y_m']:g}",
            f"{point['residual_cm']:.1f}",
        )
    out.print(table)
    for warning in report.warnings:
        err.print("[yellow]check[/yellow] ", end="")
        err.print(warning, markup=False)
