"""Input that cannot be used is kept aside with a code and a reason, and stops nothing else."""

import json
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from ksi_pipeline.core.time import Window, parse_instant
from ksi_pipeline.defs.steps.build import mark_first_built, plan_build
from ksi_pipeline.defs.steps.chunk_inbox import find_chunks
from ksi_pipeline.defs.steps.days import days_to_run
from ksi_pipeline.defs.steps.deliveries import import_deliveries
from ksi_pipeline.defs.steps.parse import parse_answers, reconcile
from ksi_pipeline.defs.steps.pull import pull_answers
from ksi_pipeline.defs.steps.video import ingest_chunks
from ksi_pipeline.sandbox.pos_api import Fault, PosApi
from ksi_pipeline.store.lake_views import pending_seq
from ksi_pipeline.store.tables import QUARANTINE

from .homes import NOW, SPACE, TOKEN, make_workspace
from .shop_days import forget_touched

DAY = date(2026, 3, 2)
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
MORNING = Window(
    parse_instant("2026-03-02T10:00:00+01:00"), parse_instant("2026-03-02T12:00:00+01:00")
)
ROWS = [
    {"time": "2026-03-02T10:00:00+01:00", "ext_ref_code": "0001", "num_tickets": 25},
    {"time": "2026-03-02T11:00:00+01:00", "ext_ref_code": "0001", "num_tickets": 30},
]


