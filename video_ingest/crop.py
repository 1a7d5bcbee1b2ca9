"""The part of the picture in which people must be seen so that zones and lines can be counted.

A detector that is given only this part has less to look at; boxes come back in pixels of the whole
picture. Nobody outside is tracked, so what is not counted today cannot be counted later, when a
zone is moved: that is why nothing is cropped unless it is asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from video_ingest.calibrate import FloatArray, Homography, fit_homography
from video_ingest.contract import CameraSpec, ChunkUnreadable
from video_ingest.decode import picture_size
from video_ingest.detectors.base import Boxes, Detector, Frame, Image

# Floor around zones and lines: people are followed before they come in, or a visit would begin
# inside, and nobody walks further than that in a second.
MARGIN_M = 1.5
# Tall people with a hat; a foot point is only found with the whole body above it.
BODY_M = 2.1
# Where more than that is needed, looking at all of it costs little more.
_WORTHWHILE_SHARE = 0.7
_EDGE_PX = 2

# Corners of zones and ends of lines, floor metres.
Watched = tuple[tuple[tuple[float, float], ...], ...]


@dataclass(frozen=True, slots=True)
class Region:
    """Pixels x1 <= x < x2, y1 <= y < y2 of the whole picture."""

    x1: int
    y1: int
    x2: int
    y2: int

    def of(self, image: Image) -> Image:
        """This part of a picture, without a copy."""
        return image[self.y1 : self.y2, self.x1 : self.x2]


def needed_region(fitted: Homography, watched: Watched, size: tuple[int, int]) -> Region | None:
    """The region that zones and lines need, with a margin around and a body's height above.

    Args:
        fitted: of the camera.
        watched: zones and lines of the camera; none need the whole picture.
        size: width and height of the picture, pixels; 0 where the file does not tell.

    Returns:
        None where the whole picture is needed: most of it is, something lies behind the camera, or
        nothing lies in the picture.
    """
    width, height = size
    if not watched or not width * height:
        return None
    floor = np.vstack([_around(np.array(corners, dtype=np.float64)) for corners in watched])
    feet = fitted.to_pixel(floor)
    if not np.all(np.isfinite(feet)):
        return None
    # A body is at most as high in the picture as the same length lying across it is wide.
    heads = feet - np.column_stack([np.zeros(len(feet)), BODY_M * _px_per_m(fitted, floor)])
    low = np.floor(np.vstack([feet, heads]).min(axis=0))
    high = np.ceil(np.vstack([feet, heads]).max(axis=0))
    x1, y1 = (int(v) for v in np.clip(low, 0, [width, height]))
    x2, y2 = (int(v) for v in np.clip(high, 0, [width, height]))
    share = (x2 - x1) * (y2 - y1) / (width * height)
    return Region(x1, y1, x2, y2) if 0.0 < share <= _WORTHWHILE_SHARE else None


class CroppedDetector:
    """A detector that is shown one region only.

    Attributes:
        region: what it is shown.
    """

    def __init__(self, inner: Detector, region: Region) -> None:
        """Show `inner` the region; the name of the detector says which."""
        self._inner, self.region = inner, region
        self.prime_frames = inner.prime_frames
        self.name = f"{inner.name} in {region.x1},{region.y1}-{region.x2},{region.y2}"

    def prime(self, frames: Sequence[Image]) -> None:
        """Prime with the region of each frame."""
        self._inner.prime([self.region.of(image) for image in frames])

    def detect(self, frames: Sequence[Frame]) -> list[Boxes]:
        """Find the people of each frame; boxes are in pixels of the whole picture.

        Whoever is cut off by the region's lower edge stands below it, and is left out: the end of
        the box is not their foot point.
        """
        parts = [
            Frame(frame.at_us, np.ascontiguousarray(self.region.of(frame.image)))
            for frame in frames
        ]
        shift = np.array([self.region.x1, self.region.y1] * 2 + [0], dtype=np.float32)
        found = []
        for frame, boxes in zip(frames, self._inner.detect(parts), strict=True):
            is_cut = boxes[:, 3] >= self.region.y2 - self.region.y1 - _EDGE_PX
            if self.region.y2 >= frame.image.shape[0]:
                is_cut[:] = False
            found.append(np.asarray(boxes[~is_cut] + shift, dtype=np.float32))
        return found


def crop_for(detector: Detector, path: Path, camera: CameraSpec, watched: Watched) -> Detector:
    """The detector on the region that a camera needs; the detector itself where that is all.

    Args:
        detector: that looks at whole pictures.
        path: video of the camera; one that cannot be read is not cropped.
        camera: without a homography nothing is cropped.
        watched: zones and lines of the camera.

    Raises:
        CalibrationError: the homography rows allow no mapping.
    """
    if not camera.homography or not watched:
        return detector
    try:
        size = picture_size(path)
    except ChunkUnreadable:
        return detector
    region = needed_region(fit_homography(camera.homography), watched, size)
    return detector if region is None else CroppedDetector(detector, region)


def _around(corners: FloatArray) -> FloatArray:
    """The corners of a shape, and points all around them at the margin."""
    angles = np.linspace(0.0, 2 * np.pi, 16, endpoint=False)
    ring = MARGIN_M * np.column_stack([np.cos(angles), np.sin(angles)])
    hull = cv2.convexHull(corners.astype(np.float32)).reshape(-1, 2).astype(np.float64)
    return np.asarray((hull[:, None] + ring[None]).reshape(-1, 2), dtype=np.float64)


def _px_per_m(fitted: Homography, floor: FloatArray) -> FloatArray:
    """Pixels that a metre on the floor takes at most at each place, shape (n,)."""
    right, up = np.array([0.05, 0.0]), np.array([0.0, 0.05])
    across = fitted.to_pixel(floor + right) - fitted.to_pixel(floor - right)
    along = fitted.to_pixel(floor + up) - fitted.to_pixel(floor - up)
    jacobian = np.stack([across, along], axis=2) / 0.1
    largest = np.linalg.svd(jacobian, compute_uv=False)[:, 0]
    return np.asarray(np.nan_to_num(largest), dtype=np.float64)
