"""Whatever arrives, late or twice or taken back: what is built bit by bit is what is built at once.

The inputs are files and answers, and the steps of the pipeline say which hours they touch. One
stream with every kind of them runs each time; KSI_STREAMS=500 makes as many others.
"""

import os
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from .small_site import rows_of
from .stream_home import CALENDARS
from .stream_inputs import ANSWERS, CAMERAS, CHOICES, CODES, DROPPED, PEOPLE, SITES, SOLD

pytestmark = pytest.mark.slow

MANY = int(os.environ.get("KSI_STREAMS", "0"))
# few hours, so that they meet: around midnight, the clock change, and the hours of opening
HOURS = st.sampled_from([9, 10, 0, 4, 12, 18, 23, 24, 25, 26, 27, 34, 47, 48, 49, 58])
SALES = st.tuples(
    st.just("sell"),
    st.sampled_from(CODES),
    HOURS,
    st.sampled_from(SOLD),
    st.integers(0, 40),
)
QUESTIONS = st.tuples(
    st.just("ask"),
    HOURS,
    st.sampled_from([2, 24, 72]),
    st.sampled_from(["true", *ANSWERS]),
    st.sampled_from([0, 0, 1, 30, 75]),
)
FILMS = st.tuples(
    st.just("film"),
    st.sampled_from(list(CAMERAS)),
    HOURS,
    st.sampled_from([1, 3]),
    st.lists(st.sampled_from(PEOPLE), max_size=5).map(tuple),
    st.sampled_from(["complete", "complete", "partial", "unreadable"]),
)
DRAWINGS = st.tuples(
    st.just("draw"),
    st.sampled_from([*SITES, "mall"]),
    st.sampled_from(list(CHOICES)),
    st.integers(0, 3),
)
DROPS = st.tuples(st.just("drop"), st.integers(0, 1), st.sampled_from(DROPPED), st.integers(0, 9))
CAMPAIGNS = st.tuples(st.just("promote"), st.integers(0, 3))
SETTINGS = st.tuples(
    st.just("configure"), st.sampled_from(["missing", "zero"]), st.sampled_from([72, 24, 240])
)
KINDS = {
    "sell": SALES,
    "ask": QUESTIONS,
    "drop": DROPS,
    "film": FILMS,
    "draw": DRAWINGS,
    "promote": CAMPAIGNS,
    "configure": SETTINGS,
}
EVENTS = st.one_of(*KINDS.values(), DRAWINGS)
KILLED = ("first models", "built", "steps")
STOPS = st.sampled_from(["published", "published", *KILLED])
# what arrives before each run, how far the run gets, and how many hours pass after it
LAST = st.lists(EVENTS, min_size=3, max_size=7)
RUNS = st.lists(st.tuples(LAST, STOPS, st.sampled_from([1, 20, 70])), min_size=1, max_size=2)


def test_the_home_that_streams_begin_with_has_something_to_change_in_every_mart(begun):
    path = begun("New York").root / "warehouse" / "build.duckdb"
    (found,) = rows_of(
        path,
        """
        select
            (select count(net_sales) from marts.fct_sales_hourly) as amounts,
            (select sum(return_count) from marts.fct_sales_hourly) as returns,
            (select sum(staff_entry_count) from marts.fct_traffic_hourly) as staff,
            (select sum(served_count) from marts.fct_queue_hourly) as served,
            (select count(staff_coverage_rate) from marts.fct_zone_hourly) as staffed,
            (select count(conversion_rate) from marts.fct_conversion_daily) as converted,
            (select count(*) from marts.fct_tenant_benchmark_monthly) as compared,
            (select count(distinct category) - 1 from marts.fct_category_sales_hourly) as named,
            (select count(net_sales) from marts.fct_zone_sales_hourly
            where zone_id = 'shelf') as shown,
            (select count(occupancy) from marts.fct_occupancy_hourly) as inside,
            (select count(*) from marts.fct_campaign_effect) as judged,
            (select count(*) from marts.fct_sales_density_monthly) as dense,
            (select sum(engaged_count) from marts.fct_funnel_daily) as engaged,
            (select sum(outside_count) from marts.fct_funnel_daily) as passing,
            (select sum(in_marts_row_count) from marts.fct_ticket_reconciliation_daily
            where connector_id = 'till') as from_files
        """,
    )
    assert all(found.values()), found


# every kind of event; what touches few hours before what touches a whole site
EACH_KIND = {
    "name": "New York",
    "runs": [
        (
            [
                ("sell", "0001", 9, "categories", 27),
                ("ask", 9, 2, "true", 1),
                ("film", "cam-1", 48, 3, ("queues", "stays"), "complete"),
                ("drop", 0, "void", 6),
            ],
            "steps",
            1,
        ),
        (
            [
                ("sell", "0002", 25, "damaged", 1),
                ("sell", "b1", 34, "nothing", 0),
                ("ask", 23, 24, "true", 0),
                ("ask", 10, 72, "no list", 0),
                ("film", "cam-2", 24, 1, ("gives up", "passes"), "partial"),
                ("draw", "mall", "goods", 3),
                ("promote", 2),
            ],
            "first models",
            70,
        ),
        ([("sell", "0001", 12, "categories", 3)], "built", 1),
    ],
    "last": [
        ("film", "cam-b", 27, 1, ("clerk", "passes"), "unreadable"),
        ("drop", 1, "damaged", 4),
        ("ask", 12, 2, "refused", 30),
        ("draw", "mall", "hall", 1),
        ("draw", "shop", "area", 1),
        ("configure", "zero", 24),
    ],
}


def test_the_stream_of_every_run_has_every_kind_of_event_and_is_killed_everywhere():
    events = [event for run in EACH_KIND["runs"] for event in run[0]] + EACH_KIND["last"]
    assert {event[0] for event in events} == set(KINDS)
    assert {run[1] for run in EACH_KIND["runs"]} == set(KILLED)


# a stream is not made smaller, since each try takes a minute
LIMITS = {"max_examples": MANY or 1, "phases": [Phase.generate if MANY else Phase.explicit]}


@settings(deadline=None, database=None, suppress_health_check=list(HealthCheck), **LIMITS)
@given(name=st.sampled_from(list(CALENDARS)), runs=RUNS, last=LAST)
@example(**EACH_KIND)
def test_after_any_stream_the_marts_are_those_of_one_full_refresh(begun, name, runs, last):
    with tempfile.TemporaryDirectory() as folder:
        home = begun(name).copied_to(Path(folder) / "home")
        for events, stops_after, hours in [*runs, (last, "published", 0)]:
            for word, *given_to in events:
                getattr(home, word)(*given_to)
            home.run(stops_after)
            home.now += timedelta(hours=hours)
        found, wanted = home.marts(), home.anew(Path(folder) / "anew")
        assert found.keys() == wanted.keys()
        for mart, rows in wanted.items():
            assert set(found[mart]) ^ set(rows) == set(), mart
            assert found[mart] == rows, mart
