"""Pulling tickets: what is asked again, what is kept, and what a kill leaves behind."""

import json
import random
from contextlib import suppress
from datetime import date, timedelta

import pytest
from sqlalchemy import select

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.time import Window
from ksi_pipeline.defs.steps import sql_pull
from ksi_pipeline.defs.steps.sql_pull import pull_databases
from ksi_pipeline.defs.steps.ticket_files import parse_ticket_files
from ksi_pipeline.store.tables import SQL_PULLS, TICKET_FILES

from ..ticket_files.homes import at, hours, lines
from .homes import Home, current

UPDATED = {"column": "written", "kind": "updated_at", "zone": "UTC"}
NUMBERED = {"column": "id", "kind": "integer"}


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def rows(workspace, table):
    return workspace.store.ledger.rows(select(table))


def test_tickets_of_a_table_become_ticket_hours(home):
    home.sell(
        ("A1", "2026-03-27 10:15:00", 2.5),
        ("A1", "2026-03-27 10:15:00", 3),
        ("A2", "2026-03-27 10:59:59", 1),
    )
    asked, read = home.pull()
    assert (asked.row_count, asked.failed, read.rows_loaded) == (3, {}, 3)
    (hour,) = hours(home.workspace).values()
    assert (hour["hour_start_utc"], hour["num_tickets"], str(hour["net_sales"])) == (
        at("2026-03-27 09:00"),
        2,
        "6.5000",
    )


def test_a_second_pull_of_the_same_rows_writes_nothing(home):
    home.sell(("A1", "2026-03-27 10:15:00", 2.5))
    home.pull()
    before = [rows(home.workspace, table) for table in (SQL_PULLS, TICKET_FILES)]
    asked, read = home.pull()
    assert (asked.new_count, read.file_count) == (0, 0)
    assert [rows(home.workspace, table) for table in (SQL_PULLS, TICKET_FILES)] == before


def test_rows_that_come_late_or_change_within_the_overlap_are_revisions(home):
    home.sell(("A1", "2026-03-25 10:15:00", 2.5), ("B1", "2026-03-27 12:00:00", 1))
    home.pull()
    home.sell(("A2", "2026-03-25 11:15:00", 4))
    home.sql("update lines set net = 3 where no = 'A1'")
    home.at("2026-03-27 19:00")
    home.pull()
    assert current(home.workspace) == {"A1": "3", "A2": "4", "B1": "1"}
    assert hours(home.workspace)["0001", at("2026-03-25 09:00")]["num_tickets"] == 1


def test_rows_older_than_the_overlap_are_not_asked_for_again(home):
    home.configure(overlap_h=0)
    home.workspace.final_after = timedelta()
    home.sell(("B1", "2026-03-27 12:00:00", 1))
    home.pull()
    home.sell(("A1", "2026-03-24 10:15:00", 2.5))
    home.pull()
    assert current(home.workspace) == {"B1": "1"}
    home.pull(only="till", window=Window(at("2026-03-24 00:00"), at("2026-03-25 00:00")))
    assert current(home.workspace) == {"A1": "2.5", "B1": "1"}


def test_a_window_asked_by_hand_moves_nothing_on(home):
    home.sell(("A1", "2026-03-21 10:15:00", 1), ("B1", "2026-03-27 10:15:00", 2))
    home.pull(only="till", window=Window(at("2026-03-27 00:00"), at("2026-03-28 00:00")))
    assert current(home.workspace) == {"B1": "2"}
    home.pull()
    assert current(home.workspace) == {"A1": "1", "B1": "2"}


