"""Truth about one video: where each person was in each frame, in the form of MOT Challenge.

One line for each person and frame: `frame,id,left,top,width,height`, then, as far as they are
given, a flag (0: not to be considered), a class (1: a pedestrian, -1: not said) and more, which is
not read. Frames count from 1, pixels from the upper left corner.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from video_ingest.contract import VideoError
from video_ingest.instants import SECOND_US

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_NEEDED = 6
_FLAG, _CLASS = 6, 7
_PEDESTRIANS = (1.0, -1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """The people of one video, with the clock of its frames.

    Attributes:
        frame: shape (N,), ascending, from 1.
        person: shape (N,), id of the person; once in a frame.
        corners: shape (N, 4), x1, y1, x2, y2 in pixels.
        start_us: instant of frame 1, microseconds since 1970 UTC.
        fps: frames a second; frame f is at start + (f - 1) / fps.
        first_frame: the first that is judged.
        last_frame: the last that is judged; what comes after the last line of a file is not known.
    """

    frame: IntArray
    person: IntArray
    corners: FloatArray
    start_us: int
    fps: float
    first_frame: int
    last_frame: int

    def at_us(self, frame: IntArray) -> IntArray:
        """Instants of frames, microseconds since 1970 UTC."""
        passed_us = np.rint((frame - 1) * (SECOND_US / self.fps))
        return np.asarray(self.start_us + passed_us.astype(np.int64), dtype=np.int64)

    @property
    def window_us(self) -> tuple[int, int]:
        """Instants of the first and of the last frame that is judged."""
        first, last = self.at_us(np.array([self.first_frame, self.last_frame], dtype=np.int64))
        return int(first), int(last)

    def paired(self, sampled_us: IntArray) -> tuple[IntArray, IntArray]:
        """Pair samples and frames that are nearest to each other; nothing is interpolated.

        A sample within half a frame of the truth's frames is paired with the nearest of them; where
        samples are denser than frames, each frame keeps the nearest sample.

        Args:
            sampled_us: instants, ascending, each once.

        Returns:
            Indices of samples and their frames, both ascending.
        """
        nearest = (
            np.rint((sampled_us - self.start_us) * (self.fps / SECOND_US)).astype(np.int64) + 1
        )
        away = np.abs(sampled_us - self.at_us(nearest))
        by_frame = np.lexsort((away, nearest))
        is_best = np.diff(nearest[by_frame], prepend=-1) != 0
        best = by_frame[is_best]
        inside = (nearest[best] >= self.first_frame) & (nearest[best] <= self.last_frame)
        return best[inside], nearest[best][inside]

    def between(self, first_frame: int, last_frame: int) -> Self:
        """The same truth, judged in these frames only, both included.

        Raises:
            VideoError: E_TRUTH when the truth has no such frames.
        """
        if not 1 <= first_frame <= last_frame <= self.last_frame:
            raise VideoError(
                f"Choosing frames {first_frame} to {last_frame} of the truth failed: it has frames "
                f"1 to {self.last_frame}. Nothing was scored. Choose frames among them.",
                code="E_TRUTH",
            )
        return replace(self, first_frame=first_frame, last_frame=last_frame)


def read_mot(path: Path, start_us: int, fps: float) -> Truth:
    """Read a file of MOT Challenge ground truth.

    Lines whose flag is 0 or whose class is no pedestrian are left out; a box found there counts as
    false, unlike in the challenge's own evaluation.

    Args:
        path: the file, usually `gt.txt`.
        start_us: instant of frame 1, microseconds since 1970 UTC.
        fps: frames a second.

    Raises:
        VideoError: E_TRUTH: no such file, a line that is none, a person twice in a frame, nobody at
            all, or a frame rate that is none.
    """
    if not (math.isfinite(fps) and fps > 0):
        raise _bad(path, f"{fps:g} frames a second are none")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise _bad(path, str(why)) from error
    rows = [_row(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    kept = sorted(row for row in rows if row is not None)
    if not kept:
        raise _bad(path, "it names nobody")
    values = np.array(kept, dtype=np.float64)
    frame, person = values[:, 0].astype(np.int64), values[:, 1].astype(np.int64)
    twice = (np.diff(frame) == 0) & (np.diff(person) == 0)
    if twice.any():
        at = int(np.flatnonzero(twice)[0])
        raise _bad(path, f"person {person[at]} stands twice in frame {frame[at]}")
    corners = np.hstack([values[:, 2:4], values[:, 2:4] + values[:, 4:6]])
    return Truth(frame, person, corners, start_us, float(fps), 1, int(frame[-1]))


def _row(path: Path, number: int, line: str) -> tuple[float, ...] | None:
    """Frame, id, left, top, width and height of one line; None where it is not to be considered."""
    try:
        values = [float(cell) for cell in line.split(",")]
    except ValueError:
        values = []
    if len(values) < _NEEDED or not all(math.isfinite(value) for value in values[:_NEEDED]):
        raise _bad(path, f"line {number} is {line[:60]!r}")
    frame, person, _, _, width, height = values[:_NEEDED]
    if frame < 1 or frame % 1 or person % 1 or width <= 0 or height <= 0:
        raise _bad(path, f"line {number} has a frame, id or size that cannot be: {line[:60]!r}")
    is_flagged_out = len(values) > _FLAG and values[_FLAG] == 0
    is_other = len(values) > _CLASS and values[_CLASS] not in _PEDESTRIANS
    return None if is_flagged_out or is_other else tuple(values[:_NEEDED])


def _bad(path: Path, why: str) -> VideoError:
    return VideoError(
        f"Reading the truth {path.name} failed: {why}. Nothing was scored. Give lines of MOT "
        "Challenge, frame,id,left,top,width,height,..., with frames from 1, and their frame rate.",
        code="E_TRUTH",
    )
