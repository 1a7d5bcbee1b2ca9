"""What each layout's numbers mean, on outputs small enough to write by hand."""

import time

import numpy as np
import pytest

from video_ingest.detectors.layouts import (
    EndToEndLayout,
    SsdLayout,
    YoloLayout,
    YoloxLayout,
    boxes_of,
    layout_of,
)

# 64 x 48 into 64 x 64: no scaling, 8 rows of grey above and below in a centred letterbox.
IMAGE = np.full((48, 64, 3), 200, dtype=np.uint8)
CELLS = 8 * 8 + 4 * 4 + 2 * 2


def boxes(layout, output, image=IMAGE, min_confidence=0.1):
    return boxes_of(layout, np.asarray(output, dtype=np.float32), image, min_confidence, 0.6)


def yolo_output(*rows, classes=2):
    """Columns of centre, size and class scores."""
    output = np.zeros((1, 4 + classes, 84), dtype=np.float32)
    output[0, :, : len(rows)] = np.array(rows).T
    return output


def test_yolo_gives_corners_in_pixels_of_the_picture():
    found = boxes(YoloLayout(64, 64), yolo_output((32, 32, 10, 20, 0.9, 0.0)))
    assert found == pytest.approx(np.array([[27, 14, 37, 34, 0.9]]))


def test_yolo_leaves_out_other_classes_and_the_less_sure_of_two_on_one_person():
    rows = ((32, 32, 10, 20, 0.6, 0), (33, 32, 10, 20, 0.9, 0), (10, 20, 4, 8, 0.0, 0.99))
    found = boxes(YoloLayout(64, 64), yolo_output(*rows))
    assert found[:, 4] == pytest.approx([0.9])


def test_yolo_takes_the_class_that_is_called_person():
    layout = layout_of((1, 3, 64, 64), (1, 6, 84 * 3), ["bicycle", "person"])
    found = boxes(layout, yolo_output((32, 32, 10, 20, 0.2, 0.8)))
    assert found[:, 4] == pytest.approx([0.8])


def test_end_to_end_rows_are_taken_as_they_are():
    rows = [(27, 22, 37, 42, 0.9, 0), (28, 22, 38, 42, 0.5, 0), (0, 8, 9, 9, 0.8, 1)]
    found = boxes(EndToEndLayout(64, 64), [[*rows, (0, 0, 0, 0, 0.0, 0)]])
    assert found == pytest.approx(np.array([[27, 14, 37, 34, 0.9], [28, 14, 38, 34, 0.5]]))


def test_yolox_decodes_offsets_from_a_cell_and_logarithms_of_sizes():
    output = np.zeros((1, CELLS, 7))
    # column 2, row 3 of stride 8: centre (20, 28), size 16 x 24, objectness 0.9, person 0.8
    output[0, 3 * 8 + 2] = (0.5, 0.5, np.log(2), np.log(3), 0.9, 0.8, 0.1)
    found = boxes(YoloxLayout(64, 64), output)
    assert found == pytest.approx(np.array([[12, 16, 28, 40, 0.72]]))


def test_yolox_reads_the_coarser_cells_after_the_finer():
    output = np.zeros((1, CELLS, 7))
    output[0, 64 + 16 + 1] = (0.0, 0.0, 0.0, 0.0, 1.0, 0.5, 0.0)
    found = boxes(YoloxLayout(64, 64), output)
    assert found == pytest.approx(np.array([[16, 0, 48, 16, 0.5]]))


def test_ssd_shares_become_pixels_and_the_list_ends_at_a_negative_image():
    rows = [(0, 1, 0.9, 0.25, 0.5, 0.5, 1.0), (0, 2, 0.9, 0, 0, 1, 1), (-1, 1, 0.9, 0, 0, 1, 1)]
    found = boxes(SsdLayout(32, 32), [[rows]])
    assert found == pytest.approx(np.array([[16, 24, 32, 48, 0.9]]))


