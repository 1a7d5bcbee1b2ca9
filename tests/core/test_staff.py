"""Who is staff, and how long customers were without them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ksi_pipeline.core.plan import StaffRule
from ksi_pipeline.core.schemas import TRACKLET_STAFF
from ksi_pipeline.core.staff import tracklet_staff, zone_staffing
from ksi_pipeline.core.time import Window

from . import slow_queues
from .test_queues import START, plan_of, table, visit, zone

ZONES = (
    zone("behind", "staff"),
    zone("office", "staff"),
    zone("shelf", "selling"),
    zone("desk", "service"),
    zone("hall", "passage"),
)
PLAN = replace(plan_of(*ZONES), staff_rule=StaffRule(600.0))
NO_RULE = replace(PLAN, staff_rule=None)


def staff_of(*visits: dict, plan=PLAN) -> dict[str, tuple[bool, float]]:
    rows = tracklet_staff(table(*visits), plan).to_pylist()
    return {row["tracklet_id"]: (row["is_staff"], row["staff_zone_s"]) for row in rows}


def flagged(*tracklets: str) -> pa.Table:
    shared = {"site_id": "mall", "is_staff": True, "staff_zone_s": 600.0, "rule_version": 1}
    return pa.Table.from_pylist(
        [{**shared, "tracklet_id": name} for name in tracklets], schema=TRACKLET_STAFF
    )


def minutes(zone_id: str, begin: float, end: float, tracklet: str = "t1") -> dict:
    return visit(zone_id, begin * 60, end * 60, tracklet)


def staffing(*visits: dict, staff=("clerk",), plan=PLAN, window=None) -> list[tuple]:
    """(zone, minutes after START of the hour, minutes with customers, minutes uncovered)."""
    rows = zone_staffing(table(*visits), flagged(*staff), plan, window).to_pylist()
    return [
        (
            row["zone_id"],
            (row["hour_start_utc"] - START) / timedelta(minutes=1),
            row["customer_s"] / 60,
            row["uncovered_s"] / 60,
        )
        for row in rows
    ]


def test_time_in_all_staff_zones_adds_up_to_being_staff():
    visits = [minutes("behind", 0, 4), minutes("shelf", 4, 60), minutes("office", 60, 66)]
    assert staff_of(*visits) == {"t1": (True, 600.0)}
    assert staff_of(*visits[:2]) == {"t1": (False, 240.0)}


def test_staff_zones_that_overlap_count_their_time_once():
    assert staff_of(minutes("behind", 0, 6), minutes("office", 4, 9)) == {"t1": (False, 540.0)}


def test_a_tracklet_that_was_never_in_a_staff_zone_is_a_customer():
    found = staff_of(minutes("shelf", 0, 60), minutes("behind", 0, 10, "t0"))
    assert list(found.items()) == [("t0", (True, 600.0)), ("t1", (False, 0.0))]


def test_without_a_rule_there_are_no_rows():
    visits = minutes("behind", 0, 60), minutes("shelf", 0, 60, "t2")
    assert staff_of(*visits, plan=NO_RULE) == {}
    assert staffing(*visits, plan=NO_RULE) == []


def test_golden_zone_uncovered_for_fifteen_minutes_of_thirty_five():
    rows = staffing(
        minutes("shelf", 0, 10, "clerk"),
        minutes("shelf", 25, 60, "clerk"),
        minutes("shelf", 5, 30),
        minutes("shelf", 20, 40, "t2"),
    )
    assert rows == [("shelf", 0, 35, 15)]
    (_, _, customer, uncovered) = rows[0]
    assert round(1 - uncovered / customer, 4) == 0.5714


def test_staff_alone_are_no_uncovered_time():
    assert staffing(minutes("shelf", 0, 60, "clerk")) == []


def test_time_is_split_at_local_hours():
    assert staffing(minutes("desk", 50, 80)) == [("desk", 0, 10, 10), ("desk", 60, 20, 20)]
    kathmandu = replace(PLAN, zone_info=ZoneInfo("Asia/Kathmandu"))
    assert staffing(minutes("desk", 0, 30), plan=kathmandu) == [
        ("desk", -45, 15, 15),
        ("desk", 15, 15, 15),
    ]


def test_only_the_time_inside_a_window_counts():
    window = Window(START + timedelta(minutes=10), START + timedelta(minutes=20))
    rows = [minutes("shelf", 0, 60), minutes("shelf", 5, 15, "clerk"), minutes("desk", 20, 30)]
    assert staffing(*rows, window=window) == [("shelf", 0, 10, 5)]


def test_zones_where_nobody_serves_are_not_measured():
    assert staffing(minutes("hall", 0, 10), minutes("behind", 0, 5)) == []


def test_a_zone_whose_cameras_see_no_staff_zone_is_not_said_to_be_uncovered():
    sees = {"a": frozenset({"shelf"}), "b": frozenset({"desk", "behind"})}
    plan = replace(PLAN, sees=sees)
    assert staffing(minutes("shelf", 0, 10), minutes("desk", 0, 5), plan=plan) == [
        ("desk", 0, 5, 5)
    ]


def test_a_staff_zone_counts_only_while_it_holds():
    noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    plan = replace(PLAN, zones=(zone("behind", "staff", valid_from=noon), *ZONES[2:]))
    morning, later = minutes("behind", 0, 20), minutes("behind", 180, 200, "t2")
    assert staff_of(morning, later, plan=plan) == {"t1": (False, 0.0), "t2": (True, 1200.0)}


@st.composite
def some_visits(draw):
    rows = []
    for tracklet in ("t1", "t2", "clerk"):
        for shape in ZONES:
            at = draw(st.integers(3500, 3610))
            for _ in range(draw(st.integers(0, 3))):
                end = at + draw(st.integers(1, 60))
                rows.append(visit(shape.zone_id, at, end, tracklet))
                at = end + draw(st.integers(0, 30))
    return table(*draw(st.permutations(rows)))


@given(some_visits())
def test_any_visits_are_measured_as_second_by_second(visits):
    plan = replace(PLAN, staff_rule=StaffRule(40.0))
    staff = tracklet_staff(visits, plan)
    seconds = slow_queues.staff_seconds(visits, plan)
    assert dict(
        zip(staff["tracklet_id"].to_pylist(), staff["staff_zone_s"].to_pylist(), strict=True)
    ) == dict(sorted(seconds.items()))
    true_staff = {tracklet for tracklet, there in seconds.items() if there >= 40}
    assert staff.filter(staff["is_staff"])["tracklet_id"].to_pylist() == sorted(true_staff)
    found = {
        (row["zone_id"], row["hour_start_utc"]): (row["customer_s"], row["uncovered_s"])
        for row in zone_staffing(visits, staff, plan).to_pylist()
    }
    assert found == slow_queues.zone_staffing(visits, true_staff, plan)
