"""The picture for checking a calibration by eye: floor grid, zones and lines on the empty floor.

Drawn on what `background` gives, so it shows nobody. A grid line that follows the joints of the
floor, and zones that lie where they should, mean that the calibration holds.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from video_ingest.background import Background
from video_ingest.calibrate import FloatArray, Homography
from video_ingest.calibration_check import MAX_RESIDUAL_M, Row, Shape
from video_ingest.contract import VideoError
from video_ingest.detectors.base import Image

Colour = tuple[int, int, int]

# Okabe and Ito's colours, which people with any colour vision tell apart; blue, green, red.
_ROLES: dict[str, Colour] = {
    "outside": (153, 153, 153),
    "passage": (66, 228, 240),
    "selling": (233, 180, 86),
    "display": (0, 159, 230),
    "fitting": (167, 121, 204),
    "queue": (0, 94, 213),
    "service": (115, 158, 0),
    "staff": (178, 114, 0),
}
_INK: Colour = (26, 26, 26)
_PAPER: Colour = (255, 255, 255)
_LINE: Colour = (0, 0, 214)
_GRID: Colour = (255, 255, 255)
_FADE = 0.35
_FILL = 0.28
# Beyond so many lines the grid takes steps of five metres.
_MOST_LINES = 60
_FAR_M = 20.0
_HEAD_PX = 66


class Overlay:
    """A canvas with the background on it; everything is drawn in floor metres."""

    def __init__(self, background: Background, fitted: Homography) -> None:
        """Begin with the background, faded so that what is drawn on it stands out."""
        picture = background.image.astype(np.float32)
        grey = picture.mean(axis=2, keepdims=True)
        calm = (0.45 * picture + 0.55 * grey) * (1 - _FADE) + 255 * _FADE * 0.75
        self.image: Image = np.clip(calm, 0, 255).astype(np.uint8)
        # small videos are enlarged, or the labels would cover them
        self._scale = background.scale
        if self.image.shape[1] < 1000:
            factor = 1280 / self.image.shape[1]
            self.image = np.asarray(
                cv2.resize(self.image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
            )
            self._scale *= factor
        self._fitted = fitted
        self._towards = np.linalg.inv(fitted.matrix)[2]
        self._taken: list[tuple[int, int, int, int]] = []

    def pixels(self, points_m: FloatArray) -> FloatArray:
        """Floor metres, shape (n, 2), as pixels of the canvas; NaN behind the camera."""
        return self._fitted.to_pixel(points_m) * self._scale

    def grid(self, measured: FloatArray, shapes: FloatArray) -> float:
        """Draw lines of whole metres over the floor; gives their distance.

        They reach as far as the shapes, but not far from where the floor was measured.
        """
        around = np.vstack([measured, shapes])
        low = np.maximum(around.min(axis=0) - 4, measured.min(axis=0) - _FAR_M)
        high = np.minimum(around.max(axis=0) + 4, measured.max(axis=0) + _FAR_M)
        low, high = np.floor(low), np.ceil(high)
        step = 1.0 if max(high - low) <= _MOST_LINES / 2 else 5.0
        low = np.floor(low / step) * step
        layer = self.image.copy()
        for axis in (0, 1):
            for at in np.arange(low[axis], high[axis] + step / 2, step):
                along = np.linspace(low[1 - axis], high[1 - axis], 121)
                points = np.empty((121, 2))
                points[:, axis], points[:, 1 - axis] = at, along
                is_strong = round(at) % 5 == 0
                self._polyline(layer, points, _GRID, 2 if is_strong else 1)
        self.image = np.asarray(cv2.addWeighted(layer, 0.7, self.image, 0.3, 0))
        for axis, name in ((0, "x"), (1, "y")):
            self._numbers(axis, name, low, high)
        return step

    def zone(self, shape: Shape) -> None:
        """Fill a zone; its label is drawn by `label`, above everything."""
        colour = _ROLES.get(shape.role, _ROLES["outside"])
        ring = self._ring(shape)
        if len(ring) < 3:
            return
        layer = self.image.copy()
        cv2.fillPoly(layer, [ring], colour, cv2.LINE_AA)
        self.image = np.asarray(cv2.addWeighted(layer, _FILL, self.image, 1 - _FILL, 0))
        cv2.polylines(self.image, [ring], True, _INK, 5, cv2.LINE_AA)
        cv2.polylines(self.image, [ring], True, colour, 3, cv2.LINE_AA)

    def line(self, shape: Shape) -> None:
        """Draw a counting line from a to b, with arrows onto its inside."""
        a, b = (np.asarray(end, dtype=np.float64) for end in shape.corners)
        share = np.linspace(0, 1, 61)[:, None]
        along = a + share * (b - a)
        self._polyline(self.image, along, _PAPER, 8)
        self._polyline(self.image, along, _LINE, 4)
        left = np.array([-(b - a)[1], (b - a)[0]]) / np.linalg.norm(b - a)
        inward = left if shape.inside == "left" else -left
        reach = min(1.5, max(0.6, 0.2 * float(np.linalg.norm(b - a))))
        for part in (0.25, 0.5, 0.75):
            foot = a + part * (b - a)
            ends = self.pixels(np.array([foot, foot + reach * inward]))
            if np.all(np.isfinite(ends)) and self._is_in(ends[0]):
                tail, head = (tuple(int(v) for v in end) for end in ends)
                for colour, width in ((_PAPER, 8), (_LINE, 4)):
                    cv2.arrowedLine(self.image, tail, head, colour, width, cv2.LINE_AA, 0, 0.3)
                beyond = (ends[1] - ends[0]) / max(1.0, float(np.linalg.norm(ends[1] - ends[0])))
                self.label("in", ends[1] + 20 * beyond, _LINE, 17)
        for name, end in (("a", a), ("b", b)):
            self._mark_end(name, end)

    def name(self, shape: Shape) -> None:
        """Label a zone in its middle, or a line beside its middle, where it can be seen."""
        if shape.inside is None:
            ring = self._ring(shape)
            seen = np.clip(ring, 0, [self.image.shape[1], self.image.shape[0]])
            if len(ring) >= 3 and cv2.contourArea(seen.astype(np.int32)) > 0:
                self.label(f"{shape.name} ({shape.role})", seen.mean(axis=0), _INK, 20)
            return
        share = np.linspace(0.1, 0.9, 17)[:, None]
        a, b = np.asarray(shape.corners, dtype=np.float64)
        places = [at for at in self.pixels(a + share * (b - a)) if self._is_in(at)]
        if places:
            place = places[len(places) // 3]
            self.label(f"line {shape.name} ({shape.role})", place, _LINE, 20)

    def points(self, rows: Sequence[Row], residuals_m: FloatArray) -> None:
        """Draw each measured point where it was clicked, and a circle where its metres fit."""
        for number, (row, residual) in enumerate(zip(rows, residuals_m, strict=True), 1):
            clicked = np.array(row[:2]) * self._scale
            (fits,) = self.pixels(np.array([row[2:]]))
            is_bad = residual > MAX_RESIDUAL_M
            colour = _LINE if is_bad else (0, 140, 0)
            centre = tuple(int(v) for v in clicked)
            if np.all(np.isfinite(fits)):
                place = tuple(int(v) for v in fits)
                cv2.line(self.image, centre, place, colour, 2, cv2.LINE_AA)
                cv2.circle(self.image, place, 10, colour, 2, cv2.LINE_AA)
            cv2.drawMarker(self.image, centre, _PAPER, cv2.MARKER_CROSS, 22, 6, cv2.LINE_AA)
            cv2.drawMarker(self.image, centre, colour, cv2.MARKER_CROSS, 20, 2, cv2.LINE_AA)
            text = f"{number}" if not is_bad else f"{number}: {100 * residual:.0f} cm"
            self.label(text, clicked + np.array([18, -16]), colour, 16)

    def headed(self, title: str, legend: str) -> Image:
        """The picture below two lines of text."""
        head = np.full((_HEAD_PX, self.image.shape[1], 3), 255, dtype=np.uint8)
        cv2.putText(head, title, (12, 27), _INK, cv2.FontFace("sans"), 21, 600)
        cv2.putText(head, legend, (12, 54), _INK, cv2.FontFace("sans"), 16, 400)
        return np.vstack([head, self.image])

    def label(self, text: str, at: FloatArray, colour: Colour, size: int) -> None:
        """Write on a white box as near to a place as nothing else is written."""
        font = cv2.FontFace("sans")
        height, width = self.image.shape[:2]
        _, up, wide, high = cv2.getTextSize((width, height), text, (0, 0), font, size, 600)
        for dx, dy in ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (0, 2), (0, -2), (1, 1), (-1, -1)):
            left = int(np.clip(at[0] - wide / 2 + dx * (wide + 14), 6, max(6, width - wide - 6)))
            top = int(np.clip(at[1] - high / 2 + dy * (high + 14), 6, max(6, height - high - 6)))
            box = (left - 4, top - 4, left + wide + 4, top + high + 4)
            if not any(_overlap(box, other) for other in self._taken):
                break
        self._taken.append(box)
        cv2.rectangle(self.image, box[:2], box[2:], _PAPER, -1)
        cv2.putText(self.image, text, (left, top - up), colour, font, size, 600)

    def _mark_end(self, name: str, end: FloatArray) -> None:
        (at,) = self.pixels(end[None])
        if self._is_in(at):
            centre = tuple(int(v) for v in at)
            cv2.circle(self.image, centre, 7, _LINE, -1, cv2.LINE_AA)
            self.label(name, at + np.array([0, 18]), _LINE, 17)

    def _numbers(self, axis: int, name: str, low: FloatArray, high: FloatArray) -> None:
        """Write every fifth metre of an axis on the grid line that is seen best."""
        for at in np.arange(np.ceil(low[axis] / 5) * 5, high[axis] + 0.1, 5.0):
            points = np.empty((61, 2))
            points[:, axis], points[:, 1 - axis] = (
                at,
                np.linspace(low[1 - axis], high[1 - axis], 61),
            )
            seen = [place for place in self.pixels(points) if self._is_in(place, 24)]
            if seen:
                lowest = max(seen, key=lambda place: float(place[1]))
                self.label(f"{name} {at:.0f} m", lowest, (90, 90, 90), 14)

    def _is_in(self, place: FloatArray, margin: float = 0.0) -> bool:
        height, width = self.image.shape[:2]
        return bool(
            np.all(np.isfinite(place))
            and margin <= place[0] <= width - margin
            and margin <= place[1] <= height - margin
        )

    def _polyline(self, layer: Image, points_m: FloatArray, colour: Colour, width: int) -> None:
        """Draw what of a path lies before the camera; far outside, pixels overflow."""
        pixels = self.pixels(points_m)
        limit = 20 * max(layer.shape)
        with np.errstate(invalid="ignore"):
            usable = np.all(np.abs(pixels) < limit, axis=1)
        for first, second, ok in zip(pixels, pixels[1:], usable[:-1] & usable[1:], strict=False):
            if ok:
                begin, end = (tuple(int(v) for v in place) for place in (first, second))
                cv2.line(layer, begin, end, colour, width, cv2.LINE_AA)

    def _ring(self, shape: Shape) -> NDArray[np.int32]:
        """A zone's corners in pixels, cut off where the floor goes behind the camera."""
        corners = _before_camera(np.asarray(shape.corners, dtype=np.float64), self._towards)
        if len(corners) < 3:
            return np.empty((0, 2), dtype=np.int32)
        limit = 20 * max(self.image.shape)
        return np.clip(self.pixels(corners), -limit, limit).astype(np.int32)


