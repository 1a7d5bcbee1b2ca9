"""Scores of boxes beside the truth, by figures that can be worked out by hand."""

import builtins
import math

import pyarrow as pa
import pytest

from video_ingest.contract import BOXES, VideoError
from video_ingest.score import score_boxes
from video_ingest.truth import read_mot

STEP_US = 100_000


@pytest.fixture
def truth(tmp_path):
    """Ten frames a second; each person a list of (frame, x), in boxes of 10 x 30 pixels."""

    def written(**people):
        path = tmp_path / "gt.txt"
        path.write_text(
            "".join(
                f"{frame},{number},{x},100,10,30\n"
                for number, walk in enumerate(people.values(), 1)
                for frame, x in walk
            )
        )
        return read_mot(path, 0, 10.0)

    return written


def boxes(*, empty=(), **tracklets):
    """BOXES of tracklets, each a list of (frame, x); `empty` are frames with nobody."""
    rows = [
        {
            "tracklet_id": name,
            "ts_utc": (frame - 1) * STEP_US,
            "x1_px": float(x),
            "y1_px": 100.0,
            "x2_px": float(x) + 10,
            "y2_px": 130.0,
            "confidence": 0.9,
            "is_observed": True,
        }
        for name, walk in tracklets.items()
        for frame, x in walk
    ]
    rows += [{"ts_utc": (frame - 1) * STEP_US} for frame in empty]
    named = [{"site_id": "mall", "camera_id": "cam-1", **row} for row in rows]
    return pa.Table.from_pylist(named, schema=BOXES)


def walk(first, last, x=0):
    return [(frame, x) for frame in range(first, last + 1)]


def test_the_truth_itself_scores_100(truth):
    scores = score_boxes(
        boxes(a=walk(1, 10), b=walk(4, 8, 50)), truth(p=walk(1, 10), q=walk(4, 8, 50))
    )
    assert (scores.hota, scores.mota, scores.idf1) == pytest.approx((100, 100, 100))
    assert (scores.recall, scores.precision, scores.id_switches) == (100, 100, 0)
    assert (scores.people, scores.tracklets, scores.truth_boxes, scores.boxes) == (2, 2, 15, 15)
    assert (scores.samples, scores.sample_hz) == (10, 10.0)


def test_a_person_who_becomes_another_tracklet_half_way_is_one_switch(truth):
    scores = score_boxes(boxes(a=walk(1, 5), b=walk(6, 10)), truth(p=walk(1, 10)))
    assert scores.id_switches == 1
    assert scores.mota == pytest.approx(90)  # 1 - 1 switch / 10 boxes
    assert scores.idf1 == pytest.approx(50)  # 2 * 5 / (10 + 10)
    assert (scores.det_a, scores.ass_a) == pytest.approx((100, 50))  # 5 / (10 + 5 - 5)
    assert scores.hota == pytest.approx(100 * math.sqrt(0.5))


def test_a_person_not_found_in_frames_that_were_looked_at_is_missed(truth):
    scores = score_boxes(boxes(a=walk(1, 5), empty=range(6, 11)), truth(p=walk(1, 10)))
    assert (scores.misses, scores.recall, scores.precision) == (5, 50, 100)
    assert scores.mota == pytest.approx(50)
    assert scores.idf1 == pytest.approx(100 * 2 * 5 / (10 + 5))


def test_frames_that_were_not_looked_at_are_not_judged(truth):
    every_fifth = [(1, 0), (6, 0)]
    scores = score_boxes(boxes(a=every_fifth), truth(p=walk(1, 10)))
    assert (scores.mota, scores.samples, scores.sample_hz) == (100, 2, 2.0)


def test_frames_beyond_the_truth_are_left_out_and_counted(truth):
    scores = score_boxes(boxes(a=walk(1, 14)), truth(p=walk(1, 10)))
    assert (scores.false_boxes, scores.samples, scores.samples_left_out) == (0, 10, 4)


def test_a_box_on_nobody_is_false(truth):
    scores = score_boxes(boxes(a=walk(1, 10), ghost=walk(1, 10, 300)), truth(p=walk(1, 10)))
    assert (scores.false_boxes, scores.recall, scores.precision) == (10, 100, 50)
    assert scores.mota == pytest.approx(0)


@pytest.mark.parametrize(
    ("shift", "mota"),
    [
        pytest.param(3, 100, id="7 of 13 shared"),
        pytest.param(4, -100, id="6 of 14 shared: a miss and a false box each"),
    ],
)
def test_half_of_two_boxes_together_must_be_shared(truth, shift, mota):
    scores = score_boxes(boxes(a=walk(1, 10, shift)), truth(p=walk(1, 10)))
    assert scores.mota == pytest.approx(mota)


def test_hota_minds_how_well_boxes_fit(truth):
    # 6 of 14 shared: a match for the 8 thresholds 0.05 to 0.40 of 19
    scores = score_boxes(boxes(a=walk(1, 10, 4)), truth(p=walk(1, 10)))
    assert scores.hota == pytest.approx(100 * 8 / 19)


def test_nobody_found_at_all_is_nought_and_precision_is_not_known(truth):
    scores = score_boxes(boxes(empty=range(1, 11)), truth(p=walk(1, 10)))
    assert (scores.hota, scores.mota, scores.idf1, scores.recall) == (0, 0, 0, 0)
    assert scores.precision is None
    assert scores.misses == 10


def test_the_order_of_rows_does_not_matter(truth):
    table = boxes(a=walk(1, 5), b=walk(6, 10), empty=[11])
    people = truth(p=walk(1, 10))
    backwards = table.take(list(range(table.num_rows))[::-1])
    assert score_boxes(backwards, people) == score_boxes(table, people)


def test_another_time_than_the_truth_is_refused_with_both(truth):
    with pytest.raises(VideoError, match=r"from 1970-01-01T00:00:01\.900000") as caught:
        score_boxes(boxes(a=walk(20, 30)), truth(p=walk(1, 10)))
    assert caught.value.code == "E_TRUTH_TIME"
    assert "the truth is of 1970-01-01T00:00:00+00:00" in str(caught.value)


def test_no_frame_looked_at_is_refused(truth):
    with pytest.raises(VideoError, match="no frame was looked at"):
        score_boxes(boxes(), truth(p=walk(1, 10)))


def test_frames_without_anybody_in_the_truth_give_no_score(truth):
    with pytest.raises(VideoError, match="nobody is in any of the 2 frames") as caught:
        score_boxes(boxes(a=walk(2, 3)), truth(p=[(1, 0), (10, 0)]))
    assert caught.value.code == "E_TRUTH_TIME"


def test_a_tracklet_twice_at_one_instant_is_refused_by_name(truth):
    with pytest.raises(VideoError, match="'a' has two boxes") as caught:
        score_boxes(boxes(a=[*walk(1, 5), (5, 30)]), truth(p=walk(1, 10)))
    assert caught.value.code == "E_BOXES"


def test_without_trackeval_the_message_says_what_to_install(truth, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **named):
        if name.split(".")[0] == "trackeval":
            raise ImportError("No module named 'trackeval'")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(VideoError, match=r"pip install 'ksi_pipeline\[score\]'") as caught:
        score_boxes(boxes(a=walk(1, 10)), truth(p=walk(1, 10)))
    assert caught.value.code == "E_SCORE_MISSING"
