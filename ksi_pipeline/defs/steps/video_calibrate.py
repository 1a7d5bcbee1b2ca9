"""How well a camera's homography fits, and the picture to check it by."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.defs.steps.video_files import camera_spec, seen_by
from ksi_pipeline.space.load import Space
from video_ingest.background import median_background
from video_ingest.calibrate import fit_homography
from video_ingest.calibration_check import Shape, point_findings, shape_findings, swapped
from video_ingest.chunks import require_files
from video_ingest.contract import CalibrationError, ChunkUnreadable, VideoError
from video_ingest.decode import picture_size
from video_ingest.detectors import make_detector
from video_ingest.overlay import check_png, draw_overlay, write_png


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """What a calibration is worth.

    Attributes:
        points: one row for each point: pixel, metres, residual_cm.
        warnings: sentences on what is doubtful.
        hidden_people: people the detector found standing in the empty floor, painted grey; null
            without a picture.
    """

    camera_id: str
    points: list[dict[str, float]]
    warnings: list[str]
    hidden_people: int | None

    @property
    def worst_cm(self) -> float:
        """The largest residual, centimetres."""
        return max(point["residual_cm"] for point in self.points)

    def as_dict(self) -> dict[str, Any]:
        """Give everything by name."""
        return {
            "camera": self.camera_id,
            "points": self.points,
            "worst_cm": self.worst_cm,
            "warnings": self.warnings,
            "hidden_people": self.hidden_people,
        }


def check_calibration(
    paths: Sequence[Path],
    space: Space,
    camera_id: str,
    instant: datetime,
    picture: Path | None,
) -> CalibrationReport:
    """Fit the homography of a camera.

    Args:
        paths: videos of the camera; the first tells the size of its picture.
        space: the site.
        camera_id: which camera.
        instant: at which the camera's entry, zones and lines hold.
        picture: PNG that will be wanted, only its name is looked at; None for none.

    Raises:
        ConfigError: E_UNKNOWN_CAMERA; E_NOT_CALIBRATED, the camera has no points; E_CALIBRATION,
            its points allow no mapping.
        VideoError: a video is not there or cannot be read, or the picture cannot lie there.
    """
    require_files(paths)
    if picture is not None:
        check_png(picture)
    rows = camera_spec(space, camera_id, instant).homography
    if not rows:
        raise ConfigError(
            f"{space.name}: camera {camera_id!r} has no homography, so there is nothing to check "
            "and its people have no place in metres. Measure four points or more on the floor and "
            "give them as rows [pixel column, pixel row, metres x, metres y].",
            code="E_NOT_CALIBRATED",
        )
    try:
        fitted = fit_homography(rows)
    except CalibrationError as error:
        raise ConfigError(f"{space.name}: {error}{_advice(rows)}", code=error.code) from error
    with _of_no_coverage():
        size = picture_size(paths[0])
    shapes = _shapes(space, camera_id, instant)
    return CalibrationReport(
        camera_id,
        [
            {"u": u, "v": v, "x_m": x, "y_m": y, "residual_cm": round(100 * float(residual), 1)}
            for (u, v, x, y), residual in zip(rows, fitted.residuals_m, strict=True)
        ],
        [*point_findings(rows, fitted, size), *shape_findings(shapes, fitted, size)],
        hidden_people=None,
    )


def draw_calibration(
    paths: Sequence[Path],
    space: Space,
    camera_id: str,
    instant: datetime,
    detector: str,
    model: Path | None,
    picture: Path,
) -> int:
    """Draw grid, zones and lines of a camera that `check_calibration` has passed.

    Args:
        paths: videos of the camera.
        space: the site.
        camera_id: which camera.
        instant: at which the camera's entry, zones and lines hold.
        detector: hides people who stand in the empty floor; `motion` finds none there.
        model: weights of the detector.
        picture: PNG to write.

    Returns:
        How many people were found standing in the empty floor and painted grey.

    Raises:
        VideoError: a video cannot be read or is too short, the detector cannot start, or nothing
            can be written.
    """
    rows = camera_spec(space, camera_id, instant).homography
    with _of_no_coverage():
        background = median_background(paths, make_detector(detector, model))
    shapes = _shapes(space, camera_id, instant)
    write_png(picture, draw_overlay(background, camera_id, rows, fit_homography(rows), shapes))
    return background.hidden_people


@contextmanager
def _of_no_coverage() -> Iterator[None]:
    """Say of a video that cannot be read what it means here, where nothing is covered by it."""
    try:
        yield
    except ChunkUnreadable as error:
        raise VideoError(
            f"Reading a video of the camera failed: {error.why}. No picture was written. Name "
            "another video of this camera.",
            code=error.code,
        ) from error


def _advice(rows: Sequence[tuple[float, float, float, float]]) -> str:
    """Say which two points to exchange, where that mends it."""
    pairs = [f"{one + 1} and {two + 1}" for one, two in swapped(rows)]
    if not pairs:
        return ""
    return f" With the metres of points {', or '.join(pairs[:3])} exchanged they fit."


def _shapes(space: Space, camera_id: str, instant: datetime) -> list[Shape]:
    """Give what the camera counts for at an instant, as plain values."""
    zones, lines = seen_by(space, camera_id, instant)
    return [
        *(Shape(zone.id, zone.role, np.array(zone.polygon)) for zone in zones),
        *(Shape(line.id, line.role, np.array([line.a, line.b]), line.inside) for line in lines),
    ]
