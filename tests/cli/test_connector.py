"""`ksi connector` from a draft to the schedule, against a real server."""

import json
import logging
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from ksi_pipeline.cli import app
from ksi_pipeline.connectors.config import load_connectors
from ksi_pipeline.core.time import Window, parse_instant
from ksi_pipeline.defs.steps.pull import pull_answers
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.sandbox.pos_api import Fault, PosApi
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.store import Store
from ksi_pipeline.store.tables import FETCHES

SECRET = "s3cret-Token.42"
SPACE = """\
schema: 1
site: {id: shop, name: Shop, timezone: Europe/Madrid, currency: EUR}
units: [{id: "0001"}]
links: [{connector: pos, ext_ref_code: "0001", unit: "0001"}]
"""
HOURS = ("--from", "2026-03-02T10:00:00+01:00", "--to", "2026-03-02T12:00:00+01:00")
ROWS = [
    {"time": "2026-03-02T10:00:00+01:00", "ext_ref_code": "0001", "num_tickets": 25},
    {"time": "2026-03-02T11:00:00+01:00", "ext_ref_code": "0001", "num_tickets": 30},
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "spaces").mkdir()
    (tmp_path / "spaces" / "shop.yaml").write_text(SPACE)
    return tmp_path


@pytest.fixture(autouse=True)
def _token(monkeypatch):
    monkeypatch.setenv("KSI_TEST_TOKEN", SECRET)


def describe(home: Path, url: str, more: str = "absent_means: zero") -> None:
    (home / "connectors.yaml").write_text(
        f'connectors:\n  - {{id: pos, kind: hourly_api, url: "{url}", token_env: KSI_TEST_TOKEN, '
        f"allow_http: true, allow_private: true, {more}}}\n"
    )


def ksi(home: Path, *arguments: str):
    return CliRunner().invoke(app, ["connector", *arguments, "--dir", str(home)])


def passed(home: Path, *arguments: str) -> str:
    result = ksi(home, *arguments)
    assert result.exit_code == 0, result.output
    return result.output


def outcome_of(home: Path, *arguments: str) -> dict:
    """The outcome of `ksi connector test --json`."""
    return json.loads(ksi(home, "test", "pos", *HOURS, "--json", *arguments).stdout)


def failures(home: Path, *arguments: str) -> list[tuple[str, str]]:
    outcome = outcome_of(home, *arguments)
    assert outcome["is_passed"] is False
    assert outcome["state"] == "draft"
    return [(c["check"], c["code"]) for c in outcome["checks"] if c["code"]]


def state(home: Path) -> str:
    (one,) = json.loads(passed(home, "list", "--json"))["connectors"]
    return one["state"]


def workspace(home: Path) -> Workspace:
    return Workspace(Store(DataHome(home)), Path(), {"KSI_TEST_TOKEN": SECRET}.get)


def pull(home: Path):
    window = Window(parse_instant(HOURS[1]), parse_instant(HOURS[3]))
    return pull_answers(workspace(home), window)


def test_a_connector_goes_from_draft_over_tested_to_active_and_is_asked_only_then(home):
    with PosApi(ROWS, token=SECRET) as api:
        describe(home, api.url)
        assert state(home) == "draft"
        asked = pull(home)
        assert (asked.answer_count, asked.failed) == (0, {})
        passed(home, "test", "pos", *HOURS)
        assert state(home) == "tested"
        assert pull(home).answer_count == 0
        passed(home, "activate", "pos")
        assert state(home) == "active"
        assert pull(home).answer_count == 1


def test_a_draft_is_not_activated(home):
    describe(home, "https://till.example/s")
    result = ksi(home, "activate", "pos")
    assert result.exit_code == 2
    assert "E_NOT_TESTED" in result.stderr
    assert "ksi connector test pos" in result.stderr
    assert state(home) == "draft"


def test_a_change_makes_a_draft_of_an_active_connector_and_the_run_says_so(home):
    with PosApi(ROWS, token=SECRET) as api:
        describe(home, api.url)
        passed(home, "test", "pos", *HOURS)
        passed(home, "activate", "pos")
        describe(home, api.url, "absent_means: missing")
        assert state(home).startswith("draft (changed")
        report = pull(home)
        assert report.answer_count == 0
        assert report.failed["pos"].startswith("E_CONNECTOR_CHANGED")
        describe(home, api.url, "absent_means: zero, owner: somebody-else")
        assert state(home) == "active"


def test_what_absence_means_is_chosen_before_activation(home):
    with PosApi(ROWS, token=SECRET) as api:
        describe(home, api.url, "max_attempts: 2")
        passed(home, "test", "pos", *HOURS)
        result = ksi(home, "activate", "pos")
    assert result.exit_code == 2
    assert "E_ABSENT_MEANS_UNSET" in result.stderr


