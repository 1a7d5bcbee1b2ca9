"""Timestamped decode: every frame is grabbed, only the samples are turned into pictures.

The time of a frame is the chunk's start plus the timestamp that the container gives the frame.
Index / fps is never used: a container's fps is an average, and on a variable frame rate wrong.
A damaged file gives what it holds, and `DecodeReport` says which spans that was. Frames are decoded
in a thread, a few ahead of who looks at them; a decoder that hangs is given up.
"""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

from video_ingest.ahead import Stalled, read_ahead
from video_ingest.contract import Chunk, ChunkUnreadable
from video_ingest.detectors.base import Frame, Image
from video_ingest.instants import SECOND_US, seconds_to_us, to_us

# A damaged chunk has its own message; FFmpeg's and OpenCV's lines name neither file nor remedy.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)

# A pause between frames that is longer than this was not seen; two seconds hold every frame rate
# in use, and three frame intervals hold time-lapse.
_HOLE_US = 2 * SECOND_US
_HOLE_INTERVALS = 3
# No recorder writes longer files; beyond it a timestamp is damaged.
_LONGEST_US = 24 * 3600 * SECOND_US
# Containers round; a file this close to the length it claims is whole.
_ROUNDING_US = SECOND_US // 2
_ROUNDING_SHARE = 0.01
# Samples that wait for the detector; eight pictures of 4K are 200 MB.
_AHEAD = 8
# No frame takes so long; FFmpeg's own time-outs are for networks, and not for its decoders.
PATIENCE_S = 60.0

STALLED = "E_CHUNK_STALLED"

T = TypeVar("T")


class SampleGrid:
    """Chooses the first frame at or after each instant k / sample_hz since 1970 UTC.

    Anchored on absolute time, so that it chooses the same frames wherever a chunk begins, as long
    as the instant of the last sample is handed on.
    """

    def __init__(self, sample_hz: float, last_sample_us: int | None = None) -> None:
        """Begin a grid.

        Args:
            sample_hz: samples per second, greater than 0.
            last_sample_us: the last frame already chosen by an earlier chunk; None for none.

        Raises:
            ValueError: sample_hz is not a positive number.
        """
        if not (math.isfinite(sample_hz) and sample_hz > 0):
            raise ValueError(f"sample_hz must be greater than 0, not {sample_hz}.")
        # Whole numbers: microseconds since 1970 times a rate do not fit into a double.
        rate = Fraction(sample_hz).limit_denominator(1000) / SECOND_US
        self._numerator, self._denominator = rate.numerator, rate.denominator
        self._last = None if last_sample_us is None else self._slot(last_sample_us)

    def takes(self, at_us: int) -> bool:
        """Whether the frame at this instant is a sample; frames must come in time order."""
        slot = self._slot(at_us)
        if self._last is not None and slot <= self._last:
            return False
        self._last = slot
        return True

    def _slot(self, at_us: int) -> int:
        return at_us * self._numerator // self._denominator


@dataclass(slots=True)
class DecodeReport:
    """What a pass over a chunk found; instants are microseconds by the camera's clock.

    Attributes:
        spans: [from, to) without a pause between frames, in time order.
        nominal_end_us: where the chunk ends by what the container claims; None when it claims
            nothing usable.
        frames_decoded: frames read, samples or not.
        frames_sampled: frames handed out.
        frames_dropped: frames whose timestamp does not increase or cannot be, or that gave no
            picture.
        has_stalled: the decoder hung over a frame, and the rest was given up.
    """

    spans: list[tuple[int, int]] = field(default_factory=list)
    nominal_end_us: int | None = None
    frames_decoded: int = 0
    frames_sampled: int = 0
    frames_dropped: int = 0
    has_stalled: bool = False

    @property
    def decoded_until_us(self) -> int | None:
        """The end of the last frame read; None when there was none."""
        return self.spans[-1][1] if self.spans else None

    def is_close(self, end_us: int) -> bool:
        """Whether the frames reach this end but for rounding in the container."""
        if not self.spans:
            return False
        slack = max(_ROUNDING_US, round((end_us - self.spans[0][0]) * _ROUNDING_SHARE))
        return end_us - self.spans[-1][1] <= slack


