"""Video chunks into tracklets: only what is new, and forward from what changed.

A chunk's result depends on its bytes, its camera, the detector, and the people carried over from
the chunk before. All of that is one hash, its `done_key`. A chunk whose key is the one it was done
with is not decoded. When a chunk arrives late or again, the state it hands on differs, so the keys
of its successors differ and they are done again, until a state comes out as it was before. Keys
are compared in every run for an earlier day, so this also holds when a run ended in between.

A chunk that could not be done hands on what it was handed, or the state it had from before.

A chunk that was deleted after it was done still counts and still hands on its state.

Each camera is a chain of jobs in the order of its chunks; chains run side by side where there are
worker processes. Only this process writes, and each chunk is one transaction, so a run killed at
any moment and started again ends in the same tables.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path

from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.instants import from_us
from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.defs.steps.chunk_inbox import (
    chunk_quarantine,
    chunk_row,
    discover_chunks,
    has_camera,
    is_possible,
    known_sha256,
)
from ksi_pipeline.defs.steps.landing import TRACKLET_TABLES, land_tracklets, not_calibrated
from ksi_pipeline.defs.steps.video_files import camera_spec, watched_by
from ksi_pipeline.defs.steps.video_meter import VideoMeter
from ksi_pipeline.defs.workspace import VideoSettings, Workspace, digest
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.ledger import Row
from ksi_pipeline.store.store import Change
from video_ingest.contract import CameraSpec, Chunk, DetectorError, VideoError
from video_ingest.crop import Watched
from video_ingest.detectors.auto import choose
from video_ingest.ingest import ChunkResult, file_sha256
from video_ingest.jobs import ChunkJob, ChunkLost
from video_ingest.tracker_state import TRACKER_VERSION, TrackerParams, TrackerState
from video_ingest.workers import Chain, run_chains

_WEIGHTS = {".xml", ".bin", ".onnx", ".pt"}

# Beyond this the spacing of chunks says nothing about how long an unreadable one was.
_LONGEST_CHUNK = timedelta(hours=1)
# One chunk may be at fault; after another one, the camera or the machine is.
_MOST_LOST = 2


@dataclass(slots=True)
class IngestReport:
    """What a pass over the chunks did.

    Attributes:
        done_count: chunks that were decoded and count.
        unreadable_count: chunks that were looked at and cannot be used.
        failed: one message for each camera of which a chunk was lost, by `<site>/<camera>`.
        detector: which one was used, and why.
    """

    done_count: int = 0
    unchanged_count: int = 0
    unreadable_count: int = 0
    point_count: int = 0
    messages: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    detector: str = ""


def ingest_chunks(workspace: Workspace, first: date, last: date) -> IngestReport:
    """Decode the chunks of some UTC days that are new or changed, and what follows from them.

    Raises:
        ConfigError: the detector cannot start, or a camera's homography allows no mapping.
    """
    video = workspace.video
    choice = choose(video.detector, video.model, video.weights_dir)
    # What auto means is settled before anything depends on it: other weights are another result.
    video = replace(video, detector=choice.detector, model=choice.model)
    workspace = replace(workspace, video=video)
    report = IngestReport(detector=f"{choice.detector}: {choice.why}")
    spaces = {space.site_id: space for space in workspace.spaces()}
    by_camera: dict[tuple[str, str], list[Chunk]] = defaultdict(list)
    for chunk in discover_chunks(workspace).chunks:
        if has_camera(spaces, chunk) and is_possible(workspace, chunk):
            by_camera[chunk.site_id, chunk.camera_id].append(chunk)
    wanted = [
        chunk for chunks in by_camera.values() for chunk in _waiting(workspace, chunks, first, last)
    ]
    meter = VideoMeter(wanted, workspace.progress)
    version = _video_version(video)
    run_chains(
        [
            _ingest_camera(
                _CameraWork(
                    workspace, spaces[site_id], camera_id, report, meter, version, first, last
                ),
                chunks,
            )
            for (site_id, camera_id), chunks in by_camera.items()
        ],
        workspace.video.workers,
        lambda job, *far: meter.tell(job.chunk, *far),
    )
    return report


def _waiting(
    workspace: Workspace, chunks: Sequence[Chunk], first: date, last: date
) -> Iterator[Chunk]:
    """Give the chunks of the days asked for that were never done as they lie there."""
    for chunk in chunks:
        if first <= chunk.start_utc.date() <= last:
            row = workspace.store.ledger.chunk(chunk.chunk_id)
            if row is None or row["done_key"] is None or known_sha256(row, chunk) is None:
                yield chunk


@dataclass(slots=True)
class _CameraWork:
    """One camera's pass."""

    workspace: Workspace
    space: Space
    camera_id: str
    report: IngestReport
    meter: VideoMeter
    video_version: str
    first: date
    last: date
    lost_count: int = 0

    def is_asked_for(self, chunk: Chunk) -> bool:
        """Whether a chunk is of the days asked for."""
        return self.first <= chunk.start_utc.date() <= self.last

    def wants(self, chunk: Chunk, row: Row | None) -> bool:
        """Whether to look at a chunk: of the days asked for, or done before and later than they."""
        is_later = chunk.start_utc.date() > self.last
        return self.is_asked_for(chunk) or (
            is_later and row is not None and row["done_key"] is not None
        )


