"""Which files of an inbox are taken, and that a run takes them to the marts."""

import os
from datetime import date

import dagster as dg
import duckdb
import pytest
from sqlalchemy import select

from ksi_pipeline.definitions import make_definitions
from ksi_pipeline.defs.run import run_main_job
from ksi_pipeline.defs.steps.ticket_inbox import take_ticket_files
from ksi_pipeline.store.tables import TICKET_FILES

from .homes import CONNECTORS, HEADER, NOW, WRITTEN, at, make_home

ROW = "0001,A1,2026-03-27 10:15:00,tea,1,2.5\n"


def drop(workspace, name, content=HEADER + ROW, age_s=3600.0):
    path = workspace.home.drops / "till" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    written = NOW.timestamp() - age_s
    os.utime(path, (written, written))
    return path


def taken(workspace):
    rows = workspace.store.ledger.rows(select(TICKET_FILES).order_by(TICKET_FILES.c.file_id))
    return [row["name"] for row in rows]


def test_a_file_is_taken_once_it_has_not_changed_for_a_while(tmp_path):
    workspace = make_home(tmp_path)
    path = drop(workspace, "a.csv", age_s=59)
    assert take_ticket_files(workspace).waiting == ["till/a.csv"]
    os.utime(path, (NOW.timestamp() - 60,) * 2)
    assert take_ticket_files(workspace).new_count == 1
    assert take_ticket_files(workspace).new_count == 0
    assert taken(workspace) == ["a.csv"]


def test_a_done_file_says_that_its_file_is_whole(tmp_path):
    asked = CONNECTORS.replace("active", "done_marker: true, active")
    workspace = make_home(tmp_path, connectors=asked)
    drop(workspace, "a.csv")
    drop(workspace, "b.csv", age_s=0)
    drop(workspace, "b.csv.done", "", age_s=0)
    report = take_ticket_files(workspace)
    assert (taken(workspace), report.waiting) == (["b.csv"], ["till/a.csv"])


def test_a_file_that_grows_while_it_is_read_waits_and_leaves_nothing(tmp_path, monkeypatch):
    from ksi_pipeline.store import ticket_files

    workspace = make_home(tmp_path)
    path = drop(workspace, "a.csv")
    write = ticket_files.write_atomically

    def write_slowly(target, fill):
        write(target, fill)
        with path.open("a") as file:
            file.write(ROW)

    monkeypatch.setattr(ticket_files, "write_atomically", write_slowly)
    assert take_ticket_files(workspace).waiting == ["till/a.csv"]
    assert taken(workspace) == []
    assert list((workspace.home.raw_tickets / "till" / "files").iterdir()) == []


def test_names_of_unfinished_uploads_and_hidden_files_are_passed_over(tmp_path):
    workspace = make_home(tmp_path)
    for name in (".a.csv", "b.csv.part", "c.tmp", ".hidden/d.csv", "sub/e.csv"):
        drop(workspace, name)
    take_ticket_files(workspace)
    assert taken(workspace) == ["sub/e.csv"]


def test_an_inactive_connector_is_left_alone(tmp_path):
    workspace = make_home(tmp_path, connectors=CONNECTORS.replace("active: true", "active: false"))
    drop(workspace, "a.csv")
    assert take_ticket_files(workspace).file_count == 0


def test_files_are_taken_in_the_order_in_which_they_were_written(tmp_path):
    workspace = make_home(tmp_path)
    drop(workspace, "a.csv", age_s=100)
    drop(workspace, "b.csv", age_s=200)
    take_ticket_files(workspace)
    assert taken(workspace) == ["b.csv", "a.csv"]


@pytest.mark.slow
def test_a_run_takes_files_to_the_marts_and_a_second_run_finds_nothing(tmp_path):
    workspace = make_home(tmp_path)
    rows = ROW + ROW.replace("A1", "A2") + ROW.replace("A1", "A3").replace("10:15", "12:15")
    drop(workspace, "a.csv", HEADER + rows + "0007,X,2026-03-27 10:15:00,tea,1,1\n")

    def run():
        with dg.DagsterInstance.ephemeral() as instance:
            definitions, day = make_definitions(workspace), date(2026, 4, 20)
            return run_main_job(definitions, instance, day, day, home=workspace.home.root)

    report = run()
    assert (report.failures, report.warnings) == ([], [])
    assert report.number("ticket_drops", "new_files") == 1
    assert report.number("ticket_hours", "rows_unmatched") == 1
    with duckdb.connect(str(workspace.home.current_db), read_only=True) as connection:
        found = connection.execute(
            "select hour_start_utc, ticket_count from fct_conversion_hourly "
            "where unit_id = 'u1' and ticket_count is not null order by 1"
        ).fetchall()
    assert [(hour, count) for hour, count in found] == [
        (at(f"2026-03-27 {hour:02}:00").replace(tzinfo=None), count)
        for hour, count in ((9, 2), (10, 0), (11, 1))
    ]
    assert run().changed_nothing
    assert WRITTEN < NOW
