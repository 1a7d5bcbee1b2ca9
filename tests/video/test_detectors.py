import subprocess
import sys
from importlib.util import find_spec

import cv2
import numpy as np
import pytest

from video_ingest.contract import DetectorError
from video_ingest.detectors import make_detector
from video_ingest.detectors.base import Frame
from video_ingest.detectors.boxes import suppress
from video_ingest.detectors.motion import MotionDetector

# Asked for, not imported: importing openvino directly would send its telemetry.
needs_openvino = pytest.mark.skipif(
    find_spec("openvino") is None, reason="openvino is not installed"
)
NOON_US = 1_772_452_800_000_000


def scene(*people, noise_seed=0):
    """A noisy grey floor, 320 x 240, with dark people at (x1, y1, x2, y2)."""
    rng = np.random.default_rng(noise_seed)
    image = (120 + rng.normal(0, 3, (240, 320, 3))).clip(0, 255).astype(np.uint8)
    for x1, y1, x2, y2 in people:
        image[y1:y2, x1:x2] = (30, 30, 60)
    return image


def frames(images, hz=5):
    return [Frame(NOON_US + k * 1_000_000 // hz, image) for k, image in enumerate(images)]


def person(k):
    return (20 + 4 * k, 80, 44 + 4 * k, 150)


def test_motion_finds_a_walker_from_the_first_frame_of_a_chunk():
    images = [scene(person(k), noise_seed=k) for k in range(40)]
    detector = MotionDetector()
    detector.prime(images[::3])
    found = detector.detect(frames(images))
    assert [len(each) for each in found] == [1] * 40
    for k, each in enumerate(found):
        assert each[0, :4] == pytest.approx(person(k), abs=2)
        assert 0.9 < each[0, 4] <= 1.0


def test_motion_keeps_somebody_who_stands_still_for_a_minute():
    empty = [scene(noise_seed=k) for k in range(20)]
    standing = [scene(person(10), noise_seed=k) for k in range(300)]
    detector = MotionDetector()
    detector.prime(empty)
    assert len(detector.detect(frames(empty + standing))[-1]) == 1


def test_motion_sees_nobody_in_an_empty_scene():
    images = [scene(noise_seed=k) for k in range(20)]
    detector = MotionDetector()
    detector.prime(images)
    assert all(len(each) == 0 for each in detector.detect(frames(images)))


def test_motion_takes_a_body_parted_by_a_belt_as_one_person():
    images = [scene((100, 60, 124, 95), (100, 101, 124, 150)), scene(noise_seed=1)]
    detector = MotionDetector()
    detector.prime([scene(noise_seed=k) for k in range(5)])
    (found, _) = detector.detect(frames(images))
    assert found[0, :4] == pytest.approx((100, 60, 124, 150), abs=2)
    assert len(found) == 1


def test_motion_gives_nobody_when_the_light_changes():
    detector = MotionDetector()
    detector.prime([scene(noise_seed=k) for k in range(5)])
    assert len(detector.detect(frames([scene() // 3]))[0]) == 0


def test_motion_forgets_the_last_chunk_when_primed_again():
    detector = MotionDetector()
    results = []
    for _ in range(2):
        images = [scene(person(k), noise_seed=k) for k in range(20)]
        detector.prime(images)
        results.append(np.vstack(detector.detect(frames(images))))
    assert np.array_equal(*results)


def test_of_two_boxes_on_one_person_the_more_confident_is_kept():
    boxes = np.array(
        [[0, 0, 10, 20, 0.5], [1, 0, 11, 20, 0.9], [30, 0, 40, 20, 0.3]], dtype=np.float32
    )
    assert suppress(boxes, 0.6)[:, 4] == pytest.approx([0.9, 0.3])


def test_an_unknown_detector_is_answered_with_the_known_ones():
    with pytest.raises(DetectorError, match="motion, openvino, onnx, ultralytics, auto"):
        make_detector("crystal-ball")


@pytest.mark.data
@needs_openvino
@pytest.mark.parametrize(
    ("weights", "name"),
    [
        ("yolo11n_int8_openvino_model", "openvino:yolo11n"),
        ("person-detection-retail-0013/FP32", "openvino:person-detection-retail-0013"),
    ],
)
def test_both_network_layouts_find_the_people_of_a_real_frame(test_data, weights, name):
    capture = cv2.VideoCapture(str(test_data / "video" / "vtest.avi"))
    image = capture.read()[1]
    detector = make_detector("openvino", test_data / "weights" / weights)
    (alone,) = detector.detect([Frame(NOON_US, image)])
    batch = detector.detect([Frame(NOON_US, image), Frame(NOON_US + 1, image[::-1].copy())])
    assert detector.name == name
    assert np.array_equal(batch[0], alone)
    truth = np.loadtxt(test_data / "video" / "PETS09-S2L1.gt.txt", delimiter=",")
    people = truth[truth[:, 0] == 1]
    feet = np.column_stack([people[:, 2] + people[:, 4] / 2, people[:, 3] + people[:, 5]])
    sure = alone[alone[:, 4] > 0.5]
    found = np.column_stack([(sure[:, 0] + sure[:, 2]) / 2, sure[:, 3]])
    away = np.linalg.norm(feet[:, None] - found[None], axis=2).min(axis=1)
    assert (away < 0.3 * people[:, 5]).all()


@pytest.mark.data
@needs_openvino
def test_openvino_is_imported_without_its_telemetry(test_data):
    weights = test_data / "weights" / "yolo11n_int8_openvino_model"
    code = (
        "import pathlib, sys\n"
        "from video_ingest.detectors import make_detector\n"
        f"make_detector('openvino', pathlib.Path({str(weights)!r}))\n"
        "print(sys.modules['openvino.tools.ovc.telemetry_utils'].tm.__name__)\n"
        "print('openvino_telemetry' in sys.modules)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["openvino.tools.ovc.telemetry_stub", "False"]
