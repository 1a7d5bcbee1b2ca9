"""How a visit to a queue zone ended, case by case, and any visits at all beside a slow reading."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ksi_pipeline.core.plan import CountingRules, QueueRules, SitePlan, ZoneShape
from ksi_pipeline.core.queues import queue_events
from ksi_pipeline.core.schemas import VISITS
from ksi_pipeline.core.time import hour_start_utc

from . import slow_queues

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MADRID = ZoneInfo("Europe/Madrid")
SQUARE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))


def zone(zone_id: str, role: str, unit: str = "0001", **more) -> ZoneShape:
    return ZoneShape(zone_id, unit, role, SQUARE, **more)


def plan_of(*zones: ZoneShape, rules: QueueRules | None = None) -> SitePlan:
    sees = {"cam-1": frozenset(z.zone_id for z in zones)}
    rules = rules or QueueRules()
    return SitePlan("mall", MADRID, CountingRules(), zones, (), sees, rules)


PLAN = plan_of(zone("line", "queue"), zone("till", "service"), zone("shelf", "selling"))


def visit(zone_id, begin_s, end_s, tracklet="t1", *, unseen="", unit="0001") -> dict:
    """A visit from and to seconds after START; unseen: start, end, both."""
    entered = START + timedelta(seconds=begin_s)
    return {
        "site_id": "mall",
        "unit_id": unit,
        "zone_id": zone_id,
        "tracklet_id": tracklet,
        "entered_at_utc": entered,
        "left_at_utc": START + timedelta(seconds=end_s),
        "dwell_s": float(end_s - begin_s),
        "is_start_censored": unseen in ("start", "both"),
        "is_end_censored": unseen in ("end", "both"),
        "hour_start_utc": hour_start_utc(entered, MADRID),
        "rule_version": 1,
        "geometry_version": "g1",
    }


def table(*visits: dict) -> pa.Table:
    return pa.Table.from_pylist(list(visits), schema=VISITS)


def read(*visits: dict, plan: SitePlan = PLAN) -> list[tuple]:
    """(outcome, wait_s, is_join, is_censored) of each queue event."""
    rows = queue_events(table(*visits), plan).to_pylist()
    return [(r["outcome"], r["wait_s"], r["is_join"], r["is_censored"]) for r in rows]


def test_the_golden_queue_has_six_joins_one_of_them_abandoned():
    served = [
        row
        for n, wait in enumerate([60, 120, 180, 240, 300])
        for row in (
            visit("line", n, n + wait, f"t{n}"),
            visit("till", n + wait, n + wait + 90, f"t{n}"),
        )
    ]
    leaves, passes = visit("line", 10, 430, "leaves"), visit("line", 20, 25, "passes")
    events = queue_events(table(*served, leaves, passes), PLAN).to_pylist()
    joins = [event for event in events if event["is_join"]]
    waits = [event["wait_s"] for event in joins if event["outcome"] == "served"]
    assert (len(events), len(joins), len(waits)) == (7, 6, 5)
    assert sum(e["outcome"] == "abandoned" for e in joins) / len(joins) == pytest.approx(1 / 6)
    assert sum(waits) / len(waits) == 180
    in_queue = sum(event["wait_s"] for event in joins)
    assert (in_queue / len(joins), in_queue) == (220, 1320)


@pytest.mark.parametrize(
    ("till", "event"),
    [
        pytest.param((60, 90), ("served", 60.0, True, False), id="next-to-the-queue"),
        pytest.param((70, 90), ("served", 60.0, True, False), id="ten-seconds-on"),
        pytest.param((70.000001, 90), ("abandoned", 60.0, True, False), id="later-than-that"),
        pytest.param((40, 90), ("served", 40.0, True, False), id="overlap-belongs-to-the-till"),
        pytest.param((-5, 0), ("abandoned", 60.0, True, False), id="till-before-the-queue"),
    ],
)
def test_served_is_whoever_reaches_service_in_time(till, event):
    assert read(visit("line", 0, 60), visit("till", *till)) == [event]


@pytest.mark.parametrize(
    ("seconds", "outcome", "is_join"),
    [(30, "abandoned", True), (29.999999, "balked", False)],
)
def test_leaving_elsewhere_is_abandoning_from_thirty_seconds_on(seconds, outcome, is_join):
    assert read(visit("line", 0, seconds)) == [(outcome, seconds, is_join, False)]


def test_who_walks_up_to_the_till_is_served_and_never_queued():
    assert read(visit("line", 0, 4), visit("till", 4, 60)) == [("served", 4.0, False, False)]
    assert read(visit("line", 0, 5), visit("till", 5, 60)) == [("served", 5.0, True, False)]


def test_a_visit_that_begins_while_being_served_is_no_wait():
    assert read(visit("till", 0, 300), visit("line", 50, 200)) == []
    assert read(visit("till", 0, 300), visit("line", 300, 302)) == [("balked", 2.0, False, False)]


def test_an_end_that_nobody_saw_has_no_outcome():
    assert read(visit("line", 0, 60, unseen="end")) == [(None, 60.0, True, True)]
    assert read(visit("line", 0, 20, unseen="end")) == [(None, 20.0, None, True)]


def test_a_begin_that_nobody_saw_makes_the_wait_a_lower_bound():
    assert read(visit("line", 0, 60, unseen="start")) == [("abandoned", 60.0, True, True)]
    assert read(visit("line", 0, 20, unseen="start")) == [(None, 20.0, None, True)]
    late = visit("line", 0, 4, unseen="start")
    assert read(late, visit("till", 4, 60)) == [("served", 4.0, None, True)]


def test_service_seen_after_the_queue_was_lost_from_view_is_service():
    lost, found = visit("line", 0, 60, unseen="end"), visit("till", 62, 90, unseen="start")
    assert read(lost, found) == [("served", 60.0, True, True)]
    overlapping = visit("till", 50, 90)
    assert read(lost, overlapping) == [("served", 50.0, True, False)]


def test_who_comes_back_into_the_queue_at_once_did_not_abandon_it():
    first, second = visit("line", 0, 60), visit("line", 62, 100)
    till = visit("till", 100, 160)
    events = [(None, 60.0, True, True), ("served", 38.0, True, True)]
    assert read(first, second, till) == events
    assert read(first, visit("line", 71, 100), till) == [
        ("abandoned", 60.0, True, False),
        ("served", 29.0, True, False),
    ]


def test_who_is_served_twice_waits_twice():
    first, second = visit("line", 0, 60), visit("line", 66, 100)
    assert read(first, visit("till", 60, 66), second, visit("till", 101, 160)) == [
        ("served", 60.0, True, False),
        ("served", 34.0, True, False),
    ]


def test_service_of_another_tracklet_serves_nobody_else():
    assert read(visit("line", 0, 60), visit("till", 60, 90, "t2")) == [
        ("abandoned", 60.0, True, False)
    ]


def test_a_queue_leads_to_the_service_zones_of_its_own_unit():
    plan = plan_of(zone("line", "queue"), zone("till", "service"), zone("bar", "service", "0002"))
    waits = visit("line", 0, 60)
    assert read(waits, visit("bar", 60, 90, unit="0002"), plan=plan)[0][0] == "abandoned"
    assert read(waits, visit("till", 60, 90), plan=plan)[0][0] == "served"


def test_two_queues_of_a_unit_are_told_apart_by_what_they_lead_to():
    plan = plan_of(
        zone("returns", "queue", leads_to=("desk",)),
        zone("line", "queue", leads_to=("till",)),
        zone("till", "service"),
        zone("desk", "service"),
    )
    rows = [visit("returns", 0, 60), visit("line", 0, 60), visit("till", 60, 90)]
    assert [event[0] for event in read(*rows, plan=plan)] == ["served", "abandoned"]


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(plan_of(zone("line", "queue")), id="no-service-zone"),
        pytest.param(
            replace(PLAN, sees={"a": frozenset({"line"}), "b": frozenset({"till"})}),
            id="service-zone-of-another-camera",
        ),
    ],
)
def test_where_service_cannot_be_seen_nobody_is_said_to_abandon(plan):
    assert read(visit("line", 0, 60), plan=plan) == [(None, 60.0, True, False)]
    assert read(visit("line", 0, 20), plan=plan) == [(None, 20.0, None, False)]


def test_a_zone_counts_by_the_role_it_has_at_the_time():
    noon = START + timedelta(hours=3)
    plan = plan_of(
        zone("line", "selling", valid_to=noon),
        zone("line", "queue", valid_from=noon),
        zone("till", "service"),
    )
    rows = [visit("line", 0, 60), visit("line", 3 * 3600, 3 * 3600 + 60, "t2")]
    events = queue_events(table(*rows), plan)
    assert events["tracklet_id"].to_pylist() == ["t2"]


def test_the_thresholds_are_settings():
    rules = QueueRules(join_s=1.0, abandon_s=2.0, hand_over_s=0.0)
    plan = replace(PLAN, queue_rules=rules)
    assert read(visit("line", 0, 2), plan=plan) == [("abandoned", 2.0, True, False)]
    assert read(visit("line", 0, 1), visit("till", 1.5, 9), plan=plan) == [
        ("balked", 1.0, False, False)
    ]
    assert read(visit("line", 0, 1), visit("till", 1, 9), plan=plan)[0][0] == "served"


def test_an_event_belongs_to_the_local_hour_of_joining():
    late = visit("line", 3500, 3700)
    (event,) = queue_events(table(late), PLAN).to_pylist()
    assert event["hour_start_utc"] == START
    assert event["ended_at_utc"] == START + timedelta(seconds=3700)


ZONES = (
    zone("line", "queue", valid_to=START + timedelta(seconds=40)),
    zone("line", "queue", leads_to=("till",), valid_from=START + timedelta(seconds=40)),
    zone("other", "queue"),
    zone("far", "queue", "0002"),
    zone("till", "service"),
    zone("desk", "service"),
    zone("shelf", "selling"),
)


@st.composite
def some_visits(draw):
    """Visits of a few tracklets to a few zones, on whole seconds, so that ends often meet."""
    rows = []
    for tracklet in ("t1", "t2"):
        for shape in ZONES[1:]:
            at = draw(st.integers(0, 20))
            for _ in range(draw(st.integers(0, 4))):
                end = at + draw(st.integers(1, 40))
                unseen = draw(st.sampled_from(["", "", "", "start", "end", "both"]))
                rows.append(
                    visit(shape.zone_id, at, end, tracklet, unseen=unseen, unit=shape.unit_id)
                )
                at = end + draw(st.integers(0, 30))
    return table(*draw(st.permutations(rows)))


@given(
    some_visits(),
    st.builds(
        QueueRules,
        join_s=st.sampled_from([0.0, 5.0]),
        abandon_s=st.sampled_from([5.0, 30.0]),
        hand_over_s=st.sampled_from([0.0, 1.0, 10.0]),
    ),
)
def test_any_visits_are_read_as_one_at_a_time(visits, rules):
    plan = plan_of(*ZONES, rules=rules)
    assert queue_events(visits, plan).to_pylist() == slow_queues.queue_events(visits, plan)
