"""`ksi video score`: boxes, lines and zones beside the truth, and calls that are refused."""

import json
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ksi_pipeline.cli import app
from ksi_pipeline.core.schemas import DATASETS, ON_REQUEST

# One metre is ten pixels; a door at x = 5 m, a shelf from 0 to 3 m.
SPACE = """\
schema: 1
site: {id: shop, name: Shop, timezone: Europe/Madrid, currency: EUR}
units: [{id: "0001"}]
zones:
  - {id: shelf, unit: "0001", role: selling, polygon: [[0, 0], [3, 0], [3, 9], [0, 9]]}
  - {id: unseen, unit: "0001", role: selling, polygon: [[50, 0], [53, 0], [53, 9], [50, 9]]}
lines:
  - {id: door, unit: "0001", role: entrance, a: [5, 0], b: [5, 9], inside: right}
cameras:
  - id: cam-1
    sees: [shelf, door]
    homography: [[0, 0, 0, 0], [100, 0, 10, 0], [100, 100, 10, 10], [0, 100, 0, 10]]
  - {id: cam-2, sees: []}
"""
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
# 1 m/s for 8 s: out of the shelf after 3 s, through the door after 5 s
WALK = [(frame, 1.0 * frame) for frame in range(81)]


@pytest.fixture
def space(tmp_path):
    path = tmp_path / "shop.yaml"
    path.write_text(SPACE)
    return path


@pytest.fixture
def truth(tmp_path):
    """The walk in boxes of 10 x 30 pixels, its feet at y = 5 m, ten frames a second."""
    path = tmp_path / "gt.txt"
    path.write_text("".join(f"{f + 1},1,{u - 5},20,10,30\n" for f, u in WALK))
    return path


@pytest.fixture
def ingested(tmp_path):
    """A folder as `ksi video ingest --boxes` leaves it, of tracklets as lists of (frame, u)."""

    def write(name="try", *, camera="cam-1", has_metres=True, **tracklets):
        points, boxes = [], []
        for tracklet_id, walk in tracklets.items():
            for frame, u in walk:
                key = {
                    "site_id": "shop",
                    "camera_id": camera,
                    "tracklet_id": tracklet_id,
                    "ts_utc": START + timedelta(seconds=frame / 10),
                    "confidence": 0.9,
                    "is_observed": True,
                }
                place = {"x_m": u / 10, "y_m": 5.0} if has_metres else {}
                points.append({**key, **place})
                corners = {"x1_px": u - 5, "y1_px": 20.0, "x2_px": u + 5, "y2_px": 50.0}
                boxes.append({**key, **corners})
        covered = {
            "site_id": "shop",
            "source_kind": "camera",
            "source_id": camera,
            "key": "chunk",
            "from_utc": START,
            "to_utc": START + timedelta(seconds=8.1),
            "status": "complete",
            "observed_s": 8.1,
            "expected_s": 8.1,
        }
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for file, rows, schema in (
            ("boxes", boxes, ON_REQUEST["boxes"]),
            ("tracklet_points", points, DATASETS["tracklet_points"]),
            ("coverage", [covered], DATASETS["coverage"]),
        ):
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / f"{file}.parquet")
        return folder

    return write


def ksi(*arguments):
    return CliRunner().invoke(app, ["video", "score", *(str(a) for a in arguments)])