def film(path: Path, seconds: int = 4, fourcc: str = "MJPG") -> Path:
    """A grey video with a light block that walks across it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*fourcc), 10, (64, 48))
    noise = np.random.default_rng(1)
    for number in range(seconds * 10):
        frame = noise.integers(60, 70, (48, 64, 3), dtype=np.uint8)
        frame[10:40, number : number + 10] = 220
        writer.write(frame)
    writer.release()
    return path


def chunk_path(home: Path, start: datetime = START, suffix: str = "avi") -> Path:
    return home / "chunks" / "shop" / "cam-1" / f"{start:%Y%m%dT%H%M%SZ}.{suffix}"


def quarantine(workspace) -> dict[str, str]:
    rows = workspace.store.ledger.rows(select(QUARANTINE))
    return {row["code"]: row["message"] for row in rows}


def spans(workspace, kind: str) -> list[tuple[str, str | None, float]]:
    table = workspace.store.read("coverage").to_pylist()
    return [
        (row["status"], row["reason"], (row["to_utc"] - row["from_utc"]).total_seconds())
        for row in sorted(table, key=lambda row: row["from_utc"])
        if row["source_kind"] == kind
    ]


def ingest(workspace):
    find_chunks(workspace, DAY, DAY)
    return ingest_chunks(workspace, DAY, DAY)


def test_a_truncated_avi_keeps_its_good_part_and_says_what_is_missing(shop):
    home = shop()
    path = film(chunk_path(home), seconds=8)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    workspace = make_workspace(home)
    ingest(workspace)
    statuses = spans(workspace, "camera")
    assert [s[0] for s in statuses] == ["complete", "partial"]
    assert statuses[1][1] == "E_CHUNK_TRUNCATED"
    assert sum(s[2] for s in statuses) == pytest.approx(8.0)
    assert 2.0 < statuses[0][2] < 6.0


@pytest.mark.parametrize("content", [b"", b"this is a text file\n"], ids=["empty", "text"])
def test_a_file_that_is_no_video_is_unreadable_and_the_next_chunk_still_counts(shop, content):
    home = shop()
    bad = chunk_path(home, suffix="mp4")
    film(chunk_path(home, START + timedelta(seconds=4)))
    bad.write_bytes(content)
    workspace = make_workspace(home)
    report = ingest(workspace)
    assert (report.done_count, report.unreadable_count) == (1, 1)
    # the next chunk's start tells how long the unreadable one should have been
    assert spans(workspace, "camera") == [
        ("unreadable", "E_CHUNK_UNREADABLE", 4.0),
        ("complete", None, 4.0),
    ]
    assert bad.name in quarantine(workspace)["E_CHUNK_UNREADABLE"]
    assert ingest(workspace).done_count == 0


def test_a_file_name_without_an_offset_is_kept_aside_with_what_to_rename(shop):
    home = shop()
    film(home / "chunks" / "shop" / "cam-1" / "20260302T090000.avi")
    workspace = make_workspace(home)
    assert find_chunks(workspace, DAY, DAY).rejected_count == 1
    assert "20260302T090000" in quarantine(workspace)["E_CHUNK_NAME"]


def test_a_chunk_of_an_unknown_camera_waits_and_counts_once_the_camera_is_added(shop):
    home = shop()
    film(home / "chunks" / "shop" / "cam-9" / chunk_path(home).name)
    workspace = make_workspace(home)
    assert ingest(workspace).done_count == 0
    assert "cam-9" in quarantine(workspace)["E_UNKNOWN_CAMERA"]
    space = home / "spaces" / "shop.yaml"
    space.write_text(space.read_text().replace("id: cam-1", "id: cam-9"))
    assert ingest(workspace).done_count == 1


def deliver(simulated, home: Path) -> Path:
    """Copy one delivery of the simulated mall."""
    source = simulated.delivery_dirs[0]
    target = home / "deliveries" / "/".join(source.parts[-3:])
    shutil.copytree(source, target)
    (home / "spaces").mkdir(parents=True)
    shutil.copy(simulated.space_path, home / "spaces")
    return target


def test_a_delivery_with_a_repeated_sample_is_kept_aside_whole(simulated, tmp_path):
    folder = deliver(simulated, tmp_path)
    path = folder / "tracklet_points.parquet"
    points = pq.read_table(path)
    pq.write_table(points.take([0, 0, *range(1, 50)]), path)
    workspace = make_workspace(tmp_path)
    report = import_deliveries(workspace)
    assert (report.done_count, report.rejected_count) == (0, 1)
    assert "comes twice" in quarantine(workspace)["E_REPEATED_SAMPLE"]
    assert workspace.store.read("tracklet_points").num_rows == 0


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        pytest.param(
            lambda f: (f / "coverage.parquet").unlink(), "E_DELIVERY_INCOMPLETE", id="gone"
        ),
        pytest.param(
            lambda f: (f / "tracklets.parquet").write_bytes(b"PAR1"), "E_PARQUET", id="cut"
        ),
        pytest.param(
            lambda f: pq.write_table(
                pq.read_table(f / "tracklet_points.parquet").drop(["x_m"]),
                f / "tracklet_points.parquet",
            ),
            "E_SCHEMA",
            id="column",
        ),
    ],
)
def test_a_delivery_that_breaks_the_contract_has_its_code_and_heals_when_sent_again(
    simulated, tmp_path, spoil, code
):
    folder = deliver(simulated, tmp_path)
    spoil(folder)
    workspace = make_workspace(tmp_path)
    assert import_deliveries(workspace).rejected_count == 1
    assert code in quarantine(workspace)
    shutil.copytree(simulated.delivery_dirs[0], folder, dirs_exist_ok=True)
    assert import_deliveries(workspace).done_count == 1


def test_a_delivery_of_an_unknown_camera_counts_once_the_camera_is_added(simulated, tmp_path):
    deliver(simulated, tmp_path)
    space = tmp_path / "spaces" / simulated.space_path.name
    text = space.read_text()
    space.write_text(text.replace("cam-0001", "cam-0009"))
    workspace = make_workspace(tmp_path)
    assert import_deliveries(workspace).rejected_count == 1
    assert "E_UNKNOWN_CAMERA" in quarantine(workspace)
    space.write_text(text)
    assert import_deliveries(workspace).done_count == 1


def test_a_second_delivery_of_the_same_time_is_kept_aside_and_counts_nothing_twice(
    simulated, tmp_path
):
    folder = deliver(simulated, tmp_path)
    workspace = make_workspace(tmp_path)
    assert import_deliveries(workspace).done_count == 1
    before = workspace.store.read("tracklet_points").num_rows
    shutil.copytree(folder, folder.with_name("again"))
    assert import_deliveries(workspace).rejected_count == 1
    assert "count people twice" in quarantine(workspace)["E_COVERAGE_OVERLAP"]
    assert workspace.store.read("tracklet_points").num_rows == before


def test_a_delivery_that_is_still_being_written_is_passed_over(simulated, tmp_path):
    folder = deliver(simulated, tmp_path)
    folder.rename(folder.with_suffix(".part"))
    workspace = make_workspace(tmp_path)
    report = import_deliveries(workspace)
    assert (report.done_count, report.rejected_count) == (0, 0)


def test_a_camera_without_homography_is_not_calibrated_and_never_a_measured_zero(shop):
    space = "\n".join(line for line in SPACE.splitlines() if "homography" not in line)
    home = shop(space=space)
    film(chunk_path(home))
    workspace = make_workspace(home)
    ingest(workspace)
    assert spans(workspace, "camera") == [("partial", "E_NOT_CALIBRATED", 4.0)]
    assert sum(workspace.store.read("coverage")["observed_s"].to_pylist()) == 0.0


def test_a_chunk_renamed_to_correct_its_start_counts_once(shop):
    home = shop()
    wrong = film(chunk_path(home))
    workspace = make_workspace(home)
    ingest(workspace)
    wrong.rename(chunk_path(home, START + timedelta(hours=1)))
    ingest(workspace)
    (row,) = workspace.store.read("coverage").to_pylist()
    assert row["from_utc"] == START + timedelta(hours=1)
    assert len(set(workspace.store.read("tracklets")["first_utc"].to_pylist())) >= 1
    assert min(workspace.store.read("tracklet_points")["ts_utc"].to_pylist()) >= row["from_utc"]


def test_a_chunk_dated_in_the_future_is_left_alone_and_widens_no_run(shop):
    home = shop()
    film(chunk_path(home, datetime(2036, 1, 1, tzinfo=UTC)))
    workspace = make_workspace(home)
    find_chunks(workspace, DAY, DAY)
    assert "2036" in quarantine(workspace)["E_CHUNK_TIME"]
    assert days_to_run(workspace)[1] == NOW.date()


def test_a_corrected_clock_between_two_chunks_stops_nothing(shop):
    corrected = SPACE.replace("sees: [door]", "sees: [door]\n    to: 2026-03-03")
    later = corrected[corrected.index("  - id: cam-1") : corrected.index("links:")]
    later = later.replace("to: 2026-03-03", "from: 2026-03-03\n    clock_offset_s: 7200")
    home = shop(space=corrected.replace("links:", later + "links:"))
    film(chunk_path(home, datetime(2026, 3, 2, 22, 59, 56, tzinfo=UTC)))
    film(chunk_path(home, datetime(2026, 3, 2, 23, 0, 0, tzinfo=UTC)))
    workspace = make_workspace(home)
    report = ingest(workspace)
    assert (report.done_count, report.messages) == (2, [])


CONNECTORS = """\
connectors:
  - {{id: pos-main, kind: hourly_api, url: "{url}", token_env: KSI_POS_MAIN_TOKEN,
      absent_means: zero, allow_http: true, allow_private: true, active: true,
      max_attempts: 2, read_timeout_s: 0.5}}
  - {{id: pos-good, kind: hourly_api, url: "{good}", token_env: KSI_POS_MAIN_TOKEN,
      absent_means: zero, allow_http: true, allow_private: true, active: true}}
