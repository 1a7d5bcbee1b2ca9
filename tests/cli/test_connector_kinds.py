"""`ksi connector` for ticket files: the same way from a draft to the schedule as for an API."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ksi_pipeline.cli import app
from ksi_pipeline.defs.steps.ticket_files import parse_ticket_files
from ksi_pipeline.defs.steps.ticket_inbox import take_ticket_files
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.store import Store

SPACE = """\
schema: 1
site: {id: shop, name: Shop, timezone: Europe/Madrid, currency: EUR}
units: [{id: u1}]
"""
MAPPING = """\
grain: line
columns: {ext_ref_code: store, ticket_id: no, at: {column: time, zone: site}, net: net}
"""
HEADER = "store,no,time,net,email\n"
ROW = "0001,A1,2026-03-27 10:15:00,2.5,ann@example.com\n"
NEW = ("new", "till", "--kind", "ticket_files", "--mapping", "till", "--absent-means", "missing")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name, text in (
        ("spaces/shop.yaml", SPACE),
        ("mappings/till.yaml", MAPPING),
        ("drops/till/a.csv", HEADER + ROW),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return tmp_path


def ksi(home: Path, *arguments: str):
    return CliRunner().invoke(app, ["connector", *arguments, "--dir", str(home)])


def done(home: Path, *arguments: str) -> str:
    result = ksi(home, *arguments)
    assert result.exit_code == 0, result.output
    return result.output


def described(home: Path) -> None:
    done(home, *NEW)
    done(home, "edit", "till", "--set", "stable_s=0")
    done(home, "link", "till", "0001", "--unit", "u1", "--from", "2026-01-01")


def outcome(home: Path, *arguments: str) -> dict:
    return json.loads(ksi(home, "test", "till", "--json", *arguments).stdout)


def failures(home: Path, *arguments: str) -> list[tuple[str, str]]:
    found = outcome(home, *arguments)
    assert (found["is_passed"], found["state"]) == (False, "draft")
    return [(check["check"], check["code"]) for check in found["checks"] if check["code"]]


def workspace(home: Path) -> Workspace:
    return Workspace(Store(DataHome(home)), Path(), {}.get)


def test_files_are_taken_once_their_connector_was_tested_and_activated(home):
    described(home)
    assert take_ticket_files(workspace(home)).file_count == 0
    done(home, "test", "till")
    assert take_ticket_files(workspace(home)).file_count == 0
    done(home, "activate", "till")
    assert take_ticket_files(workspace(home)).new_count == 1


def test_a_connector_of_files_is_not_activated_untested(home):
    described(home)
    assert "E_NOT_TESTED" in ksi(home, "activate", "till").stderr


def test_a_test_says_what_it_saw_and_writes_no_ticket(home):
    described(home)
    found = outcome(home)
    assert (found["is_passed"], found["rows"], found["state"]) == (True, 1, "tested")
    assert [check["check"] for check in found["checks"]] == ["mapping", "file", "rows", "codes"]
    assert "email" in found["notes"][0]
    assert workspace(home).store.ledger.live_files("tickets") == []


def test_a_changed_mapping_makes_a_draft_that_is_neither_taken_nor_read(home):
    described(home)
    done(home, "test", "till")
    done(home, "activate", "till")
    take_ticket_files(workspace(home))
    (home / "mappings" / "till.yaml").write_text(MAPPING.replace("net: net", "net: email"))
    (home / "drops" / "till" / "b.csv").write_text(HEADER + ROW)
    assert "E_CONNECTOR_CHANGED" in take_ticket_files(workspace(home)).failed["till"]
    assert "E_CONNECTOR_CHANGED" in parse_ticket_files(workspace(home)).failed["till"]
    (home / "mappings" / "till.yaml").write_text(MAPPING)
    assert take_ticket_files(workspace(home)).new_count == 1
    assert parse_ticket_files(workspace(home)).file_count == 2


def test_each_thing_that_is_wrong_is_named(home):
    described(home)
    path = home / "drops" / "till" / "a.csv"
    path.write_text("store,no,time\n")
    assert [check for check, _ in failures(home)] == ["file"]
    path.write_text(HEADER)
    assert failures(home) == [("rows", "E_TEST_EMPTY")]
    path.write_text(HEADER + ROW.replace("2.5", "cheap"))
    assert [check for check, _ in failures(home)] == ["rows"]
    path.write_text(HEADER + ROW.replace("0001", "1"))
    assert failures(home) == [("codes", "E_UNKNOWN_CODE")]
    (home / "mappings" / "till.yaml").write_text("grain: basket\n")
    assert [check for check, _ in failures(home)] == ["mapping"]


def test_an_empty_file_passes_where_that_is_accepted(home):
    described(home)
    (home / "drops" / "till" / "a.csv").write_text(HEADER)
    assert outcome(home, "--allow-empty")["is_passed"]


def test_a_test_reads_the_newest_file_of_the_inbox_unless_told_otherwise(home, tmp_path):
    described(home)
    elsewhere = tmp_path / "sample.csv"
    elsewhere.write_text(HEADER + ROW + ROW.replace("A1", "A2"))
    assert outcome(home)["rows"] == 1
    assert outcome(home, "--file", str(elsewhere))["rows"] == 2
    (home / "drops" / "till" / "a.csv").unlink()
    assert "E_NOTHING_TO_ASK" in ksi(home, "test", "till").stderr


def test_an_option_of_another_kind_is_refused(home):
    described(home)
    assert "E_CONNECTOR_KIND" in ksi(home, "test", "till", "--code", "0001").stderr


def test_a_kind_that_there_is_not_is_refused(home):
    result = ksi(home, "new", "till", "--kind", "soap")
    assert (result.exit_code, "E_CONNECTOR_KIND" in result.stderr) == (2, True)


def test_what_a_kind_cannot_do_without_is_asked_for(home):
    assert "--mapping is missing" in ksi(home, *NEW[:4]).stderr


def test_a_file_connector_is_listed_with_its_kind(home):
    described(home)
    (one,) = json.loads(done(home, "list", "--json"))["connectors"]
    assert (one["kind"], one["state"], one["secrets"]) == ("ticket_files", "draft", {})
