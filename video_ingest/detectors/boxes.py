"""Box arithmetic that detectors and the tracker share; boxes are x1, y1, x2, y2 in pixels."""

import numpy as np
from numpy.typing import NDArray

from video_ingest.detectors.base import Boxes

FloatArray = NDArray[np.float64]


def overlap(first: FloatArray, second: FloatArray) -> FloatArray:
    """Intersection over union of every box with every other.

    Args:
        first: shape (n, 4).
        second: shape (m, 4).

    Returns:
        Shape (n, m), in [0, 1].
    """
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:4], second[None, :, 2:4])
    shared = np.prod(np.clip(high - low, 0.0, None), axis=2)
    union = _area(first)[:, None] + _area(second)[None, :] - shared
    return np.asarray(shared / np.maximum(union, 1e-9), dtype=np.float64)


def suppress(boxes: Boxes, max_overlap: float) -> Boxes:
    """Keep the most confident of boxes that overlap more than `max_overlap`.

    Args:
        boxes: shape (n, 5), the fifth column a confidence.
        max_overlap: intersection over union, in [0, 1].

    Returns:
        Shape (m, 5), most confident first; equal confidences stay in the order given.
    """
    ordered = boxes[np.argsort(-boxes[:, 4], kind="stable")]
    if len(ordered) < 2:
        return ordered
    shared = overlap(ordered[:, :4].astype(np.float64), ordered[:, :4].astype(np.float64))
    kept: list[int] = []
    for candidate in range(len(ordered)):
        if not kept or shared[candidate, kept].max() <= max_overlap:
            kept.append(candidate)
    return ordered[kept]


def _area(boxes: FloatArray) -> FloatArray:
    return np.asarray(np.prod(boxes[:, 2:4] - boxes[:, :2], axis=1), dtype=np.float64)