def test_a_connector_that_the_file_calls_active_is_asked_as_before(home):
    with PosApi(ROWS, token=SECRET) as api:
        describe(home, api.url, "absent_means: zero, active: true")
        assert state(home) == "active (by the file)"
        assert pull(home).answer_count == 1


def test_a_connector_that_the_file_switches_off_is_neither_asked_nor_activated(home):
    with PosApi(ROWS, token=SECRET) as api:
        describe(home, api.url)
        passed(home, "test", "pos", *HOURS)
        passed(home, "activate", "pos")
        describe(home, api.url, "absent_means: zero, active: false")
        assert pull(home).answer_count == 0
        result = ksi(home, "activate", "pos")
    assert result.exit_code == 2
    assert "active: false" in result.stderr


def test_a_test_asks_once_and_writes_no_ticket(home):
    with PosApi(ROWS, token=SECRET) as api:
        describe(home, api.url)
        passed(home, "test", "pos", *HOURS)
        assert len(api.requests) == 1
    count = select(func.count().label("n")).select_from(FETCHES)
    assert workspace(home).store.ledger.rows(count)[0]["n"] == 0
    assert not (home / "raw").exists()


def test_a_test_of_a_code_that_is_not_linked_yet_names_code_and_zone(home):
    with PosApi(ROWS, token=SECRET) as api:
        describe(home, api.url)
        (home / "spaces" / "shop.yaml").write_text(SPACE.replace("connector: pos", "connector: x"))
        result = ksi(home, "test", "pos", *HOURS)
        assert result.exit_code == 2
        assert "E_NOTHING_TO_ASK" in result.stderr
        passed(home, "test", "pos", *HOURS, "--code", "0001")


@pytest.mark.parametrize(
    ("fault", "check", "code"),
    [
        pytest.param(Fault(status=401, body=b""), "token", "E_FEED_AUTH", id="401"),
        pytest.param(Fault(status=404, body=b""), "answer", "E_FEED_REFUSED", id="404"),
        pytest.param(Fault(status=302, body=b""), "address", "E_FEED_REDIRECT", id="redirect"),
        pytest.param(Fault(is_cut=True), "address", "E_FEED_UNAVAILABLE", id="cut"),
        pytest.param(Fault(latency_s=0.6), "address", "E_FEED_TIMEOUT", id="slow"),
        pytest.param(Fault(body=b"<html>"), "shape", "E_NOT_JSON", id="html"),
        pytest.param(Fault(body=b'{"data": []}'), "shape", "E_NOT_LIST", id="wrapper"),
        pytest.param(Fault(body=b"[]"), "rows", "E_TEST_EMPTY", id="empty"),
        pytest.param(
            Fault(body=lambda b: b.replace(b"25", b'"25"')), "rows", "E_NUM_TICKETS_TYPE", id="text"
        ),
        pytest.param(
            Fault(body=lambda b: b.replace(b"10:00", b"10:15")),
            *("hours", "E_NOT_HOUR_START"),
            id="quarter",
        ),
        pytest.param(
            Fault(body=lambda b: b.replace(b"+01:00", b"")), "hours", "E_NAIVE_TIME", id="naive"
        ),
        pytest.param(
            Fault(body=lambda b: b.replace(b"+01:00", b"+02:00")),
            *("hours", "E_OUTSIDE_WINDOW"),
            id="offset",
        ),
        pytest.param(
            Fault(body=lambda b: b.replace(b"11:00:00", b"10:00:00")),
            *("hours", "E_DUP_HOUR"),
            id="twice",
        ),
        pytest.param(
            Fault(body=lambda b: b.replace(b'"0001"', b'"1"')),
            *("codes", "E_UNKNOWN_CODE"),
            id="other-code",
        ),
    ],
)
def test_each_thing_that_is_wrong_fails_under_its_own_name(home, fault, check, code):
    with PosApi(ROWS, token=SECRET, faults=[fault]) as api:
        describe(home, api.url, "read_timeout_s: 0.3")
        assert failures(home) == [(check, code)]
        assert len(api.requests) == 1


def test_a_till_in_the_own_network_fails_as_address_until_it_is_allowed(home):
    with PosApi(ROWS, token=SECRET) as api:
        describe(home, api.url)
        path = home / "connectors.yaml"
        path.write_text(path.read_text().replace("allow_private: true, ", ""))
        assert failures(home) == [("address", "E_PRIVATE_ADDRESS")]
        assert api.requests == []


