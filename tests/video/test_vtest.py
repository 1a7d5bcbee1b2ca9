"""One real scene, PETS 2009 S2.L1: 79.5 s, 19 people, with a real network."""

import functools
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from itertools import pairwise

import cv2
import numpy as np
import pyarrow.compute as pc
import pytest
from scipy.optimize import linear_sum_assignment

from ksi_pipeline.core.events import count_events
from ksi_pipeline.space.load import load_space
from video_ingest.calibrate import fit_homography, make_camera
from video_ingest.chunks import make_chunk
from video_ingest.decode import SampleGrid
from video_ingest.detectors import make_detector
from video_ingest.detectors.base import Frame
from video_ingest.detectors.boxes import overlap
from video_ingest.ingest import ingest_many, merge_results
from video_ingest.instants import to_us
from video_ingest.tables import points_table
from video_ingest.tracker import FootPointTracker

# Asked for, not imported: importing openvino directly would send its telemetry.
pytestmark = [
    pytest.mark.data,
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is not installed"),
]

# The video ends at frame LAST. From frame DENSE on, which no setting was chosen by, the network
# looks at all frames; before it at two a second, and at all while people stand at the line.
DENSE, LAST = 400, 795
AT_THE_LINE = range(50, 120)
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
    """Boxes found before; the same for every way to cut the video, and no picture is looked at."""

    name = "recorded"
    prime_frames = 0

    def __init__(self, boxes):
        self.boxes = boxes

    def prime(self, frames):
        pass

    def detect(self, frames):
        return [self.boxes[frame.at_us] for frame in frames]


def write_chunks(folder, spans, picture):
    """Write chunks of frames [first, last), which all show the same."""
    chunks = []
    for first, last in spans:
        path = folder / f"{first}-{last}.avi"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (768, 576))
        for _ in range(first, last):
            writer.write(picture)
        writer.release()
        chunks.append(make_chunk(path, "pets", "cam-1", NOON + timedelta(seconds=first / 10)))
    return chunks


@pytest.fixture(scope="module")
def recorded(video, yolo):
    """What the network finds: 2 samples a second of the whole, 10 where all are looked at."""
    capture, frames, boxes = cv2.VideoCapture(str(video)), [], {}
    for number in range(LAST):
        assert capture.grab()
        if number >= DENSE or number in AT_THE_LINE or number % 5 == 0:
            frames.append(Frame(to_us(NOON) + number * 100_000, capture.retrieve()[1]))
        if len(frames) == 32 or number == LAST - 1:
            boxes |= zip([frame.at_us for frame in frames], yolo.detect(frames), strict=True)
            frames = []
    return Recorded(boxes)


@pytest.fixture(scope="module")
def chunks_of(tmp_path_factory):
    """Chunks of frames [first, last) of the video; their boxes are those recorded.

    Their pictures are black, which are quick to write and to read.
    """
    folder, black = tmp_path_factory.mktemp("chunks"), np.zeros((576, 768, 3), np.uint8)
    return functools.cache(lambda *spans: write_chunks(folder, spans, black))


@pytest.fixture(scope="module")
def one_run(chunks_of, recorded):
    """The tables of the second half as one chunk, at so many samples a second."""
    whole = chunks_of((DENSE, LAST))

    @functools.cache
    def run(hz):
        return merge_results(list(ingest_many(whole, CAMERA, recorded, sample_hz=hz)))

    return run


def frames_at(hz):
    """The frames in which the network looked so often, to the end of the video."""
    return range(0 if hz == 2.0 else DENSE, LAST)


@pytest.fixture(scope="module")
def tracked(recorded):
    """Samples of some frames of the video at so many a second, by the tracker alone."""

    @functools.cache
    def run(hz, is_calibrated=True, frames=None):
        floor = fit_homography(ROWS) if is_calibrated else None
        tracker = FootPointTracker("cam-1", "whole", homography=floor, view_px=(0, 0, 768, 576))
        grid = SampleGrid(hz)
        instants = [to_us(NOON) + number * 100_000 for number in frames or frames_at(hz)]
        taken = [at_us for at_us in instants if grid.takes(at_us)]
        return [each for at_us in taken for each in tracker.step(at_us, recorded.boxes[at_us])]

    return run