class ChunkReader:
    """Reads one chunk front to back.

    Attributes:
        picture_px: width and height of its frames; None where the container does not tell.
    """

    def __init__(self, chunk: Chunk) -> None:
        """Open the file and read one frame to see that it can be read.

        Raises:
            ChunkUnreadable: E_CHUNK_UNREADABLE: missing, empty, no video, no frame decodes, or the
                decoder hangs.
        """
        self._path = chunk.path
        self._start_us = to_us(chunk.start_utc)
        self.report = DecodeReport()
        look = _in_time(chunk.path, lambda: _first_look(chunk.path))
        fps, self._frame_count, self.picture_px = look
        self._interval_us = seconds_to_us(1 / fps) if fps else 0
        self._last_us = self._start_us
        # Damage can put a timestamp hours away; twice the claimed length is beyond any rounding.
        self._latest_us = self._start_us + _LONGEST_US
        if self._frame_count and self._interval_us:
            length_us = seconds_to_us(self._frame_count / fps)
            self.report.nominal_end_us = self._start_us + length_us
            self._latest_us = self._start_us + 2 * length_us + _HOLE_US

    def done_s(self, at_us: int) -> tuple[float, float]:
        """Seconds of the chunk up to this instant, and its whole length; 0 where not known."""
        end_us = self.report.nominal_end_us
        whole_us = 0 if end_us is None else end_us - self._start_us
        return (at_us - self._start_us) / SECOND_US, whole_us / SECOND_US

    def spread(self, count: int) -> list[Image]:
        """Up to `count` frames spread evenly over the chunk; fewer where a file cannot be sought.

        Where the container does not tell its length, they are the first frames.
        """
        return list(self.each_spread(count))

    def each_spread(self, count: int) -> Iterator[Image]:
        """Yield what `spread` gives, one by one; ends early where the decoder hangs."""
        if count > 0:
            with suppress(Stalled):
                yield from read_ahead(self._spread(count), _AHEAD, PATIENCE_S, lambda: None)

    @property
    def claimed_s(self) -> float:
        """Seconds of video by what the container claims; 0 where it claims nothing usable."""
        end_us = self.report.nominal_end_us
        return 0.0 if end_us is None else (end_us - self._start_us) / SECOND_US

    def _spread(self, count: int) -> Iterator[Image]:
        capture = _open(self._path)
        step = self._frame_count / count
        try:
            for number in range(count):
                if step > 1:
                    capture.set(cv2.CAP_PROP_POS_FRAMES, int((number + 0.5) * step))
                found, image = capture.read()
                if found:
                    yield np.asarray(image, dtype=np.uint8)
        finally:
            capture.release()

    def samples(self, grid: SampleGrid, from_us: int | None = None) -> Iterator[Frame]:
        """Yield the frames that the grid takes, in time order, and fill in `report`.

        Args:
            grid: chooses by timestamp.
            from_us: frames before this instant belong to an earlier chunk and are passed over;
                None for none.
        """
        report = self.report
        decoded = self._decode(report, grid, from_us)
        try:
            for frame in read_ahead(decoded, _AHEAD, PATIENCE_S, lambda: report.frames_decoded):
                report.frames_sampled += 1
                yield frame
        except Stalled:
            report.has_stalled = True
            # a copy: the thread may wake up one day and go on writing into this one
            self.report = replace(report, spans=list(report.spans))

    def _decode(
        self, report: DecodeReport, grid: SampleGrid, from_us: int | None
    ) -> Iterator[Frame]:
        """Frames that the grid takes; runs in the thread that reads ahead."""
        capture = _open(self._path)
        try:
            while capture.grab() and not report.has_stalled:
                report.frames_decoded += 1
                at_us = self._start_us + round(float(capture.get(cv2.CAP_PROP_POS_MSEC)) * 1000)
                if not self._note(report.spans, at_us):
                    report.frames_dropped += 1
                    continue
                if (from_us is not None and at_us < from_us) or not grid.takes(at_us):
                    continue
                found, image = capture.retrieve()
                if not found:
                    report.frames_dropped += 1
                    continue
                yield Frame(at_us, np.asarray(image, dtype=np.uint8))
        finally:
            capture.release()

    def _note(self, spans: list[tuple[int, int]], at_us: int) -> bool:
        """Add a frame to the spans; False when its timestamp cannot be used."""
        interval_us = self._interval_us
        if not spans:
            # Streams may begin a little late; the chunk begins where its name says.
            spans.append((self._start_us, self._start_us))
            self._last_us = self._start_us - 1
        step_us = at_us - self._last_us
        if step_us <= 0 or at_us > self._latest_us:
            return False
        if step_us > max(_HOLE_US, _HOLE_INTERVALS * interval_us):
            spans.append((at_us, at_us + interval_us))
        else:
            spans[-1] = (spans[-1][0], at_us + (interval_us or step_us))
        self._last_us = at_us
        return True