def figures(*arguments):
    result = ksi(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["scores"]


def test_the_truth_as_tracklets_has_no_error(space, truth, ingested):
    (score,) = figures(ingested(a=WALK), "--truth", truth, "--fps", 10, "--space", space)
    assert (score["hota"], score["mota"], score["idf1"]) == (100, 100, 100)
    assert score["lines"] == [
        {"line_id": "door", "in_counted": 1, "in_true": 1, "out_counted": 0, "out_true": 0}
    ]
    (zone,) = score["zones"]
    assert (zone["zone_id"], zone["person_s"], zone["person_s_true"]) == ("shelf", 3.0, 3.0)
    assert (zone["error_pct"], zone["visits"], zone["visits_true"]) == (0, 1, 1)


def test_a_tracklet_lost_at_the_door_is_a_crossing_less(space, truth, ingested):
    folder = ingested(a=WALK[:31], b=WALK[31:46])
    (score,) = figures(folder, "--truth", truth, "--fps", 10, "--space", space)
    (line,) = score["lines"]
    assert (line["in_counted"], line["in_true"]) == (0, 1)


def test_time_not_seen_in_a_zone_is_its_error_in_per_cent(space, truth, ingested):
    (score,) = figures(ingested(a=WALK[15:]), "--truth", truth, "--fps", 10, "--space", space)
    (zone,) = score["zones"]
    assert (zone["person_s"], zone["error_pct"], zone["mean_dwell_s"]) == (1.5, -50, 1.5)


def test_each_folder_is_scored_at_its_own_rate(truth, ingested):
    folders = ingested("ten", a=WALK), ingested("two", a=WALK[::5])
    scores = figures(*folders, "--truth", truth, "--fps", 10)
    assert [(s["sample_hz"], s["samples"], s["mota"]) for s in scores] == [
        (10, 81, 100),
        (2, 17, 100),
    ]
    assert [s["lines"] for s in scores] == [[], []]


def test_chosen_frames_bound_lines_and_zones_too(space, truth, ingested):
    call = (ingested(a=WALK), "--truth", truth, "--fps", 10, "--space", space)
    (score,) = figures(*call, "--frames", "11-21")
    (line,), (zone,) = score["lines"], score["zones"]
    assert (score["samples"], line["in_counted"], line["in_true"]) == (11, 0, 0)
    assert (zone["person_s"], zone["person_s_true"]) == (1.0, 1.0)


def test_counts_from_a_file_stand_in_for_those_of_the_truth(space, truth, ingested, tmp_path):
    counts = tmp_path / "counts.json"
    counts.write_text('{"lines": {"door": {"in": 4, "out": 2, "a": [5, 0], "b": [5, 9]}}}')
    call = (ingested(a=WALK), "--truth", truth, "--fps", 10, "--space", space)
    (score,) = figures(*call, "--counts", counts)
    assert score["lines"] == [
        {"line_id": "door", "in_counted": 1, "in_true": 4, "out_counted": 0, "out_true": 2}
    ]
    assert score["zones"] == []


def test_the_tables_name_folder_line_and_zone_with_their_figures(space, truth, ingested):
    result = ksi(ingested(a=WALK), "--truth", truth, "--fps", 10, "--space", space)
    assert result.exit_code == 0
    rows = [" ".join(line.replace("│", " ").split()) for line in result.stdout.splitlines()]
    assert "try 10 81 100.0 100.0 100.0 100.0 100.0 0" in rows
    assert "try door 1 1 0 0" in rows
    assert "try shelf 3.0 3.0 +0.0 % 1 1 3.0 3.0" in rows


def test_frames_beyond_the_truth_are_said(truth, ingested):
    folder = ingested(a=[*WALK, (81, 81.0), (82, 82.0)])
    result = ksi(folder, "--truth", truth, "--fps", 10)
    assert "2 frames looked at were not judged" in result.stdout


def test_a_frame_rate_that_is_not_the_truths_is_doubted(truth, ingested):
    doubt = "Most likely --fps or --start is not that of the truth"
    folder = ingested(a=WALK)
    assert doubt in " ".join(ksi(folder, "--truth", truth, "--fps", 20, "--json").stderr.split())
    assert ksi(folder, "--truth", truth, "--fps", 10).stderr == ""
    assert ksi(folder, "--truth", truth, "--fps", 10, "--frames", "1-20").stderr == ""


def refused(code, *arguments):
    result = ksi(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith(f"{code}: ")
    return " ".join(result.stderr.split())


def test_a_folder_without_boxes_is_told_how_to_get_them(tmp_path, truth):
    assert "with --boxes" in refused("E_BOXES", tmp_path, "--truth", truth, "--fps", 10)


def test_boxes_of_another_run_than_the_points_are_refused(space, truth, ingested):
    folder, other = ingested("one", a=WALK), ingested("two", a=WALK[:-1])
    (other / "boxes.parquet").replace(folder / "boxes.parquet")
    call = (folder, "--truth", truth, "--fps", 10, "--space", space)
    assert "of different runs" in refused("E_BOXES", *call)


def test_boxes_of_two_cameras_are_refused(truth, ingested):
    one, two = ingested("one", a=WALK), ingested("two", camera="cam-2", b=WALK)
    both = pa.concat_tables([pq.read_table(each / "boxes.parquet") for each in (one, two)])
    pq.write_table(both, one / "boxes.parquet")
    assert "of 2 cameras" in refused("E_BOXES", one, "--truth", truth, "--fps", 10)


def test_boxes_that_are_no_parquet_are_refused(truth, ingested):
    folder = ingested(a=WALK)
    (folder / "boxes.parquet").write_text("no parquet")
    result = ksi(folder, "--truth", truth, "--fps", 10)
    assert result.exit_code == 1
    assert result.stderr.startswith("E_PARQUET: ")


def test_a_camera_without_homography_is_told_so(space, truth, ingested):
    folder = ingested(camera="cam-2", a=WALK)
    call = (folder, "--truth", truth, "--fps", 10, "--space", space)
    assert "'cam-2' has no homography" in refused("E_NOT_CALIBRATED", *call)


def test_points_without_metres_are_told_so(space, truth, ingested):
    folder = ingested(has_metres=False, a=WALK)
    call = (folder, "--truth", truth, "--fps", 10, "--space", space)
    assert "no point has a place in metres" in refused("E_NOT_CALIBRATED", *call)


def test_a_start_at_another_time_is_refused(truth, ingested):
    call = (ingested(a=WALK), "--truth", truth, "--fps", 10)
    said = refused("E_TRUTH_TIME", *call, "--start", "2026-03-02T11:00:00+01:00")
    assert "the truth is of 2026-03-02T10:00:00+00:00" in said


@pytest.mark.parametrize("frames", ["5", "9-3", "1-82", "a-b"])
def test_frames_that_are_none_are_refused(truth, ingested, frames):
    refused("E_TRUTH", ingested(a=WALK), "--truth", truth, "--fps", 10, "--frames", frames)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("no json", "it is no JSON", id="no json"),
        pytest.param("[]", "'lines' is no object", id="a list"),
        pytest.param("{}", "it names no line and no zone", id="nothing"),
        pytest.param('{"lines": {"door": 3}}', "'lines' is no object", id="a bare number"),
        pytest.param(
            '{"lines": {"door": {"in": 1}}}', "'out' of 'door' is None", id="one way only"
        ),
        pytest.param('{"lines": {"door": {"in": -1, "out": 0}}}', "'in' of 'door'", id="below 0"),
        pytest.param('{"zones": {"shelf": {"visits": 3}}}', "'person_seconds'", id="no seconds"),
        pytest.param(
            '{"zones": {"shelf": {"person_seconds": 3, "polygon": [[0, 0], [3, 0], [3, 8]]}}}',
            "draws it elsewhere",
            id="another polygon",
        ),
        pytest.param(
            '{"lines": {"door": {"in": 1, "out": 0, "a": [6, 0], "b": [6, 9]}}}',
            "draws it elsewhere",
            id="another line",
        ),
        pytest.param(
            '{"zones": {"unseen": {"person_seconds": 3}}}', "does not see unseen", id="not seen"
        ),
    ],
)
def test_counts_of_another_form_are_refused(space, truth, ingested, tmp_path, text, said):
    counts = tmp_path / "counts.json"
    counts.write_text(text)
    call = (ingested(a=WALK), "--truth", truth, "--fps", 10, "--space", space)
    assert said in refused("E_TRUTH", *call, "--counts", counts)


