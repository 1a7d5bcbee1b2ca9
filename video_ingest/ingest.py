"""Chunks in, tracklets and coverage out: decode, detect, track and map to the floor.

Everything here stays in memory; nothing of a picture leaves it. `tables.write_outputs` writes the
tables.

Chunks that overlap: each instant belongs to one chunk, the earlier one, as far as its frames reach.
Chunks with a gap between them: the people in view are carried over while the gap is shorter than
the tracker remembers (`TrackerParams.lost_s`).
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path

import pyarrow as pa

from video_ingest.calibrate import fit_homography
from video_ingest.contract import (
    BOXES,
    TRACKLET_POINTS,
    TRACKLETS,
    CameraSpec,
    Chunk,
    ChunkUnreadable,
    VideoError,
)
from video_ingest.coverage import coverage_table, span_unreadable, spans_read
from video_ingest.crop import CroppedDetector
from video_ingest.decode import ChunkReader, SampleGrid, unreadable
from video_ingest.detectors.base import Detector
from video_ingest.instants import from_us, seconds_to_us, to_us
from video_ingest.peer_tracker import PEERS, PeerTracker, peer_version
from video_ingest.tables import Tables, boxes_table, merge_tables, points_table, tracklets_table
from video_ingest.tracker import FootPointTracker
from video_ingest.tracker_base import Tracker
from video_ingest.tracker_state import TRACKER_VERSION, Sample, TrackerParams, TrackerState

# Called with (seconds of the chunk done, seconds it should have; 0 where not known, and frames
# decoded of it).
Progress = Callable[[float, float, int], None]

# Below about 0.9 a second no track is confirmed (TrackerParams.unconfirmed_s), so nobody is found;
# at 1 and above chunks are tested.
MIN_SAMPLE_HZ, MAX_SAMPLE_HZ = 1.0, 60.0

# Our own, and those of ultralytics, which are there to compare with.
TRACKERS = ("footpoint", *PEERS)

_BATCH = 8


@dataclass(frozen=True, slots=True, eq=False)
class ChunkResult:
    """What one chunk gave.

    Attributes:
        points: TRACKLET_POINTS, ordered by tracklet_id and ts_utc. Samples may lie before the
            chunk's start: a tracklet confirmed in it, or a gap filled.
        tracklets: TRACKLETS, one row for each tracklet in `points`, as of this chunk's end; of
            several rows of a tracklet the one with the latest last_utc is right.
        coverage: COVERAGE, in time order.
        boxes: BOXES, for those who score; nothing keeps it unless it is asked for.
        state: to be handed to the camera's next chunk.
        sha256: of the file, hex; None when it cannot be read at all.
        problem: why the chunk gave nothing; None when it could be read.
    """

    chunk: Chunk
    points: pa.Table
    tracklets: pa.Table
    coverage: pa.Table
    boxes: pa.Table
    state: TrackerState
    sha256: str | None
    decoded_frames: int = 0
    sampled_frames: int = 0
    dropped_frames: int = 0
    problem: ChunkUnreadable | None = None


def require_rate(sample_hz: float) -> float:
    """Give back a sampling rate that the tracker can work with.

    Raises:
        ValueError: it is not from MIN_SAMPLE_HZ to MAX_SAMPLE_HZ.
    """
    if not MIN_SAMPLE_HZ <= sample_hz <= MAX_SAMPLE_HZ:
        raise ValueError(
            f"sample_hz must be {MIN_SAMPLE_HZ:g} to {MAX_SAMPLE_HZ:g}, not {sample_hz:g}; with "
            "fewer samples a second nobody can be followed, and a full store would look empty."
        )
    return sample_hz


def require_tracker(name: str) -> str:
    """Give back the name of a tracker that there is.

    Raises:
        ValueError: it is not in TRACKERS.
    """
    if name not in TRACKERS:
        raise ValueError(f"tracker must be one of {', '.join(TRACKERS)}, not {name!r}.")
    return name


def ingest_chunk(
    chunk: Chunk,
    camera: CameraSpec,
    detector: Detector,
    state: TrackerState | None,
    *,
    sample_hz: float = 5.0,
    owned_from_utc: datetime | None = None,
    nominal_s: float | None = None,
    params: TrackerParams | None = None,
    tracker: str = "footpoint",
    progress: Progress | None = None,
) -> ChunkResult:
    """Turn one chunk into tracklets and coverage.

    Args:
        chunk: of this camera; a file that cannot be read gives a result with coverage
            `unreadable` and the state unchanged.
        camera: with an empty homography, x_m and y_m are null.
        detector: finds people; reused from chunk to chunk.
        state: of the camera's chunk before this one; None for none.
        sample_hz: samples per second, 1 to 60, on a grid of absolute UTC instants.
        owned_from_utc: earlier instants belong to another chunk, whatever the state says.
        nominal_s: length the recorder was set to; used where the file does not tell its own.
        params: of the tracker `footpoint`; None for the defaults.
        tracker: one of TRACKERS.
        progress: called after every few samples.

    Raises:
        VideoError: E_CHUNK_CAMERA when chunk and camera do not belong together, E_CHUNK_ORDER when
            the state is of a later chunk, E_TRACKER_MISSING when the tracker is not installed.
        CalibrationError: the homography rows allow no mapping.
        DetectorError: the detector does not fit.
        ValueError: sample_hz is out of its range, or there is no such tracker.
    """
    require_rate(sample_hz)
    version = _tracker_version(require_tracker(tracker))
    before, params = state or TrackerState(), params or TrackerParams()
    offset_us = seconds_to_us(camera.clock_offset_s)
    start_us = to_us(chunk.start_utc) - offset_us
    _check(chunk, camera, before, start_us)
    homography = fit_homography(camera.homography) if camera.homography else None
    owned_us = _later(before.owned_until_us, owned_from_utc)
    sha256 = None
    try:
        sha256 = file_sha256(chunk.path)
        reader = ChunkReader(chunk)
    except (ChunkUnreadable, OSError) as error:
        return _unreadable(chunk, camera, before, sha256, owned_us, nominal_s, error)
    basis = f"{version}/{params.digest()}/{detector.name}/{camera.version}"
    carried = before if before.basis == basis else replace(before, tracks=())
    ids = camera.camera_id, chunk.chunk_id
    following: Tracker
    if tracker == "footpoint":
        view_px = _view_px(reader, detector)
        following = FootPointTracker(*ids, carried, params, homography=homography, view_px=view_px)
    else:
        following = PeerTracker(tracker, *ids, carried, homography=homography)
    samples, sampled_us = _track(
        reader, detector, following, sample_hz, offset_us, carried, owned_us, progress
    )
    report = reader.report
    spans = spans_read(report, offset_us, owned_us, nominal_s)
    seen_until_us = max((s.to_us for s in spans if s.status == "complete"), default=owned_us)
    return ChunkResult(
        chunk=chunk,
        points=points_table(samples, camera, homography),
        tracklets=tracklets_table(following.touched(), camera, detector.name, version),
        coverage=coverage_table(spans, camera, chunk),
        boxes=boxes_table(samples, sampled_us, camera),
        state=TrackerState(basis, following.tracks, following.step_us, start_us, seen_until_us),
        sha256=sha256,
        decoded_frames=report.frames_decoded,
        sampled_frames=report.frames_sampled,
        dropped_frames=report.frames_dropped,
    )


def ingest_many(
    chunks: Iterable[Chunk],
    camera: CameraSpec,
    detector: Detector,
    state: TrackerState | None = None,
    *,
    sample_hz: float = 5.0,
    nominal_s: float | None = None,
    params: TrackerParams | None = None,
    tracker: str = "footpoint",
    progress: Progress | None = None,
) -> Iterator[ChunkResult]:
    """Ingest a camera's chunks in order of their start, each from the state of the one before.

    A chunk that cannot be read is a result like any other, and the next goes on. For the arguments
    and what is raised see `ingest_chunk`.
    """
    for chunk in sorted(chunks, key=lambda each: each.start_utc):
        result = ingest_chunk(
            chunk,
            camera,
            detector,
            state,
            sample_hz=sample_hz,
            nominal_s=nominal_s,
            params=params,
            tracker=tracker,
            progress=progress,
        )
        state = result.state
        yield result


def merge_results(results: Sequence[ChunkResult]) -> Tables:
    """The tables of several chunks as one; of a tracklet's rows the latest is kept."""
    return merge_tables([Tables(r.points, r.tracklets, r.coverage, r.boxes) for r in results])


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, hex; reads it in pieces.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _track(
    reader: ChunkReader,
    detector: Detector,
    tracker: Tracker,
    sample_hz: float,
    offset_us: int,
    before: TrackerState,
    owned_us: int | None,
    progress: Progress | None,
) -> tuple[list[tuple[str, Sample]], list[int]]:
    """Read the chunk to its end; decoding is by the camera's clock, tracking by UTC.

    Returns:
        Samples with their tracklet_id, and the UTC instants of all frames looked at.
    """
    last_us = before.step_us[-1] + offset_us if before.step_us else None
    grid = SampleGrid(sample_hz, last_us)
    frames = reader.samples(grid, None if owned_us is None else owned_us + offset_us)
    detector.prime(reader.spread(detector.prime_frames))
    samples: list[tuple[str, Sample]] = []
    sampled_us: list[int] = []
    while batch := list(islice(frames, _BATCH)):
        for frame, boxes in zip(batch, detector.detect(batch), strict=True):
            sampled_us.append(frame.at_us - offset_us)
            samples += tracker.step(sampled_us[-1], boxes)
        if progress is not None:
            progress(*reader.done_s(batch[-1].at_us), reader.report.frames_decoded)
    return samples, sampled_us


