"""What a tracker is to the rest of video_ingest."""

from dataclasses import dataclass
from typing import Protocol

from video_ingest.detectors.base import Boxes
from video_ingest.instants import from_us
from video_ingest.tracker_state import Sample, TrackState


@dataclass(frozen=True, slots=True)
class TrackletSoFar:
    """A tracklet as of now.

    Attributes:
        first_us: instant of its first sample.
        last_us: instant of its last sample.
        sample_count: samples given out, those of earlier chunks and filled ones included.
        chunk_ids: chunks that gave detections, in time order.
    """

    tracklet_id: str
    first_us: int
    last_us: int
    sample_count: int
    chunk_ids: tuple[str, ...]


def tracklet_id(camera_id: str, first_us: int, number: int) -> str:
    """The id of a tracklet: camera, UTC of the first sample, and its number at that instant."""
    return f"{camera_id}-{from_us(first_us).strftime('%Y%m%dT%H%M%S.%fZ')}-{number}"


class Tracker(Protocol):
    """Turns the boxes of one chunk of one camera into tracklets, instant by instant."""

    @property
    def tracks(self) -> tuple[TrackState, ...]:
        """The people the next chunk takes over; empty for a tracker that carries nobody over."""
        ...

    @property
    def step_us(self) -> tuple[int, ...]:
        """Instants of the last samples, in time order; the last of them always."""
        ...

    def step(self, at_us: int, boxes: Boxes) -> list[tuple[str, Sample]]:
        """Take in the detections of one instant.

        Args:
            at_us: microseconds since 1970 UTC, later than the step before.
            boxes: shape (n, 5): x1, y1, x2, y2 in pixels, confidence.

        Returns:
            (tracklet_id, sample), each sample once; in time order for each tracklet. Samples may
            be of earlier instants than this one.

        Raises:
            ValueError: time does not increase.
        """
        ...

    def touched(self) -> list[TrackletSoFar]:
        """The tracklets that got samples in this chunk, by id."""
        ...
