"""One real scene, PETS 2009 S2.L1: 79.5 s, 19 people, with a real network."""

from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from itertools import pairwise

import cv2
import numpy as np
import pyarrow.compute as pc
import pytest

from video_ingest.calibrate import fit_homography, make_camera
from video_ingest.chunks import make_chunk
from video_ingest.decode import ChunkReader, SampleGrid
from video_ingest.detectors import make_detector
from video_ingest.ingest import ingest_many, merge_results

# Asked for, not imported: importing openvino directly would send its telemetry.
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is not installed"),
]

NOON = datetime(2009, 6, 1, 12, tzinfo=UTC)
ROWS = [
    (200, 300, 10.357, 16.02),
    (600, 300, 13.783, 8.782),
    (650, 450, 7.715, 5.558),
    (300, 250, 14.395, 16.416),
    (450, 230, 17.413, 14.116),
    (150, 420, 5.201, 12.637),
]
CAMERA = make_camera("pets", "cam-1", ROWS)


@pytest.fixture(scope="module")
def video(test_data):
    return test_data / "video" / "vtest.avi"


@pytest.fixture(scope="module")
def yolo(test_data):
    return make_detector("openvino", test_data / "weights" / "yolo11n_int8_openvino_model")


class Recorded:
    """Boxes found once in the whole video; the same for every way to cut it."""

    name = "recorded"
    prime_frames = 0

    def __init__(self, video, detector):
        reader = ChunkReader(make_chunk(video, "pets", "cam-1", NOON))
        frames = list(reader.samples(SampleGrid(10.0)))
        self.boxes = dict(zip([f.at_us for f in frames], detector.detect(frames), strict=True))

    def prime(self, frames):
        pass

    def detect(self, frames):
        return [self.boxes[frame.at_us] for frame in frames]


@pytest.fixture(scope="module")
def recorded(video, test_data):
    weights = test_data / "weights" / "person-detection-retail-0013" / "FP32"
    return Recorded(video, make_detector("openvino", weights))


@pytest.fixture(scope="module")
def cut_video(video, tmp_path_factory):
    """The video cut at the given frames into MJPG chunks."""
    folder = tmp_path_factory.mktemp("chunks")

    def cut(*borders):
        capture, chunks, edges = cv2.VideoCapture(str(video)), [], [0, *borders, 795]
        for first, last in pairwise(edges):
            path = folder / f"{first}-{last}.avi"
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (768, 576))
            for _ in range(first, last):
                writer.write(capture.read()[1])
            writer.release()
            begin = NOON + timedelta(seconds=first / 10)
            chunks.append(make_chunk(path, "pets", "cam-1", begin))
        return chunks

    return cut


def test_the_calibration_of_the_scene_has_residuals_below_a_centimetre():
    assert fit_homography(CAMERA.homography).residuals_m.max() < 0.01


def test_four_chunks_through_the_network_give_about_as_many_tracklets_as_people(yolo, cut_video):
    results = list(ingest_many(cut_video(200, 400, 600), CAMERA, yolo))
    merged = merge_results(results)
    seconds = pc.subtract(merged.tracklets["last_utc"], merged.tracklets["first_utc"])
    lengths = [each.total_seconds() for each in seconds.to_pylist()]
    assert 17 <= merged.tracklets.num_rows <= 28
    assert np.median(lengths) > 10
    assert sum(merged.coverage["observed_s"].to_pylist()) == pytest.approx(79.5)
    assert sum(result.sampled_frames for result in results) == 398
    crossing_borders = [row for row in merged.tracklets["chunk_ids"].to_pylist() if len(row) > 1]
    assert len(crossing_borders) >= 8


@pytest.mark.parametrize("hz", [2.0, 5.0, 10.0])
def test_chunks_of_a_real_scene_give_exactly_the_tracklets_of_one_run(
    video, recorded, cut_video, hz
):
    whole = [make_chunk(video, "pets", "cam-1", NOON)]
    one = merge_results(list(ingest_many(whole, CAMERA, recorded, sample_hz=hz)))
    cut = cut_video(100, 203, 377, 500, 601, 700)
    many = merge_results(list(ingest_many(cut, CAMERA, recorded, sample_hz=hz)))
    assert many.points.equals(one.points)
    assert one.tracklets.num_rows < 30


def test_motion_alone_covers_most_of_the_people(video):
    whole = [make_chunk(video, "pets", "cam-1", NOON)]
    merged = merge_results(list(ingest_many(whole, CAMERA, make_detector("motion"))))
    # truth: 4,650 boxes in 795 frames, so 2,330 person samples at 5 per second
    assert 1900 < merged.points.num_rows < 2600
    assert merged.tracklets.num_rows < 60