def draw_overlay(
    background: Background,
    camera_id: str,
    rows: Sequence[Row],
    fitted: Homography,
    shapes: Sequence[Shape],
) -> Image:
    """The whole picture, shape (height, width, 3), BGR.

    Args:
        background: the empty floor.
        camera_id: for the title.
        rows: the measured points.
        fitted: what they gave.
        shapes: zones and lines that the camera counts for.
    """
    overlay = Overlay(background, fitted)
    measured = np.array([row[2:] for row in rows])
    step = overlay.grid(measured, np.vstack([measured, *(shape.corners for shape in shapes)]))
    zones = [shape for shape in shapes if shape.inside is None]
    lines = [shape for shape in shapes if shape.inside is not None]
    for shape in zones:
        overlay.zone(shape)
    for shape in lines:
        overlay.line(shape)
    for shape in (*zones, *lines):
        overlay.name(shape)
    overlay.points(rows, fitted.residuals_m)
    worst = 100 * float(fitted.residuals_m.max())
    return overlay.headed(
        f"Camera {camera_id}: {len(rows)} points, worst {worst:.1f} cm beside its place",
        f"White grid: {step:.0f} m on the floor. Red: counting lines, arrows point in. Crosses: "
        "measured points, circles: where they fit. Grey patches: hidden.",
    )