"""


def pull_with(home: Path, *faults: Fault, token: str = TOKEN):
    """Pull from a faulty till and from a good one."""
    space = home / "spaces" / "shop.yaml"
    space.write_text(
        space.read_text().replace(
            "links:\n", 'links:\n  - {connector: pos-good, ext_ref_code: "0001", unit: "0001"}\n'
        )
    )
    with PosApi(ROWS, token=token, faults=faults) as api, PosApi(ROWS, token=TOKEN) as good:
        (home / "connectors.yaml").write_text(CONNECTORS.format(url=api.url, good=good.url))
        workspace = make_workspace(home)
        return workspace, pull_answers(workspace, MORNING), parse_answers(workspace)


def loaded(workspace) -> dict[str, int]:
    rows = workspace.store.read("ticket_hours").to_pylist()
    return {
        connector: sum(r["num_tickets"] for r in rows if r["connector_id"] == connector)
        for connector in {row["connector_id"] for row in rows}
    }


@pytest.mark.parametrize(
    ("faults", "token", "code"),
    [
        pytest.param((), "another", "E_FEED_AUTH", id="wrong-token"),
        pytest.param((Fault(status=500, times=9),), TOKEN, "E_FEED_UNAVAILABLE", id="500"),
        pytest.param((Fault(latency_s=1.5, times=9),), TOKEN, "E_FEED_TIMEOUT", id="timeout"),
    ],
)
def test_a_feed_that_fails_fails_alone_and_leaves_its_hours_refused(shop, faults, token, code):
    workspace, pulled, _ = pull_with(shop(), *faults, token=token)
    assert set(pulled.failed) == {"pos-main"}
    assert pulled.failed["pos-main"].startswith(code)
    assert loaded(workspace) == {"pos-good": 55}
    assert ("refused", code, 7200.0) in spans(workspace, "feed")


def test_a_token_that_is_not_set_leaves_its_hours_refused_with_that_reason(shop):
    home = shop()
    (home / "connectors.yaml").write_text(
        CONNECTORS.format(url="http://127.0.0.1:9/sales", good="http://127.0.0.1:9/sales")
    )
    workspace = make_workspace(home, secrets={}.get)
    pulled = pull_answers(workspace, MORNING)
    assert pulled.failed["pos-main"].startswith("E_TOKEN_MISSING")
    assert spans(workspace, "feed") == [("refused", "E_TOKEN_MISSING", 7200.0)]


def test_a_feed_that_recovers_within_its_tries_loses_nothing(shop):
    workspace, pulled, _ = pull_with(shop(), Fault(status=503))
    assert pulled.failed == {}
    assert loaded(workspace) == {"pos-main": 55, "pos-good": 55}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b"<html><body>Sign in</body></html>", "E_NOT_JSON", id="html"),
        pytest.param(b'{"data": []}', "E_NOT_LIST", id="object"),
    ],
)
def test_an_answer_that_is_no_list_is_kept_raw_and_refused_whole(shop, body, code):
    workspace, pulled, _ = pull_with(shop(), Fault(body=body))
    assert pulled.failed["pos-main"].startswith(code)
    assert code in quarantine(workspace)
    assert loaded(workspace) == {"pos-good": 55}
    assert ("refused", code, 7200.0) in spans(workspace, "feed")
    assert len(list((workspace.home.raw_tickets / "pos-main").rglob("*.json.gz"))) == 1


def test_a_bad_row_is_quarantined_the_good_hour_is_loaded_and_totals_reconcile(shop):
    body = (
        b'[{"time": "2026-03-02T10:00:00+01:00", "ext_ref_code": "0001", "num_tickets": "25"},'
        b' {"time": "2026-03-02T11:00:00+01:00", "ext_ref_code": "0001", "num_tickets": 30},'
        b' {"time": "2026-03-02T11:00:00+01:00", "ext_ref_code": "B-017", "num_tickets": 3}]'
    )
    workspace, _, parsed = pull_with(shop(), Fault(body=body))
    assert loaded(workspace)["pos-main"] == 33
    assert {"E_NUM_TICKETS_TYPE", "E_UNKNOWN_CODE"} <= quarantine(workspace).keys()
    assert (parsed.rows_quarantined, parsed.rows_unmatched) == (1, 1)
    assert ("refused", "E_NUM_TICKETS_TYPE", 3600.0) in spans(workspace, "feed")
    assert reconcile(workspace).is_balanced


def test_new_rows_of_a_code_that_nobody_linked_alone_make_a_build_due(shop):
    home = shop()
    stray = {**ROWS[0], "ext_ref_code": "B-017"}
    with PosApi([], token=TOKEN) as api:
        (home / "connectors.yaml").write_text(CONNECTORS.format(url=api.url, good=api.url))
        workspace = make_workspace(home)
        due = []
        # the second answer says nothing new, so only the third is due again
        for number, rows in enumerate((ROWS, ROWS, [*ROWS, stray])):
            at = NOW + timedelta(days=10 * (number + 1))
            workspace.clock = lambda at=at: at
            # the sandbox leaves out what it was not asked for; a till may not
            api.script(Fault(body=json.dumps(rows).encode(), times=2))
            pull_answers(workspace, MORNING)
            api.faults.clear()
            parse_answers(workspace)
            due.append(pending_seq(workspace.store))
    assert due[0] == due[1] < due[2]


def test_refused_rows_make_a_build_due_once_though_nobody_knows_their_hour(shop):
    home = shop()
    with PosApi([], token=TOKEN) as api:
        (home / "connectors.yaml").write_text(CONNECTORS.format(url=api.url, good=api.url))
        workspace = make_workspace(home)

        def plan_after(rows, day):
            workspace.clock = lambda: NOW + timedelta(days=day)
            api.script(Fault(body=json.dumps(rows).encode(), times=2))
            pull_answers(workspace, MORNING)
            api.faults.clear()
            parse_answers(workspace)
            forget_touched(workspace)
            return plan_build(workspace, full_refresh=day == 1)

        mark_first_built(workspace, plan_after(ROWS, 1))
        assert plan_after(ROWS, 2) is None
        due = plan_after([*ROWS, {**ROWS[0], "time": "2026-03-02T10:30:00+01:00"}], 3)
        assert due.unit_hours == 0
        mark_first_built(workspace, due)
        assert plan_build(workspace, full_refresh=False) is None


def test_a_failed_second_question_leaves_the_reason_that_the_first_answer_gave(shop):
    home = shop()
    with PosApi(ROWS[:1], token=TOKEN) as api:
        connectors = CONNECTORS.format(url=api.url, good=api.url).replace("zero", "missing")
        (home / "connectors.yaml").write_text(connectors)
        workspace = make_workspace(home)
        pull_answers(workspace, MORNING)
        parse_answers(workspace)
        before = spans(workspace, "feed")
        assert ("silent", "feed_absent_hour", 3600.0) in before
        api.script(Fault(status=500, times=9))
        assert "pos-main" in pull_answers(workspace, MORNING).failed
        api.faults.clear()
        api.script(Fault(body=b"<html>"))
        assert "pos-main" in pull_answers(workspace, MORNING).failed
        parse_answers(workspace)
    assert spans(workspace, "feed") == before
