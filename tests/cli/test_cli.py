"""The command line: what it prints, where, and with which exit code."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ksi_pipeline.cli import app
from ksi_pipeline.core.schemas import DATASETS

SPACE = """\
schema: 1
site: {id: shop, name: Shop, timezone: Europe/Madrid, currency: EUR}
units: [{id: "0001"}]
zones:
  - {id: shelf, unit: "0001", role: selling, polygon: [[0, 0], [2, 0], [2, 2]]}
cameras:
  - {id: cam-1, sees: [shelf]}
"""
DAY = "2026-03-02"
LATER = "{id: annex, role: selling, polygon: [[5, 0], [7, 0], [7, 2]], from: 2030-01-01}"
SAMPLE = {
    "site_id": "shop",
    "camera_id": "cam-1",
    "tracklet_id": "a",
    "ts_utc": 0,
    "x_m": 1.5,
    "y_m": 0.5,
    "confidence": 1.0,
    "is_observed": True,
}


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yaml"
    path.write_text(SPACE)
    return path


def ksi(*arguments: object):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_a_valid_space_file_exits_0_and_says_what_it_holds(space):
    result = ksi("space", "check", space)
    assert result.exit_code == 0
    assert "1 units, 1 zones, 0 lines" in " ".join(result.stdout.split())


def test_a_wrong_space_file_exits_2_with_its_line_on_stderr(space):
    space.write_text(SPACE.replace("selling", "seling"))
    result = ksi("space", "check", space)
    assert result.exit_code == 2
    assert "shop.yaml line 5: zone 'shelf'" in " ".join(result.stderr.split())
    assert result.stdout == ""


def test_json_is_one_object_on_stdout(space):
    result = ksi("space", "check", space, "--json")
    assert json.loads(result.stdout)["site"] == "shop"


def test_a_plan_is_drawn_and_what_is_not_in_it_is_said(space, tmp_path):
    space.write_text(SPACE.replace("2]]}", "2]]}\n  - " + LATER))
    result = ksi("space", "check", space, "--plot", tmp_path / "out" / "plan.png", "--at", DAY)
    assert result.exit_code == 0
    assert "Not drawn: zone annex, valid from 2030-01-01, not on 2026-03-02." in result.stdout
    assert "Not drawn: camera cam-1, has no homography" in result.stdout
    assert (tmp_path / "out" / "plan.png").stat().st_size > 10_000


def test_a_plan_as_json_names_what_it_shows(space, tmp_path):
    space.write_text(SPACE.replace("2]]}", "2]]}\n  - " + LATER))
    result = ksi(
        "space", "check", space, "--plot", tmp_path / "plan.png", "--at", "2030-01-01", "--json"
    )
    plot = json.loads(result.stdout)["plot"]
    assert (plot["day"], plot["zones"], plot["foot_points"]) == ("2030-01-01", 2, None)
    assert [entry["id"] for entry in plot["not_drawn"]] == ["cam-1"]


def test_a_wrong_space_file_draws_nothing_and_exits_2(space, tmp_path):
    space.write_text(SPACE.replace("selling", "seling"))
    result = ksi("space", "check", space, "--plot", tmp_path / "plan.png")
    assert result.exit_code == 2
    assert not (tmp_path / "plan.png").exists()


def test_no_verb_waits_for_the_drawing_library_unless_it_draws():
    loaded = "import sys, ksi_pipeline.cli; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", loaded], check=True)


def test_points_without_a_picture_exit_2(space, tmp_path):
    result = ksi("space", "check", space, "--at", DAY)
    assert result.exit_code == 2
    assert "E_PLOT" in result.stderr


def test_a_plan_shows_the_day_of_its_points(space, tmp_path):
    points = pa.Table.from_pylist([SAMPLE], schema=DATASETS["tracklet_points"])
    pq.write_table(points, tmp_path / "points.parquet")
    result = ksi(
        "space", "check", space, "--plot", tmp_path / "p.png",
        "--points", tmp_path / "points.parquet",
    )  # fmt: skip
    assert result.exit_code == 0
    assert "shows 1970-01-01: 1 zones, 0 lines, 0 cameras, 1 foot points." in result.stdout


@pytest.mark.data
def test_events_of_a_real_street_are_printed_as_json_and_written_as_parquet(test_data, tmp_path):
    case = test_data / "trajectories" / "ucy_zara01" / "case"
    result = ksi(
        "events",
        "--points",
        case / "points.parquet",
        "--space",
        case / "space.yaml",
        "--out",
        tmp_path,
        "--json",
    )
    (found,) = json.loads(result.stdout)["sites"]
    assert [zone["visits"] for zone in found["zones"]] == [24, 120, 158]
    assert [(line["in"], line["out"]) for line in found["lines"]] == [(9, 5), (70, 66), (73, 65)]
    assert pq.read_table(tmp_path / "visits.parquet").schema == DATASETS["visits"]


def test_points_without_a_column_exit_1_and_name_it(space, tmp_path):
    table = DATASETS["tracklet_points"].empty_table().drop(["y_m"])
    pq.write_table(table, tmp_path / "points.parquet")
    result = ksi(
        "events", "--points", tmp_path / "points.parquet", "--space", space, "--out", tmp_path
    )
    assert result.exit_code == 1
    assert "'y_m'" in result.stderr


def test_an_empty_file_of_points_is_no_count_of_zero(space, tmp_path):
    pq.write_table(DATASETS["tracklet_points"].empty_table(), tmp_path / "points.parquet")
    out = tmp_path / "out"
    result = ksi("events", "--points", tmp_path / "points.parquet", "--space", space, "--out", out)
    assert result.exit_code == 1
    assert "E_NO_POINTS" in result.stderr
    assert not out.exists()


def test_a_camera_that_is_not_in_the_space_file_exits_2(space, tmp_path):
    video = tmp_path / "20260302T090000Z.avi"
    video.write_bytes(b"")
    result = ksi("video", "ingest", video, "--camera", "cam-7", "--space", space, "--out", tmp_path)
    assert result.exit_code == 2
    assert "cam-7" in result.stderr


def test_a_naive_start_exits_2_and_says_how_to_write_it(space, tmp_path):
    video = tmp_path / "x.avi"
    video.write_bytes(b"")
    result = ksi(
        "video",
        "ingest",
        video,
        "--camera",
        "cam-1",
        "--space",
        space,
        "--out",
        tmp_path,
        "--start",
        "2026-03-02T09:00:00",
    )
    assert result.exit_code == 2
    assert "E_NAIVE_TIME" in result.stderr


def test_an_unreadable_video_exits_1_and_still_writes_its_coverage(space, tmp_path):
    video = tmp_path / "20260302T090000Z.avi"
    video.write_bytes(b"no video")
    out = tmp_path / "out"
    result = ksi("video", "ingest", video, "--camera", "cam-1", "--space", space, "--out", out)
    assert result.exit_code == 1
    assert "E_CHUNK_UNREADABLE" in result.stderr
    assert pq.read_table(out / "coverage.parquet")["status"].to_pylist() == ["unreadable"]


@pytest.mark.parametrize("name", ["20260302T090001Z.avi", "folder"])
def test_a_path_at_which_no_file_lies_exits_2_and_leaves_what_was_written(name, space, tmp_path):
    good = tmp_path / "20260302T090000Z.avi"
    good.write_bytes(b"no video")
    (tmp_path / "folder").mkdir()
    out = tmp_path / "out"
    ksi("video", "ingest", good, "--camera", "cam-1", "--space", space, "--out", out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    at = ("--start", "2026-03-02T09:00:00Z")
    paths = (good, tmp_path / name)
    result = ksi(
        "video", "ingest", *paths, *at, "--camera", "cam-1", "--space", space, "--out", out
    )
    assert result.exit_code == 2
    assert "E_CHUNK_MISSING" in result.stderr
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def cut_in_half(path: Path) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for number in range(80):
        writer.write(np.full((48, 64, 3), number, dtype=np.uint8))
    writer.release()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def test_a_video_that_was_cut_off_is_named_with_its_missing_seconds(space, tmp_path):
    video = cut_in_half(tmp_path / "20260302T090000Z.avi")
    call = ("video", "ingest", video, "--camera", "cam-1", "--space", space, "--out", tmp_path)
    result = ksi(*call)
    assert result.exit_code == 0
    assert "E_CHUNK_TRUNCATED: 20260302T090000Z.avi" in " ".join(result.stderr.split())
    notices = json.loads(ksi(*call, "--json").stdout)["notices"]
    # its camera has no homography, which is said first
    assert [notice.split(":")[0] for notice in notices] == ["E_NOT_CALIBRATED", "E_CHUNK_TRUNCATED"]


def test_json_says_why_a_video_could_not_be_read(space, tmp_path):
    video = tmp_path / "20260302T090000Z.avi"
    video.write_bytes(b"no video")
    call = ("video", "ingest", video, "--camera", "cam-1", "--space", space, "--out", tmp_path)
    (problem,) = json.loads(ksi(*call, "--json").stdout)["problems"]
    assert problem.startswith("E_CHUNK_UNREADABLE")


def test_pulling_from_an_unknown_connector_exits_2_and_lists_the_known(tmp_path):
    (tmp_path / "spaces").mkdir()
    result = ksi(
        "tickets",
        "pull",
        "pos-x",
        "--dir",
        tmp_path,
        "--from",
        "2026-03-02T00:00:00+01:00",
        "--to",
        "2026-03-03T00:00:00+01:00",
    )
    assert result.exit_code == 2
    assert "E_UNKNOWN_CONNECTOR" in result.stderr


def test_a_wrong_setting_exits_2_and_names_its_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("KSI_DETECTOR", "magic")
    result = ksi("run", "--dir", tmp_path)
    assert result.exit_code == 2
    assert "KSI_DETECTOR" in result.stderr


def test_days_in_the_wrong_order_exit_2(tmp_path):
    (tmp_path / "spaces").mkdir()
    result = ksi("run", "--dir", tmp_path, "--from", "2026-03-03", "--to", "2026-03-02")
    assert result.exit_code == 2
    assert "E_DAYS" in result.stderr


def test_written_tables_keep_the_schema_of_the_contract(space, tmp_path):
    rows = [{**SAMPLE, "ts_utc": ts} for ts in (0, 500_000)]
    points = pa.Table.from_pylist(rows, schema=DATASETS["tracklet_points"])
    pq.write_table(points, tmp_path / "points.parquet")
    out = tmp_path / "out"
    ksi("events", "--points", tmp_path / "points.parquet", "--space", space, "--out", out)
    for name in ("visits", "line_crossings", "zone_occupancy"):
        assert pq.read_table(out / f"{name}.parquet").schema == DATASETS[name]
    assert pq.read_table(out / "visits.parquet")["dwell_s"].to_pylist() == [0.5]
