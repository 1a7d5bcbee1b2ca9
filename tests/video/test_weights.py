"""Which weights are found, whether they work, and which detector `auto` takes for them."""

import sys

import cv2
import numpy as np
import pytest

from video_ingest.contract import DetectorError
from video_ingest.detectors import auto, make_detector
from video_ingest.detectors.auto import choose
from video_ingest.detectors.base import Frame
from video_ingest.weights import FAMILIES, check, fetch, find_weights

from .networks import SSD, YOLO, YOLOX, needs_onnx, needs_openvino

INSTALLED = {"openvino", "onnxruntime", "ultralytics"}


@pytest.fixture
def folder_of(tmp_path):
    """A folder of empty files; finding looks at names only."""

    def build(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path

    return build


@pytest.fixture
def installed(monkeypatch):
    """Says which packages are installed, and whether there is a GPU."""

    def say(*packages, gpu=False):
        monkeypatch.setattr(auto, "find_spec", lambda name: name in packages or None)
        monkeypatch.setattr(auto, "_has_cuda", lambda: gpu)

    return say


EVERYTHING = (
    "yolo11n_openvino_model/yolo11n.xml",
    "yolo11n.pt",
    "person-detection-retail-0013/FP32/person-detection-retail-0013.xml",
    "yolox_nano.onnx",
)


def chosen(folder, detector="auto", model=None):
    choice = choose(detector, model, folder)
    place = choice.model and str(choice.model.relative_to(folder))
    return choice.detector, place


def test_weights_are_found_in_folders_and_known_by_their_names(folder_of):
    found = find_weights(folder_of(*EVERYTHING, "mine.onnx", "readme.txt", ".tmp/yolo11s.pt"))
    assert [(each.name, each.detector, bool(each.family)) for each in found] == [
        ("yolo11n", "ultralytics", True),
        ("yolo11n", "openvino", True),
        ("person-detection-retail-0013", "openvino", True),
        ("yolox_nano", "onnx", True),
        ("mine", "onnx", False),
    ]


def test_a_folder_that_is_not_there_holds_no_weights(tmp_path):
    assert find_weights(tmp_path / "nowhere") == find_weights(None) == []


def test_licences_of_unknown_weights_are_not_guessed(folder_of):
    (found,) = find_weights(folder_of("mine.onnx"))
    assert found.licence.startswith("not known")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.title)
def test_each_family_names_its_licence(family):
    agpl = family.origin == "Ultralytics"
    assert family.licence.startswith("AGPL-3.0:" if agpl else "Apache-2.0:")


def test_auto_takes_yolo_in_openvino_form_first(folder_of, installed):
    installed(*INSTALLED)
    assert chosen(folder_of(*EVERYTHING)) == ("openvino", EVERYTHING[0])


def test_auto_takes_torch_where_there_is_a_gpu(folder_of, installed):
    installed(*INSTALLED, gpu=True)
    assert chosen(folder_of(*EVERYTHING)) == ("ultralytics", EVERYTHING[1])


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (EVERYTHING[1:], "ultralytics"),
        (EVERYTHING[2:], "openvino"),
        (EVERYTHING[3:], "onnx"),
        (("mine.onnx", "yolo11n.onnx", *EVERYTHING[2:]), "onnx"),
        (("mine.onnx",), "motion"),
        ((), "motion"),
    ],
)
def test_auto_takes_the_next_best_that_is_there(folder_of, installed, there, expected):
    installed(*INSTALLED)
    assert chosen(folder_of(*there))[0] == expected


def test_of_one_kind_auto_takes_the_smallest(folder_of, installed):
    installed(*INSTALLED)
    assert chosen(folder_of("yolo11x.pt", "yolo11s.pt", "yolo26n.pt"))[1] == "yolo11s.pt"


def test_auto_passes_over_what_is_not_installed_and_says_so(folder_of, installed):
    installed("onnxruntime")
    choice = choose("auto", None, folder_of(*EVERYTHING))
    assert choice.detector == "onnx"
    assert "yolox_nano.onnx lies there and onnxruntime is installed" in choice.why
    assert "yolo11n.xml needs openvino, not installed" in choice.why


