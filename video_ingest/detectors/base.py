"""What a detector is to the rest of video_ingest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Boxes = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded frame; lives in memory only.

    Attributes:
        at_us: microseconds since 1970 UTC by the camera's own clock.
        image: shape (height, width, 3), BGR.
    """

    at_us: int
    image: Image


class Detector(Protocol):
    """Finds people in frames.

    Attributes:
        name: what stands in the column `detector` of tracklets; method and weights.
        prime_frames: how many frames, spread over the chunk, `prime` wants to see; 0 for none.
    """

    name: str
    prime_frames: int

    def prime(self, frames: Sequence[Image]) -> None:
        """Look at frames spread over a chunk before `detect` sees the first of it.

        Called once for each chunk, also where `prime_frames` is 0 (then with no frames), so that a
        detector with a memory can start afresh.
        """
        ...

    def detect(self, frames: Sequence[Frame]) -> list[Boxes]:
        """Find the people of each frame; frames come in time order.

        Returns:
            One array for each frame, shape (n, 5): x1, y1, x2, y2 in pixels and a confidence in
            [0, 1]. The bottom centre of a box is taken as the foot point.
        """
        ...
