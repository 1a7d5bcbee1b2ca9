"""What every detector keeps, whatever finds the people: one suite, each detector in turn."""

import shutil
import sys
from functools import cache

import cv2
import numpy as np
import pytest

from video_ingest.chunks import make_chunk
from video_ingest.contract import DetectorError, DetectorStalled
from video_ingest.detectors import make_detector
from video_ingest.detectors.base import Frame
from video_ingest.detectors.boxes import overlap
from video_ingest.detectors.layouts import boxes_of
from video_ingest.detectors.openvino import import_openvino
from video_ingest.ingest import ingest_chunk

from .networks import (
    SSD,
    YOLO,
    YOLOX,
    needs_onnx,
    needs_openvino,
    needs_torch,
    of_a_classifier,
    of_an_identity,
)

NOON_US = 1_772_452_800_000_000
TENTH_US = 100_000
# Every 50th frame of vtest.avi: 16 frames over the whole scene, 91 people.
STRIDE = 50
# What the docs count as found; networks give boxes below it for the tracker's second look.
SURE = 0.25


def torch_only(*values):
    marks = [pytest.mark.torch, needs_torch, needs_openvino]
    return pytest.param(*values, id=values[0], marks=marks)


NETWORKS = [
    pytest.param("openvino", YOLO, id="openvino-yolo", marks=needs_openvino),
    pytest.param("openvino", SSD, id="openvino-ssd", marks=needs_openvino),
    pytest.param("onnx", YOLOX, id="onnx-yolox", marks=needs_onnx),
    torch_only("ultralytics", YOLO),
]
DETECTORS = [pytest.param("motion", None, id="motion"), *NETWORKS]
pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def video(test_data):
    return test_data / "video" / "vtest.avi"


@pytest.fixture(scope="module")
def scene(video):
    """Each 50th frame of the real scene, as (number, picture)."""
    capture, pictures = cv2.VideoCapture(str(video)), []
    for number in range(795):
        assert capture.grab()
        if number % STRIDE == 0:
            pictures.append((number, capture.retrieve()[1]))
    return pictures


@pytest.fixture(scope="module")
def start_detector(test_data):
    """Builds each detector once: loading a network takes seconds."""
    made = {}

    def start(name, weights):
        if (name, weights) not in made:
            path = None if weights is None else test_data / "weights" / weights
            made[name, weights] = make_detector(name, path)
        return made[name, weights]

    return start


@pytest.fixture
def detector(request, start_detector, scene):
    """Primed, as before each chunk."""
    detector = start_detector(*request.param)
    detector.prime([image for _, image in scene][: detector.prime_frames])
    return detector


@pytest.fixture(scope="module")
def in_scene(start_detector, scene):
    """What a detector finds in the scene, all frames in one batch; each is asked once."""

    @cache
    def find(name, weights):
        detector = start_detector(name, weights)
        detector.prime([image for _, image in scene][: detector.prime_frames])
        return detector.detect(frames(scene))

    return find


each_detector = pytest.mark.parametrize(
    "detector",
    [pytest.param(each.values, id=each.id, marks=each.marks) for each in DETECTORS],
    indirect=True,
)


def frames(scene):
    return [Frame(NOON_US + number * TENTH_US, image) for number, image in scene]


@pytest.mark.parametrize(("name", "weights"), DETECTORS)
def test_boxes_are_five_numbers_inside_the_picture_with_a_confidence_in_0_to_1(
    in_scene, scene, name, weights
):
    found = in_scene(name, weights)
    assert len(found) == len(scene)
    for boxes, (_, image) in zip(found, scene, strict=True):
        height, width = image.shape[:2]
        assert boxes.dtype == np.float32
        assert boxes.shape == (len(boxes), 5)
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 2:4] > boxes[:, :2]).all()
        assert (boxes[:, 2:4] <= (width, height)).all()
        assert ((boxes[:, 4] > 0) & (boxes[:, 4] <= 1)).all()
    assert sum(map(len, found)) > len(scene)


@each_detector
def test_no_frames_give_no_boxes(detector):
    assert detector.detect([]) == []


@each_detector
@pytest.mark.parametrize("colour", [0, 127, 255])
def test_a_blank_picture_has_nobody_in_it(detector, colour):
    blank = np.full((480, 640, 3), colour, dtype=np.uint8)
    detector.prime([blank] * detector.prime_frames)
    (boxes,) = detector.detect([Frame(NOON_US, blank)])
    assert boxes.shape[1] == 5
    assert (boxes[:, 4] < SURE).all()


