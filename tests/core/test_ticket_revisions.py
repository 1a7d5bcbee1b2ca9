"""Revisions: what an answer changes, what holds, what held."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from itertools import permutations
from zoneinfo import ZoneInfo

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ksi_pipeline.core.schemas import TICKET_HOURS
from ksi_pipeline.core.ticket_revisions import as_of, current_revisions, new_revisions
from ksi_pipeline.core.tickets import Fetch, ParsedAnswer, parse_hourly_answer
from ksi_pipeline.core.time import Window

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOTHING = TICKET_HOURS.empty_table()


def an_answer(rows: list[dict], fetched_h: int = 0, codes=("0001", "0002")) -> ParsedAnswer:
    """An answer for the hours 9 to 12 UTC, fetched so many hours after noon."""
    body = json.dumps(rows).encode()
    fetch = Fetch(
        connector_id="pos-main",
        raw_sha256=hashlib.sha256(body).hexdigest(),
        fetched_at_utc=START + (3 + fetched_h) * HOUR,
        window=Window(START, START + 3 * HOUR),
        zone=ZoneInfo("UTC"),
        asked_codes=codes,
    )
    return parse_hourly_answer(body, fetch, known_codes={"0001", "0002"})


def sold(num_tickets: object, hour: int = 9, code: str = "0001", **more) -> dict:
    time = f"2026-03-02T{hour:02d}:00:00Z"
    return {"time": time, "ext_ref_code": code, "num_tickets": num_tickets, **more}


def applied(known: pa.Table, *answers: ParsedAnswer, absent_means="missing") -> pa.Table:
    for answer in answers:
        added = new_revisions(answer, known, absent_means=absent_means)
        known = pa.concat_tables([known, added])
    return known


def tickets(rows: pa.Table) -> dict:
    """(code, hour) -> sorted counts."""
    result: dict = {}
    for row in rows.to_pylist():
        key = (row["ext_ref_code"], row["hour_start_utc"].hour)
        result[key] = sorted([*result.get(key, []), row["num_tickets"]])
    return result


def test_a_restated_hour_holds_its_new_value_and_the_old_one_is_still_known():
    known = applied(NOTHING, an_answer([sold(25)]), an_answer([sold(27)], fetched_h=2))
    assert tickets(current_revisions(known)) == {("0001", 9): [27]}
    assert tickets(as_of(known, START + 4 * HOUR)) == {("0001", 9): [25]}
    assert as_of(known, START).num_rows == 0


def test_only_the_hour_that_changed_gets_a_revision():
    known = applied(NOTHING, an_answer([sold(25), sold(30, 10)]))
    added = new_revisions(an_answer([sold(25), sold(31, 10)], 1), known, absent_means="missing")
    assert tickets(added) == {("0001", 10): [31]}


def test_the_order_of_rows_and_unknown_fields_are_no_change():
    known = applied(NOTHING, an_answer([sold(25), sold(30, 10)]))
    again = an_answer([sold(30, 10, till="3"), sold(25)], fetched_h=1)
    assert new_revisions(again, known, absent_means="zero").num_rows == 0


def test_a_category_that_vanishes_vanishes_with_the_whole_new_set():
    first = an_answer([sold(5, category="shoes"), sold(3, category="bags")])
    second = an_answer([sold(5, category="shoes")], fetched_h=1)
    known = applied(NOTHING, first, second)
    assert tickets(current_revisions(known)) == {("0001", 9): [5]}
    assert tickets(as_of(known, START + 3 * HOUR)) == {("0001", 9): [3, 5]}


def test_an_hour_that_vanishes_is_taken_back_under_zero_only():
    first, second = an_answer([sold(25, net_sales=10)]), an_answer([], fetched_h=1)
    known = applied(NOTHING, first)
    (row,) = new_revisions(second, known, absent_means="zero").to_pylist()
    assert (row["num_tickets"], row["row_number"], row["net_sales"]) == (0, -1, None)
    assert row["fetched_at_utc"] == second.fetch.fetched_at_utc
    assert new_revisions(second, known, absent_means="missing").num_rows == 0


def test_an_hour_taken_back_is_not_taken_back_again_and_can_come_again():
    known = applied(
        NOTHING,
        *(an_answer([sold(25)]), an_answer([], 1), an_answer([], 2), an_answer([sold(0)], 3)),
        absent_means="zero",
    )
    assert known.num_rows == 2
    known = applied(known, an_answer([sold(25)], 4), absent_means="zero")
    assert tickets(current_revisions(known)) == {("0001", 9): [25]}


def test_nothing_is_taken_back_that_a_refused_row_may_have_meant():
    known = applied(NOTHING, an_answer([sold(25), sold(30, 10)]))
    bad_hour = an_answer([sold("25"), sold(30, 10)], fetched_h=1)
    naive = an_answer([sold(25) | {"time": "2026-03-02T10:00:00"}], fetched_h=1)
    for answer in (bad_hour, naive):
        assert new_revisions(answer, known, absent_means="zero").num_rows == 0


def test_only_codes_and_hours_that_were_asked_for_are_taken_back():
    known = applied(NOTHING, an_answer([sold(25), sold(7, code="0002")]))
    added = new_revisions(an_answer([], fetched_h=1, codes=("0002",)), known, absent_means="zero")
    assert tickets(added) == {("0002", 9): [0]}


def test_a_late_answer_is_judged_by_what_was_known_before_it():
    known = applied(NOTHING, an_answer([sold(25)]), an_answer([sold(27)], fetched_h=3))
    late = an_answer([sold(27)], fetched_h=1)
    known = applied(known, late)
    assert tickets(as_of(known, START + 5 * HOUR)) == {("0001", 9): [27]}
    assert tickets(current_revisions(known)) == {("0001", 9): [27]}


def test_a_late_answer_with_the_later_ones_after_it_gives_what_the_right_order_gives():
    first, late, last = an_answer([sold(25)]), an_answer([sold(27)], 1), an_answer([sold(25)], 2)
    in_order = applied(NOTHING, first, late, last)
    out_of_order = applied(NOTHING, first, last, late, last)
    assert current_revisions(out_of_order).equals(current_revisions(in_order))


def test_other_connectors_are_left_alone():
    known = applied(NOTHING, an_answer([sold(25)]))
    other = known.set_column(0, TICKET_HOURS.field(0), pa.array(["pos-other"]))
    added = new_revisions(an_answer([sold(25)], 1), other, absent_means="zero")
    assert added["connector_id"].to_pylist() == ["pos-main"]
    assert current_revisions(pa.concat_tables([known, other])).num_rows == 2


COUNTS = st.dictionaries(
    st.tuples(st.integers(9, 11), st.sampled_from(["0001", "0002"])), st.integers(0, 3)
)


def as_rows(counts: dict) -> list[dict]:
    return [sold(count, hour, code) for (hour, code), count in counts.items()]


@given(st.lists(COUNTS, min_size=1, max_size=4), st.sampled_from(["zero", "missing"]))
@settings(max_examples=60, deadline=None)
def test_after_each_answer_what_holds_is_what_it_said_and_saying_it_again_adds_nothing(
    polls, absent_means
):
    known, expected = NOTHING, {}
    for number, counts in enumerate(polls):
        answer = an_answer(as_rows(counts), fetched_h=number)
        known = applied(known, answer, absent_means=absent_means)
        for again in (answer, an_answer(as_rows(counts), fetched_h=number + 1)):
            assert new_revisions(again, known, absent_means=absent_means).num_rows == 0
        said = {(code, hour): [count] for (hour, code), count in counts.items()}
        gone = {key: [0] for key in expected} if absent_means == "zero" else expected
        expected = {**gone, **said}
        assert tickets(current_revisions(known)) == expected


@given(st.permutations(range(4)), st.data())
@settings(max_examples=40, deadline=None)
def test_in_any_order_of_arrival_the_answer_fetched_last_holds(order, data):
    answers = [an_answer([sold(10 + number)], fetched_h=number) for number in range(4)]
    known = applied(NOTHING, *(answers[number] for number in order))
    assert tickets(current_revisions(known)) == {("0001", 9): [13]}
    shuffled = known.take(data.draw(st.permutations(range(known.num_rows))))
    assert current_revisions(shuffled).equals(current_revisions(known))


def test_a_tie_is_settled_by_hash_and_rows_kept_twice_are_given_once():
    one, two = an_answer([sold(1)]), an_answer([sold(2)])
    by_hash = max((one, two), key=lambda answer: answer.fetch.raw_sha256)
    for order in permutations([one.rows, two.rows, one.rows]):
        held = current_revisions(pa.concat_tables(order))
        assert held.equals(by_hash.rows)
