"""Truth in MOT Challenge form: what is read or refused, and which frame a sample belongs to."""

import numpy as np
import pytest

from video_ingest.contract import VideoError
from video_ingest.truth import read_mot

SECOND = 1_000_000


@pytest.fixture
def read(tmp_path):
    def written(text, fps=10.0, start_us=0):
        path = tmp_path / "gt.txt"
        path.write_text(text)
        return read_mot(path, start_us, fps)

    return written


def test_left_top_width_height_become_corners_in_order_of_frames(read):
    truth = read("2,7,10,20,5,30,1,-1,-1,-1\n\n1,7,1.5,2,3,4\n")
    assert truth.frame.tolist() == [1, 2]
    assert truth.corners.tolist() == [[1.5, 2, 4.5, 6], [10, 20, 15, 50]]
    assert (truth.first_frame, truth.last_frame) == (1, 2)


@pytest.mark.parametrize(
    ("line", "is_kept"),
    [
        pytest.param("1,2,0,0,5,5,1,1,0.5", True, id="a pedestrian"),
        pytest.param("1,2,0,0,5,5,1,-1,-1,-1", True, id="class not said"),
        pytest.param("1,2,0,0,5,5,0,1,0.5", False, id="flagged out"),
        pytest.param("1,2,0,0,5,5,1,3,0.5", False, id="a car"),
    ],
)
def test_what_is_flagged_out_or_no_pedestrian_is_left_out(read, line, is_kept):
    assert read(f"1,1,0,0,5,5\n{line}\n").person.tolist() == ([1, 2] if is_kept else [1])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "it names nobody", id="empty"),
        pytest.param("1,1,0,0,5,5,0\n", "it names nobody", id="all flagged out"),
        pytest.param("1,1,0,0,5,5\n1,1,0,0,5\n", "line 2 is '1,1,0,0,5'", id="too short"),
        pytest.param("frame,id,x,y,w,h\n", "line 1 is 'frame", id="a heading"),
        pytest.param("1,1,0,nan,5,5\n", "line 1 is", id="not a number"),
        pytest.param("0,1,0,0,5,5\n", "cannot be", id="frame 0"),
        pytest.param("1.5,1,0,0,5,5\n", "cannot be", id="half a frame"),
        pytest.param("1,1,0,0,-5,5\n", "cannot be", id="negative width"),
        pytest.param("3,1,0,0,5,5\n3,1,9,9,5,5\n", "person 1 stands twice in frame 3", id="twice"),
    ],
)
def test_a_file_that_is_no_truth_is_refused_with_its_line(read, text, said):
    with pytest.raises(VideoError, match=r"Reading the truth gt\.txt failed") as caught:
        read(text)
    assert said in str(caught.value)
    assert caught.value.code == "E_TRUTH"


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
def test_a_frame_rate_that_is_none_is_refused(read, fps):
    with pytest.raises(VideoError, match="frames a second are none"):
        read("1,1,0,0,5,5\n", fps=fps)


def test_a_missing_file_and_one_that_is_no_text_are_refused(tmp_path):
    with pytest.raises(VideoError, match="No such file"):
        read_mot(tmp_path / "none.txt", 0, 10)
    (tmp_path / "gt.txt").write_bytes(b"\xff\xfe\x00RIFF")
    with pytest.raises(VideoError, match="it is no text"):
        read_mot(tmp_path / "gt.txt", 0, 10)


def paired(truth, *seconds):
    sampled_us = np.array([round(second * SECOND) for second in seconds], dtype=np.int64)
    samples, frames = truth.paired(sampled_us)
    return list(zip(samples.tolist(), frames.tolist(), strict=True))


TEN = "".join(f"{frame},1,0,0,5,5\n" for frame in range(1, 11))


def test_a_sample_is_paired_with_the_frame_nearest_to_it(read):
    truth = read(TEN, fps=10)
    assert paired(truth, 0.04, 0.27, 0.52) == [(0, 1), (1, 4), (2, 6)]


def test_of_samples_denser_than_frames_each_frame_keeps_the_nearest(read):
    truth = read(TEN, fps=1)
    assert paired(truth, 0.0, 0.4, 0.7, 0.9, 1.2, 1.4) == [(0, 1), (3, 2)]


def test_samples_before_and_after_the_truth_are_paired_with_nothing(read):
    truth = read(TEN, fps=10, start_us=SECOND)
    assert paired(truth, 0.5, 0.9, 1.0, 1.9, 2.0, 7.0) == [(2, 1), (3, 10)]


def test_only_the_frames_chosen_are_judged(read):
    truth = read(TEN, fps=10).between(3, 4)
    assert paired(truth, 0.1, 0.2, 0.3, 0.4) == [(1, 3), (2, 4)]
    assert truth.window_us == (200_000, 300_000)


@pytest.mark.parametrize("frames", [(0, 5), (5, 4), (1, 11)])
def test_frames_that_the_truth_does_not_have_are_refused(read, frames):
    with pytest.raises(VideoError, match="it has frames 1 to 10"):
        read(TEN).between(*frames)
