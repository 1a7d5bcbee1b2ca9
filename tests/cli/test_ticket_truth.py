"""`ksi tickets show|reconcile|replay` on a home that a real server and a real file have filled."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from ksi_pipeline.cli import app
from ksi_pipeline.core.time import Window, parse_instant
from ksi_pipeline.defs.steps.parse import parse_answers
from ksi_pipeline.defs.steps.pull import pull_answers
from ksi_pipeline.defs.steps.ticket_files import load_by_hand
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.sandbox.pos_api import PosApi
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.store import Store
from ksi_pipeline.store.tables import FETCHES

TOKEN = "t0ken"
SPACE = """\
schema: 1
site: {id: shop, name: Shop, timezone: Europe/Madrid, currency: EUR}
units: [{id: "0001"}]
links:
  - {connector: pos, ext_ref_code: "0001", unit: "0001"}
  - {connector: till, ext_ref_code: "0001", unit: "0001"}
"""
CONNECTORS = """\
connectors:
  - {id: pos, kind: hourly_api, url: "%s", token_env: POS, allow_http: true, allow_private: true,
     absent_means: zero}
  - {id: till, kind: ticket_files, mapping: till, absent_means: missing}
"""
MAPPING = """\
grain: line
columns: {ext_ref_code: store, ticket_id: no, at: {column: time, zone: site}, net: net}
"""
FILE = """\
store,no,time,net
0001,A1,2026-03-02 10:15:00,2.5
0001,A2,2026-03-02 10:16:00,cheap
0009,A3,2026-03-02 10:17:00,1
"""
HOURS = ("--from", "2026-03-02T10:00:00+01:00", "--to", "2026-03-02T12:00:00+01:00")


def row(hour: int, tickets: int) -> dict:
    time = f"2026-03-02T{hour}:00:00+01:00"
    return {"time": time, "ext_ref_code": "0001", "num_tickets": tickets}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home in which 10 h was 25, then 27, and 11 h is refused; and a file with a bad row."""
    for name, text in (("spaces/shop.yaml", SPACE), ("mappings/till.yaml", MAPPING)):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    (tmp_path / "sales.csv").write_text(FILE)
    answers = {10: [row(10, 25), row(11, -1)], 12: [row(10, 27), row(11, -1)]}
    for hour, rows in answers.items():
        with PosApi(rows, token=TOKEN) as api:
            (tmp_path / "connectors.yaml").write_text(CONNECTORS % api.url)
            workspace = at(tmp_path, datetime(2026, 3, 2, hour, 30, tzinfo=UTC))
            pull_answers(workspace, Window(*(parse_instant(HOURS[n]) for n in (1, 3))), only="pos")
            parse_answers(workspace)
    load_by_hand(workspace, "till", tmp_path / "sales.csv")
    return tmp_path


def at(home: Path, now: datetime) -> Workspace:
    return Workspace(Store(DataHome(home)), Path(), {"POS": TOKEN}.get, clock=lambda: now)


def ksi(home: Path, *arguments: str):
    return CliRunner().invoke(app, ["tickets", *arguments, "--dir", str(home)])


def told(home: Path, *arguments: str) -> dict:
    return json.loads(ksi(home, *arguments, "--json").stdout)


def counts(home: Path, *arguments: str) -> list[int]:
    shown = told(home, "show", "pos", "--code", "0001", *HOURS, *arguments)["hours"]
    return [hour["num_tickets"] for hour in shown]


def test_a_restated_hour_shows_what_holds_now_and_what_was_known_before(home):
    assert counts(home) == [27]
    assert counts(home, "--as-of", "2026-03-02T11:00:00Z") == [25]
    assert counts(home, "--as-of", "2026-03-02T10:29:59Z") == []
    assert counts(home, "--revisions") == [25, 27]
    assert counts(home, "--revisions", "--as-of", "2026-03-02T11:00:00Z") == [25]


def test_only_hours_that_start_in_the_window_are_shown(home):
    later = ("--from", HOURS[3], "--to", "2026-03-02T13:00:00+01:00")
    shown = told(home, "show", "pos", "--code", "0001", *later)["hours"]
    assert shown == []


def test_every_row_of_every_connector_is_accounted_for(home):
    by_id = {one["connector_id"]: one for one in told(home, "reconcile")["connectors"]}
    pos, till = by_id["pos"], by_id["till"]
    assert (pos["rows_in"], pos["rows_loaded"], pos["rows_quarantined"]) == (3, 2, 1)
    assert pos["is_balanced"]
    assert (till["rows_in"], till["rows_loaded"], till["rows_quarantined"]) == (3, 1, 1)
    assert (till["unmatched_codes"], till["is_balanced"]) == ({"0009": 1}, True)
    assert {reason["code"] for reason in pos["reasons"]} == {"E_NUM_TICKETS_NEGATIVE"}


def test_a_row_that_is_lost_is_found(home):
    with at(home, datetime(2026, 3, 3, tzinfo=UTC)).store.ledger.transaction() as connection:
        connection.execute(update(FETCHES).values(rows_in=FETCHES.c.rows_in + 1))
    result = ksi(home, "reconcile")
    assert (result.exit_code, "pos: NOT balanced" in result.stdout) == (1, True)


def test_reading_everything_again_gives_what_counts(home):
    found = told(home, "replay")
    assert (found["is_equal"], found["damaged"]) == (True, [])
    assert found["rows"] == {"ticket_hours": 3, "tickets": 1, "ticket_lines": 1}


def test_a_row_that_no_raw_answer_says_is_found(home):
    store = at(home, datetime(2026, 3, 3, tzinfo=UTC)).store
    with store.ledger.transaction() as connection:
        first = FETCHES.c.fetch_id == 1
        connection.execute(FETCHES.delete().where(first))
    result = ksi(home, "replay")
    assert result.exit_code == 1
    assert "ticket_hours: different, 3 rows; 1 not read again" in result.stdout


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(b"", id="empty"),
        pytest.param(gzip.compress(b"[]"), id="another answer"),
        pytest.param(b"no gzip at all", id="no gzip"),
    ],
)
def test_a_raw_answer_that_is_not_what_came_is_named(home, damage):
    path = next((home / "raw" / "tickets" / "pos").rglob("*.json.gz"))
    path.write_bytes(damage)
    result = ksi(home, "replay")
    assert result.exit_code == 1
    assert path.name in "".join(result.stderr.split())


def test_a_kept_file_that_was_cut_short_is_named(home):
    (path,) = (home / "raw" / "tickets" / "till" / "files").iterdir()
    path.write_bytes(path.read_bytes()[:-4])
    assert told(home, "replay")["damaged"] == [str(path.relative_to(home))]


def test_connectors_that_are_gone_are_named_and_not_compared(home):
    path = home / "connectors.yaml"
    path.write_text(path.read_text().split("  - {id: till")[0])
    found = told(home, "replay")
    assert (found["is_equal"], found["left_out"]) == (True, ["till"])


def test_a_replay_leaves_the_home_as_it_was(home):
    before = sorted(
        str(path)
        for path in home.rglob("*")
        if not path.name.startswith(("ledger", "tickets.lock"))
    )
    told(home, "replay")
    after = sorted(
        str(path)
        for path in home.rglob("*")
        if not path.name.startswith(("ledger", "tickets.lock"))
    )
    assert [path for path in after if path not in before] == [str(home / "warehouse")]
