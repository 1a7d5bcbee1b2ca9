"""Runs with `KSI_DETECTOR=auto`: which detector is taken is settled and said before a chunk is."""

import shutil
from datetime import date
from importlib.util import find_spec

import cv2
import numpy as np
import pytest

from ksi_pipeline.defs.steps.chunk_inbox import find_chunks
from ksi_pipeline.defs.steps.video import ingest_chunks
from ksi_pipeline.defs.workspace import VideoSettings

from .homes import make_workspace

DAY = date(2026, 3, 27)


@pytest.fixture
def home(shop):
    """A shop with one chunk of two seconds in which nothing happens."""
    home = shop()
    chunks = home / "chunks" / "shop" / "cam-1"
    chunks.mkdir(parents=True)
    path = chunks / "20260327T090000Z.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 120))
    for _ in range(20):
        writer.write(np.full((120, 160, 3), 90, dtype=np.uint8))
    writer.release()
    return home


def ingest(home, detector="auto"):
    settings = VideoSettings(detector, weights_dir=home / "weights")
    workspace = make_workspace(home, video=settings)
    find_chunks(workspace, DAY, DAY)
    return ingest_chunks(workspace, DAY, DAY)


def test_a_run_says_which_detector_auto_took_and_why(home):
    report = ingest(home)
    assert report.done_count == 1
    assert report.detector.startswith("motion: no weights that are known lie in")


def test_what_auto_takes_counts_and_not_that_it_was_auto(home):
    ingest(home, "motion")
    assert ingest(home, "auto").unchanged_count == 1


# Asked for, not imported: importing openvino directly would send its telemetry.
@pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is not installed")
@pytest.mark.data
def test_weights_that_come_later_make_a_chunk_count_as_not_done(home, test_data):
    ingest(home)
    weights = test_data / "weights" / "person-detection-retail-0013" / "FP32"
    shutil.copytree(weights, home / "weights")
    report = ingest(home)
    assert report.done_count == 1
    assert report.detector.startswith("openvino: person-detection-retail-0013.xml lies there")
    assert ingest(home).unchanged_count == 1
