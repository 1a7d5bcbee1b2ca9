"""People as what differs from a still background: OpenCV's MOG2; needs no weights.

Right for a fixed camera and few people at a time. It cannot tell a person from a trolley, people
who overlap in the picture are one box, and who stands still for more than half of a chunk is
background. The background is learned only where nobody is, at a rate per second, so that neither
the sampling rate nor standing in a queue matters.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from video_ingest.detectors.base import Boxes, Frame, Image
from video_ingest.instants import SECOND_US

Mask = NDArray[np.uint8]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MotionParams:
    """Settings of the motion detector.

    Attributes:
        max_width_px: wider pictures are made smaller before anything else.
        memory_s: time constant with which the background follows the light where nobody is.
        contrast: MOG2's varThreshold, squared standard deviations of the background's noise.
        min_area_share: blobs smaller than this share of the picture are left out.
        min_height_share: boxes lower than this share of the picture are left out.
        merge_gap_share: fragments above each other are one person when the gap between them is at
            most this share of their joint height.
        flood_share: when more than this share of the picture changed, it was the light or the
            camera, and the frame gives no boxes.
    """

    max_width_px: int = 640
    memory_s: float = 30.0
    contrast: float = 50.0
    min_area_share: float = 0.0008
    min_height_share: float = 0.05
    merge_gap_share: float = 0.25
    flood_share: float = 0.5


class MotionDetector:
    """Boxes around what differs from the background.

    It has a memory, so frames must come in time order, and a chunk split in two gives slightly
    other boxes than the chunk in one.
    """

    name = "motion"
    prime_frames = 25

    def __init__(self, params: MotionParams | None = None) -> None:
        """Begin without a background."""
        self._params = params or MotionParams()
        self._subtractor = self._new_subtractor()
        self._last_us: int | None = None

    def prime(self, frames: Sequence[Image]) -> None:
        """Forget the old background; begin with the median of the frames, where nobody remains.

        The frames then teach the noise of each pixel, away from the people in them.
        """
        self._subtractor = self._new_subtractor()
        self._last_us = None
        if not frames:
            return
        pictures = [self._small(image) for image in frames]
        background = np.median(np.stack(pictures), axis=0).astype(np.uint8)
        # MOG2 learns from its first two pictures whatever the rate (OpenCV 5.0, bgfg_gaussmix2).
        for _ in range(2):
            self._subtractor.apply(background, learningRate=1.0)
        for picture in pictures:
            _, boxes = self._look(picture)
            self._learn(picture, boxes, 1.0 / len(pictures))

    def detect(self, frames: Sequence[Frame]) -> list[Boxes]:
        """Find what moves in each frame; see `Detector.detect`."""
        return [self._detect(frame) for frame in frames]

    def _new_subtractor(self) -> cv2.BackgroundSubtractorMOG2:
        return cv2.createBackgroundSubtractorMOG2(
            varThreshold=self._params.contrast, detectShadows=False
        )

    def _detect(self, frame: Frame) -> Boxes:
        small = self._small(frame.image)
        mask, boxes = self._look(small)
        step_s = 0.0 if self._last_us is None else (frame.at_us - self._last_us) / SECOND_US
        self._last_us = frame.at_us
        self._learn(small, boxes, 1.0 - math.exp(-step_s / self._params.memory_s))
        return _with_confidence(boxes, mask, frame.image.shape[1] / small.shape[1])

    def _look(self, picture: Image) -> tuple[Mask, FloatArray]:
        """What differs from the background, and the boxes around it, shape (n, 4); learns nothing.

        There are no boxes when the light or the camera changed the whole picture.
        """
        params = self._params
        mask = np.asarray(self._subtractor.apply(picture, learningRate=0.0), dtype=np.uint8)
        if np.count_nonzero(mask) > params.flood_share * mask.size:
            return mask, np.empty((0, 4))
        boxes = _merge(_blobs(_clean(mask), params), params.merge_gap_share)
        high_enough = boxes[:, 3] - boxes[:, 1] >= params.min_height_share * mask.shape[0]
        return mask, boxes[high_enough]

    def _learn(self, picture: Image, boxes: FloatArray, rate: float) -> None:
        """Take the picture into the background, but for the people in it."""
        if rate <= 0.0:
            return
        if len(boxes):
            picture, background = picture.copy(), self._subtractor.getBackgroundImage()
            for x1, y1, x2, y2 in boxes.astype(int):
                picture[y1:y2, x1:x2] = background[y1:y2, x1:x2]
        self._subtractor.apply(picture, learningRate=rate)

    def _small(self, image: Image) -> Image:
        scale = self._params.max_width_px / image.shape[1]
        if scale >= 1.0:
            return image
        size = (self._params.max_width_px, round(image.shape[0] * scale))
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _clean(mask: Mask) -> Mask:
    """Take away specks, then join what a belt or a bag divides; people are higher than wide."""
    specks = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    joins = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 9))
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, specks)
    return np.asarray(cv2.morphologyEx(opened, cv2.MORPH_CLOSE, joins), dtype=np.uint8)


def _blobs(mask: Mask, params: MotionParams) -> FloatArray:
    """Boxes of the connected blobs, shape (n, 4), fragments of a person included."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    stats = stats[1:]
    # A fragment may be smaller than a person by this much and still be worth joining.
    smallest = params.min_area_share * mask.size / 4
    stats = stats[stats[:, cv2.CC_STAT_AREA] >= smallest]
    corner = stats[:, :2].astype(np.float64)
    return np.hstack([corner, corner + stats[:, 2:4]])


def _merge(boxes: FloatArray, gap_share: float) -> FloatArray:
    """Join boxes that stand above each other, until nothing changes."""
    found = list(boxes)
    is_changed = True
    while is_changed:
        is_changed = False
        for first in range(len(found)):
            for second in range(first + 1, len(found)):
                if _is_one_person(found[first], found[second], gap_share):
                    other = found.pop(second)
                    low = np.minimum(found[first][:2], other[:2])
                    high = np.maximum(found[first][2:], other[2:])
                    found[first] = np.concatenate([low, high])
                    is_changed = True
                    break
            if is_changed:
                break
    return np.array(found, dtype=np.float64).reshape(-1, 4)


def _is_one_person(first: FloatArray, second: FloatArray, gap_share: float) -> bool:
    narrow = min(first[2] - first[0], second[2] - second[0])
    shared_width = min(first[2], second[2]) - max(first[0], second[0])
    joint_width = max(first[2], second[2]) - min(first[0], second[0])
    joint_height = max(first[3], second[3]) - min(first[1], second[1])
    gap = max(first[1], second[1]) - min(first[3], second[3])
    is_upright = joint_width <= joint_height
    return bool(shared_width >= 0.5 * narrow and gap <= gap_share * joint_height and is_upright)


def _with_confidence(boxes: FloatArray, mask: Mask, scale: float) -> Boxes:
    """Boxes in picture pixels with a confidence from 0.5 (hollow) to 1 (filled)."""
    rows = []
    for x1, y1, x2, y2 in boxes:
        part = mask[int(y1) : int(y2), int(x1) : int(x2)]
        fill = np.count_nonzero(part) / max(part.size, 1)
        rows.append([x1 * scale, y1 * scale, x2 * scale, y2 * scale, 0.5 + 0.5 * fill])
    return np.array(rows, dtype=np.float32).reshape(-1, 5)