@pytest.mark.parametrize("watermark", [UPDATED, NUMBERED], ids=["updated_at", "integer"])
def test_one_changed_line_brings_its_whole_ticket(home, watermark):
    since = 0 if watermark is NUMBERED else date(2026, 3, 20)
    home.configure(
        watermark=watermark,
        since=since,
        complete_from=date(2026, 3, 20),
        overlap_h=0,
        overlap_ids=0,
    )
    home.sell(("A1", "2026-03-21 10:15:00", 1), ("A1", "2026-03-21 10:15:00", 2))
    home.sql("update lines set id = rowid")
    home.pull()
    home.sql("update lines set net = 5, written = '2026-03-27 17:00:00', id = 9 where net = 2")
    home.pull()
    assert current(home.workspace) == {"A1": "6"}
    assert len(lines(home.workspace)) == 4


def test_a_line_without_its_ticket_is_seen_and_refused(home):
    home.sell((None, "2026-03-27 10:15:00", 1), ("A1", "2026-03-27 10:15:00", 2))
    _, read = home.pull()
    assert read.codes == {"E_FIELD_MISSING": 1}
    assert current(home.workspace) == {"A1": "2"}


def test_a_grain_of_tickets_needs_no_other_rows(tmp_path):
    mapping = (
        "grain: ticket\ncolumns: {ext_ref_code: store, ticket_id: no, "
        "at: {column: time, zone: site}, net: net}\n"
    )
    home = Home(tmp_path, mapping)
    home.sell(("A1", "2026-03-27 10:15:00", 1), ("A2", "2026-03-27 10:15:00", 2))
    home.pull()
    assert current(home.workspace) == {"A1": "1", "A2": "2"}


def test_codes_keep_their_zeros_and_a_query_may_compute(home):
    home.configure(
        table=None,
        tables=["lines"],
        query="select substr('000' || store, -4) as store, no, time, sku, qty, net * 2 as net "
        "from lines -- twice",
    )
    home.sell(("A1", "2026-03-27 10:15:00", 1))
    home.pull()
    assert current(home.workspace) == {"A1": "2"}


@pytest.mark.parametrize("text", [r"\x", r"\\:x", "::x", r"a\:b:", r"%(a)s\\%", ":x:", r"\u00e9\n"])
def test_a_query_reaches_the_database_as_it_is_written(home, text):
    home.configure(
        table=None,
        tables=["lines"],
        query=f"select store, no, time, sku, qty, length('{text}') as net from lines",
    )
    home.sell(("A1", "2026-03-27 10:15:00", 1))
    home.pull()
    assert current(home.workspace) == {"A1": str(len(text))}


def test_only_columns_that_are_named_leave_the_database(home):
    home.sql("alter table lines add column customer_name text")
    home.sql(
        "insert into lines (store, no, time, net, customer_name) "
        "values ('0001', 'A1', '2026-03-27 10:15:00', 1, 'Ann')"
    )
    home.pull()
    kept = [path for path in home.workspace.home.raw_tickets.rglob("*") if path.is_file()]
    assert kept
    assert not any(b"Ann" in path.read_bytes() or b"customer" in path.read_bytes() for path in kept)


def test_a_mapping_that_reads_another_column_asks_for_everything_again(home):
    home.sell(("A1", "2026-03-21 10:15:00", 1), ("B1", "2026-03-27 10:15:00", 1))
    home.pull()
    path = home.workspace.home.mappings / "till.yaml"
    path.write_text(path.read_text() + "  category: {value: HOT}\n  line_no: id\n")
    home.sql("update lines set id = 7")
    home.pull()
    held = {row["ticket_id"]: row for row in lines(home.workspace)}
    assert [held[n]["line_no"] for n in ("A1", "B1")] == [7, 7]


def test_a_table_without_a_row_asks_nothing_and_forgets_nothing(home):
    asked, _ = home.pull()
    assert (asked.window_count, asked.failed) == (0, {})
    assert rows(home.workspace, SQL_PULLS) == []


def test_a_connector_that_fails_leaves_the_others_alone(home):
    from .homes import connectors, entry

    broken = entry(id="broken", table="nowhere")
    home.workspace.home.connectors.write_text(connectors(broken, entry()))
    home.sell(("A1", "2026-03-27 10:15:00", 1))
    asked, _ = home.pull()
    assert list(asked.failed) == ["broken"]
    assert current(home.workspace) == {"A1": "1"}


