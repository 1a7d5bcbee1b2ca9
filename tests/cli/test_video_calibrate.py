"""`ksi video calibrate` as it is typed."""

import json

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from ksi_pipeline.cli import app

SPACE = """\
schema: 1
site: {{id: shop, name: Shop, timezone: Europe/Madrid, currency: EUR}}
units: [{{id: "0001"}}]
zones:
  - {{id: shelf, unit: "0001", role: display, polygon: [[1, 1], [3, 1], [3, 3], [1, 3]]}}
  - {{id: far, unit: "0001", role: display, polygon: [[31, 1], [33, 1], [33, 3]]}}
lines: [{{id: door, unit: "0001", role: entrance, a: [0, 2], b: [4, 2], inside: left}}]
cameras: [{{id: cam-1, sees: [shelf, far, door], homography: {points}}}]
"""
POINTS = [
    [0, 120, 0, 0],
    [160, 120, 4, 0],
    [160, 0, 4, 3],
    [0, 0, 0, 3],
    [80, 60, 2, 1.5],
    [40, 60, 1, 1.5],
]


def write_video(path, seconds=20):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 120))
    for number in range(10 * seconds):
        frame = np.full((120, 160, 3), 100, dtype=np.uint8)
        frame[40:80, number % 140 : number % 140 + 20] = (20, 40, 220)
        writer.write(frame)
    writer.release()


@pytest.fixture
def calibrate(tmp_path):
    write_video(tmp_path / "a.avi")

    def run(*options, points=POINTS):
        (tmp_path / "shop.yaml").write_text(SPACE.format(points=points))
        named = [str(tmp_path / "a.avi"), "--camera", "cam-1", "--space"]
        command = ["video", "calibrate", *named, str(tmp_path / "shop.yaml"), *map(str, options)]
        return CliRunner().invoke(app, command)

    return run


def test_residuals_are_centimetres_and_nothing_is_written(calibrate, tmp_path):
    off = [*POINTS[:4], [80, 60, 2, 2.1], POINTS[5]]
    result = calibrate("--json", points=off)
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    residuals = [point["residual_cm"] for point in told["points"]]
    assert max(residuals) == residuals[4] == told["worst_cm"]
    assert 25 < residuals[4] < 60
    assert {path.name for path in tmp_path.iterdir()} == {"a.avi", "shop.yaml"}


def test_the_table_and_the_warnings_name_points_and_zones(calibrate):
    result = calibrate()
    assert result.exit_code == 0
    assert "0.0" in result.stdout
    said = " ".join(result.stderr.split())
    assert "zone 'far' lies outside the picture" in said
    assert "'shelf'" not in said


def test_only_the_picture_that_was_asked_for_is_written(calibrate, tmp_path):
    assert calibrate("--out", tmp_path / "floor.png").exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"a.avi", "shop.yaml", "floor.png"}
    assert cv2.imread(str(tmp_path / "floor.png")).shape[1] == 1280


def test_a_point_far_off_is_said_where_it_does_harm(calibrate, tmp_path):
    calibrate(points=[*POINTS[:4], [80, 60, 2, 2.1], POINTS[5]])
    space = str(tmp_path / "shop.yaml")
    named = ("--camera", "cam-1", "--space", space, "--start", "2026-03-02T09:00:00Z")
    ingest = ("video", "ingest", str(tmp_path / "a.avi"), *named, "--out", str(tmp_path / "out"))
    for command in (ingest, ("space", "check", space)):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0
        assert "camera 'cam-1': point 5 of its homography" in " ".join(result.stderr.split())


def test_points_that_agree_raise_no_doubt(calibrate, tmp_path):
    calibrate()
    result = CliRunner().invoke(app, ["space", "check", str(tmp_path / "shop.yaml")])
    assert result.stderr == ""


def test_a_clip_too_short_for_a_picture_still_has_its_points_judged(calibrate, tmp_path):
    write_video(tmp_path / "a.avi", seconds=5)
    picture = tmp_path / "floor.png"
    result = calibrate("--out", picture)
    assert result.exit_code == 2
    assert "160, 120" in result.stdout
    said = " ".join(result.stderr.split())
    assert said.index("zone 'far' lies outside") < said.index("E_BACKGROUND")
    told = json.loads(calibrate("--out", picture, "--json").stdout)
    assert (len(told["points"]), told["picture"]) == (6, None)
    assert not picture.exists()


@pytest.mark.parametrize("options", [(), ("--out", "floor.png")])
def test_a_file_that_is_no_video_is_not_said_to_be_covered(calibrate, tmp_path, options):
    (tmp_path / "a.avi").write_text("no video")
    result = calibrate(*options)
    said = " ".join(result.stderr.split())
    assert result.exit_code == 1
    assert "E_CHUNK_UNREADABLE" in said
    assert "a.avi: it is no video" in said
    assert "covered" not in said


@pytest.mark.parametrize(
    ("points", "options", "code"),
    [
        ([], (), "E_NOT_CALIBRATED"),
        ([*POINTS[:3], [0, 0, 0, -900]], (), "E_CALIBRATION"),
        (POINTS, ("--out", "floor.jpg"), "E_OVERLAY"),
        (POINTS, ("--at", "yesterday"), "E_BAD_TIME"),
    ],
)
def test_what_cannot_be_checked_exits_2_with_its_code(calibrate, points, options, code):
    result = calibrate(*options, points=points)
    assert result.exit_code == 2
    assert code in result.stderr
