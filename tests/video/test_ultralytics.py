"""YOLO networks through torch, without a network connection; they know nobody, but they run."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from video_ingest.contract import DetectorError
from video_ingest.detectors import make_detector
from video_ingest.detectors.base import Frame
from video_ingest.weights import check, fetch, find_weights

from .networks import needs_openvino, needs_torch

pytestmark = [pytest.mark.torch, needs_torch, needs_openvino]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ksi_pipeline"


@pytest.fixture(scope="session")
def yolo_file(tmp_path_factory):
    """Untrained YOLO networks as .pt, made once each, which see people in noise."""
    folder = tmp_path_factory.mktemp("yolo")

    def build(name, names=("person",)):
        path = folder / f"{name}-{'-'.join(names)}.pt"
        if not path.exists():
            write(path, name, dict(enumerate(names)))
        return path

    return build


def write(path, name, names):
    from video_ingest.detectors.ultralytics import import_ultralytics

    yolo = import_ultralytics().YOLO
    import torch
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(5)
    network = yolo(f"{name}.yaml")
    if network.task == "detect":
        network.model = DetectionModel(f"{name}.yaml", nc=len(names), verbose=False)
        spread_out(network.model, torch)
    network.model.names = names
    network.save(path)


def spread_out(model, torch):
    """Give an untrained network the means and variances of noise, so that its scores differ."""
    norms = [each for each in model.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.rand(2, 3, 320, 320))
    for norm in norms:
        norm.momentum = 0.03
    model.eval()
    head = model.model[-1]
    for branch in (*head.cv3, *(getattr(head, "one2one_cv3", None) or ())):
        torch.nn.init.normal_(branch[-1].weight, std=0.03)
        branch[-1].bias.data.fill_(-3.0)


@pytest.fixture
def picture():
    """Noise, 640 x 640: the size of the network, so that nobody adds margins."""
    return np.random.default_rng(3).integers(0, 255, (640, 640, 3), dtype=np.uint8)


def detected(detector, image):
    (boxes,) = detector.detect([Frame(0, image)])
    return boxes


@pytest.mark.parametrize("name", ["yolo11n", "yolov8n", "yolo26n"])
def test_weights_are_exported_once_and_openvino_runs_them(yolo_file, cache, name):
    path = yolo_file(name)
    first = make_detector("ultralytics", path)
    (kept,) = cache.glob("openvino/*/*.xml")
    made_ns = kept.stat().st_mtime_ns
    second = make_detector("ultralytics", path)
    assert first.name == second.name == f"ultralytics:{path.stem}@openvino"
    assert kept.stat().st_mtime_ns == made_ns
    assert str(kept.parent) in first.why
    assert [each.name for each in path.parent.glob("*_openvino_model")] == []


@pytest.mark.parametrize("name", ["yolov8n", "yolo26n"])
def test_the_export_finds_what_torch_finds(yolo_file, picture, name):
    from video_ingest.detectors.ultralytics import UltralyticsDetector

    path = yolo_file(name)
    by_torch = detected(UltralyticsDetector(path, may_export=False), picture)
    exported = detected(UltralyticsDetector(path), picture)
    assert len(by_torch) > 20
    assert exported == pytest.approx(by_torch, abs=0.05)


def test_an_end_to_end_export_is_read_by_openvino_without_suppression(yolo_file, picture):
    from video_ingest.detectors.ultralytics import import_ultralytics

    network = import_ultralytics().YOLO(yolo_file("yolo26n"))
    made = Path(network.export(format="openvino", nms=False))
    detector = make_detector("openvino", made)
    assert detector.layout == "YOLO26 (end to end), 640 x 640"
    boxes = detected(detector, picture)
    network = import_ultralytics().YOLO(yolo_file("yolo26n"))
    (result,) = network.predict(picture, conf=0.1, nms=False, verbose=False)
    assert len(boxes) > 20
    assert boxes[:, :4] == pytest.approx(result.boxes.xyxy.numpy(), abs=0.05)


def test_other_weights_under_the_same_name_are_exported_anew(yolo_file, cache, tmp_path):
    for name in ("yolo11n", "yolov8n"):
        path = tmp_path / "mine.pt"
        path.write_bytes(yolo_file(name).read_bytes())
        make_detector("ultralytics", path)
    assert len(list(cache.glob("openvino/*/mine.xml"))) == 2


def test_without_openvino_torch_runs_on_the_cpu(yolo_file, monkeypatch, picture):
    from video_ingest.detectors import ultralytics

    monkeypatch.setattr(ultralytics, "find_spec", lambda name: None)
    detector = make_detector("ultralytics", yolo_file("yolo11n"))
    assert detector.name.endswith("@cpu")
    assert "openvino, which is quicker, is not installed" in detector.why
    assert len(detected(detector, picture)) >= 20


def test_a_cache_that_cannot_be_written_is_no_end(yolo_file, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    detector = make_detector("ultralytics", yolo_file("yolo11n"))
    assert detector.name.endswith("@cpu")
    assert "cannot be kept" in detector.why


def test_a_killed_export_leaves_nothing_that_is_taken_for_one(yolo_file, cache):
    path = yolo_file("yolo11n")
    (cache / "openvino" / ".export-left" / "half_openvino_model").mkdir(parents=True)
    make_detector("ultralytics", path)
    (kept,) = cache.glob("openvino/[!.]*")
    assert (kept / f"{path.stem}.bin").stat().st_size > 1_000_000


def test_a_network_without_people_is_refused(yolo_file):
    path = yolo_file("yolo11n", names=("plane", "ship"))
    with pytest.raises(DetectorError, match="its classes are plane, ship") as caught:
        make_detector("ultralytics", path)
    assert caught.value.code == "E_MODEL_SHAPE"


def test_a_network_for_another_task_is_refused(yolo_file):
    path = yolo_file("yolo11n-cls")
    with pytest.raises(DetectorError, match="task 'classify'") as caught:
        make_detector("ultralytics", path)
    assert caught.value.code == "E_MODEL_SHAPE"


class Writes:
    """A pickle that writes a file when it is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_code_inside_weights_is_not_run(tmp_path):
    import torch

    torch.save({"model": Writes(tmp_path / "was-run")}, tmp_path / "net.pt")
    with pytest.raises(DetectorError) as caught:
        make_detector("ultralytics", tmp_path / "net.pt")
    assert caught.value.code == "E_MODEL_SHAPE"
    assert not (tmp_path / "was-run").exists()


