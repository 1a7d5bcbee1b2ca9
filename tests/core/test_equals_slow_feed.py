"""Revisions and coverage of whole answers at once: what set by set and hour by hour gives."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ksi_pipeline.core.feed_coverage import feed_coverage, needed_coverage, refused_coverage
from ksi_pipeline.core.schemas import TICKET_HOURS
from ksi_pipeline.core.ticket_revisions import new_revisions
from ksi_pipeline.core.tickets import Fetch, ParsedAnswer, parse_hourly_answer
from ksi_pipeline.core.time import Window

from . import slow_feed

HOUR = timedelta(hours=1)
FINAL_AFTER = 6 * HOUR
CODES = ("0001", "0002", "0003")
# The day of 25 hours and the half-hour change among them.
STARTS = {
    "UTC": datetime(2026, 3, 2, 9, tzinfo=UTC),
    "Europe/Madrid": datetime(2026, 10, 24, 22, tzinfo=UTC),
    "Australia/Lord_Howe": datetime(2026, 4, 4, 13, tzinfo=UTC),
}


def a_row(hour: datetime, code: str, tickets: int, more: dict) -> dict:
    return {"time": hour.isoformat(), "ext_ref_code": code, "num_tickets": tickets, **more}


MORE = st.fixed_dictionaries(
    {},
    optional={
        "category": st.sampled_from(["shoes", "bags", None]),
        "net_sales": st.sampled_from([0, 12.5, -3, None]),
        "currency": st.sampled_from(["EUR", "CLP"]),
        "tax_included": st.booleans(),
        "num_returns": st.sampled_from([0, 2]),
        "units": st.sampled_from([0, 5]),
    },
)


@st.composite
def answers(draw, zone: str) -> ParsedAnswer:
    first = draw(st.integers(0, 4))
    start = STARTS[zone] + first * HOUR
    hours = draw(st.integers(1, 6))
    rows = draw(
        st.lists(
            st.builds(
                lambda n, *rest: a_row(STARTS[zone] + n * HOUR, *rest),
                st.integers(first, first + hours),
                st.sampled_from([*CODES, "9999"]),
                st.sampled_from([0, 0, 3, 7, -1]),
                MORE,
            ),
            max_size=12,
        )
    )
    fetch = Fetch(
        connector_id="pos-main",
        raw_sha256=draw(st.sampled_from(["aa", "bb", "cc"])),
        fetched_at_utc=start + draw(st.integers(0, 16)) * HOUR,
        window=Window(start, start + hours * HOUR),
        zone=ZoneInfo(zone),
        asked_codes=draw(st.sampled_from([CODES, CODES[:1]])),
    )
    return parse_hourly_answer(json.dumps(rows).encode(), fetch, known_codes=set(CODES))


ABSENT = st.sampled_from(["zero", "missing"])
FEEDS = st.sampled_from(list(STARTS)).flatmap(
    lambda zone: st.tuples(st.just(zone), st.lists(answers(zone), min_size=1, max_size=6))
)


def in_order(rows: pa.Table) -> list[dict]:
    names = ("ext_ref_code", "hour_start_utc", "row_number")
    return rows.sort_by([(name, "ascending") for name in names]).to_pylist()


@given(FEEDS, ABSENT)
@settings(max_examples=400, deadline=None)
def test_an_answer_adds_the_revisions_that_set_by_set_adds(feed, absent_means):
    known = TICKET_HOURS.empty_table()
    for answer in feed[1]:
        added = new_revisions(answer, known, absent_means=absent_means)
        expected = slow_feed.new_revisions(answer, known, absent_means=absent_means)
        assert in_order(added) == in_order(expected)
        assert added.schema == TICKET_HOURS
        # also where rows were appended twice
        known = pa.concat_tables([known, added, added])


@given(FEEDS, ABSENT, st.lists(st.booleans(), min_size=6, max_size=6))
@settings(max_examples=400, deadline=None)
def test_coverage_says_and_adds_what_hour_by_hour_says(feed, absent_means, are_failed):
    zone = ZoneInfo(feed[0])
    known = slow_feed.COVERAGE.empty_table()
    for answer, is_failed in zip(feed[1], are_failed, strict=False):
        fetch = answer.fetch
        if is_failed:
            end = fetch.window.end - timedelta(minutes=30)
            covered = refused_coverage(
                fetch.connector_id,
                fetch.asked_codes,
                Window(fetch.window.start, end),
                reason_code="E_FEED_TIMEOUT",
                fetched_at_utc=fetch.fetched_at_utc,
            )
        else:
            covered = feed_coverage(answer, absent_means=absent_means)
            expected = slow_feed.feed_coverage(answer, absent_means=absent_means)
            assert covered.to_pylist() == expected.to_pylist()
        rules = {"final_after": FINAL_AFTER, "zone": zone, "is_answer": not is_failed}
        needed = needed_coverage(covered, known, **rules)
        assert needed.to_pylist() == slow_feed.needed_coverage(covered, known, **rules).to_pylist()
        known = pa.concat_tables([known, needed])
