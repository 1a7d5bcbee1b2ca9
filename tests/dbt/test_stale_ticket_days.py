"""fct_ticket_reconciliation_daily follows the lake where no hour of a unit says that it changed."""

import copy

import duckdb
import pytest

from ksi_pipeline.core.time import OpeningHours

from .small_site import SmallSite, make_lake, rows_of

pytestmark = pytest.mark.slow

MART = "fct_ticket_reconciliation_daily"
MARK = " as it was"
CAME, AGAIN = "2026-01-20 12:00", "2026-01-21 12:00"
# one day for each thing that changes; nobody has a calendar of the year before
STAYS, ADDED, REPLACED, GONE, BARRED, LEFT, LATE, OTHER, RESTATED = (
    f"2026-01-{day:02}" for day in range(5, 14)
)
BEFORE, SHIFTED, SWAPPED = "2025-06-05", "2025-06-06", "2025-06-07"


def site_before():
    site = SmallSite("m", "Europe/London", OpeningHours())
    site.calendar(f"{STAYS} 00:00", "2026-01-14 00:00")
    for code in ("u", "v"):
        site.unit(code)
        site.asked(code, f"{STAYS} 00:00", "2026-01-14 00:00", CAME)
    site.unit("late", is_linked=False)
    site.unit("swap")
    site.lake["space_link"][-1]["valid_from_utc"] = site.at(f"{SWAPPED} 10:00")
    site.lake["space_link"].append(
        {**site.lake["space_link"][0], "connector_id": "web", "ext_ref_code": "w"}
    )
    for code, day in [
        *(("stray", day) for day in (STAYS, ADDED, REPLACED, GONE)),
        *(("u", day) for day in (STAYS, LEFT, OTHER, RESTATED)),
        *(("late", day) for day in (LATE, BEFORE, SHIFTED)),
        ("swap", SWAPPED),
    ]:
        for hour in (9, 10):
            site.tickets(code, f"{day} {hour:02}:00", 20 + hour, CAME)
    for day in (STAYS, BARRED):
        site.refused("E_ROW_TYPE", f"{day} 12:00")
    site.refused("E_TAKEN_BACK", f"{GONE} 12:00")
    return site


def changed():
    """The site after everything, and the hours that the steps of the pipeline would name."""
    site = copy.deepcopy(site_before())
    lake, touched = site.lake, []
    site.tickets("stray", f"{ADDED} 11:00", 5, CAME)
    replaced = [row for row in lake["ticket_hours"] if row["ext_ref_code"] == "stray"]
    by_day = {str(row["hour_start_utc"].date()): row for row in replaced}
    lake["ticket_hours"].remove(by_day[REPLACED])
    site.tickets("stray", f"{REPLACED} 10:00", 31, AGAIN)
    for row in replaced:
        if str(row["hour_start_utc"].date()) == GONE:
            lake["ticket_hours"].remove(row)
    site.refused("E_ROW_TYPE", f"{BARRED} 13:00")
    site.refused("E_ROW_TYPE", f"{ADDED} 13:00")
    lake["quarantine"] = [row for row in lake["quarantine"] if row["code"] != "E_TAKEN_BACK"]
    # the calendar ends a day earlier, and with it the hours of the last
    gone = {site.at(f"{LEFT} {hour:02}:00") for hour in range(24)}
    for name in ("site_hours", "site_open_spans"):
        lake[name] = [row for row in lake[name] if row["hour_start_utc"] not in gone]
    for unit in ("u", "v"):
        touched += site.affected(unit, *(f"{LEFT} {hour:02}:00" for hour in range(24)))
    # as many rows are linked as before, and they are others
    for row in lake["space_link"]:
        if row["unit_id"] == "swap":
            row["valid_from_utc"], row["valid_to_utc"] = None, row["valid_from_utc"]
    link = {"site_id": "m", "unit_id": "late", "connector_id": "pos", "ext_ref_code": "late"}
    lake["space_link"].append(
        {**link, "valid_from_utc": None, "valid_to_utc": site.at(f"{SHIFTED} 10:00")}
    )
    lake["space_link"].append(
        {**link, "valid_from_utc": site.at(f"{LATE} 00:00"), "valid_to_utc": None}
    )
    touched += site.affected("late", *(f"{LATE} {hour:02}:00" for hour in range(24)))
    site.tickets("u", f"{RESTATED} 09:00", 40, AGAIN)
    touched += site.affected("u", f"{RESTATED} 09:00")
    # of two codes of a unit only one sends more; what the other stands beside changes
    site.tickets("u", f"{OTHER} 09:00", 29, CAME, connector_id="web", ext_ref_code="w")
    touched += site.affected("u", f"{OTHER} 09:00")
    return site, touched