def test_rows_that_cannot_be_kept_fail_their_connector_alone_and_no_value_is_shown(
    home, monkeypatch
):
    from .homes import connectors, entry

    real = sql_pull.rows_hash

    def failing(path, column):
        if "odd" in str(path):
            raise ValueError("4711")
        return real(path, column)

    monkeypatch.setattr(sql_pull, "rows_hash", failing)
    home.workspace.home.connectors.write_text(
        connectors(entry(id="odd", watermark=UPDATED), entry())
    )
    home.sell(("A1", "2026-03-27 10:15:00", 1))
    asked, _ = home.pull()
    assert list(asked.failed) == ["odd"]
    assert asked.failed["odd"].startswith("E_SQL_TYPE: Connector 'odd'")
    assert "4711" not in asked.failed["odd"]
    assert current(home.workspace) == {"A1": "1"}


def test_a_connector_that_is_not_active_is_asked_by_name_only(home):
    home.configure(active=None)
    home.sell(("A1", "2026-03-27 10:15:00", 1))
    assert home.pull()[0].window_count == 0
    home.pull(only="till")
    assert current(home.workspace) == {"A1": "1"}


class Killed(BaseException):
    """What a kill looks like from inside."""


def kill_at(monkeypatch, module, name, countdown, *, before):
    """Die at the nth call of a function, before or after it."""
    real, left = getattr(module, name), [countdown]

    def dying(*args, **kwargs):
        left[0] -= 1
        if left[0] == 0 and before:
            raise Killed
        result = real(*args, **kwargs)
        if left[0] == 0:
            raise Killed
        return result

    monkeypatch.setattr(module, name, dying)


@pytest.mark.parametrize("watermark", [None, UPDATED], ids=["ticket_time", "updated_at"])
@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_kills_and_pulls_ends_in_the_same_tickets(tmp_path, watermark, seed):
    chance = random.Random(seed)
    settings = {"longest_window_days": 2} | ({"watermark": watermark} if watermark else {})
    home, undisturbed = Home(tmp_path / "a", **settings), Home(tmp_path / "b", **settings)
    steps = [("_land", sql_pull), ("keep_pull", sql_pull)]
    for day in range(21, 28):
        sold = [
            (f"{day}-{n}", f"2026-03-{day} {10 + n}:15:00", n + 1)
            for n in range(chance.randint(0, 3))
        ]
        for one in (home, undisturbed):
            if sold:
                one.sell(*sold)
            # after that it is older than the overlap, and a pull by its time cannot see it
            if watermark or day <= 24:
                changed = "update lines set net = net + 10, written = ? where no = '21-0'"
                one.sql(changed, (f"2026-03-{day} 11:00:00",))
            one.at(f"2026-03-{day} 18:00")
        undisturbed.pull()
        for _ in range(chance.randint(0, 2)):
            name, module = chance.choice(steps)
            with pytest.MonkeyPatch.context() as patch:
                kill_at(patch, module, name, chance.randint(1, 3), before=chance.random() < 0.5)
                with suppress(Killed):
                    pull_databases(home.workspace)
            if chance.random() < 0.5:
                parse_ticket_files(home.workspace)
    home.pull()
    undisturbed.pull()
    assert current(home.workspace) == current(undisturbed.workspace)
    shown = [
        {key: (row["num_tickets"], row["net_sales"]) for key, row in hours(one.workspace).items()}
        for one in (home, undisturbed)
    ]
    assert shown[0] == shown[1]


