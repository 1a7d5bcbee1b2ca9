"""`ksi video score`: how good ingested tracklets are beside the truth."""

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ksi_pipeline.cli.console import (
    AsJson,
    err,
    errors_as_messages,
    instant_option,
    out,
    print_json,
)
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.defs.steps.video_score import LineScore, VideoScore, ZoneScore, score_folder
from ksi_pipeline.space.load import load_space

# A truth may end a little before its video; one that tells nothing of so much is placed wrongly.
_MOST_LEFT_OUT = 0.2


def score(
    folders: Annotated[
        list[Path], typer.Argument(help="Folders that `ksi video ingest --boxes` wrote.")
    ],
    truth: Annotated[
        Path, typer.Option(help="Where each person was in each frame, as MOT Challenge has it.")
    ],
    fps: Annotated[float, typer.Option(help="Frames a second of the truth.")],
    start: Annotated[
        str | None,
        typer.Option(
            help="Instant of the truth's frame 1, with its offset. Default: begin of the coverage."
        ),
    ] = None,
    frames: Annotated[
        str | None, typer.Option(help="Judge these frames of the truth only, like 398-795.")
    ] = None,
    space: Annotated[
        Path | None, typer.Option(help="Space file of the site: scores lines and zones too.")
    ] = None,
    counts: Annotated[
        Path | None,
        typer.Option(help="JSON with true counts; default: those of the truth's own foot points."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score tracklets beside the truth: HOTA, MOTA, IDF1, errors of lines and zones."""
    with errors_as_messages():
        if counts and (space is None or frames):
            raise ConfigError(
                "--counts needs --space, whose lines and zones it counts, and no --frames, because "
                "it is of the whole truth. Nothing was scored. Correct the options.",
                code="E_TRUTH",
            )
        loaded = load_space(space) if space else None
        scores = [
            score_folder(
                folder,
                truth,
                fps=fps,
                start_utc=instant_option(start) if start else None,
                frames=_frames(frames) if frames else None,
                space=loaded,
                counts_file=counts,
            )
            for folder in folders
        ]
    for each in scores if not frames else ():
        judged, left_out = each.boxes.samples, each.boxes.samples_left_out
        if left_out > _MOST_LEFT_OUT * (judged + left_out):
            err.print("[yellow]check[/yellow] ", end="")
            err.print(
                f"{each.folder}: {left_out} of {judged + left_out} frames looked at were not "
                "judged, because the truth has no frame near them. Most likely --fps or --start "
                "is not that of the truth, and then the scores mean nothing.",
                markup=False,
            )
    if as_json:
        print_json({"scores": [each.as_dict() for each in scores]})
        return
    for table in (_boxes(scores), _lines(scores), _zones(scores)):
        if table.row_count:
            out.print(table)
    for each in scores:
        if each.boxes.samples_left_out and not frames:
            out.print(
                f"{each.folder}: {each.boxes.samples_left_out} frames looked at were not judged; "
                "the truth has no frame that is as near to them as to others.",
                markup=False,
            )


def _frames(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,9})-(\d{1,9})", text.strip())
    if match is None:
        raise ConfigError(
            f"{text!r} names no frames. Nothing was scored. Write the first and the last, like "
            "398-795.",
            code="E_TRUTH",
        )
    return int(match[1]), int(match[2])


def _boxes(scores: list[VideoScore]) -> Table:
    table = _table("Tracklets in the frames looked at", "folder")
    for title in ("per s", "frames", "HOTA", "MOTA", "IDF1", "recall", "precision", "switches"):
        table.add_column(title, justify="right")
    for each in scores:
        found = each.boxes
        shares = (found.hota, found.mota, found.idf1, found.recall, found.precision)
        table.add_row(
            _label(each.folder),
            "-" if found.sample_hz is None else f"{found.sample_hz:g}",
            str(found.samples),
            *[_figure(share) for share in shares],
            str(found.id_switches),
        )
    return table


def _lines(scores: list[VideoScore]) -> Table:
    table = _table("Lines, counted and true", "folder", "line")
    for title in ("in", "true", "out", "true"):
        table.add_column(title, justify="right")
    rows: list[tuple[str, LineScore]] = [(s.folder, line) for s in scores for line in s.lines]
    for folder, line in rows:
        counts = (line.in_counted, line.in_true, line.out_counted, line.out_true)
        table.add_row(_label(folder), line.line_id, *[str(count) for count in counts])
    return table


def _zones(scores: list[VideoScore]) -> Table:
    table = _table("Zones, counted and true", "folder", "zone")
    for title in ("seconds", "true", "error", "visits", "true", "dwell s", "true"):
        table.add_column(title, justify="right")
    rows: list[tuple[str, ZoneScore]] = [(s.folder, zone) for s in scores for zone in s.zones]
    for folder, zone in rows:
        table.add_row(
            _label(folder),
            zone.zone_id,
            _figure(zone.person_s),
            _figure(zone.person_s_true),
            "-" if zone.error_pct is None else f"{zone.error_pct:+.1f} %",
            str(zone.visits),
            "-" if zone.visits_true is None else str(zone.visits_true),
            _figure(zone.mean_dwell_s),
            _figure(zone.mean_dwell_s_true),
        )
    return table


def _label(folder: str) -> str:
    """The last part of a path; tables must fit a terminal."""
    return Path(folder).name or folder


def _table(title: str, *names: str) -> Table:
    return Table(*names, title=title, title_justify="left", padding=(0, 0, 0, 1))


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
