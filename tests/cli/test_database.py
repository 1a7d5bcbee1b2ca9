"""`ksi connector` and `ksi tickets pull` for a database: what they print and how they end."""

import json
import sqlite3
from contextlib import closing

import pytest
from typer.testing import CliRunner

from ksi_pipeline.cli import app

SPACE = """\
schema: 1
site: {id: shop, name: Shop, timezone: Europe/Madrid, currency: EUR}
units: [{id: u1}]
links: [{connector: erp, ext_ref_code: "0001", unit: u1}]
"""
MAPPING = """\
grain: ticket
columns: {ext_ref_code: store, ticket_id: no, at: {column: time, zone: site}, net: net}
"""
CONNECTORS = """\
connectors:
  - id: erp
    kind: sql
    url_env: ERP_URL
    mapping: erp
    table: tickets
    since: 2026-03-26
    absent_means: zero
    watermark: time
    watermark_kind: ticket_time
    watermark_zone: site
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name, text in (
        ("spaces/shop.yaml", SPACE),
        ("mappings/erp.yaml", MAPPING),
        ("connectors.yaml", CONNECTORS),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    with closing(sqlite3.connect(tmp_path / "erp.sqlite")) as connection, connection:
        connection.execute("create table tickets (store text, no text, time text, net numeric)")
        connection.execute("insert into tickets values ('0001', 'A1', '2026-03-27 10:15:00', 2.5)")
    monkeypatch.setenv("ERP_URL", f"sqlite:///{tmp_path / 'erp.sqlite'}")
    return tmp_path


def ksi(home, *arguments):
    result = CliRunner().invoke(app, [*arguments, "--dir", str(home)])
    return result.exit_code, result.stdout, result.stderr


def change(home, statement):
    with closing(sqlite3.connect(home / "erp.sqlite")) as connection, connection:
        connection.execute(statement)


def test_a_database_is_tested_activated_and_asked(home):
    code, out, _ = ksi(home, "connector", "test", "erp")
    assert code == 0
    assert "ok     rows: all 1 rows can be read" in out
    assert "Next: ksi connector activate erp" in out
    assert ksi(home, "connector", "activate", "erp")[0] == 0
    code, out, _ = ksi(home, "tickets", "pull", "erp", "--json")
    assert code == 0
    told = json.loads(out)
    assert (told["tickets"], told["rows_loaded"], told["failed"]) == (1, 1, {})


def test_a_test_names_what_the_mapping_cannot_read_and_what_is_never_asked_for(home):
    change(home, "insert into tickets values ('0001', 'A2', '2026-03-27 11:15:00', 'cheap')")
    change(home, "insert into tickets values ('0001', 'A3', null, 1)")
    code, out, _ = ksi(home, "connector", "test", "erp")
    assert code == 1
    assert "(1 rows of 2)" in out
    assert "failed rows: E_MONEY_TYPE" in out
    assert "1 rows have no watermark and are never asked for" in out
    assert "erp did not pass; it stays draft." in out


def test_a_test_says_that_codes_are_written_otherwise(home):
    change(home, "update tickets set store = '1'")
    code, out, _ = ksi(home, "connector", "test", "erp")
    assert code == 1
    assert "failed codes: E_UNKNOWN_CODE: No row has a code that is linked; the file has 1." in out


def test_a_test_of_an_empty_table_passes_only_where_that_was_allowed(home):
    change(home, "delete from tickets")
    assert "E_TEST_EMPTY" in ksi(home, "connector", "test", "erp")[1]
    assert ksi(home, "connector", "test", "erp", "--allow-empty")[0] == 0


def test_a_table_that_is_not_there_is_said_by_test_and_by_pull(home):
    change(home, "drop table tickets")
    code, out, _ = ksi(home, "connector", "test", "erp", "--json")
    (check,) = json.loads(out)["checks"]
    assert (code, check["code"]) == (1, "E_SQL_TABLE")
    code, _, err = ksi(home, "tickets", "pull", "erp")
    assert code == 1
    assert "E_SQL_TABLE: Connector 'erp': the database has no table 'tickets'" in err


def test_a_variable_that_is_not_set_is_an_error_of_the_call(home, monkeypatch):
    monkeypatch.delenv("ERP_URL")
    code, _, err = ksi(home, "tickets", "pull", "erp")
    assert code == 2
    assert "E_SQL_URL" in err
    assert "ERP_URL: not set" in ksi(home, "connector", "show", "erp")[1]


def test_a_window_by_hand_takes_both_ends(home):
    code, _, err = ksi(home, "tickets", "pull", "erp", "--from", "2026-03-27T00:00:00+01:00")
    assert (code, "E_DAYS" in err) == (2, True)
    ends = ("--from", "2026-03-27T00:00:00+01:00", "--to", "2026-03-28T00:00:00+01:00")
    code, out, _ = ksi(home, "tickets", "pull", "erp", *ends)
    assert code == 0
    assert "tickets 1, rows in 1" in out