@pytest.fixture(scope="module")
def truth(test_data):
    return json.loads((test_data / "video" / "vtest.truth.json").read_text())


@pytest.fixture(scope="module")
def true_boxes(test_data):
    """(instant, person) and their box: left, top, width, height."""
    rows = np.loadtxt(test_data / "video" / "PETS09-S2L1.gt.txt", delimiter=",")
    return {(to_us(NOON) + (int(r[0]) - 1) * 100_000, int(r[1])): r[2:6] for r in rows}


def idf1(samples, true_boxes):
    """Identity F1 (Ristani et al. 2016) in percent, a box being right from IoU 0.5 on.

    Each true person is paired with at most one tracklet, so that the most boxes are right.
    """
    by_instant = {}
    for tracklet_id, s in samples:
        box = [s.u_px - s.width_px / 2, s.v_px - s.height_px, s.u_px + s.width_px / 2, s.v_px]
        by_instant.setdefault(s.at_us, []).append((tracklet_id, box))
    looked_at = {key: box for key, box in true_boxes.items() if key[0] in by_instant}
    tracklets = sorted({tracklet_id for tracklet_id, _ in samples})
    right = np.zeros((20, len(tracklets)))
    for (at_us, person), (left, top, width, height) in looked_at.items():
        ids, found = zip(*by_instant[at_us], strict=True)
        shared = overlap(np.array([[left, top, left + width, top + height]]), np.array(found))[0]
        for tracklet_id, share in zip(ids, shared, strict=True):
            right[person, tracklets.index(tracklet_id)] += share >= 0.5
    best = right[linear_sum_assignment(-right)].sum()
    return 100 * 2 * best / (len(looked_at) + len(samples))


def test_the_calibration_of_the_scene_has_residuals_below_a_centimetre():
    assert fit_homography(CAMERA.homography).residuals_m.max() < 0.01


def test_four_chunks_of_what_the_network_finds_give_about_as_many_tracklets_as_people(
    recorded, chunks_of
):
    four = chunks_of(*pairwise([0, 200, 400, 600, LAST]))
    results = list(ingest_many(four, CAMERA, recorded, sample_hz=2.0))
    merged = merge_results(results)
    seconds = pc.subtract(merged.tracklets["last_utc"], merged.tracklets["first_utc"])
    lengths = [each.total_seconds() for each in seconds.to_pylist()]
    assert 17 <= merged.tracklets.num_rows <= 28
    assert np.median(lengths) > 10
    assert sum(merged.coverage["observed_s"].to_pylist()) == pytest.approx(79.5)
    assert sum(result.sampled_frames for result in results) == 159
    crossing_borders = [row for row in merged.tracklets["chunk_ids"].to_pylist() if len(row) > 1]
    assert len(crossing_borders) >= 8


@pytest.mark.parametrize(("hz", "least"), [(2.0, 90), (5.0, 92), (10.0, 92)])
def test_people_keep_their_identities_at_every_sampling_rate(tracked, true_boxes, hz, least):
    assert idf1(tracked(hz), true_boxes) > least


@pytest.mark.parametrize(("hz", "least"), [(2.0, 84), (5.0, 92), (10.0, 92)])
def test_people_keep_their_identities_without_a_calibration(tracked, true_boxes, hz, least):
    assert idf1(tracked(hz, is_calibrated=False), true_boxes) > least


