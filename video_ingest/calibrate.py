"""Pixel to floor metres: a homography from points whose place on the floor was measured.

It maps the floor plane only, so it is right for foot points and wrong for heads. It does not judge
whether the calibration is good enough; it gives the residual of every point for that.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from video_ingest.contract import CalibrationError, CameraSpec

FloatArray = NDArray[np.float64]
MIN_POINTS = 4

# Four points with three on one line give 1e-17; a real calibration gives 0.05 or more.
_FLAT = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Homography:
    """The mapping between the pixels of one camera and the floor.

    Attributes:
        matrix: shape (3, 3), pixel to floor, scaled so that the third homogeneous coordinate is
            positive on the camera's side of the horizon.
        residuals_m: shape (N,), metres between each given floor point and where its pixel maps to.
    """

    matrix: FloatArray
    residuals_m: FloatArray

    def to_floor(self, points_px: FloatArray) -> FloatArray:
        """Map pixels to floor metres.

        Args:
            points_px: shape (N, 2), pixel column and row.

        Returns:
            Shape (N, 2), floor metres; NaN for a pixel on or above the horizon, which is nowhere
            on the floor.
        """
        return _project(self.matrix, points_px)

    def to_pixel(self, points_m: FloatArray) -> FloatArray:
        """Map floor metres, shape (N, 2), to pixels, shape (N, 2); the inverse of `to_floor`."""
        return _project(np.asarray(np.linalg.inv(self.matrix), dtype=np.float64), points_m)


def make_camera(
    site_id: str,
    camera_id: str,
    homography: Sequence[Sequence[float]] = (),
    clock_offset_s: float = 0.0,
) -> CameraSpec:
    """A camera with its version, which is a hash of all that is given.

    Args:
        site_id: of the camera.
        camera_id: unique within the site.
        homography: rows (u, v, x, y) as in `fit_homography`; empty where not calibrated.
        clock_offset_s: by which the camera's clock is ahead of UTC.

    Raises:
        CalibrationError: E_CALIBRATION when a row does not hold four numbers.
    """
    rows = []
    for row in homography:
        if len(row) != 4 or not all(isinstance(value, int | float) for value in row):
            raise _error(f"{list(row)!r} is no row of four numbers")
        rows.append((float(row[0]), float(row[1]), float(row[2]), float(row[3])))
    text = json.dumps([site_id, camera_id, rows, float(clock_offset_s)])
    version = hashlib.sha256(text.encode()).hexdigest()[:12]
    return CameraSpec(site_id, camera_id, tuple(rows), float(clock_offset_s), version)


def fit_homography(rows: Sequence[tuple[float, float, float, float]]) -> Homography:
    """Fit a homography to point rows by least squares.

    Args:
        rows: (u, v, x, y): pixel column, pixel row, floor metres x and y.

    Raises:
        CalibrationError: E_CALIBRATION when there are fewer than four rows, a value is not finite,
            or too many points lie on one line for a single answer.
    """
    if len(rows) < MIN_POINTS:
        raise _error(f"{len(rows)} points were given and {MIN_POINTS} are needed")
    points = np.asarray(rows, dtype=np.float64).reshape(len(rows), 4)
    if not np.all(np.isfinite(points)):
        raise _error("a value is not a finite number")
    pixels, floor = points[:, :2], points[:, 2:]
    if _freedom(pixels, floor) < _FLAT:
        raise _error(f"the {len(rows)} points fit many mappings: too many lie on one line")
    found, _ = cv2.findHomography(pixels, floor, 0)
    if found is None or not np.all(np.isfinite(found)):
        raise _error(f"the {len(rows)} points fit no mapping")
    matrix = np.asarray(found, dtype=np.float64)
    depth = _homogeneous(pixels) @ matrix[2]
    if not (np.all(depth > 0) or np.all(depth < 0)):
        raise _error("the points lie on both sides of the horizon; two of them may be swapped")
    matrix = matrix * np.sign(depth[0])
    residuals = np.linalg.norm(_project(matrix, pixels) - floor, axis=1)
    return Homography(matrix, residuals)


def _project(matrix: FloatArray, points: FloatArray) -> FloatArray:
    mapped = _homogeneous(np.asarray(points, dtype=np.float64).reshape(-1, 2)) @ matrix.T
    depth = np.where(mapped[:, 2:] > 1e-12, mapped[:, 2:], np.nan)
    return np.asarray(mapped[:, :2] / depth, dtype=np.float64)


def _homogeneous(points: FloatArray) -> FloatArray:
    return np.hstack([points, np.ones((len(points), 1))])


def _freedom(pixels: FloatArray, floor: FloatArray) -> float:
    """How firmly the points pin the mapping down: 0 when several mappings fit them equally well.

    The eighth of the nine singular values of the direct linear transform, as a share of the first,
    after both point sets are centred and scaled (Hartley 1997).
    """
    u, v = _normalised(pixels).T
    x, y = _normalised(floor).T
    one, zero = np.ones_like(u), np.zeros_like(u)
    for_x = np.column_stack([u, v, one, zero, zero, zero, -x * u, -x * v, -x])
    for_y = np.column_stack([zero, zero, zero, u, v, one, -y * u, -y * v, -y])
    spread = np.linalg.svd(np.vstack([for_x, for_y]), compute_uv=False)
    return float(spread[7] / spread[0])


def _normalised(points: FloatArray) -> FloatArray:
    centred = points - points.mean(axis=0)
    size = float(np.sqrt(np.mean(centred**2)))
    return np.asarray(centred / (size or 1.0), dtype=np.float64)


def _error(why: str) -> CalibrationError:
    return CalibrationError(
        f"Finding the homography failed: {why}. No position in metres can be given. Give at least "
        "four rows (u, v, x, y) of points spread over the floor, no three of them on one line.",
        code="E_CALIBRATION",
    )
