"""Which detection is which person: the pairs of one instant that are likeliest together.

A pair costs its negative log-likelihood (twice, without constants): how many standard deviations
the detection lies from where the person was predicted and from their height, and how vague that
prediction was, so that of two people who could be meant the surer one is taken.

A pair must also be likelier than a newcomer. People who newly appear are `newcomers_h2` to a square
body height; where a person was lost for so long that the prediction spreads over much floor, only
a detection close to its middle is taken for them, and at last none.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from video_ingest.detectors.base import Boxes
from video_ingest.ground import Ground
from video_ingest.tracker_state import TrackerParams
from video_ingest.walk import Motion

FloatArray = NDArray[np.float64]
_IMPOSSIBLE = 1e6


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Detections of one instant; row i of each array is one of them.

    Attributes:
        feet_px: shape (n, 2), foot points.
        sizes_px: shape (n, 2), width and height.
        confidence: shape (n,).
        corners_px: shape (n, 4).
        places: shape (n, 2), in units of the ground.
        per_pixel: shape (n, 2, 2), change of place for each pixel.
    """

    feet_px: FloatArray
    sizes_px: FloatArray
    confidence: FloatArray
    corners_px: FloatArray
    places: FloatArray
    per_pixel: FloatArray

    @classmethod
    def of(cls, boxes: Boxes, min_confidence: float, ground: Ground) -> Self:
        """The usable boxes: confident enough, not empty, and standing on the ground."""
        rows = np.asarray(boxes, dtype=np.float64).reshape(-1, 5)
        feet = np.column_stack([(rows[:, 0] + rows[:, 2]) / 2, rows[:, 3]])
        places, sizes = ground.places(feet), rows[:, 2:4] - rows[:, :2]
        is_usable = (rows[:, 4] >= min_confidence) & np.all(sizes > 0, axis=1)
        is_usable &= np.all(np.isfinite(places), axis=1)
        rows, feet = rows[is_usable], feet[is_usable]
        return cls(
            feet,
            sizes[is_usable],
            rows[:, 4],
            rows[:, :4],
            places[is_usable],
            ground.per_pixel(feet),
        )

    def noise(self, height_px: float, params: TrackerParams) -> FloatArray:
        """Covariances of the detected places of a person of this height, shape (n, 2, 2)."""
        per_pixel = self.per_pixel
        spread = (params.foot_noise_h * height_px) ** 2
        return np.asarray(spread * (per_pixel @ per_pixel.transpose(0, 2, 1)), dtype=np.float64)


def pair_cost(motion: Motion, height_px: float, found: Found, params: TrackerParams) -> FloatArray:
    """Cost of each detection for one person, shape (n,); lower is likelier.

    Args:
        motion: of the person, predicted for this instant.
        height_px: of the person's box.
        found: of this instant.
        params: of the tracker.

    Returns:
        Twice the negative log-likelihood; `inf` outside the gate.
    """
    spread = motion.covariance[:2, :2] + found.noise(height_px, params)
    area = _determinant(spread)
    sigmas2 = _mahalanobis2(found.places - motion.place, spread, area)
    height_ratio = np.log(found.sizes_px[:, 1] / height_px)
    sigmas2 = sigmas2 + (height_ratio / params.height_noise) ** 2
    # in square body heights of the picture, so that far and near are alike
    vague = np.log(area) - 2.0 * np.log(np.abs(_determinant(found.per_pixel)) * height_px**2)
    newcomer = -2.0 * math.log(2.0 * math.pi * params.newcomers_h2) - vague
    gate = np.minimum(params.gate_sigmas**2, newcomer)
    return np.asarray(np.where(sigmas2 < gate, sigmas2 + vague, np.inf), dtype=np.float64)


def cheapest_pairs(costs: Sequence[FloatArray]) -> list[tuple[int, int]]:
    """As many pairs (row, column) as can be, at least total cost; `inf` is no pair."""
    if not costs or not len(costs[0]):
        return []
    cost = np.array(costs)
    # half a second to import, which every `ksi` would wait for
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(np.where(np.isfinite(cost), cost, _IMPOSSIBLE))
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(row, column) for row, column in pairs if np.isfinite(cost[row, column])]


def _determinant(matrices: FloatArray) -> FloatArray:
    """Of each matrix of shape (n, 2, 2)."""
    return np.asarray(
        matrices[:, 0, 0] * matrices[:, 1, 1] - matrices[:, 0, 1] * matrices[:, 1, 0],
        dtype=np.float64,
    )


def _mahalanobis2(offsets: FloatArray, spread: FloatArray, area: FloatArray) -> FloatArray:
    """Squared distances in standard deviations, shape (n,)."""
    x, y = offsets[:, 0], offsets[:, 1]
    squares = spread[:, 1, 1] * x**2 - 2.0 * spread[:, 0, 1] * x * y + spread[:, 0, 0] * y**2
    return np.asarray(squares / area, dtype=np.float64)
