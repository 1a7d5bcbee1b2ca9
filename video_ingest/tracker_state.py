"""What the tracker hands from chunk to chunk, and the settings it works with.

The state is a few kilobytes of JSON: places, speeds and sizes of the people in view, and nothing of
their appearance. Floats are written so that they read back to the same bits.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Self

from video_ingest.contract import VideoError
from video_ingest.walk import Motion

# Changes whenever the same boxes would give other tracklets, or the state another form.
TRACKER_VERSION = "footpoint-2"


@dataclass(frozen=True, slots=True)
class TrackerParams:
    """Settings of the tracker, in seconds, metres and body heights (h).

    A body height is the height of the person's box at that moment, so that one setting holds near
    the camera and far from it. Nothing depends on the frame rate. docs/reference/tracker.md says
    how they work together.

    Attributes:
        high_confidence: detections from here on are matched first.
        low_confidence: detections below it are ignored; those between help a known tracklet only.
        new_confidence: an unmatched detection from here on begins a tracklet.
        foot_noise_h: standard deviation of a detected foot point in the picture, in h.
        height_noise: standard deviation of a detected height, as a share of it.
        walk_m_s: usual speed along each axis of the floor, in m/s; standard deviation.
        steady_s: how long a person keeps speed and direction; time constant.
        person_m: height of a person in metres; the measure where the camera is not calibrated.
        gate_sigmas: a detection may be this many standard deviations from the prediction.
        newcomers_h2: people newly seen, for each square body height of the picture, to whom a
            detection is left when a prediction is so vague that they are as likely.
        size_memory_s: time constant with which the box size follows new detections.
        lost_s: a confirmed tracklet ends when it was not seen for longer.
        unconfirmed_s: an unconfirmed one is dropped when it was not seen for longer.
        confirm_hits: detections before a tracklet gets an id; earlier samples are then given too.
        fill_s: gaps up to this long are filled by linear interpolation, as not observed.
        max_overlap: a new tracklet may not overlap a detection matched at that instant by more
            than this (intersection over union); detectors box people twice.
    """

    high_confidence: float = 0.4
    low_confidence: float = 0.25
    new_confidence: float = 0.5
    foot_noise_h: float = 0.05
    height_noise: float = 0.12
    walk_m_s: float = 1.0
    steady_s: float = 3.0
    person_m: float = 1.7
    gate_sigmas: float = 3.5
    newcomers_h2: float = 0.01
    size_memory_s: float = 0.5
    lost_s: float = 8.0
    unconfirmed_s: float = 1.1
    confirm_hits: int = 2
    fill_s: float = 3.0
    max_overlap: float = 0.5

    def digest(self) -> str:
        """Twelve hex digits that change when any setting does."""
        return hashlib.sha256(_canonical(asdict(self)).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Sample:
    """One foot point of a confirmed tracklet, and the box above it.

    Attributes:
        at_us: microseconds since 1970 UTC.
        u_px: pixel column of the foot point, smoothed by what was seen before.
        v_px: pixel row of the foot point.
        width_px: smoothed width of the box.
        height_px: smoothed height of the box.
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
    """One person in view or lost from it, confirmed or not.

    Attributes:
        first_us: instant of the first sample.
        number: distinguishes people first seen at the same instant; from 1.
        last_us: instant of the last detection.
        motion: place and speed at `last_us`.
        u_px: pixel column of the smoothed foot point at `last_us`.
        v_px: pixel row of the smoothed foot point at `last_us`.
        width_px: smoothed box width.
        height_px: smoothed box height; one body height.
        hits: detections so far.
        sample_count: samples given out so far, filled ones included.
        pending: samples held back until the tracklet is confirmed.
        chunk_ids: chunks with a detection of it, in time order.
    """

    first_us: int
    number: int
    last_us: int
    motion: Motion
    u_px: float
    v_px: float
    width_px: float
    height_px: float
    hits: int
    sample_count: int
    pending: tuple[Sample, ...]
    chunk_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrackerState:
    """Everything the next chunk of a camera needs from the chunks before it.

    Attributes:
        basis: tracker, settings, detector and calibration; tracks are not carried over a change.
        tracks: the people in view at the end of the chunk, and those lost shortly before it.
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
    motion = values.pop("motion")
    spread = tuple(motion.pop("spread"))
    return TrackState(
        motion=Motion(spread=spread, **motion),
        pending=pending,
        chunk_ids=tuple(values.pop("chunk_ids")),
        **values,
    )


def _canonical(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _bad_state(why: str) -> VideoError:
    return VideoError(
        f"Reading the tracker state of the chunk before failed: {why}. Nothing was decoded. Read "
        "the camera's chunks again from one without a state before it.",
        code="E_TRACKER_STATE",
    )
