"""`ksi video models`, and what `ksi video ingest` says about the detector it took."""

import json
import socket

import pytest
from typer.testing import CliRunner

from ksi_pipeline.cli import app

HOUSE = """\
schema: 1
site: {id: shop, name: Shop, timezone: Europe/Madrid, currency: EUR}
units: [{id: "0001"}]
cameras:
  - {id: cam-1, sees: []}
"""


def ksi(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_an_empty_folder_says_what_is_known_and_that_auto_takes_motion(tmp_path):
    shown = ksi("video", "models", "--weights", tmp_path)
    assert shown.exit_code == 0
    assert f"No weights lie in {tmp_path}." in shown.stdout
    assert "yolo11n, yolo11s" in shown.stdout
    assert "ksi video models get yolo26n" in shown.stdout
    assert "AGPL-3.0: who passes on" in shown.stdout
    assert "auto takes motion: no weights that are known lie in" in shown.stdout


def test_weights_that_are_damaged_end_with_1_and_are_named(tmp_path):
    pytest.importorskip("onnxruntime")
    (tmp_path / "yolox_nano.onnx").write_text("no network")
    shown = ksi("video", "models", "--weights", tmp_path)
    assert shown.exit_code == 1
    assert "onnx; E_MODEL_SHAPE; Apache-2.0" in shown.stdout
    assert "yolox_nano.onnx failed" in shown.stderr


@pytest.mark.data
def test_json_has_one_row_for_each_file_and_each_name_that_is_missing(test_data):
    shown = ksi("video", "models", "--weights", test_data / "weights", "--json")
    told = json.loads(shown.stdout)
    assert shown.exit_code == 0
    names = {row["name"]: row["detector"] for row in told["found"]}
    assert names == {
        "yolo11n": "openvino",
        "person-detection-retail-0013": "openvino",
        "yolox_nano": "onnx",
    }
    assert {"yolo11s", "yolo26n", "yolox_tiny"} <= {row["name"] for row in told["missing"]}
    assert not names.keys() & {row["name"] for row in told["missing"]}
    for row in told["found"]:
        assert row["is_working"] or row["code"] == "E_DETECTOR_MISSING"


def test_the_folder_of_weights_is_a_setting(tmp_path, monkeypatch):
    monkeypatch.setenv("KSI_WEIGHTS_DIR", str(tmp_path / "elsewhere"))
    assert f"No weights lie in {tmp_path / 'elsewhere'}." in ksi("video", "models").stdout


def test_the_folder_of_weights_lies_in_the_data_home(tmp_path, monkeypatch):
    monkeypatch.setenv("KSI_DATA_DIR", str(tmp_path))
    assert f"No weights lie in {tmp_path / 'weights'}." in ksi("video", "models").stdout


@pytest.mark.parametrize("name", ["yolox_nano", "nobody-knows"])
def test_getting_what_cannot_be_fetched_ends_with_2_and_writes_nothing(tmp_path, name):
    shown = ksi("video", "models", "get", name, "--weights", tmp_path / "weights")
    assert shown.exit_code == 2
    assert shown.stderr.startswith("E_MODEL_UNKNOWN: ")
    assert not (tmp_path / "weights").exists()


@pytest.fixture
def space(tmp_path):
    path = tmp_path / "shop.yaml"
    path.write_text(HOUSE)
    return path


def ingest(tmp_path, space, *options):
    chunk = tmp_path / "20260302T090000Z.avi"
    chunk.write_bytes(b"")
    named = ("--camera", "cam-1", "--space", space, "--out", tmp_path / "out")
    return ksi("video", "ingest", chunk, *named, *options)


def test_auto_says_what_it_took_and_why(tmp_path, space, monkeypatch):
    monkeypatch.setenv("KSI_WEIGHTS_DIR", str(tmp_path / "weights"))
    shown = ingest(tmp_path, space, "--detector", "auto")
    assert "Detector motion: no weights that are known lie in" in shown.stdout


def test_json_says_which_detector_was_taken(tmp_path, space, monkeypatch):
    monkeypatch.setenv("KSI_WEIGHTS_DIR", str(tmp_path / "weights"))
    told = json.loads(ingest(tmp_path, space, "--detector", "auto", "--json").stdout)
    assert told["detector"]["name"] == "motion"
    assert told["detector"]["why"].startswith("no weights that are known lie in")
    assert told["detector"]["recorded_as"] == "motion"


@pytest.mark.parametrize("detector", ["openvino", "onnx", "ultralytics"])
def test_a_detector_without_weights_ends_with_2(tmp_path, space, detector):
    shown = ingest(tmp_path, space, "--detector", detector)
    assert shown.exit_code == 2
    assert shown.stderr.splitlines()[-1].startswith("E_MODEL_MISSING: ")


def test_listing_weights_asks_no_network(tmp_path, monkeypatch):
    def refuse(*what, **more):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert ksi("video", "models", "--weights", tmp_path).exit_code == 0
