from dataclasses import replace

import pytest

from video_ingest.chunks import make_chunk
from video_ingest.contract import DetectorError, DetectorStalled, VideoError
from video_ingest.jobs import ChunkJob, ChunkLost, JobRunner
from video_ingest.tracker_state import TrackerState
from video_ingest.workers import run_chains


def ignore(*_told):
    pass


@pytest.fixture
def job(tmp_path, write_clip, camera, start):
    chunk = make_chunk(write_clip(tmp_path / "a.avi", 0, 30), "mall", "cam-1", start)
    return ChunkJob(chunk, camera, "motion", None, TrackerState())


def chain_of(jobs, answers):
    """A chain that keeps every answer and goes on whatever it was."""
    for job in jobs:
        try:
            answers.append((yield job))
        except VideoError as error:
            answers.append(error)


# no sample rate at all is a caller's mistake that nothing in a job checks
def broken(job):
    return replace(job, sample_hz=0.0)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_job_that_breaks_is_lost_and_the_next_of_its_chain_is_done(job, workers):
    answers = []
    run_chains([chain_of([broken(job), job], answers)], workers, ignore)
    lost, done = answers
    assert isinstance(lost, ChunkLost)
    assert lost.code == "E_CHUNK_FAILED"
    assert "sample_hz must be 1 to 60" in str(lost)
    assert done.sampled_frames == 15


def test_a_worker_gives_the_result_that_this_process_gives(job):
    answers = []
    run_chains([chain_of([job], answers)], 2, ignore)
    here = JobRunner().run(job)
    assert answers[0].points.equals(here.points)
    assert answers[0].state == here.state
    assert here.points.num_rows > 0


@pytest.mark.parametrize("workers", [1, 2])
def test_what_the_chain_raises_ends_them_all(job, workers):
    def stubborn():
        yield job
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        run_chains([stubborn(), chain_of([job] * 50, [])], workers, ignore)


def test_a_detector_that_cannot_start_reaches_the_chain_from_a_worker(job):
    answers = []
    run_chains([chain_of([replace(job, detector="oracle")], answers)], 2, ignore)
    assert isinstance(answers[0], DetectorError)
    assert answers[0].code == "E_DETECTOR_UNKNOWN"


@pytest.mark.parametrize("workers", [1, 2])
def test_weights_that_cannot_be_read_are_a_detector_that_cannot_start(job, tmp_path, workers):
    answers = []
    jobs = [replace(job, detector="openvino", model=tmp_path / ("x" * 300 + ".xml"))]
    run_chains([chain_of(jobs, answers)], workers, ignore)
    assert isinstance(answers[0], DetectorError)
    assert "File name too long" in str(answers[0])


class Hangs:
    name, prime_frames = "hangs", 0

    def prime(self, frames):
        pass

    def detect(self, frames):
        raise DetectorStalled("no answer", code="E_DETECTOR_STALLED")


def test_a_detector_that_hangs_loses_its_chunk_and_the_next_job_has_a_new_one(job):
    runner = JobRunner({("motion", None): Hangs()})
    with pytest.raises(ChunkLost, match="no answer") as lost:
        runner.run(job)
    assert lost.value.code == "E_DETECTOR_STALLED"
    assert runner.run(job).sampled_frames == 15
