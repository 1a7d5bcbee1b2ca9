"""The main job on input that nobody here made."""

import json
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pytest

from ksi_pipeline.core.time import Window, parse_instant
from ksi_pipeline.defs.steps.parse import parse_answers, reconcile
from ksi_pipeline.defs.steps.pull import pull_answers
from ksi_pipeline.defs.workspace import VideoSettings
from ksi_pipeline.sandbox.home import write_connectors
from ksi_pipeline.sandbox.pos_api import PosApi

from .homes import TOKEN, make_workspace, query, run

pytestmark = pytest.mark.data

GROCER = """\
schema: 1
site: {id: grocer, name: Grocer, timezone: America/New_York, currency: USD}
units: [{id: u367}, {id: u406}]
links:
  - {connector: pos-main, ext_ref_code: "367", unit: u367}
  - {connector: pos-main, ext_ref_code: "406", unit: u406}
"""


def cut_into_chunks(video: Path, folder: Path, start: datetime, frames: int) -> None:
    """Cut a video into MJPG chunks of so many frames, named by their start."""
    cv2 = pytest.importorskip("cv2")
    folder.mkdir(parents=True)
    capture, writer, number = cv2.VideoCapture(str(video)), None, 0
    while True:
        is_read, frame = capture.read()
        if not is_read:
            break
        if number % frames == 0:
            name = f"{start + timedelta(seconds=number / 10):%Y%m%dT%H%M%SZ}.avi"
            fourcc = cv2.VideoWriter_fourcc(*"MJPG")
            size = (frame.shape[1], frame.shape[0])
            if writer is not None:
                writer.release()
            writer = cv2.VideoWriter(str(folder / name), fourcc, 10, size)
        writer.write(frame)
        number += 1
    writer.release()


def test_four_chunks_of_a_real_plaza_become_marts_close_to_the_truth(test_data, tmp_path, capsys):
    pytest.importorskip("openvino")
    truth = json.loads((test_data / "video" / "vtest.truth.json").read_text())
    home = tmp_path / "plaza"
    (home / "spaces").mkdir(parents=True)
    space = test_data / "video" / "vtest.space.yaml"
    (home / "spaces" / space.name).write_bytes(space.read_bytes())
    cut_into_chunks(
        test_data / "video" / "vtest.avi",
        home / "chunks" / "pets-plaza" / "cam-1",
        datetime(2026, 3, 2, 9, tzinfo=UTC),
        frames=200,
    )
    weights = test_data / "weights" / "yolo11n_int8_openvino_model"
    workspace = make_workspace(home, video=VideoSettings("openvino", weights, sample_hz=2.0))
    report = run(workspace, date(2026, 3, 2))
    assert report.failures == []
    assert report.number("tracklets", "chunks_decoded") == 4

    ((entries, exits, completeness),) = query(
        home,
        "select entry_count, exit_count, completeness from fct_traffic_hourly "
        "where entry_count is not null",
    )
    ((person_seconds,),) = query(
        home, "select person_seconds from fct_zone_hourly where person_seconds is not null"
    )
    line, zone = truth["lines"]["walkway"], truth["zones"]["middle"]
    with capsys.disabled():
        print(
            f"\nvtest: walkway in {entries} (true {line['in']}), out {exits} "
            f"(true {line['out']}); middle {person_seconds:.1f} person-seconds "
            f"(true {zone['person_seconds']})"
        )
    assert completeness == pytest.approx(79.5 / 3600, abs=1e-4)
    assert abs(entries - line["in"]) <= 3
    assert abs(exits - line["out"]) <= 3
    assert person_seconds == pytest.approx(zone["person_seconds"], rel=0.1)


def test_three_months_of_a_real_grocer_are_loaded_row_for_row(test_data, tmp_path):
    expected = test_data / "tickets" / "completejourney" / "expected"
    feed = json.loads((expected / "cj_feed_hourly.json").read_text())
    fall_back = json.loads((expected / "cj_request_fall_back.json").read_text())
    home = tmp_path / "grocer"
    (home / "spaces").mkdir(parents=True)
    (home / "spaces" / "grocer.yaml").write_text(GROCER)
    windows = (
        Window(
            parse_instant("2017-01-01T00:00:00-05:00"), parse_instant("2017-04-01T00:00:00-04:00")
        ),
        Window(
            parse_instant(fall_back["request"]["fromTime"]),
            parse_instant(fall_back["request"]["toTime"]) + timedelta(seconds=1),
        ),
    )
    with PosApi(feed, token=TOKEN) as api:
        connectors = write_connectors(home, api.url)
        connectors.write_text(connectors.read_text().replace("missing", "zero"))
        workspace = make_workspace(home)
        for window in windows:
            assert pull_answers(workspace, window).failed == {}
        parse_answers(workspace)
        again = [pull_answers(workspace, window).new_count for window in windows]

    wanted = {
        (row["ext_ref_code"], parse_instant(row["time"])): row["num_tickets"]
        for row in feed
        if row["ext_ref_code"] in {"367", "406"}
        and any(window.contains(parse_instant(row["time"])) for window in windows)
    }
    table = workspace.store.read("ticket_hours")
    found = {
        (row["ext_ref_code"], row["hour_start_utc"]): row["num_tickets"]
        for row in table.to_pylist()
    }
    assert table.num_rows == len(found) == 1157 + len(fall_back["response"])
    assert found == wanted
    assert pc.sum(table["num_tickets"]).as_py() == sum(wanted.values())
    assert again == [0, 0]
    assert reconcile(workspace).is_balanced
    assert os.path.getsize(home / "ledger.sqlite") > 0