def check_png(path: Path) -> None:
    """Refuse a place for the picture before anything is decoded.

    Raises:
        VideoError: E_OVERLAY, the name does not end in .png, or its folder is not there.
    """
    if path.suffix.lower() != ".png":
        raise _error(path, "its name does not end in .png")
    if not path.absolute().parent.is_dir():
        raise _error(path, "its folder is not there")


def write_png(path: Path, image: Image) -> None:
    """Write a picture, whole or not at all.

    Raises:
        VideoError: E_OVERLAY, nothing can be written there.
    """
    _, content = cv2.imencode(".png", image)
    unfinished = path.with_name(f".{path.name}.tmp")
    try:
        unfinished.write_bytes(content.tobytes())
        unfinished.replace(path)
    except OSError as error:
        raise _error(path, str(error.strerror or error)) from error
    finally:
        unfinished.unlink(missing_ok=True)


def _error(path: Path, why: str) -> VideoError:
    return VideoError(
        f"Writing the picture {path} failed: {why}. No picture was written. Name a .png in a "
        "folder that can be written.",
        code="E_OVERLAY",
    )


def _before_camera(corners: FloatArray, towards: FloatArray) -> FloatArray:
    """Cut a polygon off at the line on the floor behind which the camera sees nothing."""
    depth = corners @ towards[:2] + towards[2] - 1e-3 * float(np.abs(towards).max())
    kept = []
    for i in range(len(corners)):
        j = (i + 1) % len(corners)
        if depth[i] > 0:
            kept.append(corners[i])
        if (depth[i] > 0) != (depth[j] > 0):
            share = depth[i] / (depth[i] - depth[j])
            kept.append(corners[i] + share * (corners[j] - corners[i]))
    return np.array(kept, dtype=np.float64).reshape(-1, 2)


def _overlap(one: tuple[int, int, int, int], two: tuple[int, int, int, int]) -> bool:
    return one[0] < two[2] and two[0] < one[2] and one[1] < two[3] and two[1] < one[3]