@pytest.mark.parametrize("hz", [2.0, 10.0])
def test_line_and_zone_are_counted_close_to_the_truth(test_data, tracked, truth, hz):
    plan = load_space(test_data / "video" / "vtest.space.yaml").plan()
    camera = make_camera("pets-plaza", "cam-1", ROWS)
    points = points_table(tracked(hz), camera, fit_homography(ROWS))
    events = count_events(points, plan)
    from_s = frames_at(hz)[0] / 10
    passed = [e["direction"] for e in truth["lines"]["walkway"]["events"] if e["t_s"] >= from_s]
    stays = [(e["enter_s"], e["leave_s"]) for e in truth["zones"]["middle"]["events"]]
    directions = events.line_crossings["direction"].to_pylist()
    assert abs(directions.count("in") - passed.count("in")) <= 1
    assert abs(directions.count("out") - passed.count("out")) <= 1
    true_s = sum(max(0.0, leave - max(enter, from_s)) for enter, leave in stays)
    assert pc.sum(events.visits["dwell_s"]).as_py() == pytest.approx(true_s, rel=0.1)


def test_smoothing_takes_away_crossings_by_people_who_stand_at_the_line(
    test_data, recorded, tracked
):
    plan = load_space(test_data / "video" / "vtest.space.yaml").plan()
    camera = make_camera("pets-plaza", "cam-1", ROWS)

    def crossings(samples):
        points = points_table(samples, camera, fit_homography(ROWS))
        return count_events(points, plan).line_crossings.num_rows

    def as_detected(sample):
        found = recorded.boxes[sample.at_us].astype(float)
        feet = np.column_stack([(found[:, 0] + found[:, 2]) / 2, found[:, 3]])
        away = np.abs(feet - [sample.u_px, sample.v_px]).sum(axis=1)
        u_px, v_px = feet[np.argmin(away)]
        return replace(sample, u_px=float(u_px), v_px=float(v_px))

    smoothed = tracked(10.0, frames=AT_THE_LINE)
    detected = [(i, as_detected(s) if s.is_observed else s) for i, s in smoothed]
    assert crossings(detected) > crossings(smoothed) + 3


@pytest.mark.parametrize("hz", [2.0, 5.0, 10.0])
def test_eight_chunks_of_a_real_scene_give_exactly_the_tracklets_of_one_run(
    one_run, recorded, chunks_of, hz
):
    eight = chunks_of(*pairwise([*range(DENSE, LAST, 50), LAST]))
    many = merge_results(list(ingest_many(eight, CAMERA, recorded, sample_hz=hz)))
    assert many.points.equals(one_run(hz).points)


def test_chunks_that_overlap_by_half_a_second_give_exactly_the_tracklets_of_one_run(
    one_run, recorded, chunks_of
):
    overlapping = chunks_of(*((k, min(k + 55, LAST)) for k in range(DENSE, LAST, 50)))
    many = merge_results(list(ingest_many(overlapping, CAMERA, recorded, sample_hz=5.0)))
    assert many.points.equals(one_run(5.0).points)


@pytest.mark.parametrize("hz", [2.0, 10.0])
def test_people_keep_their_tracklets_across_gaps_of_half_a_second(one_run, recorded, chunks_of, hz):
    def long_ones(tables):
        rows = tables.tracklets.to_pylist()
        spans = {row["tracklet_id"]: (row["first_utc"], row["last_utc"]) for row in rows}
        return {i: span for i, span in spans.items() if span[1] - span[0] > timedelta(seconds=10)}

    with_gaps = chunks_of(*((k, k + 95) for k in range(DENSE, LAST, 100)))
    many = merge_results(list(ingest_many(with_gaps, CAMERA, recorded, sample_hz=hz)))
    assert long_ones(many) == long_ones(one_run(hz))
    assert len(long_ones(many)) > 8


def test_motion_alone_covers_most_of_the_people(video):
    whole = [make_chunk(video, "pets", "cam-1", NOON)]
    detector = make_detector("motion")
    merged = merge_results(list(ingest_many(whole, CAMERA, detector, sample_hz=2.0)))
    # truth: 4,650 boxes in 795 frames, so 930 person samples at 2 per second
    assert 760 < merged.points.num_rows < 1040
    assert merged.tracklets.num_rows < 60
