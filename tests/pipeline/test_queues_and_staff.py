"""Queue events, staff flags and staffing follow the visits, the zones and the rules of a site."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from sqlalchemy import select

from ksi_pipeline.core.instants import to_us
from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.defs.steps.events import update_events
from ksi_pipeline.store.store import Change
from ksi_pipeline.store.tables import AFFECTED_HOURS, FILES

from .homes import make_workspace

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
DERIVED = ("queue_events", "tracklet_staff", "zone_staffing")
STAFF = "staff: {min_s: 600}\n"
SPACE = f"""\
schema: 1
site: {{id: shop, name: Shop, timezone: Europe/Madrid, currency: EUR}}
counting: {{max_gap_s: 100000}}
{STAFF}units:
  - {{id: "0001"}}
zones:
  - {{id: line, unit: "0001", role: queue, polygon: [[0, 0], [2, 0], [2, 2], [0, 2]]}}
  - {{id: till, unit: "0001", role: service, polygon: [[2, 0], [4, 0], [4, 2], [2, 2]]}}
  - {{id: behind, unit: "0001", role: staff, polygon: [[3, 0], [6, 0], [6, 2], [3, 2]]}}
lines:
  - {{id: door, unit: "0001", role: entrance, a: [-1, 0], b: [-1, 2], inside: right}}
cameras:
  - {{id: cam-1, sees: [line, till, behind, door]}}
