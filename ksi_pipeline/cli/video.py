"""`ksi video`: camera chunks to anonymous tracklets, without a lake."""

from pathlib import Path
from typing import Annotated

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
from ksi_pipeline.cli.score import score
from ksi_pipeline.cli.video_audit import audit
from ksi_pipeline.cli.video_calibrate import calibrate
from ksi_pipeline.cli.video_models import models
from ksi_pipeline.defs.steps.video_files import ingest_files
from ksi_pipeline.settings import load_settings
from ksi_pipeline.space.load import load_space
from video_ingest.detectors import require_use
from video_ingest.detectors.auto import choose
from video_ingest.ingest import require_rate, require_tracker

video = typer.Typer(no_args_is_help=True)
video.add_typer(models, name="models")


video.command()(audit)
video.command()(calibrate)
video.command()(score)


def _rate(value: float) -> float:
    try:
        return require_rate(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _tracker(name: str) -> str:
    try:
        return require_tracker(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@video.command()
def ingest(
    chunks: Annotated[list[Path], typer.Argument(help="Video files of one camera.")],
    camera: Annotated[str, typer.Option(help="Id of the camera in the space file.")],
    space: Annotated[Path, typer.Option(help="Space file of the site.")],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the three Parquet files.")],
    start: Annotated[
        str | None,
        typer.Option(
            help="Instant of the first frame of the first chunk, with its offset; the others "
            "follow on. Default: each file's name says its own."
        ),
    ] = None,
    detector: Annotated[
        str, typer.Option(help="motion, openvino, onnx, ultralytics or auto.")
    ] = "motion",
    model: Annotated[
        Path | None,
        typer.Option(help="Weights: an .xml, .onnx or .pt file, or the folder that has one."),
    ] = None,
    tracker: Annotated[
        str,
        typer.Option(
            callback=_tracker,
            help="footpoint; or bytetrack or botsort of ultralytics, to compare with.",
        ),
    ] = "footpoint",
    sample_hz: Annotated[
        float,
        typer.Option(callback=_rate, help="Frames looked at for each second of video, 1 to 60."),
    ] = 5.0,
    boxes: Annotated[
        bool,
        typer.Option("--boxes", help="Write boxes.parquet too: corners in pixels, for scoring."),
    ] = False,
    crop: Annotated[
        bool, typer.Option("--crop", help="Look only at what zones and lines need.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Turn video files into tracklet_points, tracklets and coverage."""
    with errors_as_messages(), progress_bar("video") as progress:
        require_use(detector, model)
        loaded = load_space(space)
        weights_dir = load_settings().weights if detector == "auto" else None
        choice = choose(detector, model, weights_dir)
        ingested = ingest_files(
            chunks,
            loaded,
            camera,
            start,
            choice.detector,
            choice.model,
            sample_hz,
            out_dir,
            progress,
            tracker=tracker,
            with_boxes=boxes,
            crop=crop,
        )
    if as_json:
        told = {"problems": ingested.problems, "notices": ingested.notices}
        figures = ingested.summary()
        used = {"name": choice.detector, "model": choice.model, "why": choice.why}
        used["recorded_as"] = figures.pop("detector")
        print_json({"detector": used, **figures, **told})
    else:
        for message in (*ingested.problems, *ingested.notices):
            err.print(message, markup=False)
        if detector == "auto":
            out.print(f"Detector {choice.detector}: {choice.why}.", markup=False)
        summary = ingested.summary()
        out.print(
            ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in summary.items()) + "."
        )
        files = (
            "tracklet_points, tracklets, coverage and boxes"
            if boxes
            else ("tracklet_points, tracklets and coverage")
        )
        out.print(f"{files} are in {out_dir}.", markup=False)
    if ingested.problems:
        raise typer.Exit(DATA_SAYS_NO)