def test_what_is_known_is_never_ahead_of_what_is_kept(home, monkeypatch):
    home.configure(longest_window_days=2)
    home.sell(("A1", "2026-03-21 10:15:00", 1), ("B1", "2026-03-24 10:15:00", 2))
    with monkeypatch.context() as patch:
        kill_at(patch, sql_pull, "keep_pull", 2, before=True)
        with pytest.raises(Killed):
            pull_databases(home.workspace)
    (kept,) = rows(home.workspace, SQL_PULLS)
    assert kept["last_mark"] <= kept["to_mark"]
    assert kept["last_mark"] == int(at("2026-03-21 09:15").timestamp() * 1e6)
    home.pull()
    assert current(home.workspace) == {"A1": "1", "B1": "2"}


def test_a_window_of_too_many_rows_is_given_up_whole(home):
    home.configure(max_rows=1)
    home.sell(("A1", "2026-03-27 10:15:00", 1), ("A2", "2026-03-27 10:15:00", 1))
    assert home.failure().startswith("E_SQL_TOO_LARGE: Connector 'till': the window 2026-03-2")
    assert current(home.workspace) == {}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"query": "select 1"}, "give either table: or query:"),
        ({"table": None}, "give either table: or query:"),
        ({"table": None, "query": "select 1"}, "query: needs tables:"),
        ({"tables": ["lines"]}, "tables: and functions: belong to query:"),
        ({"since": 7}, "since: should be a day like 2026-01-31"),
        ({"since": "²"}, "since: it should be a day like 2026-01-31, or a number"),
        ({"since": "soon"}, "since: it should be a day like 2026-01-31, or a number"),
        ({"watermark": NUMBERED}, "since: should be a number"),
        ({"watermark": NUMBERED, "since": 0}, "complete_from: is needed"),
        ({"watermark": {**UPDATED, "zone": "Mars"}}, "it is no IANA zone"),
        ({"url_env": "postgresql://u:p4ss@h/x"}, "url_env"),
    ],
)
def test_settings_that_do_not_fit_are_named_and_no_value_is_repeated(home, settings, said):
    home.configure(**settings)
    with pytest.raises(ConfigError) as refused:
        home.pull()
    assert said in str(refused.value)
    assert "p4ss" not in str(refused.value)


def test_a_mapping_of_another_format_is_refused(home):
    path = home.workspace.home.mappings / "till.yaml"
    path.write_text("format: csv\n" + path.read_text())
    assert home.failure().startswith("E_MAPPING: ")


def test_a_mapping_that_says_complete_is_refused(home):
    home.sell(("A1", "2026-03-27 10:15:00", 1))
    path = home.workspace.home.mappings / "till.yaml"
    path.write_text("covers: days\ncomplete: true\n" + path.read_text())
    assert home.failure().startswith("E_MAPPING: ")
    assert rows(home.workspace, SQL_PULLS) == []


def test_a_window_that_was_kept_takes_no_ticket_back_whatever_its_mapping_says_later(home):
    home.configure(watermark=UPDATED)
    home.sell(("A1", "2026-03-27 10:15:00", 1), ("B1", "2026-03-27 12:15:00", 1))
    home.pull()
    home.sql("update lines set written = '2026-03-28 01:00:00', net = 5 where no = 'A1'")
    home.sell(("C1", "2026-03-27 13:15:00", 1, "2026-03-28 01:00:00"))
    home.at("2026-03-28 10:00")
    home.pull()
    path = home.workspace.home.mappings / "till.yaml"
    path.write_text("covers: days\ncomplete: true\n" + path.read_text())
    parse_ticket_files(home.workspace, only="till")
    assert current(home.workspace) == {"A1": "5", "B1": "1", "C1": "1"}


def test_numbers_cannot_be_asked_for_by_time(home):
    home.configure(watermark=NUMBERED, since=0, complete_from=date(2026, 3, 20))
    home.sell(("A1", "2026-03-21 10:15:00", 1))
    home.sql("update lines set id = 1")
    day = Window(at("2026-03-21 00:00"), at("2026-03-22 00:00"))
    with pytest.raises(ConfigError) as refused:
        home.pull(only="till", window=day)
    assert refused.value.code == "E_SQL_WINDOW"
    assert json.dumps(current(home.workspace)) == "{}"
