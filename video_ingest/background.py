"""The median of frames spread over a video: the empty floor, in which nobody remains.

Frames are used in memory only. Whoever moves covers a place for less than half of the time, so the
median shows what is behind them. Where that cannot be relied on, nothing is shown: places that did
not come to rest are painted grey, and with a detector that needs no movement, so is whoever stood
there all the time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from video_ingest.chunks import make_chunk
from video_ingest.contract import VideoError
from video_ingest.decode import ChunkReader, SampleGrid
from video_ingest.detectors.base import Detector, Frame, Image

# Enough that five people who cross the same place never make up half of the frames.
_FRAMES = 101
_FEWEST_FRAMES = 15
# Someone who walks past covers a place for a few seconds.
_SHORTEST_S = 15.0
# Up to here reading all of a video is quicker than seeking in it.
_SHORT_S = 600.0
_ANY_DAY = datetime(2000, 1, 1, tzinfo=UTC)
_MAX_WIDTH_PX = 1280
# A place is at rest when half of the frames differ from the median by no more than camera noise.
_NOISE = 24
_AT_REST_SHARE = 0.5
_MIN_CONFIDENCE = 0.2
GREY = 128


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """The empty floor.

    Attributes:
        image: shape (height, width, 3), BGR, at most 1,280 wide.
        scale: pixels of `image` for each pixel of the video.
        size: width and height of the video, pixels.
        hidden_share: share of the picture that is painted grey.
        hidden_people: people who stood there all the time and are painted grey.
    """

    image: Image
    scale: float
    size: tuple[int, int]
    hidden_share: float
    hidden_people: int


def median_background(paths: Sequence[Path], detector: Detector | None = None) -> Background:
    """Make the empty floor from videos of one camera.

    Args:
        paths: one or more videos of the same picture size.
        detector: finds people in the result, to hide them; None for none. One that lives on
            movement finds nobody there.

    Raises:
        ChunkUnreadable: E_CHUNK_UNREADABLE, of any of the videos.
        VideoError: E_BACKGROUND, the videos are too short for people to have moved on, or are of
            different size.
    """
    readers = [ChunkReader(make_chunk(path, "-", "-", _ANY_DAY)) for path in paths]
    frames: list[Image] = []
    size = (0, 0)
    for reader in readers:
        for image in _spread(reader, -(-_FRAMES // len(readers))):
            found = (image.shape[1], image.shape[0])
            size = found if size == (0, 0) else size
            if found != size:
                raise _error(f"one is {size[0]} x {size[1]} and another {found[0]} x {found[1]}")
            frames.append(_small(image))
    length_s = sum(reader.claimed_s for reader in readers)
    if len(frames) < _FEWEST_FRAMES or length_s < _SHORTEST_S:
        raise _error(
            f"they hold {length_s:.0f} s, and in less than {_SHORTEST_S:.0f} s people do not move "
            "on, so that they would be in the picture"
        )
    image, is_at_rest = _median(frames)
    image = image.copy()
    image[~is_at_rest] = GREY
    people = 0
    for x1, y1, x2, y2 in _people(image, detector):
        people += 1
        image[y1:y2, x1:x2] = GREY
    hidden = float(np.all(image == GREY, axis=2).mean())
    return Background(image, image.shape[1] / size[0], size, hidden, people)


def _spread(reader: ChunkReader, count: int) -> Iterator[Image]:
    """Frames spread over a video; each seek decodes from a key frame on, so short ones are read."""
    if not 0 < reader.claimed_s <= _SHORT_S:
        yield from reader.each_spread(count)
        return
    for frame in reader.samples(SampleGrid(count / reader.claimed_s)):
        yield frame.image


def _small(image: Image) -> Image:
    scale = _MAX_WIDTH_PX / image.shape[1]
    if scale >= 1.0:
        return image
    size = (_MAX_WIDTH_PX, round(image.shape[0] * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _median(frames: Sequence[Image]) -> tuple[Image, NDArray[np.bool_]]:
    """The median, and which pixels came to rest; in strips, since it takes many copies."""
    height, width = frames[0].shape[:2]
    image = np.empty((height, width, 3), dtype=np.uint8)
    is_at_rest = np.empty((height, width), dtype=bool)
    for top in range(0, height, 64):
        strip = np.stack([frame[top : top + 64] for frame in frames], axis=-1)
        half = strip.shape[-1] // 2
        middle = np.partition(strip, half, axis=-1)[..., half]
        image[top : top + 64] = middle
        is_near = np.all(_apart(strip, middle[..., None]) <= _NOISE, axis=2)
        is_at_rest[top : top + 64] = is_near.mean(axis=-1) >= _AT_REST_SHARE
    # single pixels flicker; a person is larger than a speck
    speck = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    restless = cv2.morphologyEx((~is_at_rest).astype(np.uint8), cv2.MORPH_OPEN, speck)
    return image, cv2.dilate(restless, speck) == 0


def _apart(one: Image, two: Image) -> Image:
    """Absolute difference of bytes, without wider copies."""
    return np.asarray(np.maximum(one, two) - np.minimum(one, two), dtype=np.uint8)


def _people(image: Image, detector: Detector | None) -> list[tuple[int, int, int, int]]:
    """Boxes around whoever is left, with a margin, pixels of the image."""
    if detector is None:
        return []
    (boxes,) = detector.detect([Frame(0, image)])
    found = []
    for x1, y1, x2, y2, confidence in boxes:
        if confidence >= _MIN_CONFIDENCE:
            margin = 0.1 * (y2 - y1)
            left, top = max(0, int(x1 - margin)), max(0, int(y1 - margin))
            found.append((left, top, int(x2 + margin), int(y2 + margin)))
    return found


def _error(why: str) -> VideoError:
    return VideoError(
        f"Making the empty floor from the videos failed: {why}. No picture was written. Name one "
        "or more longer videos of one camera, best of a quiet hour.",
        code="E_BACKGROUND",
    )