"""


def stands(tracklet, start, *places) -> list[dict]:
    """A tracklet that comes in by the door and then stands at each x for some seconds."""
    at, rows = start, [(start, -2.0)]
    for x, seconds in places:
        for instant in (at + timedelta(seconds=1), at + timedelta(seconds=1 + seconds)):
            rows.append((instant, x))
        at += timedelta(seconds=1 + seconds)
    return [
        {
            "site_id": "shop",
            "camera_id": "cam-1",
            "tracklet_id": tracklet,
            "ts_utc": instant,
            "x_m": x,
            "y_m": 1.0,
            "confidence": 1.0,
            "is_observed": True,
        }
        for instant, x in rows
    ]


CUSTOMER = stands("customer", NINE, (1.0, 118), (2.5, 60))
CLERK = stands("clerk", NINE + timedelta(minutes=10), (3.5, 1200))


def give(workspace, *walks: list[dict]) -> None:
    """Let tracklets arrive, each in the UTC day of its first sample."""
    change = Change()
    days: dict[str, list[dict]] = {}
    for rows in walks:
        days.setdefault(str(rows[0]["ts_utc"].date()), []).extend(rows)
    for day, rows in days.items():
        table = pa.Table.from_pylist(rows, schema=DATASETS["tracklet_points"])
        workspace.store.replace(
            change, "tracklet_points", table, source="chunk:shop/cam-1/one", partition=day
        )
    workspace.store.commit(change)


def affected(workspace) -> set[tuple[str, int, str]]:
    rows = workspace.store.ledger.rows(select(AFFECTED_HOURS))
    return {(row["unit_id"], row["hour_start_utc"], row["cause"]) for row in rows}


def forget_affected(workspace) -> None:
    with workspace.store.ledger.transaction() as connection:
        connection.execute(AFFECTED_HOURS.delete())


def respace(workspace, old: str, new: str) -> None:
    path = workspace.home.spaces / "shop.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def flags(workspace) -> dict[str, bool]:
    rows = workspace.store.read("tracklet_staff").to_pylist()
    return {row["tracklet_id"]: row["is_staff"] for row in rows}


@pytest.fixture
def counted(shop):
    workspace = make_workspace(shop(space=SPACE))
    give(workspace, CUSTOMER, CLERK)
    update_events(workspace)
    return workspace


def test_visits_become_queue_events_staff_flags_and_staffing(counted):
    waits = {
        row["tracklet_id"]: (row["outcome"], round(row["wait_s"]), row["is_join"])
        for row in counted.store.read("queue_events").to_pylist()
    }
    assert waits == {"customer": ("served", 119, True), "clerk": ("served", 0, False)}
    assert flags(counted) == {"customer": False, "clerk": True}
    (row,) = counted.store.read("zone_staffing").to_pylist()
    assert (row["zone_id"], row["hour_start_utc"]) == ("till", NINE)
    assert row["customer_s"] == row["uncovered_s"] == pytest.approx(60, abs=1)


def test_the_report_says_how_many_rows_there_are(counted):
    counts = update_events(counted).row_counts
    assert {name: counts[name] for name in DERIVED} == dict(zip(DERIVED, (2, 2, 1), strict=True))


def test_a_second_pass_writes_nothing_and_touches_nothing(counted):
    before = counted.store.ledger.rows(select(FILES)), affected(counted)
    update_events(counted)
    assert (counted.store.ledger.rows(select(FILES)), affected(counted)) == before


def test_another_rule_recounts_no_points_and_touches_the_hours_of_whom_it_flips(counted):
    forget_affected(counted)
    respace(counted, "min_s: 600", "min_s: 7200")
    assert update_events(counted).days_counted == 0
    assert flags(counted) == {"customer": False, "clerk": False}
    staff_hours = {row for row in affected(counted) if row[2].startswith("staff of")}
    assert staff_hours == {("0001", to_us(NINE), "staff of 2026-03-02")}


def test_another_flag_touches_the_hours_of_visits_in_which_no_line_was_crossed(shop):
    workspace = make_workspace(shop(space=SPACE))
    give(workspace, stands("clerk", NINE + timedelta(minutes=50), (1.0, 900), (5.0, 1200)))
    update_events(workspace)
    forget_affected(workspace)
    respace(workspace, "min_s: 600", "min_s: 7200")
    update_events(workspace)
    hours = {hour for _, hour, cause in affected(workspace) if cause == "staff of 2026-03-02"}
    assert hours == {to_us(NINE), to_us(NINE + timedelta(hours=1))}


def test_without_the_rule_nobody_is_flagged_and_nothing_is_uncovered(counted):
    respace(counted, STAFF, "")
    update_events(counted)
    assert flags(counted) == {}
    assert counted.store.read("zone_staffing").num_rows == 0
    assert counted.store.read("queue_events").num_rows == 2


def test_another_threshold_reads_the_queues_anew_and_touches_only_their_hours(counted):
    later = stands("later", NINE + timedelta(hours=3), (1.0, 8), (-2.0, 1))
    give(counted, CUSTOMER, CLERK, later)
    update_events(counted)
    forget_affected(counted)
    respace(counted, "staff:", "queues: {abandon_s: 8}\nstaff:")
    assert update_events(counted).days_counted == 0
    outcomes = {
        r["tracklet_id"]: r["outcome"] for r in counted.store.read("queue_events").to_pylist()
    }
    assert outcomes["later"] == "abandoned"
    assert affected(counted) == {("0001", to_us(NINE + timedelta(hours=3)), "queues of 2026-03-02")}


def test_a_wait_over_the_hour_touches_both_hours(counted):
    forget_affected(counted)
    give(counted, CUSTOMER, CLERK, stands("late", NINE + timedelta(minutes=58), (1.0, 300)))
    update_events(counted)
    hours = {hour for _, hour, cause in affected(counted) if cause == "queues of 2026-03-02"}
    assert hours == {to_us(NINE), to_us(NINE + timedelta(hours=1))}


def test_tracklets_that_vanish_take_their_events_with_them(counted):
    give(counted, CUSTOMER)
    update_events(counted)
    assert flags(counted) == {"customer": False}
    assert counted.store.read("queue_events")["tracklet_id"].to_pylist() == ["customer"]


def test_customers_over_midnight_utc_are_measured_on_both_days(shop):
    workspace = make_workspace(shop(space=SPACE))
    late = NINE.replace(hour=23, minute=55)
    give(workspace, stands("customer", late, (2.5, 599)), stands("clerk", late, (5.0, 700)))
    update_events(workspace)
    rows = workspace.store.read("zone_staffing").sort_by("hour_start_utc").to_pylist()
    midnight = NINE.replace(hour=0) + timedelta(days=1)
    assert [row["hour_start_utc"] for row in rows] == [midnight - timedelta(hours=1), midnight]
    assert [row["customer_s"] for row in rows] == pytest.approx([299, 300], abs=1)
    # the clerk only passes through the till, and is behind it from then on
    assert rows[1]["uncovered_s"] == rows[1]["customer_s"]
