"""Trackers of ultralytics on boxes of ours, for comparison."""

import sys
from importlib.metadata import version

import numpy as np
import pyarrow.parquet as pq
import pytest

from video_ingest.__main__ import main
from video_ingest.calibrate import fit_homography
from video_ingest.chunks import list_chunks
from video_ingest.contract import VideoError
from video_ingest.ingest import ingest_many, merge_results
from video_ingest.peer_tracker import PEERS, PeerTracker
from video_ingest.tracker_state import TrackerState

from .networks import needs_torch

START_US = 1_772_442_000_000_000

real = [pytest.mark.torch, needs_torch]


def boxes(*people):
    """Boxes 40 x 100 px with foot points (u, v)."""
    corners = [[u - 20, v - 100, u + 20, v, 0.9] for u, v in people]
    return np.array(corners, dtype=np.float32).reshape(-1, 5)


def parting(count=20):
    """Two people who walk apart, at 5 samples a second: (instant, boxes)."""
    return [
        (START_US + k * 200_000, boxes((300 - 6 * k, 400), (360 + 6 * k, 400)))
        for k in range(count)
    ]


def by_tracklet(samples):
    found = {}
    for name, sample in samples:
        found.setdefault(name, []).append(sample)
    return found


def run(tracker, steps):
    return by_tracklet(each for at_us, found in steps for each in tracker.step(at_us, found))


@pytest.fixture
def two_chunks(write_clip, tmp_path):
    """The same walker for two times five seconds, one after the other."""
    paths = [
        write_clip(tmp_path / "20260302T090000Z.avi", 0, 50),
        write_clip(tmp_path / "20260302T090005Z.avi", 50, 100),
    ]
    return list_chunks(paths, "mall", "cam-1")


class TestReal:
    pytestmark = real

    @pytest.mark.parametrize("name", PEERS)
    def test_two_people_who_walk_apart_keep_their_tracklets(self, name):
        tracker = PeerTracker(name, "cam-1", "chunk-0")
        found = run(tracker, parting())
        left, right = found.values()
        assert list(found) == [f"cam-1-20260302T090000.000000Z-{n}" for n in (1, 2)]
        assert [s.at_us for s in left] == [s.at_us for s in right] == [t for t, _ in parting()]
        assert sorted((left[-1].u_px, right[-1].u_px)) == pytest.approx([186, 474], abs=3)
        assert [each.sample_count for each in tracker.touched()] == [20, 20]

    @pytest.mark.parametrize("name", PEERS)
    def test_a_sample_is_the_bottom_centre_of_its_box_and_observed(self, name):
        (walk,) = run(PeerTracker(name, "c", "k"), [(START_US, boxes((300, 400)))]).values()
        (sample,) = walk
        measured = sample.u_px, sample.v_px, sample.width_px, sample.height_px
        assert measured == pytest.approx((300, 400, 40, 100), abs=0.01)
        assert sample.confidence == pytest.approx(0.9)
        assert sample.is_observed

    def test_a_gap_is_bridged_and_not_filled(self):
        steps = [
            (at, found if k not in (8, 9) else boxes()) for k, (at, found) in enumerate(parting())
        ]
        found = run(PeerTracker("bytetrack", "cam-1", "chunk-0"), steps)
        assert [len(samples) for samples in found.values()] == [18, 18]
        assert all(sample.is_observed for samples in found.values() for sample in samples)

    def test_time_must_increase_also_over_a_chunk_border(self):
        tracker = PeerTracker("bytetrack", "c", "k", TrackerState(step_us=(START_US,)))
        with pytest.raises(ValueError, match="Time must increase"):
            tracker.step(START_US, boxes())

    def test_a_box_nowhere_on_the_floor_is_left_out(self):
        # row -600 lies above the horizon
        floor = fit_homography(
            [(0, 700, 0, 0), (750, 700, 15, 0), (200, 100, 0, 40), (550, 100, 15, 40)]
        )
        tracker = PeerTracker("bytetrack", "c", "k", homography=floor)
        assert tracker.step(START_US, boxes((300, -600))) == []
        people = [tracker.step(START_US + k, boxes((300, 400))) for k in (1, 2)]
        assert [len(samples) for samples in people] == [0, 1]  # the second detection confirms

    @pytest.mark.parametrize("name", PEERS)
    def test_a_chunk_border_ends_tracklets_and_the_table_names_the_tracker(
        self, name, two_chunks, camera, walker
    ):
        def tracklets(tracker):
            results = list(ingest_many(two_chunks, camera, walker(), tracker=tracker))
            return merge_results(results).tracklets.to_pylist()

        assert [len(row["chunk_ids"]) for row in tracklets("footpoint")] == [2]
        ended = tracklets(name)
        assert [len(row["chunk_ids"]) for row in ended] == [1, 1]
        wanted = f"ultralytics-{name} {version('ultralytics')}"
        assert {row["tracker_version"] for row in ended} == {wanted}


@pytest.mark.parametrize("package", ["torch", "ultralytics", "lap"])
@pytest.mark.parametrize("name", PEERS)
def test_a_missing_package_is_answered_with_what_to_install(monkeypatch, name, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(VideoError, match=r"pip install 'ksi_pipeline\[vision\]'") as caught:
        PeerTracker(name, "cam-1", "chunk-0")
    assert caught.value.code == "E_TRACKER_MISSING"
    assert f"tracker '{name}'" in str(caught.value)


def test_the_command_ends_with_2_for_a_missing_package_and_writes_nothing(
    monkeypatch, capsys, two_chunks, tmp_path
):
    monkeypatch.setitem(sys.modules, "torch", None)
    out = tmp_path / "out"
    paths = [str(chunk.path) for chunk in two_chunks]
    named = [*paths, "--site", "mall", "--camera", "cam-1", "--out", str(out)]
    assert main([*named, "--tracker", "bytetrack"]) == 2
    assert "E_TRACKER_MISSING" in capsys.readouterr().err
    assert not out.exists()


def test_the_host_beside_the_camera_refuses_a_tracker_that_there_is_not(capsys):
    with pytest.raises(SystemExit) as left:
        main(["a.avi", "--site", "s", "--camera", "c", "--out", "o", "--tracker", "sort"])
    assert left.value.code == 2
    assert "'footpoint', 'bytetrack', 'botsort'" in capsys.readouterr().err


def test_without_the_option_the_tracker_is_the_one_of_foot_points(two_chunks, tmp_path):
    paths = [str(chunk.path) for chunk in two_chunks]
    assert main([*paths, "--site", "mall", "--camera", "cam-1", "--out", str(tmp_path / "o")]) == 0
    rows = pq.read_table(tmp_path / "o" / "tracklets.parquet").to_pylist()
    assert {row["tracker_version"] for row in rows} == {"footpoint-2"}
