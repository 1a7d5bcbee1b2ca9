"""Turning named video files of one camera into tracklets, outside any data home."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.defs.steps.video_meter import VideoMeter
from ksi_pipeline.space.load import Space, camera_version
from ksi_pipeline.space.model import Line, Zone
from video_ingest.calibrate import fit_homography
from video_ingest.calibration_check import MAX_RESIDUAL_M, Row
from video_ingest.chunks import list_chunks, parse_start, require_files, same_start
from video_ingest.contract import CalibrationError, CameraSpec
from video_ingest.crop import Watched, crop_for
from video_ingest.detectors import make_detector
from video_ingest.ingest import ChunkResult, ingest_many, merge_results
from video_ingest.tables import check_out_dir, write_outputs


@dataclass(frozen=True, slots=True)
class VideoFiles:
    """What the files gave.

    Attributes:
        detector: method and weights, and the part of the picture where it was cropped.
        problems: one message for each file that could not be read.
        notices: one message for each file that was read in part, for a camera without homography,
            for one whose points do not agree, and for files that start at the same instant.
    """

    detector: str
    chunk_count: int
    frames_decoded: int
    frames_sampled: int
    tracklet_count: int
    point_count: int
    observed_s: float
    problems: list[str]
    notices: list[str]

    def summary(self) -> dict[str, Any]:
        """Give the figures by name."""
        told = ("problems", "notices")
        values = {name: getattr(self, name) for name in self.__slots__ if name not in told}
        return {**values, "observed_s": round(self.observed_s, 3), "unreadable": len(self.problems)}


def ingest_files(
    paths: Sequence[Path],
    space: Space,
    camera_id: str,
    start: str | None,
    detector: str,
    model: Path | None,
    sample_hz: float,
    out_dir: Path,
    progress: Callable[[str, float], None],
    *,
    tracker: str = "footpoint",
    with_boxes: bool = False,
    crop: bool = False,
) -> VideoFiles:
    """Ingest files in order and write tracklet_points, tracklets and coverage to `out_dir`.

    `tracker` is one of video_ingest.ingest.TRACKERS. `with_boxes` adds boxes.parquet, see
    video_ingest.contract.BOXES.

    Raises:
        VideoError: a file is not there, or one lies where the folder should be, a start time cannot
            be read, the detector or the tracker cannot start, or the homography allows no mapping.
        ConfigError: the camera is not in the space file at the time of the first file.
    """
    require_files(paths)
    check_out_dir(out_dir)
    first = parse_start(start) if start else None
    chunks = list_chunks(paths, space.site_id, camera_id, first)
    spec = camera_spec(space, camera_id, chunks[0].start_utc)
    watched = watched_by(space, camera_id, chunks[0].start_utc) if crop else ()
    looking = crop_for(make_detector(detector, model), chunks[0].path, spec, watched)
    meter = VideoMeter(chunks, progress)
    results: list[ChunkResult] = []

    def tell(done_s: float, expected_s: float, frames: int) -> None:
        meter.tell(chunks[len(results)], done_s, expected_s, frames)

    for result in ingest_many(
        chunks, spec, looking, sample_hz=sample_hz, tracker=tracker, progress=tell
    ):
        meter.done(result.chunk)
        results.append(result)
    tables = merge_results(results)
    write_outputs(out_dir, tables, with_boxes=with_boxes)
    return VideoFiles(
        detector=looking.name,
        chunk_count=len(results),
        frames_decoded=sum(result.decoded_frames for result in results),
        frames_sampled=sum(result.sampled_frames for result in results),
        tracklet_count=tables.tracklets.num_rows,
        point_count=tables.points.num_rows,
        observed_s=sum(tables.coverage["observed_s"].to_pylist()),
        problems=[f"{r.problem.code}: {r.problem}" for r in results if r.problem],
        notices=[
            *([] if spec.homography else [_without_metres(space, camera_id)]),
            *doubtful_calibration(camera_id, spec.homography),
            *same_start(chunks),
            *(notice for result in results for notice in _notices(result)),
        ],
    )


def _without_metres(space: Space, camera_id: str) -> str:
    return (
        f"E_NOT_CALIBRATED: camera {camera_id!r} has no homography in {space.name}, so its "
        "tracklets have no place in metres (x_m and y_m are null) and nothing can be counted. "
        "Measure four points on the floor or more; docs/how-to/add-a-camera.md says how."
    )


def doubtful_calibration(camera_id: str, rows: Sequence[Row]) -> Iterator[str]:
    """Say that the points of a homography do not agree, and how to find which.

    Raises:
        CalibrationError: the points allow no mapping.
    """
    if not rows:
        return
    residuals_m = fit_homography(rows).residuals_m
    worst = int(residuals_m.argmax())
    if residuals_m[worst] > MAX_RESIDUAL_M:
        yield (
            f"camera {camera_id!r}: point {worst + 1} of its homography lies "
            f"{100 * residuals_m[worst]:.0f} cm beside its place, more than "
            f"{100 * MAX_RESIDUAL_M:.0f} cm, so people can be counted in the wrong zone. Run "
            "`ksi video calibrate` on one of its videos; it says which point looks wrong."
        )


def _notices(result: ChunkResult) -> Iterator[str]:
    """Say which spans of a chunk gave no frame, though others did."""
    spans = [row for row in result.coverage.to_pylist() if row["status"] == "partial"]
    for reason in dict.fromkeys(span["reason"] for span in spans):
        missing = sum(s["expected_s"] - s["observed_s"] for s in spans if s["reason"] == reason)
        yield (
            f"{reason}: {result.chunk.path.name} gives no frame for {missing:.1f} s that it should "
            "hold; they are not covered, and the rest counts. Send the file again if the recorder "
            "still has it whole."
        )


def check_calibrations(space: Space) -> list[str]:
    """Try the homography of every camera that has one.

    Returns:
        A sentence for each camera whose points do not agree.

    Raises:
        ConfigError: E_CALIBRATION, naming each camera whose points allow no mapping.
    """
    wrong: list[str] = []
    doubts: list[str] = []
    for camera in space.file.cameras:
        try:
            doubts += doubtful_calibration(camera.id, camera.homography)
        except CalibrationError as error:
            wrong.append(f"{space.name}: camera {camera.id!r}: {error}")
    if wrong:
        raise ConfigError("\n".join(wrong), code="E_CALIBRATION")
    return doubts


def watched_by(space: Space, camera_id: str, instant: datetime) -> Watched:
    """Give the zones and lines that a camera counts for at an instant, floor metres."""
    zones, lines = seen_by(space, camera_id, instant)
    return (*(tuple(zone.polygon) for zone in zones), *((line.a, line.b) for line in lines))


def seen_by(space: Space, camera_id: str, instant: datetime) -> tuple[list[Zone], list[Line]]:
    """Give the entries that a camera counts for at an instant, in the order of the file."""
    camera = space.camera_at(camera_id, instant)
    sees = camera.sees if camera else []

    def holds(entry: Zone | Line) -> bool:
        start, end = space.instant(entry.valid_from), space.instant(entry.valid_to)
        begun = start is None or start <= instant
        return entry.id in sees and begun and (end is None or instant < end)

    return [z for z in space.file.zones if holds(z)], [li for li in space.file.lines if holds(li)]


def camera_spec(space: Space, camera_id: str, instant: datetime) -> CameraSpec:
    """Give a camera as plain values, as it holds at an instant.

    Raises:
        ConfigError: E_UNKNOWN_CAMERA, the space file has no such camera then.
    """
    camera = space.camera_at(camera_id, instant)
    if camera is None:
        raise ConfigError(
            f"{space.name} has no camera {camera_id!r} that holds at "
            f"{instant.astimezone(UTC).isoformat()}. Add it, or correct its 'from' and 'to'.",
            code="E_UNKNOWN_CAMERA",
        )
    return CameraSpec(
        site_id=space.site_id,
        camera_id=camera_id,
        homography=tuple(camera.homography),
        clock_offset_s=camera.clock_offset_s,
        version=camera_version(camera),
    )