def _tracker_version(name: str) -> str:
    return TRACKER_VERSION if name == "footpoint" else peer_version(name)


def _view_px(reader: ChunkReader, detector: Detector) -> tuple[int, int, int, int] | None:
    if isinstance(detector, CroppedDetector):
        region = detector.region
        return region.x1, region.y1, region.x2, region.y2
    return None if reader.picture_px is None else (0, 0, *reader.picture_px)


def _check(chunk: Chunk, camera: CameraSpec, before: TrackerState, start_us: int) -> None:
    if (chunk.site_id, chunk.camera_id) != (camera.site_id, camera.camera_id):
        raise VideoError(
            f"Reading chunk {chunk.chunk_id} as camera {camera.camera_id!r} of site "
            f"{camera.site_id!r} failed: it is of {chunk.camera_id!r} of {chunk.site_id!r}. "
            "Nothing was decoded. Give each camera its own chunks.",
            code="E_CHUNK_CAMERA",
        )
    if before.chunk_start_us is not None and start_us < before.chunk_start_us:
        raise VideoError(
            f"Reading chunk {chunk.chunk_id} failed: the tracker state given with it is of a later "
            f"chunk, which began at {from_us(before.chunk_start_us).isoformat()}. Nothing was "
            "decoded. Begin again from the state of the chunk before this one, and read the chunks "
            "after it again.",
            code="E_CHUNK_ORDER",
        )


def _unreadable(
    chunk: Chunk,
    camera: CameraSpec,
    before: TrackerState,
    sha256: str | None,
    owned_us: int | None,
    nominal_s: float | None,
    error: ChunkUnreadable | OSError,
) -> ChunkResult:
    """The result of a chunk that gives no frame; the next one takes up the state before it."""
    problem = error if isinstance(error, ChunkUnreadable) else unreadable(chunk.path, str(error))
    offset_us = seconds_to_us(camera.clock_offset_s)
    span = span_unreadable(chunk, offset_us, owned_us, nominal_s or 0.0, problem.code)
    return ChunkResult(
        chunk=chunk,
        points=TRACKLET_POINTS.empty_table(),
        tracklets=TRACKLETS.empty_table(),
        coverage=coverage_table([span], camera, chunk),
        boxes=BOXES.empty_table(),
        state=before,
        sha256=sha256,
        problem=problem,
    )


def _later(owned_until_us: int | None, owned_from_utc: datetime | None) -> int | None:
    named = [owned_until_us, None if owned_from_utc is None else to_us(owned_from_utc)]
    return max((instant for instant in named if instant is not None), default=None)
