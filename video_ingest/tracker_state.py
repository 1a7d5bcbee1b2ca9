"""What the tracker hands from chunk to chunk, and the settings it works with.

The state is a few kilobytes of JSON: foot points, speeds and sizes of the people in view, and
nothing of their appearance. Floats are written so that they read back to the same bits.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Self

from video_ingest.contract import VideoError

# Changes whenever the same boxes would give other tracklets, or the state another form.
TRACKER_VERSION = "footpoint-2"


@dataclass(frozen=True, slots=True)
class TrackerParams:
    """Settings of the tracker: distances in body heights (h), times in seconds.

    A body height is the height of the person's box at that moment, so that one setting holds near
    the camera and far from it. Nothing depends on the frame rate.

    Attributes:
        high_confidence: detections from here on are matched first.
        low_confidence: detections below it are ignored; those between help a known tracklet only.
        new_confidence: an unmatched detection from here on begins a tracklet.
        gate_h: distance from the predicted place that is always allowed; detector noise.
        speed_h_s: allowed distance per second while the speed is unknown; 1.6 h/s is a run.
        drift_h_s: allowed distance per second from the predicted place once the speed is known.
        gate_growth_s: gates grow up to this time since the last detection, then stay.
        low_gate_share: gates of the second matching, with low confidence, as a share of the first.
        max_height_ratio: a detection may be higher or lower than the tracklet by this factor.
        height_weight: cost of a height ratio, in h per unit of its logarithm.
        predict_s: the speed is trusted up to this time since the last detection.
        speed_memory_s: time constant with which the speed follows new detections.
        size_memory_s: time constant with which the box size follows new detections.
        lost_s: a confirmed tracklet ends when it was not seen for longer.
        unconfirmed_s: an unconfirmed one is dropped when it was not seen for longer.
        confirm_hits: detections before a tracklet gets an id; earlier samples are then given too.
        fill_s: gaps up to this long are filled by linear interpolation, as not observed.
        max_overlap: a new tracklet may not overlap one seen at that instant by more than this
            (intersection over union); detectors box people twice.
    """

    high_confidence: float = 0.4
    low_confidence: float = 0.25
    new_confidence: float = 0.5
    gate_h: float = 0.35
    speed_h_s: float = 1.6
    drift_h_s: float = 0.8
    gate_growth_s: float = 2.0
    low_gate_share: float = 0.5
    max_height_ratio: float = 1.55
    height_weight: float = 0.5
    predict_s: float = 1.0
    speed_memory_s: float = 0.5
    size_memory_s: float = 0.5
    lost_s: float = 2.5
    unconfirmed_s: float = 1.1
    confirm_hits: int = 2
    fill_s: float = 2.0
    max_overlap: float = 0.5

    def digest(self) -> str:
        """Twelve hex digits that change when any setting does."""
        return hashlib.sha256(_canonical(asdict(self)).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Sample:
    """One foot point of a confirmed tracklet, with the size of the box above it.

    Attributes:
        at_us: microseconds since 1970 UTC.
        u_px: pixel column of the foot point.
        v_px: pixel row of the foot point.
        width_px: of the box, whose bottom centre the foot point is.
        height_px: of the box.
        confidence: of the detection; None where the sample was filled in.
        is_observed: False where the sample was filled in across an occlusion.
    """

    at_us: int
    u_px: float
    v_px: float
    width_px: float
    height_px: float
    confidence: float | None
    is_observed: bool


@dataclass(frozen=True, slots=True)
class TrackState:
    """One person in view, confirmed or not.

    Attributes:
        first_us: instant of the first sample.
        number: distinguishes people first seen at the same instant; from 1.
        last_us: instant of the last detection.
        u_px: pixel column of the foot point at `last_us`.
        v_px: pixel row of the foot point at `last_us`.
        speed_u: pixels per second along columns.
        speed_v: pixels per second along rows.
        height_px: smoothed box height; one body height.
        width_px: smoothed box width.
        hits: detections so far.
        sample_count: samples given out so far, filled ones included.
        pending: samples held back until the tracklet is confirmed.
        chunk_ids: chunks with a detection of it, in time order.
    """

    first_us: int
    number: int
    last_us: int
    u_px: float
    v_px: float
    speed_u: float
    speed_v: float
    height_px: float
    width_px: float
    hits: int
    sample_count: int
    pending: tuple[Sample, ...]
    chunk_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrackerState:
    """Everything the next chunk of a camera needs from the chunks before it.

    Attributes:
        basis: tracker, settings, detector and calibration; tracks are not carried over a change.
        tracks: the people in view at the end of the chunk.
        step_us: instants of the last samples, as far back as gaps are filled.
        chunk_start_us: start of the last chunk, UTC; None before the first.
        owned_until_us: instants before it belong to chunks already read, UTC; None before the
            first.
    """

    basis: str = ""
    tracks: tuple[TrackState, ...] = ()
    step_us: tuple[int, ...] = ()
    chunk_start_us: int | None = None
    owned_until_us: int | None = None

    def to_json(self) -> str:
        """Canonical JSON: equal states give equal bytes."""
        return _canonical({"version": TRACKER_VERSION, **asdict(self)})

    def digest(self) -> str:
        """SHA-256 of the canonical JSON, hex."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            VideoError: E_TRACKER_STATE when it is no such JSON, or of another tracker version.
        """
        try:
            values = json.loads(text)
            version = values.pop("version")
            tracks = tuple(_read_track(track) for track in values.pop("tracks"))
            state = cls(tracks=tracks, step_us=tuple(values.pop("step_us")), **values)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _bad_state(f"it is no tracker state ({error!r})") from error
        if version != TRACKER_VERSION:
            raise _bad_state(f"it is of {version!r} and this is {TRACKER_VERSION!r}")
        return state


def _read_track(values: dict[str, Any]) -> TrackState:
    pending = tuple(Sample(**sample) for sample in values.pop("pending"))
    return TrackState(pending=pending, chunk_ids=tuple(values.pop("chunk_ids")), **values)


def _canonical(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _bad_state(why: str) -> VideoError:
    return VideoError(
        f"Reading the tracker state of the chunk before failed: {why}. Nothing was decoded. Read "
        "the camera's chunks again from one without a state before it.",
        code="E_TRACKER_STATE",
    )