@pytest.mark.parametrize(("name", "weights"), DETECTORS)
def test_a_batch_gives_what_its_frames_give_one_by_one(
    start_detector, in_scene, scene, name, weights
):
    together, detector = in_scene(name, weights), start_detector(name, weights)
    detector.prime([image for _, image in scene][: detector.prime_frames])
    alone = [detector.detect([frame])[0] for frame in frames(scene)]
    for batched, single in zip(together, alone, strict=True):
        assert batched == pytest.approx(single, abs=0.01)


@pytest.mark.parametrize(
    "detector",
    [pytest.param(each.values, id=each.id, marks=each.marks) for each in NETWORKS],
    indirect=True,
)
def test_pictures_of_several_sizes_may_share_a_batch(detector, scene):
    image = scene[4][1]
    small = np.ascontiguousarray(cv2.resize(image, (384, 288)))
    sizes = [Frame(NOON_US, image), Frame(NOON_US + 1, small), Frame(NOON_US + 2, image)]
    first, second, third = detector.detect(sizes)
    assert np.array_equal(first, third)
    assert (second[:, 2:4] <= (384, 288)).all()


@each_detector
def test_a_chunk_is_ingested_with_it_and_the_tracklets_say_so(
    detector, video, tmp_path, write_clip, camera, start
):
    chunk = make_chunk(write_clip(tmp_path / "a.avi", 0, 20), "mall", "cam-1", start)
    primed = []
    prime = detector.prime
    detector.prime = lambda images: (primed.append(len(images)), prime(images))
    try:
        result = ingest_chunk(chunk, camera, detector, None, sample_hz=2.0)
    finally:
        del detector.prime
    assert result.sampled_frames == 4
    assert primed == [min(detector.prime_frames, 20)]
    assert set(result.tracklets["detector"].to_pylist()) <= {detector.name}


FOUND = {"motion": (0.50, 0.60), "openvino": (0.92, 0.92), "onnx": (0.92, 0.75)}
FOUND |= {"ultralytics": FOUND["openvino"], SSD: (0.89, 0.81)}


@pytest.mark.parametrize(("name", "weights"), DETECTORS)
def test_it_finds_the_share_of_the_people_that_the_docs_say(
    in_scene, scene, test_data, name, weights
):
    found = in_scene(name, weights)
    truth = np.loadtxt(test_data / "video" / "PETS09-S2L1.gt.txt", delimiter=",")
    hits = boxes = people = 0
    for (number, _), each in zip(scene, found, strict=True):
        sure = each[each[:, 4] >= SURE]
        there = truth[truth[:, 0] == number + 1, 2:6]
        hits += matched(sure, np.hstack([there[:, :2], there[:, :2] + there[:, 2:]]))
        boxes += len(sure)
        people += len(there)
    recall, precision = FOUND.get(weights, FOUND[name])
    assert people == 91
    assert hits / people >= recall
    assert hits / boxes >= precision


def matched(boxes, people):
    """How many people have a box of their own with an overlap of a half, most confident first."""
    ordered = boxes[np.argsort(-boxes[:, 4])]
    shared = overlap(ordered[:, :4].astype(np.float64), people)
    free = np.ones(len(people), dtype=bool)
    for row in shared:
        best = np.where(free, row, 0.0).argmax()
        free[best] &= row[best] < 0.5
    return int((~free).sum())


SUFFIX = {"openvino": ".xml", "onnx": ".onnx", "ultralytics": ".pt"}
KINDS = [
    pytest.param("openvino", marks=needs_openvino),
    pytest.param("onnx", marks=needs_onnx),
    torch_only("ultralytics"),
]


@pytest.mark.parametrize("name", SUFFIX)
@pytest.mark.parametrize("path", [None, "nowhere", "."])
def test_missing_weights_are_named_before_any_package_is_asked_for(
    tmp_path, monkeypatch, name, path
):
    for package in ("openvino", "onnxruntime", "ultralytics"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DetectorError, match="motion") as caught:
        make_detector(name, None if path is None else tmp_path / path)
    assert caught.value.code == "E_MODEL_MISSING"


@pytest.mark.parametrize("name", SUFFIX)
def test_several_weights_in_one_folder_are_not_guessed_among(tmp_path, name):
    for stem in "ab":
        (tmp_path / f"{stem}{SUFFIX[name]}").touch()
    with pytest.raises(DetectorError, match="holds 2") as caught:
        make_detector(name, tmp_path)
    assert caught.value.code == "E_MODEL_MISSING"


