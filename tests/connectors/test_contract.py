"""What every kind of connector has to do, told by the same little shop."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from ksi_pipeline.defs.steps.ticket_replay import replay_tickets
from ksi_pipeline.defs.steps.ticket_totals import ticket_totals
from ksi_pipeline.store.tables import AFFECTED_HOURS

from .sources import KINDS, SECRET, FileSource, Home, local, sales

TEN, ELEVEN, NOON, ONE = (local(f"2026-03-27T{hour}:00") for hour in (10, 11, 12, 13))
DAY = [*sales("0001", TEN, 25), *sales("0001", ELEVEN, 30), *sales("0001", ONE, 3)]
COUNTS = {("0001", TEN): 25, ("0001", ELEVEN): 30, ("0001", ONE): 3}
# An API is asked for linked codes only, and asked again once a code is linked.
HOLD_UNKNOWN_CODES = [kind for kind in KINDS if kind != "hourly_api"]
AFTER = datetime(2026, 3, 28, 6, 0, tzinfo=UTC)


@pytest.fixture(params=KINDS)
def source(request, tmp_path):
    """A source of each kind."""
    made = KINDS[request.param](tmp_path)
    yield made
    made.close()


@pytest.fixture
def home(source, tmp_path) -> Home:
    """A home on the morning after the day."""
    return Home(tmp_path, source, AFTER)


def affected(home: Home) -> int:
    with home.workspace.store.ledger.engine.connect() as connection:
        return connection.execute(select(func.coalesce(func.max(AFFECTED_HOURS.c.seq), 0))).scalar()


def affected_since(home: Home, seq: int) -> set[tuple[str, datetime]]:
    later = select(AFFECTED_HOURS).where(AFFECTED_HOURS.c.seq > seq)
    rows = home.workspace.store.ledger.rows(later)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return {(r["unit_id"], epoch + timedelta(microseconds=r["hour_start_utc"])) for r in rows}


def test_tickets_are_counted_by_code_and_local_hour(home):
    home.says(DAY)
    assert home.run() == {}
    assert home.hours() == COUNTS


def test_a_code_keeps_its_zeros(home):
    home.says(sales("0001", TEN, 1))
    home.run()
    assert {code for code, _ in home.hours()} == {"0001"}


def test_saying_the_same_again_changes_nothing(home):
    home.says(DAY)
    home.run()
    rows, seq = home.workspace.store.read("ticket_hours").num_rows, affected(home)
    home.says(DAY)
    home.run()
    assert home.workspace.store.read("ticket_hours").num_rows == rows
    assert affected_since(home, seq) == set()


def test_a_restated_hour_replaces_that_hour_and_touches_no_other(home):
    home.says(DAY)
    home.run()
    seq = affected(home)
    home.says([*DAY, *sales("0001", TEN, 27)[25:]])
    home.run()
    assert home.hours() == {**COUNTS, ("0001", TEN): 27}
    assert affected_since(home, seq) == {("u1", TEN)}


def test_an_hour_without_tickets_is_silent_where_absence_is_unknown(home):
    home.says(DAY)
    home.run()
    assert (home.status("0001", TEN), home.status("0001", NOON)) == ("complete", "silent")


def test_an_hour_without_tickets_is_a_measured_zero_where_that_was_chosen(home):
    home.describe("zero")
    home.says(DAY)
    home.run()
    assert (home.status("0001", TEN), home.status("0001", NOON)) == ("complete", "complete")


def test_an_hour_that_still_runs_is_not_covered(home):
    home.now = ELEVEN + timedelta(minutes=30)
    home.says([sale for sale in DAY if sale.at < home.now])
    home.run()
    assert (home.status("0001", TEN), home.status("0001", ELEVEN)) == ("complete", None)


@pytest.mark.parametrize("source", HOLD_UNKNOWN_CODES, indirect=True)
def test_tickets_of_an_unknown_code_count_once_it_is_linked_without_being_sent_again(home):
    home.says([*DAY, *sales("0002", TEN, 4)])
    home.run()
    assert ("0002", TEN) not in home.hours()
    home.break_down()
    home.link_the_other_code()
    home.run()
    assert home.hours() == {**COUNTS, ("0002", TEN): 4}


def test_a_code_that_is_linked_later_counts_from_the_day_of_its_link(home):
    home.says([*DAY, *sales("0002", TEN, 4)])
    home.run()
    home.link_the_other_code()
    home.run()
    assert home.hours() == {**COUNTS, ("0002", TEN): 4}


def test_every_row_is_accounted_for(home):
    home.says([*DAY, *sales("0002", TEN, 4)])
    home.run()
    assert [totals.is_balanced for totals in ticket_totals(home.workspace)] == [True]


def test_reading_the_raw_bytes_again_gives_the_same(home):
    home.says(DAY)
    home.run()
    home.says([*DAY, *sales("0001", TEN, 27)[25:]])
    home.run()
    replay = replay_tickets(home.workspace)
    assert replay.is_equal
    assert replay.rows["ticket_hours"] > 0


@pytest.mark.parametrize(
    ("day", "first", "fold", "hours"),
    [
        pytest.param("2026-03-29", "01:00", 0, 2, id="23 hours"),
        pytest.param("2026-10-25", "02:00", 1, 3, id="25 hours"),
    ],
)
def test_the_hours_of_a_clock_change_stay_apart(home, day, first, fold, hours):
    begin = local(f"{day}T{first}")
    told = {begin + timedelta(hours=n): n + 2 for n in range(hours)}
    home.says([sale for hour, count in told.items() for sale in sales("0001", hour, count)])
    home.now = begin + timedelta(days=2)
    home.run(day)
    assert home.hours() == {("0001", hour): count for hour, count in told.items()}
    assert local(f"{day}T{first}", fold) in told


def test_one_that_fails_is_named_and_leaves_what_is_known_and_the_others_alone(home, tmp_path):
    other = FileSource(tmp_path / "other")
    home.others.append(other.entry.replace("id: src", "id: other").replace("ABSENT", "missing"))
    home.describe("missing")
    home.says(DAY)
    home.run()
    home.break_down()
    inbox = tmp_path / "drops" / "other"
    inbox.parent.mkdir(exist_ok=True)
    other.says(sales("0001", TEN, 1), home.now)
    (tmp_path / "other" / "drops" / "src").rename(inbox)
    failed = home.run()
    assert [name.partition("/")[0] for name in failed] == ["src"]
    assert all(message.startswith("E_") and SECRET not in message for message in failed.values())
    assert home.hours() == COUNTS
    (taken,) = [
        totals for totals in ticket_totals(home.workspace) if totals.connector_id == "other"
    ]
    assert taken.rows_in == 1


def test_a_secret_is_in_no_file_of_the_home(home):
    home.says(DAY)
    home.run()
    home.break_down()
    home.run()
    written = [path for path in home.root.rglob("*") if path.is_file()]
    assert written
    assert [path for path in written if SECRET.encode() in path.read_bytes()] == []
