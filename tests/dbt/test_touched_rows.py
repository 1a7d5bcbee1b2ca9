"""A restated hour is built again and nothing else: each other row of each mart stays in place."""

from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from ksi_pipeline.core.time import Window
from ksi_pipeline.defs.steps.ticket_history import known_at, ticket_history

from .small_site import rows_of
from .stream_home import StreamHome

pytestmark = pytest.mark.slow

NINE = 9  # of the first day; restated from 25 tickets to 27

MARK = " as it was"
# by code and UTC day, as no other mart is
TICKET_DAYS = "fct_ticket_reconciliation_daily"


@pytest.fixture(scope="module")
def restated(begun, tmp_path_factory):
    """The home after the restatement, and when each answer came.

    Every row of every incremental mart was marked before, so a row without the mark is one that was
    deleted and appended. (DuckDB's rowid cannot tell: those that stay move up.)
    """
    home = begun("New York").copied_to(tmp_path_factory.mktemp("restated") / "home")
    first = home.now - timedelta(hours=5)
    with duckdb.connect(str(build_db(home))) as con:
        for mart in [*_marts(con), TICKET_DAYS]:
            con.execute(f"update marts.{mart} set metric_version = metric_version || '{MARK}'")
    home.sell("0001", NINE, "amount", 27)
    home.ask(NINE, 1)
    home.run()
    return home, (first, home.now)


def build_db(home: StreamHome) -> Path:
    return home.root / "warehouse" / "build.duckdb"


def _marts(con: duckdb.DuckDBPyConnection) -> list[str]:
    rows = con.execute(
        "select table_name from information_schema.columns where table_schema = 'marts' "
        "and column_name = 'business_date' and table_name like 'fct%' order by all"
    ).fetchall()
    return [str(name) for (name,) in rows]


def built_again(home: StreamHome, grain: str) -> dict[str, list[dict]]:
    """The rows without a mark of each mart whose name ends so; each mart kept others."""
    found = {}
    with duckdb.connect(str(build_db(home)), read_only=True) as con:
        for mart in [*_marts(con), TICKET_DAYS]:
            if mart.endswith(grain):
                rows = con.sql(f"from marts.{mart}").to_arrow_table().to_pylist()
                found[mart] = [row for row in rows if not row["metric_version"].endswith(MARK)]
                assert len(found[mart]) < len(rows), mart
    return found


def test_a_restated_hour_is_built_again_and_no_other_hour(restated):
    home, _ = restated
    hour = home.calendar.hours("mall")[NINE].start_utc.replace(tzinfo=None)
    hourly = built_again(home, "_hourly")
    # who is in a unit depends on who came before, so it is built by the day
    of_days = hourly.pop("fct_occupancy_hourly")
    assert {(row["site_id"], row["unit_id"]) for row in of_days} == {("mall", "1")}
    assert {row["business_date"] for row in of_days} <= {date(2026, 10, 31), date(2026, 11, 1)}
    # an hour's entries pay in it and in the next, so its neighbours are divided anew as well
    divided = hourly.pop("fct_conversion_hourly")
    assert {(row["site_id"], row["unit_id"]) for row in divided} == {("mall", "1")}
    near = {abs(row["hour_start_utc"] - hour) for row in divided}
    assert near == {timedelta(0), timedelta(hours=1)}
    assert len(hourly) >= 6
    for mart, rows in hourly.items():
        assert {(row["site_id"], row["hour_start_utc"]) for row in rows} == {("mall", hour)}, mart
        # a zone is built with the hour of its site: its cameras see several units
        assert "zone_id" in rows[0] or {row["unit_id"] for row in rows} == {"1"}, mart


def test_of_the_days_only_those_the_hour_may_belong_to_are_built_again(restated):
    home, _ = restated
    daily = built_again(home, "_daily")
    assert {row["day_utc"] for row in daily.pop(TICKET_DAYS)} == {date(2026, 10, 31)}
    assert len(daily) >= 2
    for mart, rows in daily.items():
        assert {(row["site_id"], row["unit_id"]) for row in rows} == {("mall", "1")}, mart
        days = {row["business_date"] for row in rows}
        # int_affected_unit_dates says why the day after it is among them
        assert days == {date(2026, 10, 31), date(2026, 11, 1)}, mart


def test_the_hour_reads_as_it_was_known_at_either_time(restated):
    home, (first, second) = restated
    start = home.calendar.hours("mall")[NINE].start_utc
    window = Window(start, start + timedelta(hours=1))
    history = ticket_history(home.workspace(), "pos", "0001", window)
    known = {at: known_at(history, at)["num_tickets"].to_pylist() for at in (first, second)}
    assert known == {first: [25], second: [25, 27]}


def test_as_of_moves_for_the_restated_hour_and_no_other(restated):
    home, (first, second) = restated
    found = rows_of(
        build_db(home),
        "select hour_start_utc, ticket_count, as_of_utc from marts.fct_sales_hourly "
        "where site_id = 'mall' and unit_id = '1' and as_of_utc is not null order by all",
    )
    hour = home.calendar.hours("mall")[NINE].start_utc.replace(tzinfo=None)
    as_of = {row["hour_start_utc"]: (row["ticket_count"], row["as_of_utc"]) for row in found}
    assert len(as_of) > 1
    # 3 of them came in a file
    assert as_of.pop(hour) == (27 + 3, second.replace(tzinfo=None))
    assert {at for _, at in as_of.values()} == {first.replace(tzinfo=None)}