@pytest.mark.parametrize("name", SUFFIX)
def test_weights_of_another_kind_are_refused_with_what_is_wanted(tmp_path, name):
    path = tmp_path / "net.tflite"
    path.touch()
    with pytest.raises(DetectorError, match=f"Wanted: a {SUFFIX[name]}") as caught:
        make_detector(name, path)
    assert caught.value.code == "E_MODEL_SHAPE"


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("openvino", "openvino", "openvino"),
        ("onnx", "onnxruntime", "onnx"),
        ("ultralytics", "torch", "vision"),
    ],
)
def test_a_missing_package_is_answered_with_what_to_install(
    tmp_path, monkeypatch, name, package, extra
):
    for suffix in (SUFFIX[name], ".bin"):
        (tmp_path / f"net{suffix}").touch()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DetectorError, match=rf"pip install 'ksi_pipeline\[{extra}\]'") as caught:
        make_detector(name, tmp_path)
    assert caught.value.code == "E_DETECTOR_MISSING"


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("content", [b"", b"<net/>", b"PK\x03\x04 no more", bytes(range(256)) * 40])
def test_a_file_that_is_no_network_is_refused(tmp_path, name, content):
    for suffix in (SUFFIX[name], ".bin"):
        (tmp_path / f"net{suffix}").write_bytes(content)
    with pytest.raises(DetectorError, match="net") as caught:
        make_detector(name, tmp_path)
    assert caught.value.code == "E_MODEL_SHAPE"


@pytest.mark.parametrize(("name", "weights"), NETWORKS[:3])
def test_weights_that_were_cut_off_are_refused(test_data, tmp_path, name, weights):
    path = test_data / "weights" / weights
    for each in [path] if path.is_file() else path.iterdir():
        cut = each.read_bytes()
        if each.suffix in (".bin", ".onnx"):
            cut = cut[: len(cut) // 2]
        (tmp_path / each.name).write_bytes(cut)
    with pytest.raises(DetectorError) as caught:
        make_detector(name, tmp_path)
    assert caught.value.code == "E_MODEL_SHAPE"


@needs_openvino
def test_an_openvino_network_for_something_else_is_refused_with_its_shapes(tmp_path):
    with pytest.raises(DetectorError, match=r"output \[1,192\].*Wanted: one input") as caught:
        make_detector("openvino", of_a_classifier(tmp_path))
    assert caught.value.code == "E_MODEL_SHAPE"


@needs_openvino
def test_an_openvino_network_without_its_bin_is_missing_its_weights(tmp_path, test_data):
    shutil.copy(test_data / "weights" / YOLO / "yolo11n.xml", tmp_path)
    with pytest.raises(DetectorError, match=r"yolo11n\.bin does not exist") as caught:
        make_detector("openvino", tmp_path)
    assert caught.value.code == "E_MODEL_MISSING"


@needs_onnx
def test_an_onnx_network_for_something_else_is_refused_with_its_shapes(tmp_path):
    with pytest.raises(DetectorError, match=r"\[1, 3, 8, 8\].*Wanted: one input") as caught:
        make_detector("onnx", of_an_identity(tmp_path))
    assert caught.value.code == "E_MODEL_SHAPE"


@needs_openvino
@pytest.mark.parametrize("weights", [YOLO, SSD], ids=["yolo", "ssd"])
def test_openvino_prepares_a_picture_as_the_network_was_trained(
    start_detector, scene, test_data, weights
):
    detector, (_, image) = start_detector("openvino", weights), scene[2]
    (boxes,) = detector.detect([Frame(NOON_US, image)])
    layout = detector._layout
    picture = layout.fit(image).astype(np.float32)
    if weights == YOLO:
        picture = picture[:, :, ::-1] / 255.0
    (xml,) = (test_data / "weights" / weights).glob("*.xml")
    exact = {"INFERENCE_PRECISION_HINT": "f32"} if weights == YOLO else {}
    plain = import_openvino().Core().compile_model(xml, "CPU", exact)
    output = plain(np.ascontiguousarray(picture.transpose(2, 0, 1)[None]))[0]
    by_hand = boxes_of(layout, output, image, 0.1, 0.6)
    assert len(boxes) > 4
    assert by_hand == pytest.approx(boxes, abs=0.1)


@needs_openvino
def test_openvino_that_gives_no_answer_is_an_error_and_no_stop(test_data, monkeypatch, scene):
    detector = make_detector("openvino", test_data / "weights" / SSD)
    monkeypatch.setattr("video_ingest.detectors.openvino._STALLED_S", 0.05)

    class Silent:
        def start_async(self, picture, place):
            pass

        def __len__(self):
            return 2

    detector._queue = Silent()
    with pytest.raises(DetectorStalled) as caught:
        detector.detect(frames(scene))
    assert caught.value.code == "E_DETECTOR_STALLED"