@pytest.fixture(scope="module")
def days(tmp_path_factory, dbt):
    """Rows of the mart by code and day: before, after an incremental run, and built anew."""
    path = tmp_path_factory.mktemp("stale") / "build.duckdb"
    make_lake(path, site_before().lake)
    select = ("run", "--select", f"+{MART}")
    dbt(path, *select)
    found = {"before": rows_by_day(path)}
    with duckdb.connect(str(path)) as con:
        con.execute(f"update marts.{MART} set metric_version = metric_version || '{MARK}'")
    site, touched = changed()
    make_lake(path, {**site.lake, "affected_hours": touched})
    dbt(path, *select)
    found["after"] = rows_by_day(path)
    dbt(path, *select, "--full-refresh")
    return {**found, "anew": rows_by_day(path)}


def rows_by_day(path):
    rows = rows_of(path, f"select * from marts.{MART}")
    return {(row["ext_ref_code"], str(row["day_utc"])): row for row in rows}


def test_an_incremental_run_ends_in_the_rows_of_a_full_refresh(days):
    after = {
        key: {**row, "metric_version": row["metric_version"].removesuffix(MARK)}
        for key, row in days["after"].items()
    }
    assert after == days["anew"]


@pytest.mark.parametrize(
    ("code", "day", "figure", "was", "is_now"),
    [
        ("", BARRED, "quarantined_row_count", 1, 2),
        ("stray", ADDED, "unmatched_ticket_count", 59, 64),
        ("stray", REPLACED, "unmatched_ticket_count", 59, 60),
        ("late", LATE, "unmatched_ticket_count", 59, 0),
        ("late", BEFORE, "outside_calendar_ticket_count", 0, 59),
        ("late", SHIFTED, "outside_calendar_ticket_count", 0, 29),
        ("swap", SWAPPED, "unmatched_ticket_count", 29, 30),
        ("u", LEFT, "outside_calendar_ticket_count", 0, 59),
        ("u", RESTATED, "superseded_row_count", 0, 1),
    ],
)
def test_the_mart_follows_the_lake(days, code, day, figure, was, is_now):
    assert [days[when][code, day][figure] for when in ("before", "after")] == [was, is_now]


@pytest.mark.parametrize("key", [("stray", GONE), ("", GONE)])
def test_what_is_in_the_lake_no_more_leaves_the_mart(days, key):
    assert [key in days[when] for when in ("before", "after")] == [True, False]


def test_rows_refused_on_a_day_without_tickets_are_in_the_mart_with_no_hour_affected(days):
    assert [("", ADDED) in days[when] for when in ("before", "after")] == [False, True]


def test_what_another_feed_of_the_unit_sent_shows_beside_a_code_of_which_nothing_came(days):
    others = [days[when]["u", OTHER]["other_feed_ticket_count"] for when in ("before", "after")]
    assert others == [None, 29]


def test_other_rows_stay_in_place(days):
    kept = {key for key, row in days["after"].items() if row["metric_version"].endswith(MARK)}
    assert kept == {("u", STAYS), ("stray", STAYS), ("", STAYS)}