def test_a_token_that_is_not_set_is_said_before_anything_is_asked(home, monkeypatch):
    monkeypatch.delenv("KSI_TEST_TOKEN")
    with PosApi(ROWS, token=SECRET) as api:
        describe(home, api.url)
        assert failures(home) == [("token", "E_TOKEN_MISSING")]
        assert api.requests == []


def test_an_empty_list_passes_where_that_is_accepted(home):
    with PosApi([], token=SECRET) as api:
        describe(home, api.url)
        assert outcome_of(home, "--allow-empty")["is_passed"] is True


def test_codes_that_were_not_asked_for_are_a_note(home):
    more = {**ROWS[0], "ext_ref_code": "0002"}
    with PosApi(ROWS, token=SECRET) as api:
        describe(home, api.url)
        api.script(Fault(body=json.dumps([*ROWS, more]).encode()))
        outcome = outcome_of(home)
    assert outcome["is_passed"] is True
    assert outcome["notes"] == ["Rows of codes that were not asked for: 0002."]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(), id="good"),
        pytest.param(Fault(body=SECRET.encode()), id="echoed-as-page"),
        pytest.param(Fault(body=f'[{{"time": "{SECRET}"}}]'.encode()), id="echoed-in-row"),
        pytest.param(Fault(body=f'[{{"{SECRET}": 1}}]'.encode()), id="echoed-as-field"),
        pytest.param(Fault(status=500, body=SECRET.encode()), id="echoed-in-500"),
    ],
)
def test_no_verb_shows_the_token(home, fault, caplog):
    caplog.set_level(logging.DEBUG)
    said = ""
    with PosApi(ROWS, token=SECRET) as api:
        describe(home, api.url)
        for arguments in [["test", "pos", *HOURS], ["show", "pos"], ["list"], ["activate", "pos"]]:
            for how in [[], ["--json"]] if arguments[0] != "activate" else [[]]:
                api.script(fault)
                said += ksi(home, *arguments, *how).output
                api.faults.clear()
    assert "pos" in said
    assert SECRET not in said + caplog.text
    held = b"".join(p.read_bytes() for p in home.rglob("*") if p.is_file())
    assert SECRET.encode() not in held


DAYS = Window(
    parse_instant("2026-03-02T00:00:00+01:00"), parse_instant("2026-03-12T00:00:00+01:00")
)


def test_a_long_span_is_asked_by_several_requests_at_once_and_kept_as_one_by_one(home):
    kept = {}
    for parallel in (1, 5):
        # five requests wait for each other, so nothing is answered unless they come together
        together = threading.Barrier(parallel, timeout=20)
        meets = Fault(body=lambda body, met=together: met.wait() >= 0 and body, times=10)
        with PosApi(ROWS, token=SECRET, faults=[meets]) as api:
            more = f"parallel_requests: {parallel}, longest_window_days: 1"
            describe(home, api.url, f"absent_means: zero, active: true, {more}")
            assert pull_answers(workspace(home), DAYS).answer_count == 10
        fetches = workspace(home).store.ledger.rows(select(FETCHES).order_by(FETCHES.c.fetch_id))
        kept[parallel] = [(f["from_utc"], f["to_utc"], f["raw_sha256"]) for f in fetches]
        (home / "ledger.sqlite").unlink()
    assert kept[1] == kept[5] == sorted(kept[1])


def test_a_span_that_fails_in_the_middle_keeps_what_came_before_and_refuses_the_rest(home):
    with PosApi(ROWS, token=SECRET) as api:
        more = "parallel_requests: 4, longest_window_days: 1, max_attempts: 1"
        describe(home, api.url, f"absent_means: zero, active: true, {more}")
        api.script(Fault(), Fault(), Fault(status=500, times=99))
        report = pull_answers(workspace(home), DAYS)
    assert report.failed["pos"].startswith("E_FEED_UNAVAILABLE")
    assert report.answer_count <= 2
    refused = workspace(home).store.read("coverage").to_pylist()
    begins = DAYS.start + report.answer_count * timedelta(days=1)
    assert {row["status"] for row in refused} == {"refused"}
    assert min(row["from_utc"] for row in refused) == begins
    assert max(row["to_utc"] for row in refused) == DAYS.end


def test_show_gives_settings_state_and_links(home):
    describe(home, "https://till.example/s")
    shown = json.loads(passed(home, "show", "pos", "--json"))
    (config,) = load_connectors(home / "connectors.yaml")
    assert shown["settings"]["url"] == config.url
    assert (shown["state"], shown["secrets"]) == ("draft", {"KSI_TEST_TOKEN": True})
    assert [(li["ext_ref_code"], li["unit"]) for li in shown["links"]] == [("0001", "0001")]