def _ingest_camera(work: _CameraWork, present: Sequence[Chunk]) -> Chain:
    known = work.workspace.store.ledger.chunks_of(work.space.site_id, work.camera_id)
    rows = {row["chunk_id"]: row for row in known}
    on_disk = {chunk.chunk_id for chunk in present}
    _withdraw_renamed(work, rows, on_disk)
    chunks = _with_deleted(work, present, rows.values())
    state, version = TrackerState(), ""
    for number, chunk in enumerate(chunks):
        row = rows.get(chunk.chunk_id)
        spec = camera_spec(work.space, chunk.camera_id, chunk.start_utc)
        if spec.version != version:
            # another calibration or clock: nobody can be carried over into it
            state, version = TrackerState(), spec.version
        if chunk.chunk_id not in on_disk or not work.wants(chunk, row):
            state = _state_of(row, state)
            continue
        nominal_s = _nominal_s(chunks, number)
        sha256 = known_sha256(row, chunk) or file_sha256(chunk.path)
        watched = _watched(work, chunk)
        # without a crop the key is what it always was
        seen = (watched,) if watched else ()
        key = digest(sha256, spec.version, work.video_version, state.digest(), *seen)
        if row and row["done_key"] in (key, _unreadable_key(key, nominal_s)):
            work.report.unchanged_count += work.is_asked_for(chunk)
            state = _state_of(row, state)
            continue
        try:
            result = yield _job(work, chunk, spec, state, nominal_s, watched)
        except DetectorError:
            raise
        except ChunkLost as error:
            _lose(work, chunk, error, sha256)
            if work.lost_count == _MOST_LOST:
                return
            state = _state_of(row, state)
            continue
        except VideoError as error:
            _set_aside(work, chunk, error.code, str(error), sha256)
            state = _state_of(row, state)
            continue
        finally:
            work.meter.done(chunk)
        _land(work, chunk, row, result, sha256, _done_key(result, key, nominal_s))
        state = result.state


def _withdraw_renamed(work: _CameraWork, rows: dict[str, Row], on_disk: set[str]) -> None:
    """Take back what a file gave under its old name, when it was renamed to correct its start."""
    store = work.workspace.store
    new = {row["sha256"] for row in rows.values() if row["done_key"] is None}
    for chunk_id, row in list(rows.items()):
        if chunk_id in on_disk or row["done_key"] is None or row["sha256"] not in new:
            continue
        change = Change(cause=f"chunk {chunk_id} renamed", withdrawn_chunks=[chunk_id])
        nothing = {name: DATASETS[name].empty_table() for name in TRACKLET_TABLES}
        source = f"chunk:{chunk_id}"
        land_tracklets(store, change, work.space, work.camera_id, source, nothing)
        store.commit(change)
        del rows[chunk_id]


def _set_aside(work: _CameraWork, chunk: Chunk, code: str, message: str, sha256: str) -> None:
    """Quarantine a chunk that cannot be used as things are; the others go on."""
    change = Change(cause=f"chunk {chunk.chunk_id}")
    change.quarantine.append(
        chunk_quarantine(work.workspace, chunk.chunk_id, code, message, sha256)
    )
    work.report.unreadable_count += 1
    work.report.messages.append(f"{code}: {message}")
    work.workspace.store.commit(change)


def _lose(work: _CameraWork, chunk: Chunk, error: ChunkLost, sha256: str) -> None:
    """Keep a chunk aside that no worker could do; the next run tries it again."""
    work.lost_count += 1
    camera = f"{chunk.site_id}/{chunk.camera_id}"
    told = f"{error.code}: {error}"
    if work.lost_count == _MOST_LOST:
        told += f" It is chunk {_MOST_LOST} of {camera} in this run, whose later chunks now wait."
    work.report.failed[camera] = told
    _set_aside(work, chunk, error.code, str(error), sha256)


