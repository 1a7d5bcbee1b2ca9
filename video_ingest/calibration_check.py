"""What a calibration looks like it got wrong, in sentences for whoever measured the points.

It judges; it does not stop anything. What allows no mapping at all is `fit_homography`'s to refuse.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np

from video_ingest.calibrate import MIN_POINTS, FloatArray, Homography, fit_homography
from video_ingest.contract import CalibrationError

# A foot on the wrong side of a shelf; beyond it visits land in the neighbouring zone.
MAX_RESIDUAL_M = 0.25

Row = tuple[float, float, float, float]
# A better mapping must be that much better before a point is accused.
_BETTER = 0.25
# Of a shape, this share may lie outside of the picture: corners on its very edge.
_EDGE_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Shape:
    """A zone or a counting line as plain values.

    Attributes:
        role: as in the space file.
        corners: shape (n, 2), floor metres; a line has two, a and b.
        inside: of a line, the side that is in when looking from a to b: left or right; None marks
            a zone.
    """

    name: str
    role: str
    corners: FloatArray
    inside: str | None = None


def swapped(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """Pairs of points that fit when their places on the floor are exchanged, and not as they are.

    Args:
        rows: as in `fit_homography`, whether or not they allow a mapping.

    Returns:
        Positions in `rows`, the best pair first; more than one where several exchanges fit.
    """
    worst_now = _worst(rows)
    if worst_now <= MAX_RESIDUAL_M:
        return []
    found = []
    for one, two in combinations(range(len(rows)), 2):
        changed = list(rows)
        changed[one] = (*rows[one][:2], *rows[two][2:])
        changed[two] = (*rows[two][:2], *rows[one][2:])
        worst = _worst(changed)
        if worst <= min(MAX_RESIDUAL_M, _BETTER * worst_now):
            found.append((worst, one, two))
    return [(one, two) for _, one, two in sorted(found)]


def point_findings(
    rows: Sequence[Row], fitted: Homography, picture: tuple[int, int]
) -> Iterator[str]:
    """Yield what is doubtful about the points.

    Args:
        rows: that were fitted.
        fitted: what they gave.
        picture: width and height of the video, pixels.
    """
    width, height = picture
    for number, (u, v, _, _) in enumerate(rows, 1):
        if not (0 <= u <= width and 0 <= v <= height):
            yield (
                f"point {number} at pixel ({u:g}, {v:g}) lies outside the picture, which is "
                f"{width} x {height}. Read the pixels from a still of this size."
            )
    if len(rows) == MIN_POINTS:
        yield (
            "four points always fit exactly, so the residuals say nothing. Measure two more, to "
            "see whether they agree."
        )
    if _is_mirrored(fitted, rows):
        yield (
            "the floor is mirrored: looked at from above, its axes turn the other way round than "
            "x to the right and y upwards. Left and right of every counting line are exchanged; "
            "correct the sign of one axis, or exchange x and y."
        )
    if fitted.residuals_m.max() <= MAX_RESIDUAL_M:
        return
    pairs = swapped(rows)
    for one, two in pairs[:1]:
        yield (
            f"points {one + 1} and {two + 1} look swapped: with their metres exchanged all points "
            f"fit within {100 * MAX_RESIDUAL_M:.0f} cm."
        )
    wrong = None if pairs else _odd_one_out(rows, float(fitted.residuals_m.max()))
    if wrong is not None:
        yield (
            f"point {wrong[0] + 1} does not agree with the others, which fit within "
            f"{100 * wrong[1]:.0f} cm without it. Measure it again, its pixel and its metres."
        )
    for number, residual in enumerate(fitted.residuals_m, 1):
        if residual > MAX_RESIDUAL_M:
            yield (
                f"point {number} lies {100 * residual:.0f} cm beside its place, more than "
                f"{100 * MAX_RESIDUAL_M:.0f} cm: people there can be counted in the wrong zone."
            )


def shape_findings(
    shapes: Sequence[Shape], fitted: Homography, picture: tuple[int, int]
) -> Iterator[str]:
    """Yield which zones and lines lie outside of the picture, whole or in part."""
    for shape in shapes:
        kind = "zone" if shape.inside is None else "line"
        outside = 1.0 - visible_share(shape, fitted, picture)
        if outside > 1.0 - _EDGE_SHARE:
            yield (
                f"{kind} {shape.name!r} lies outside the picture: this camera counts nothing in "
                "it. Correct its metres or the homography, or take it out of 'sees'."
            )
        elif outside > _EDGE_SHARE:
            yield (
                f"{kind} {shape.name!r}: {100 * outside:.0f} % of it lies outside the picture, "
                "where nobody is counted."
            )


def visible_share(shape: Shape, fitted: Homography, picture: tuple[int, int]) -> float:
    """The share of a zone's area, or of a line's length, that the picture shows; 0 to 1."""
    pixels = fitted.to_pixel(_spread_over(shape))
    width, height = picture
    # a place behind the camera is NaN, which is inside of nothing
    with np.errstate(invalid="ignore"):
        is_seen = np.all((pixels >= 0) & (pixels <= [width, height]), axis=1)
    return float(is_seen.mean())


def _spread_over(shape: Shape) -> FloatArray:
    """Points spread evenly over a zone or a line, shape (n, 2), floor metres."""
    corners = np.asarray(shape.corners, dtype=np.float64)
    if shape.inside is not None:
        share = np.linspace(0.0, 1.0, 201)[:, None]
        return np.asarray(corners[0] + share * (corners[1] - corners[0]), dtype=np.float64)
    low, high = corners.min(axis=0), corners.max(axis=0)
    x, y = (np.linspace(low[i], high[i], 62)[1:-1] for i in (0, 1))
    grid = np.array([(a, b) for a in x for b in y])
    ring = corners.astype(np.float32)
    inside = [cv2.pointPolygonTest(ring, (float(a), float(b)), False) >= 0 for a, b in grid]
    found = grid[np.array(inside)]
    return found if len(found) else corners


def _worst(rows: Sequence[Row]) -> float:
    """The largest residual, metres; infinite where the points allow no mapping."""
    try:
        return float(fit_homography(rows).residuals_m.max())
    except CalibrationError:
        return float("inf")


def _odd_one_out(rows: Sequence[Row], worst_now: float) -> tuple[int, float] | None:
    """The point without which the others fit, and how well; needs five others to tell."""
    if len(rows) < MIN_POINTS + 2:
        return None
    without = [(_worst([*rows[:i], *rows[i + 1 :]]), i) for i in range(len(rows))]
    worst, index = min(without)
    return (index, worst) if worst <= min(MAX_RESIDUAL_M, _BETTER * worst_now) else None


def _is_mirrored(fitted: Homography, rows: Sequence[Row]) -> bool:
    """Whether going round the points clockwise in the picture goes round them clockwise above.

    Pixel rows grow downwards, so for a camera above the floor the signed areas differ in sign.
    """
    middle = np.mean([row[:2] for row in rows], axis=0)
    corners = fitted.to_floor(middle + np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    along, down = corners[1] - corners[0], corners[2] - corners[0]
    return bool(along[0] * down[1] - along[1] * down[0] > 0)
