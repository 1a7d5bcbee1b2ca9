"""How far a pass over the chunks is: share, frames per second and minutes left."""

import time
from collections.abc import Callable, Iterable

from ksi_pipeline.core.progress import Progress
from video_ingest.contract import Chunk


class VideoMeter:
    """Adds up what the cameras at work tell.

    Chunks weigh by the size of their files: their length is not known before they are read.
    """

    def __init__(
        self,
        expected: Iterable[Chunk],
        progress: Progress,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to measure.

        Args:
            expected: chunks that will most likely be decoded; others may come.
            progress: is told text and share.
            clock: seconds, from any beginning.
        """
        self._sizes = {chunk.chunk_id: _size(chunk) for chunk in expected}
        self._shares: dict[str, float] = {}
        self._frames: dict[str, int] = {}
        self._progress, self._clock = progress, clock
        self._began: float | None = None

    def tell(self, chunk: Chunk, done_s: float, expected_s: float, frames: int) -> None:
        """Take in how far one chunk is, in the form of `video_ingest.workers.Told`."""
        if self._began is None:
            # the first detector has started by now, which may take seconds and no frames
            self._began, self._frames[""] = self._clock(), -frames
        self._sizes.setdefault(chunk.chunk_id, _size(chunk))
        self._shares[chunk.chunk_id] = min(done_s / expected_s, 1.0) if expected_s else 0.0
        self._frames[chunk.chunk_id] = frames
        self._show(chunk)

    def done(self, chunk: Chunk) -> None:
        """Note that a chunk is done with, read or not."""
        self._sizes.setdefault(chunk.chunk_id, _size(chunk))
        self._shares[chunk.chunk_id] = 1.0

    def _show(self, chunk: Chunk) -> None:
        whole = sum(self._sizes.values())
        done = sum(self._sizes[name] * share for name, share in self._shares.items())
        share = done / whole if whole else 0.0
        finished = sum(each == 1.0 for each in self._shares.values())
        text = f"video {chunk.camera_id}, {finished} of {len(self._sizes)} chunks"
        spent_s = self._clock() - (self._began or 0.0)
        # the first second says little about the rest
        if spent_s >= 1.0 and share > 0.0:
            minutes = spent_s * (1.0 - share) / share / 60
            text += f", {sum(self._frames.values()) / spent_s:.0f} frames/s, {_left(minutes)} left"
        self._progress(text, share)


def _left(minutes: float) -> str:
    return f"{minutes:.0f} min" if minutes >= 1 else "< 1 min"


def _size(chunk: Chunk) -> int:
    # an unreadable or deleted file still is a chunk to be looked at
    return max(1, chunk.path.stat().st_size) if chunk.path.exists() else 1
