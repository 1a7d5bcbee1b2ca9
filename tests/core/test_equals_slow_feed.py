"""Revisions and coverage of whole answers at once: what set by set and hour by hour gives."""

import json
from datetime import UTC, datetime, timedelta
from random import Random
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


MORE = {
    "category": ["shoes", "bags", None],
    "net_sales": [0, 12.5, -3, None],
    "currency": ["EUR", "CLP"],
    "tax_included": [False, True],
    "num_returns": [0, 2],
    "units": [0, 5],
}


def an_answer(dice: Random, zone: str) -> ParsedAnswer:
    first, hours = dice.randint(0, 4), dice.randint(1, 6)
    start = STARTS[zone] + first * HOUR
    rows = [
        a_row(
            STARTS[zone] + dice.randint(first, first + hours) * HOUR,
            dice.choice([*CODES, "9999"]),
            dice.choice([0, 0, 3, 7, -1]),
            {name: dice.choice(MORE[name]) for name in MORE if dice.random() < 0.5},
        )
        for _ in range(dice.randint(0, 12))
    ]
    fetch = Fetch(
        connector_id="pos-main",
        raw_sha256=dice.choice(["aa", "bb", "cc"]),
        fetched_at_utc=start + dice.randint(0, 16) * HOUR,
        window=Window(start, start + hours * HOUR),
        zone=ZoneInfo(zone),
        asked_codes=dice.choice([CODES, CODES[:1]]),
    )
    return parse_hourly_answer(json.dumps(rows).encode(), fetch, known_codes=set(CODES))


def a_feed(dice: Random) -> tuple[str, list[ParsedAnswer]]:
    zone = dice.choice(list(STARTS))
    return zone, [an_answer(dice, zone) for _ in range(dice.randint(1, 6))]


# One draw for a whole feed: to draw each field takes four times as long.
DICE = st.integers(0, 2**64 - 1).map(Random)
ABSENT = st.sampled_from(["zero", "missing"])


def in_order(rows: pa.Table) -> list[dict]:
    names = ("ext_ref_code", "hour_start_utc", "row_number")
    return rows.sort_by([(name, "ascending") for name in names]).to_pylist()


@given(DICE, ABSENT)
@settings(max_examples=400, deadline=None)
def test_an_answer_adds_the_revisions_that_set_by_set_adds(dice, absent_means):
    known = TICKET_HOURS.empty_table()
    for answer in a_feed(dice)[1]:
        added = new_revisions(answer, known, absent_means=absent_means)
        expected = slow_feed.new_revisions(answer, known, absent_means=absent_means)
        assert in_order(added) == in_order(expected)
        assert added.schema == TICKET_HOURS
        # also where rows were appended twice
        known = pa.concat_tables([known, added, added])


@given(DICE, ABSENT)
@settings(max_examples=400, deadline=None)
def test_coverage_says_and_adds_what_hour_by_hour_says(dice, absent_means):
    name, answers = a_feed(dice)
    zone = ZoneInfo(name)
    known = slow_feed.COVERAGE.empty_table()
    for answer in answers:
        fetch, is_failed = answer.fetch, dice.random() < 0.5
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