def claimed_length_s(path: Path) -> float | None:
    """Seconds of video by what the container claims; None where it cannot be read or claims none.

    A cut AVI claims its whole length.
    """
    try:
        fps, count = _in_time(path, lambda: _claims_of(path))
    except ChunkUnreadable:
        return None
    return count / fps if count and fps else None


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height of a video, pixels.

    Raises:
        ChunkUnreadable: E_CHUNK_UNREADABLE.
    """
    return _in_time(path, lambda: _size_of(path))


def _size_of(path: Path) -> tuple[int, int]:
    capture = _open(path)
    try:
        return _picture_px(capture) or (0, 0)
    finally:
        capture.release()


def _first_look(path: Path) -> tuple[float, int, tuple[int, int] | None]:
    """What the container claims, of a file of which a frame decodes: fps, frames, picture."""
    capture = _open(path)
    try:
        if not capture.grab():
            raise unreadable(path, "it opens, but no frame decodes")
        return (*_claims(capture), _picture_px(capture))
    finally:
        capture.release()


def _claims_of(path: Path) -> tuple[float, int]:
    capture = _open(path)
    try:
        return _claims(capture)
    finally:
        capture.release()


def _in_time(path: Path, look: Callable[[], T]) -> T:
    """What `look` gives, unless the decoder hangs over it."""
    try:
        return next(read_ahead((each() for each in [look]), 1, PATIENCE_S, lambda: 0))
    except Stalled as stalled:
        raise unreadable(
            path, f"the decoder hung over it for {PATIENCE_S:.0f} s and was given up"
        ) from stalled


def _claims(capture: Any) -> tuple[float, int]:
    """Frames per second and number of frames by the container; 0 where it tells nothing usable."""
    fps = float(capture.get(cv2.CAP_PROP_FPS))
    count = float(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    # Without a frame rate, containers report 0 or their time base, such as 90000.
    return fps if 0.05 <= fps <= 240 else 0.0, int(count) if 0 < count < 1e9 else 0


def _picture_px(capture: Any) -> tuple[int, int] | None:
    width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
    height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    return (width, height) if width > 0 and height > 0 else None


def _open(path: Path) -> Any:
    """Open a video with FFmpeg only: other back ends would take a name for an image sequence."""
    if not path.is_file():
        raise unreadable(path, "there is no such file")
    if path.stat().st_size == 0:
        raise unreadable(path, "the file is empty")
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise unreadable(path, "it is no video, or was cut before its index was written")
    return capture


def unreadable(path: Path, why: str) -> ChunkUnreadable:
    """The error for a file that gives no frame."""
    error = ChunkUnreadable(
        f"Reading chunk {path.name} failed: {why}. Its time is covered as unreadable and the other "
        "chunks go on. Send the file again if the recorder still has it.",
        code="E_CHUNK_UNREADABLE",
    )
    error.why = f"{path.name}: {why}"
    return error
