"""Builders for video tests: small clips with one walker, and detectors that need no network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from video_ingest.calibrate import make_camera
from video_ingest.contract import CameraSpec
from video_ingest.detectors.base import Boxes, Frame, Image

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
START_US = round(START.timestamp()) * 1_000_000
WIDTH, HEIGHT = 160, 120


def walker_box(at_us: int) -> tuple[float, float, float, float]:
    """A person 12 x 32 px who walks right at 6 px/s, 0.19 body heights a second."""
    x = 10 + 6.0 * (at_us - START_US) / 1e6
    return x, 60.0, x + 12, 92.0


@pytest.fixture(scope="session")
def start() -> datetime:
    return START


@pytest.fixture(scope="session")
def start_us() -> int:
    return START_US


@pytest.fixture
def write_clip() -> Callable[..., Path]:
    """Write frames [first, last) of the walker at 10 fps."""

    def write(path: Path, first: int, last: int, fourcc: str = "MJPG") -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*fourcc), 10, (WIDTH, HEIGHT))
        assert writer.isOpened()
        backdrop = np.random.default_rng(7).integers(90, 110, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        for index in range(first, last):
            frame = backdrop.copy()
            x1, y1, x2, y2 = (round(value) for value in walker_box(START_US + index * 100_000))
            frame[y1:y2, x1:x2] = (20, 40, 220)
            writer.write(frame)
        writer.release()
        return path

    return write


@dataclass
class WalkerDetector:
    """Knows where the walker is at each instant; stands in for a network that sees every frame."""

    name: str = "walker"
    prime_frames: int = 0
    seen_us: list[int] = field(default_factory=list)
    hidden_us: tuple[int, int] = (0, 0)

    def prime(self, frames: Sequence[Image]) -> None:
        pass

    def detect(self, frames: Sequence[Frame]) -> list[Boxes]:
        self.seen_us += [frame.at_us for frame in frames]
        return [self._boxes(frame.at_us) for frame in frames]

    def _boxes(self, at_us: int) -> Boxes:
        if self.hidden_us[0] <= at_us < self.hidden_us[1]:
            return np.empty((0, 5), dtype=np.float32)
        return np.array([[*walker_box(at_us), 0.9]], dtype=np.float32)


@pytest.fixture
def walker() -> type[WalkerDetector]:
    return WalkerDetector


@pytest.fixture
def camera() -> CameraSpec:
    """One metre is ten pixels."""
    corners = [(0, 0), (100, 0), (100, 100), (0, 100)]
    return make_camera("mall", "cam-1", [(u, v, u / 10, v / 10) for u, v in corners])
