"""`ksi tickets load`: what it prints, what it writes, and how it ends."""

import json

import pytest
from typer.testing import CliRunner

from ksi_pipeline.cli import app

SPACE = """\
schema: 1
site: {id: shop, name: Shop, timezone: Europe/Madrid, currency: EUR}
units: [{id: u1}]
links: [{connector: till, ext_ref_code: "0001", unit: u1}]
"""
MAPPING = """\
grain: line
columns: {ext_ref_code: store, ticket_id: no, at: {column: time, zone: site}, net: net}
"""
GOOD = "store,no,time,net,email\n0001,A1,2026-03-27 10:15:00,2.5,ann@example.com\n"
BAD = GOOD + "0001,A2,2026-03-27 10:16:00,cheap,ann@example.com\n"


@pytest.fixture
def home(tmp_path):
    for name, text in (
        ("spaces/shop.yaml", SPACE),
        ("mappings/till.yaml", MAPPING),
        (
            "connectors.yaml",
            "connectors: [{id: till, kind: ticket_files, mapping: till, absent_means: zero}]",
        ),
        ("good.csv", GOOD),
        ("bad.csv", BAD),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def ksi(*arguments):
    return CliRunner().invoke(app, ["tickets", "load", *map(str, arguments)])


def test_a_preview_shows_before_and_after_and_writes_nothing(home):
    before = sorted(home.rglob("*"))
    done = ksi(home / "good.csv", "--mapping", home / "mappings" / "till.yaml", "--preview")
    assert done.exit_code == 0
    assert "2026-03-27 10:15:00" in done.stdout
    assert "2.5000" in done.stdout
    assert "email (its header)" in done.stderr
    assert "ann@example.com" not in done.output
    assert sorted(home.rglob("*")) == before


def test_a_preview_says_what_would_be_refused_and_exits_with_1(home):
    mapping = home / "mappings" / "till.yaml"
    done = ksi(home / "bad.csv", "--mapping", mapping, "--preview", "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == 1
    assert (told["rows_in"], told["rows_good"], told["codes"]) == (2, 1, {"E_MONEY_TYPE": 1})
    assert told["tickets"][0]["at_utc"] == "2026-03-27T10:15:00+00:00"
    assert told["personal"] == {"email": "its header"}


def test_a_preview_with_a_connector_knows_its_codes_and_their_zone(home):
    done = ksi(home / "good.csv", "--connector", "till", "--dir", home, "--preview", "--json")
    assert json.loads(done.stdout)["tickets"][0]["at_utc"] == "2026-03-27T09:15:00+00:00"


def test_a_file_is_loaded_once_and_says_so_the_second_time(home):
    first = ksi(home / "bad.csv", "--connector", "till", "--dir", home, "--json")
    told = json.loads(first.stdout)
    assert (first.exit_code, told["rows_loaded"], told["rows_quarantined"]) == (0, 1, 1)
    again = ksi(home / "bad.csv", "--connector", "till", "--dir", home)
    assert again.exit_code == 0
    assert "was loaded before" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (["good.csv"], "E_LOAD_CALL", 2),
        (["good.csv", "--preview"], "E_LOAD_CALL", 2),
        (["good.csv", "--connector", "nobody"], "E_UNKNOWN_CONNECTOR", 2),
        (["none.csv", "--connector", "till"], "E_FILE", 2),
        (["good.csv", "--preview", "--mapping", "none.yaml"], "E_MAPPING", 2),
    ],
)
def test_a_wrong_call_is_one_message_with_exit_code_2(
    home, monkeypatch, arguments, code, exit_code
):
    monkeypatch.chdir(home)
    done = ksi(*arguments, "--dir", home)
    assert done.exit_code == exit_code
    assert code in done.stderr


def test_a_file_that_cannot_be_read_exits_with_1_and_is_kept_aside(home):
    (home / "other.csv").write_text("a,b\n1,2\n")
    done = ksi(home / "other.csv", "--connector", "till", "--dir", home)
    assert done.exit_code == 1
    assert "E_MAPPING_COLUMN" in done.stdout
