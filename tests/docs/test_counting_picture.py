"""The picture that explains counting tells what counting does."""

import importlib.util
from datetime import timedelta

import cv2
import numpy as np
import pytest

from .pages import REPO


@pytest.fixture(scope="module")
def drawing():
    path = REPO / "docs" / "draw_counting.py"
    spec = importlib.util.spec_from_file_location("draw_counting", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def events(drawing):
    return drawing.count()


def test_the_four_visits_are_those_of_the_captions(events):
    visits = sorted(events.visits.to_pylist(), key=lambda visit: visit["entered_at_utc"])
    assert [
        (v["zone_id"], v["dwell_s"], v["is_start_censored"], v["is_end_censored"]) for v in visits
    ] == [
        ("shelf", 1.3125, True, False),
        ("window", 0.175, False, False),
        ("queue", 0.7, False, True),
        ("queue", 0.75, True, False),
    ]


def test_no_sample_lies_in_the_zone_that_is_walked_through(drawing):
    low, _, high, _ = drawing.ZONES["window"]
    assert [x for x, _ in drawing.WALK if low <= x <= high] == []


def test_one_sample_lies_on_the_line_and_the_walk_crosses_it_once_after(drawing, events):
    on_line = [i for i, (x, _) in enumerate(drawing.WALK) if x == drawing.DOOR.a[0]]
    (crossing,) = events.line_crossings.to_pylist()
    assert crossing["direction"] == "in"
    after = drawing.START + timedelta(seconds=drawing.seconds()[on_line[0]])
    assert len(on_line) == 1
    assert crossing["at_utc"] > after


def test_the_picture_in_the_docs_is_drawn_by_the_script_as_it_is(drawing, tmp_path):
    drawing.draw(tmp_path / "counting.png")
    anew, kept = (cv2.imread(str(p)) for p in (tmp_path / "counting.png", drawing.PICTURE))
    assert anew.shape == kept.shape
    differs = np.abs(anew.astype(int) - kept).max(axis=2) > 64
    assert differs.mean() < 0.001, "run: python docs/draw_counting.py"