def test_nothing_asks_the_network(yolo_file, tmp_path):
    asked = tmp_path / "asked.txt"
    code = (
        "import pathlib, socket, sys\n"
        "def asks(*what, **more):\n"
        f"    open({str(asked)!r}, 'a').write(repr(what))\n"
        "    raise OSError('no network here')\n"
        "socket.getaddrinfo = socket.socket.connect = socket.socket.connect_ex = asks\n"
        "import numpy\n"
        "from video_ingest.detectors.base import Frame\n"
        "from video_ingest.detectors.ultralytics import UltralyticsDetector\n"
        "image = numpy.zeros((480, 640, 3), dtype=numpy.uint8)\n"
        "for may_export in (False, True):\n"
        "    detector = UltralyticsDetector(\n"
        f"        pathlib.Path({str(yolo_file('yolo11n'))!r}), may_export=may_export)\n"
        "    print(detector.name, len(detector.detect([Frame(0, image)])))\n"
        "print('openvino_telemetry' in sys.modules)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = run.stdout.split("\n")
    assert [line.split("@")[-1][:3] for line in lines[:2]] == ["cpu", "ope"]
    assert lines[2:] == ["False", ""]
    assert not asked.exists()


def test_fetching_without_a_network_is_one_clear_message(tmp_path, monkeypatch):
    def refuse(*what, **more):
        raise OSError("no network here")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    folder = tmp_path / "weights"
    with pytest.raises(DetectorError, match=r"copy it to .*yolo11n\.pt") as caught:
        fetch("yolo11n", folder)
    assert caught.value.code == "E_MODEL_FETCH"
    assert list(folder.iterdir()) == []


def test_checking_weights_of_torch_runs_them(yolo_file, tmp_path):
    path = tmp_path / "yolo11n.pt"
    path.write_bytes(yolo_file("yolo11n").read_bytes())
    (found,) = find_weights(tmp_path)
    assert check(found).layout == "YOLOv8/YOLO11, 640 x 640"