def _with_deleted(work: _CameraWork, present: Sequence[Chunk], rows: Iterable[Row]) -> list[Chunk]:
    """Give the camera's chunks in order of their start, those done and deleted since included."""
    on_disk = {chunk.chunk_id for chunk in present}
    deleted = [
        Chunk(
            work.space.site_id,
            work.camera_id,
            row["chunk_id"],
            work.workspace.home.root / str(row["path"]),
            from_us(row["start_utc"]),
        )
        for row in rows
        if row["chunk_id"] not in on_disk and row["done_key"] is not None
    ]
    return sorted([*present, *deleted], key=lambda chunk: chunk.start_utc)


def _job(
    work: _CameraWork,
    chunk: Chunk,
    spec: CameraSpec,
    state: TrackerState,
    nominal_s: float | None,
    watched: Watched,
) -> ChunkJob:
    video = work.workspace.video
    return ChunkJob(
        chunk, spec, video.detector, video.model, state, video.sample_hz, nominal_s, watched
    )


def _watched(work: _CameraWork, chunk: Chunk) -> Watched:
    """Give what the picture is cropped for; nothing where it is not."""
    if not work.workspace.video.crop:
        return ()
    return watched_by(work.space, chunk.camera_id, chunk.start_utc)


def _land(
    work: _CameraWork,
    chunk: Chunk,
    row: Row | None,
    result: ChunkResult,
    sha256: str,
    done_key: str,
) -> None:
    change = Change(cause=f"chunk {chunk.chunk_id}")
    camera = work.space.camera_at(chunk.camera_id, chunk.start_utc)
    is_calibrated = camera is not None and bool(camera.homography)
    coverage = result.coverage if is_calibrated else not_calibrated(result.coverage)
    tables = dict(zip(TRACKLET_TABLES, (result.points, result.tracklets, coverage), strict=True))
    source = f"chunk:{chunk.chunk_id}"
    is_usable = result.problem is None
    try:
        land_tracklets(work.workspace.store, change, work.space, work.camera_id, source, tables)
    except ContractError as error:
        _set_aside(work, chunk, error.code, str(error), sha256)
        is_usable = False
    noted = chunk_row(work.workspace, chunk, row, sha256)
    noted |= {
        "done_key": done_key,
        "state_json": result.state.to_json(),
        "status": "unreadable" if result.problem else "done",
        "message": str(result.problem) if result.problem else None,
        "observed_s": sum(result.coverage["observed_s"].to_pylist()),
    }
    change.chunks.append(noted)
    work.report.done_count += is_usable
    work.report.point_count += result.points.num_rows
    if result.problem:
        work.report.unreadable_count += 1
        work.report.messages.append(f"{result.problem.code}: {result.problem}")
        change.quarantine.append(
            chunk_quarantine(
                work.workspace, chunk.chunk_id, result.problem.code, str(result.problem), sha256
            )
        )
    work.workspace.store.commit(change)


def _state_of(row: Row | None, before: TrackerState) -> TrackerState:
    """Give the state that a chunk handed on; `before`, where it was never done."""
    if row is None or row["state_json"] is None:
        return before
    return TrackerState.from_json(str(row["state_json"]))


def _nominal_s(chunks: Sequence[Chunk], number: int) -> float | None:
    """Guess a chunk's length from its neighbours, for one whose file does not tell."""
    for earlier, later in ((number - 1, number), (number, number + 1)):
        if earlier >= 0 and later < len(chunks):
            spacing = chunks[later].start_utc - chunks[earlier].start_utc
            if spacing <= _LONGEST_CHUNK:
                return spacing.total_seconds()
    return None


def _video_version(video: VideoSettings) -> str:
    weights = [file_sha256(path) for path in _weight_files(video.model)]
    return digest(
        video.detector, weights, video.sample_hz, TRACKER_VERSION, TrackerParams().digest()
    )


def _weight_files(model: Path | None) -> Iterator[Path]:
    if model is None or not model.exists():
        return
    folder = model if model.is_dir() else model.parent
    stem = "*" if model.is_dir() else model.stem
    yield from sorted(p for p in folder.glob(f"{stem}.*") if p.suffix in _WEIGHTS)


def _done_key(result: ChunkResult, key: str, nominal_s: float | None) -> str:
    return _unreadable_key(key, nominal_s) if result.problem else key


def _unreadable_key(key: str, nominal_s: float | None) -> str:
    """An unreadable chunk also depends on its neighbours, which say how long it should be."""
    return f"{key}:{nominal_s}"