def test_auto_falls_back_to_motion_and_says_why(folder_of, installed):
    installed()
    assert choose("auto", None, folder_of()).why.startswith("no weights that are known lie in")
    assert choose("auto", None, folder_of("yolo11n.pt")).why.endswith("ultralytics, not installed")
    assert choose("auto", None, None).detector == "motion"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mine.onnx", "onnx"), ("mine.pt", "ultralytics"), ("net/mine.xml", "openvino")],
)
def test_auto_runs_the_weights_that_were_named(folder_of, installed, name, expected):
    installed(*INSTALLED)
    folder = folder_of(*EVERYTHING, name)
    assert chosen(folder, model=folder / name) == (expected, name)


def test_auto_looks_into_a_folder_that_was_named(folder_of, installed):
    installed(*INSTALLED)
    folder = folder_of("net/mine.onnx")
    assert chosen(folder, model=folder / "net") == ("onnx", "net")


@pytest.mark.parametrize("detector", ["motion", "openvino", "onnx", "ultralytics", "crystal-ball"])
def test_a_detector_that_was_named_is_left_alone(folder_of, detector):
    assert chosen(folder_of(*EVERYTHING), detector) == (detector, None)


@pytest.mark.data
@needs_openvino
def test_auto_starts_what_it_chose(test_data):
    detector = make_detector("auto", None, test_data / "weights")
    assert detector.name == "openvino:yolo11n"


def test_auto_without_weights_is_motion(tmp_path):
    assert make_detector("auto", None, tmp_path).name == "motion"


@pytest.mark.data
@needs_openvino
@needs_onnx
def test_real_weights_are_checked_by_running_them(test_data):
    checked = [check(found) for found in find_weights(test_data / "weights")]
    assert [(each.found.name, each.layout, each.code) for each in checked] == [
        ("yolo11n", "YOLOv8/YOLO11, 640 x 640", None),
        ("person-detection-retail-0013", "SSD, 544 x 320", None),
        ("yolox_nano", "YOLOX, 416 x 416", None),
    ]


@needs_onnx
def test_damaged_weights_are_a_result_of_the_check_and_no_exception(folder_of):
    (found,) = find_weights(folder_of("yolox_nano.onnx"))
    checked = check(found)
    assert (checked.layout, checked.code) == (None, "E_MODEL_SHAPE")
    assert "yolox_nano.onnx" in checked.message


def test_weights_without_their_package_are_not_called_damaged(folder_of, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (found,) = find_weights(folder_of("yolox_nano.onnx"))
    assert check(found).code == "E_DETECTOR_MISSING"


@pytest.mark.parametrize("name", ["yolox_nano", "person-detection-retail-0013", "yolo11"])
def test_fetching_what_ultralytics_does_not_have_is_refused(tmp_path, name):
    with pytest.raises(DetectorError, match="yolo11n to yolo11x") as caught:
        fetch(name, tmp_path / "weights")
    assert caught.value.code == "E_MODEL_UNKNOWN"
    assert not (tmp_path / "weights").exists()


@pytest.mark.parametrize("name", ["yolo11n", "yolo11n.pt"])
def test_weights_that_lie_there_are_not_fetched_again(folder_of, name):
    folder = folder_of("yolo11n.pt")
    assert fetch(name, folder) == folder / "yolo11n.pt"


def test_fetching_without_ultralytics_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(DetectorError, match=r"ksi_pipeline\[vision\]") as caught:
        fetch("yolo11n", tmp_path / "weights")
    assert caught.value.code == "E_DETECTOR_MISSING"
    assert not (tmp_path / "weights").exists()


@pytest.mark.data
@needs_openvino
@needs_onnx
def test_one_network_gives_the_same_boxes_through_openvino_and_onnxruntime(test_data):
    from video_ingest.detectors.layouts import boxes_of
    from video_ingest.detectors.openvino import import_openvino

    weights = test_data / "weights" / YOLOX
    image = cv2.VideoCapture(str(test_data / "video" / "vtest.avi")).read()[1]
    ours = make_detector("onnx", weights)
    (boxes,) = ours.detect([Frame(0, image)])
    network = import_openvino().Core().compile_model(weights, "CPU")
    picture = ours._layout.fit(image).transpose(2, 0, 1)[None].astype(np.float32)
    theirs = boxes_of(ours._layout, network(picture)[0], image, 0.1, 0.6)
    assert len(boxes) == 4
    assert theirs == pytest.approx(boxes, abs=0.5)


def test_the_real_weights_have_their_places(test_data):
    assert all((test_data / "weights" / each).exists() for each in (YOLO, SSD, YOLOX))
