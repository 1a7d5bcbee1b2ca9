"""What video_ingest takes and emits: Arrow schemas, plain values and errors.

This module is the one border between the producer of tracklets and whoever reads them. It holds no
logic, and it imports nothing heavier than pyarrow, so that a reader can take the schemas without
OpenCV. Instants are UTC microseconds; windows are half-open [a, b).

Errors, by what the caller should do:

* VideoError
  - ChunkUnreadable     skip this chunk, write its coverage as unreadable, go on
  - DetectorError       fix the configuration: weights missing, of another shape, or not installed
  - CalibrationError    fix the space file: fewer than four points, or points on one line
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa

UTC_US = pa.timestamp("us", tz="UTC")

TRACKLET_POINTS = pa.schema(
    [
        pa.field("site_id", pa.string(), nullable=False),
        pa.field("camera_id", pa.string(), nullable=False),
        # camera + UTC of the first sample + n; carries nothing about the person
        pa.field("tracklet_id", pa.string(), nullable=False),
        pa.field("ts_utc", UTC_US, nullable=False),
        pa.field("x_m", pa.float64()),
        pa.field("y_m", pa.float64()),
        pa.field("confidence", pa.float32()),
        # false: filled in across an occlusion
        pa.field("is_observed", pa.bool_(), nullable=False),
    ]
)

TRACKLETS = pa.schema(
    [
        pa.field("site_id", pa.string(), nullable=False),
        pa.field("camera_id", pa.string(), nullable=False),
        pa.field("tracklet_id", pa.string(), nullable=False),
        pa.field("first_utc", UTC_US, nullable=False),
        pa.field("last_utc", UTC_US, nullable=False),
        pa.field("sample_count", pa.int64(), nullable=False),
        pa.field("detector", pa.string(), nullable=False),
        pa.field("tracker_version", pa.string(), nullable=False),
        pa.field("camera_version", pa.string(), nullable=False),
        pa.field("chunk_ids", pa.list_(pa.string()), nullable=False),
    ]
)

COVERAGE = pa.schema(
    [
        pa.field("site_id", pa.string()),  # null for a feed that serves several sites
        pa.field("source_kind", pa.string(), nullable=False),  # camera, feed
        pa.field("source_id", pa.string(), nullable=False),  # camera_id or connector_id
        pa.field("key", pa.string(), nullable=False),  # chunk_id or ext_ref_code
        pa.field("from_utc", UTC_US, nullable=False),
        pa.field("to_utc", UTC_US, nullable=False),
        # complete, partial, unreadable, refused, silent
        pa.field("status", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("observed_s", pa.float64(), nullable=False),
        pa.field("expected_s", pa.float64(), nullable=False),
        # null for cameras, so that a replay gives the same rows
        pa.field("fetched_at_utc", UTC_US),
    ]
)


# Only on request, and never part of a delivery: what a scorer needs, pixels of corners only.
BOXES = pa.schema(
    [
        pa.field("site_id", pa.string(), nullable=False),
        pa.field("camera_id", pa.string(), nullable=False),
        # null, as all that follows: the frame was looked at and nobody was followed in it
        pa.field("tracklet_id", pa.string()),
        pa.field("ts_utc", UTC_US, nullable=False),
        # the bottom centre is the foot point of tracklet_points
        pa.field("x1_px", pa.float64()),
        pa.field("y1_px", pa.float64()),
        pa.field("x2_px", pa.float64()),
        pa.field("y2_px", pa.float64()),
        pa.field("confidence", pa.float32()),
        pa.field("is_observed", pa.bool_()),
    ]
)


class VideoError(Exception):
    """Base of all errors that video_ingest raises on purpose."""

    def __init__(self, message: str, *, code: str = "E_VIDEO") -> None:
        """Keep the message as the user will read it, and its stable code."""
        super().__init__(message)
        self.code = code


class ChunkUnreadable(VideoError):
    """A chunk gives no usable frame; its whole span is coverage with status unreadable.

    Attributes:
        why: file and reason alone, for who reads a video for something else than its coverage.
    """

    why: str = ""


class DetectorError(VideoError):
    """A detector cannot start: weights or a package are missing, or weights have another shape."""


class DetectorStalled(VideoError):
    """A detector gave no answer for minutes; it is of no more use, another of its kind may be."""


class CalibrationError(VideoError):
    """A homography cannot be found from the points given."""


@dataclass(frozen=True, slots=True)
class CameraSpec:
    """One camera as plain values, so that no space model is needed beside the camera.

    Attributes:
        homography: rows (u, v, x, y): pixel column, pixel row, floor metres x, floor metres y;
            at least four, not on one line. Empty means not calibrated.
        clock_offset_s: seconds by which the camera's clock is ahead; ts_utc = camera time - offset.
        version: hash of everything above, as 12 hex digits; changes when the calibration does.
    """

    site_id: str
    camera_id: str
    homography: tuple[tuple[float, float, float, float], ...]
    clock_offset_s: float
    version: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """One video file of one camera.

    Attributes:
        chunk_id: `<site>/<camera>/<start as 20260302T090000Z>`; the same file name sent again with
            other bytes is a restatement of the same chunk.
        start_utc: the camera clock's instant of the first frame, before clock_offset_s.
    """

    site_id: str
    camera_id: str
    chunk_id: str
    path: Path
    start_utc: datetime
