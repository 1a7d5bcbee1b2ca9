"""One chunk as a job that another process can do, and who does it in this one."""

import traceback
from dataclasses import dataclass, field
from pathlib import Path

from video_ingest.contract import CameraSpec, Chunk, DetectorError, DetectorStalled, VideoError
from video_ingest.crop import Watched, crop_for
from video_ingest.detectors import Detector, make_detector
from video_ingest.ingest import ChunkResult, Progress, ingest_chunk
from video_ingest.tracker_state import TrackerState


class ChunkLost(VideoError):
    """A chunk could not be worked on, through no fault that is known of the chunk.

    E_CHUNK_FAILED: something broke while it was worked on. E_DETECTOR_STALLED: the detector gave no
    answer. E_WORKER_LOST: the process that worked on it died. The tracker state is as before, and
    the chunk can be tried again.
    """


@dataclass(frozen=True, slots=True)
class ChunkJob:
    """Everything that `ingest_chunk` needs, as values that go from process to process.

    Attributes:
        detector: name of the detector.
        model: its weights; None where it needs none.
        state: of the camera's chunk before this one.
        nominal_s: length the recorder was set to; None where not known.
        watched: zones and lines to crop the picture for; empty to look at all of it.
    """

    chunk: Chunk
    camera: CameraSpec
    detector: str
    model: Path | None
    state: TrackerState
    sample_hz: float = 5.0
    nominal_s: float | None = None
    watched: Watched = ()


@dataclass(slots=True)
class JobRunner:
    """Does jobs one after the other, and keeps the detectors it has started."""

    _detectors: dict[tuple[str, Path | None], Detector] = field(default_factory=dict)
    # kept, because freeing one could wait for its requests as it did
    _hung: list[Detector] = field(default_factory=list)

    def run(self, job: ChunkJob, progress: Progress | None = None) -> ChunkResult:
        """Do one job.

        Raises:
            VideoError: as `ingest_chunk`.
            DetectorError: the detector cannot start, or its weights cannot be read.
            ChunkLost: E_DETECTOR_STALLED, and the next job gets a new detector; E_CHUNK_FAILED, for
                anything else that went wrong: one chunk must never stop the others.
        """
        key = (job.detector, job.model)
        if key not in self._detectors:
            self._detectors[key] = _started(job)
        try:
            return ingest_chunk(
                job.chunk,
                job.camera,
                crop_for(self._detectors[key], job.chunk.path, job.camera, job.watched),
                job.state,
                sample_hz=job.sample_hz,
                nominal_s=job.nominal_s,
                progress=progress,
            )
        except DetectorStalled as error:
            self._hung.append(self._detectors.pop(key))
            raise ChunkLost(str(error), code=error.code) from error
        except VideoError:
            raise
        except Exception as error:  # what pictures and libraries raise, nobody lists
            # a network may be left with requests under way
            del self._detectors[key]
            raise _failed(job.chunk, error) from error


def _started(job: ChunkJob) -> Detector:
    try:
        return make_detector(job.detector, job.model)
    except OSError as error:
        raise DetectorError(
            f"Starting detector {job.detector!r} failed: {type(error).__name__}: {error}. Nothing "
            "was decoded. Make its weights readable, or use the detector 'motion', which needs "
            "none.",
            code="E_MODEL_MISSING",
        ) from error


def _failed(chunk: Chunk, error: Exception) -> ChunkLost:
    place = traceback.extract_tb(error.__traceback__)[-1]
    return ChunkLost(
        f"Working on chunk {chunk.chunk_id} failed: {type(error).__name__}: {error} "
        f"({Path(place.filename).name}, line {place.lineno}). It is kept aside, nothing of it "
        "counts, and the other chunks go on. The next run tries it again; if it fails again, move "
        f"{chunk.path.name} out of the inbox and report the message.",
        code="E_CHUNK_FAILED",
    )
