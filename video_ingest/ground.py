"""The plane on which people are followed: floor metres of a calibrated camera, else its pixels.

A tracker asks three things of it: which place a foot point is, how far a pixel reaches there, and
how long a metre is. Where no floor is known a person's box is the measure, taken as `person_m`
high; the picture does not tell how far the floor reaches into its depth, so people who walk to the
camera or away from it seem slower than they are.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from video_ingest.calibrate import Homography

FloatArray = NDArray[np.float64]

# Towards the horizon a pixel holds ever more floor, at last kilometres. Where one holds more than
# this, whoever stands there could be in any of several units; a camera 3 m high whose pictures are
# 1000 pixels deep in focal length comes there at 170 m.
VAGUEST_M_PER_PX = 10.0


class Ground(Protocol):
    """Maps foot points to places and back."""

    def places(self, feet_px: FloatArray) -> FloatArray:
        """Places of foot points, both of shape (n, 2); NaN where a foot point is nowhere on it."""
        ...

    def pixel(self, place: FloatArray) -> FloatArray:
        """The foot point of a place, both of shape (2,); NaN where the camera cannot see it."""
        ...

    def per_pixel(self, feet_px: FloatArray) -> FloatArray:
        """Change of place for each pixel along columns and rows, shape (n, 2, 2), at (n, 2)."""
        ...

    def metre(self, height_px: float) -> float:
        """Length of a metre in units of places, where a person's box is `height_px` high."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Floor:
    """The floor of a calibrated camera; places are metres."""

    homography: Homography

    def places(self, feet_px: FloatArray) -> FloatArray:
        """See `Ground.places`; NaN on and above the horizon, and where a place is too vague.

        It is where one pixel is more than `VAGUEST_M_PER_PX`.
        """
        places = self.homography.to_floor(feet_px)
        is_on_floor = np.all(np.isfinite(places), axis=1)
        reach = np.linalg.norm(self.per_pixel(feet_px[is_on_floor]), axis=(1, 2))
        is_on_floor[is_on_floor] = reach <= VAGUEST_M_PER_PX
        return np.where(is_on_floor[:, None], places, np.nan)

    def pixel(self, place: FloatArray) -> FloatArray:
        """See `Ground.pixel`; NaN behind the camera."""
        return np.asarray(self.homography.to_pixel(place[None])[0], dtype=np.float64)

    def per_pixel(self, feet_px: FloatArray) -> FloatArray:
        """See `Ground.per_pixel`; the derivative of the homography."""
        matrix = self.homography.matrix
        mapped = np.hstack([feet_px, np.ones((len(feet_px), 1))]) @ matrix.T
        depth = mapped[:, 2, None, None]
        bend = (mapped[:, :2] / mapped[:, 2:])[:, :, None] * matrix[None, 2:, :2]
        return np.asarray((matrix[None, :2, :2] - bend) / depth, dtype=np.float64)

    def metre(self, height_px: float) -> float:
        """One."""
        del height_px
        return 1.0


@dataclass(frozen=True, slots=True)
class Picture:
    """The picture itself, for a camera that is not calibrated; places are pixels.

    Attributes:
        person_m: metres that the height of a box stands for.
    """

    person_m: float

    def places(self, feet_px: FloatArray) -> FloatArray:
        """The foot points themselves."""
        return feet_px

    def pixel(self, place: FloatArray) -> FloatArray:
        """The place itself."""
        return place

    def per_pixel(self, feet_px: FloatArray) -> FloatArray:
        """One pixel for each pixel."""
        return np.broadcast_to(np.eye(2), (len(feet_px), 2, 2))

    def metre(self, height_px: float) -> float:
        """Pixels of a metre for a person of this height in the picture."""
        return height_px / self.person_m
