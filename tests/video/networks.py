"""Weights for tests: where the real ones lie, and small files that are none."""

from importlib.util import find_spec
from pathlib import Path

import pytest

# Asked for, not imported: importing openvino directly would send its telemetry.
needs_openvino = pytest.mark.skipif(
    find_spec("openvino") is None, reason="openvino is not installed"
)
needs_onnx = pytest.mark.skipif(
    find_spec("onnxruntime") is None, reason="onnxruntime is not installed"
)
needs_torch = pytest.mark.skipif(
    find_spec("ultralytics") is None, reason="the extra vision is not installed; make test-all"
)

YOLO = Path("yolo11n_int8_openvino_model")
SSD = Path("person-detection-retail-0013") / "FP32"
YOLOX = Path("yolox_nano.onnx")


def of_a_classifier(folder):
    """An OpenVINO network with one score for each of ten classes."""
    from video_ingest.detectors.openvino import import_openvino

    openvino = import_openvino()
    picture = openvino.opset13.parameter([1, 3, 8, 8], name="picture")
    flat = openvino.opset13.reshape(picture, [1, 192], special_zero=False)
    xml = folder / "classifier.xml"
    openvino.save_model(openvino.Model([flat], [picture]), xml)
    return xml


def of_an_identity(folder):
    """An ONNX network that gives back its picture, written by hand: no package here writes ONNX."""
    path = folder / "identity.onnx"
    node = _text(1, "picture") + _text(2, "same") + _text(4, "Identity")
    graph = _part(1, node) + _text(2, "graph") + _part(11, _port("picture"))
    graph += _part(12, _port("same"))
    opset = _number(2, 13)
    path.write_bytes(_number(1, 8) + _part(7, graph) + _part(8, opset))
    return path


def _port(name):
    shape = b"".join(_part(1, _number(1, size)) for size in (1, 3, 8, 8))
    tensor = _number(1, 1) + _part(2, shape)
    return _text(1, name) + _part(2, _part(1, tensor))


def _number(field, value):
    assert value < 128
    return bytes([field << 3, value])


def _part(field, content):
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])
    return bytes([field << 3 | 2]) + length + content


def _text(field, text):
    return _part(field, text.encode())