def test_counts_need_a_space_file_and_all_frames(space, truth, ingested, tmp_path):
    call = (ingested(a=WALK), "--truth", truth, "--fps", 10, "--counts", tmp_path / "none.json")
    assert "--counts needs --space" in refused("E_TRUTH", *call)
    assert "no --frames" in refused("E_TRUTH", *call, "--space", space, "--frames", "1-5")
    assert "No such file" in refused("E_TRUTH", *call, "--space", space)


@pytest.mark.data
@pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is not installed")
def test_a_real_scene_at_two_samples_a_second_keeps_people_and_counts(test_data, tmp_path):
    scene = test_data / "video"
    weights = test_data / "weights" / "yolo11n_int8_openvino_model"
    run = ("--camera", "cam-1", "--space", scene / "vtest.space.yaml", "--out", tmp_path)
    how = ("--detector", "openvino", "--model", weights, "--sample-hz", 2, "--boxes")
    call = ("ingest", scene / "vtest.avi", *run, *how, "--start", "2009-06-01T12:00:00Z")
    ingest = CliRunner().invoke(app, ["video", *(str(a) for a in call)])
    assert ingest.exit_code == 0, ingest.output
    told = ("--truth", scene / "PETS09-S2L1.gt.txt", "--fps", 10)
    (score,) = figures(tmp_path, *told, "--space", scene / "vtest.space.yaml")
    (by_hand,) = figures(
        *(tmp_path, *told, "--space", scene / "vtest.space.yaml"),
        *("--counts", scene / "vtest.truth.json"),
    )
    (line,), (zone,) = score["lines"], score["zones"]
    assert (score["samples"], score["people"], score["truth_boxes"]) == (159, 19, 929)
    assert score["mota"] >= 82
    assert score["idf1"] >= 73
    assert abs(line["in_counted"] - 18) <= 1
    assert abs(line["out_counted"] - 13) <= 1
    assert abs(zone["error_pct"]) <= 10
    # The truth's own foot points give the counts that were worked out apart from this code.
    assert score["lines"] == by_hand["lines"]
    assert zone["person_s_true"] == pytest.approx(by_hand["zones"][0]["person_s_true"], abs=0.01)
    assert zone["visits_true"] == by_hand["zones"][0]["visits_true"]