def test_boxes_are_cut_to_the_picture():
    found = boxes(YoloLayout(64, 64), yolo_output((60, 50, 20, 40, 0.9, 0)))
    assert found[0, :4] == pytest.approx([50, 22, 64, 48])


def test_boxes_outside_the_picture_or_of_no_number_are_left_out():
    rows = ((32, 2, 4, 4, 0.9, 0), (np.nan, 32, 10, 20, 0.9, 0), (32, 32, 10, 20, np.nan, 0))
    assert boxes(YoloLayout(64, 64), yolo_output(*rows)).shape == (0, 5)


@pytest.mark.filterwarnings("error")
def test_sizes_that_overflow_fill_the_picture_without_a_warning():
    output = np.zeros((1, CELLS, 7))
    output[0, 0] = (0, 0, 1000, 1000, 1, 1, 0)
    assert boxes(YoloxLayout(64, 64), output)[0, :4] == pytest.approx([0, 0, 64, 48])


def test_weights_that_see_people_in_every_cell_do_not_stop_a_run():
    output = np.zeros((1, 84, 8400), dtype=np.float32)
    output[0, :2] = np.random.default_rng(1).uniform(0, 640, (2, 8400))
    output[0, 2:4], output[0, 4] = 20.0, 0.5
    began = time.process_time()
    found = boxes(YoloLayout(640, 640), output, np.zeros((640, 640, 3), dtype=np.uint8))
    assert time.process_time() - began < 3.0
    assert len(found) > 100


def test_a_score_above_one_is_one():
    assert boxes(SsdLayout(32, 32), [[[(0, 1, 1.5, 0, 0, 1, 1)]]])[0, 4] == 1.0


@pytest.mark.parametrize("layout", [YoloLayout(64, 64), EndToEndLayout(64, 64)])
def test_a_centred_letterbox_has_grey_above_and_below(layout):
    picture = layout.fit(IMAGE)
    assert (picture[:8] == 114).all()
    assert (picture[8:56] == 200).all()
    assert (picture[56:] == 114).all()


def test_the_letterbox_of_yolox_begins_in_the_corner():
    picture = YoloxLayout(64, 64).fit(IMAGE)
    assert (picture[:48] == 200).all()
    assert (picture[48:] == 114).all()


def test_ssd_stretches_the_picture():
    assert (SsdLayout(32, 40).fit(IMAGE) == 200).all()
    assert SsdLayout(32, 40).fit(IMAGE).shape == (32, 40, 3)


@pytest.mark.parametrize("shape", [(1, 4000, 3), (4000, 1, 3)])
def test_a_picture_that_is_a_line_does_not_vanish(shape):
    line = np.full(shape, 200, dtype=np.uint8)
    assert (YoloLayout(64, 64).fit(line) == 200).any()


@pytest.mark.parametrize(
    ("output_shape", "kind"),
    [
        ((1, 84, 8400), YoloLayout),
        ((1, 5, 8400), YoloLayout),
        ((1, 300, 6), EndToEndLayout),
        ((1, 8400, 85), YoloxLayout),
        ((1, 8400, 6), YoloxLayout),
        ((1, 1, 200, 7), SsdLayout),
    ],
)
def test_the_shape_of_the_output_tells_the_layout(output_shape, kind):
    assert type(layout_of((1, 3, 640, 640), output_shape)) is kind


@pytest.mark.parametrize(
    ("input_shape", "output_shape", "labels"),
    [
        ((1, 3, 640, 640), (1, 1000), None),
        ((1, 3, 640, 640), (1, 25200, 85), None),
        ((1, 3, 640, 640), (1, 1, 200, 6), None),
        ((8, 3, 640, 640), (8, 84, 8400), None),
        ((0, 3, 0, 0), (0, 84, 0), None),
        ((1, 1, 640, 640), (1, 84, 8400), None),
        ((1, 3, 640, 640), (1, 7, 8400), ["plane", "ship", "storage tank"]),
    ],
)
def test_other_shapes_and_classes_without_people_are_no_layout(input_shape, output_shape, labels):
    assert layout_of(input_shape, output_shape, labels) is None
