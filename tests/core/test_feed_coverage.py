"""What a feed's answers say about which hours, and what of it is worth keeping."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ksi_pipeline.core.feed_coverage import feed_coverage, needed_coverage, refused_coverage
from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.core.tickets import Fetch, parse_hourly_answer
from ksi_pipeline.core.time import Window

ZONE = ZoneInfo("Asia/Kathmandu")
START = datetime(2026, 3, 2, 3, 15, tzinfo=UTC)  # 09:00+05:45
HOUR = timedelta(hours=1)
WINDOW = Window(START, START + 5 * HOUR)
FINAL_AFTER = 48 * HOUR
NOTHING = DATASETS["coverage"].empty_table()


def covered(
    *hours: int | tuple[int, object], absent_means="missing", after: timedelta = HOUR
) -> pa.Table:
    """Coverage of an answer with rows for these local hours, fetched `after` the window's end."""
    rows = [
        {"time": f"2026-03-02T{hour:02d}:00:00+05:45", "ext_ref_code": "0001", "num_tickets": count}
        for hour, count in (given if isinstance(given, tuple) else (given, 5) for given in hours)
    ]
    fetch = Fetch("pos-main", "00", WINDOW.end + after, WINDOW, ZONE, ("0001",))
    answer = parse_hourly_answer(json.dumps(rows).encode(), fetch, known_codes={"0001"})
    return feed_coverage(answer, absent_means=absent_means)


def failed(after: timedelta = HOUR) -> pa.Table:
    return refused_coverage(
        "pos-main",
        ["0001"],
        WINDOW,
        reason_code="E_FEED_TIMEOUT",
        fetched_at_utc=WINDOW.end + after,
    )


def needed(new: pa.Table, existing: pa.Table = NOTHING, *, is_answer: bool = True) -> pa.Table:
    return needed_coverage(new, existing, final_after=FINAL_AFTER, zone=ZONE, is_answer=is_answer)


def said(coverage: pa.Table) -> list[tuple]:
    """(from, to, status, reason) with local hours."""
    return [
        (
            row["from_utc"].astimezone(ZONE).hour,
            row["to_utc"].astimezone(ZONE).hour,
            row["status"],
            row["reason"],
        )
        for row in coverage.to_pylist()
    ]


def test_under_zero_the_whole_window_is_complete_even_without_a_row():
    coverage = covered(absent_means="zero")
    assert said(coverage) == [(9, 14, "complete", None)]
    (row,) = coverage.to_pylist()
    assert (row["expected_s"], row["observed_s"]) == (5 * 3600, 5 * 3600)
    assert (row["site_id"], row["source_kind"]) == (None, "feed")
    assert (row["source_id"], row["key"]) == ("pos-main", "0001")
    assert coverage.schema == DATASETS["coverage"]


def test_under_missing_only_hours_with_a_row_are_complete():
    coverage = covered(9, 10, 12)
    assert said(coverage) == [
        (9, 11, "complete", None),
        (11, 12, "silent", "feed_absent_hour"),
        (12, 13, "complete", None),
        (13, 14, "silent", "feed_absent_hour"),
    ]
    assert coverage["observed_s"].to_pylist() == [7200, 0, 3600, 0]


@pytest.mark.parametrize("absent_means", ["zero", "missing"])
def test_an_hour_with_a_refused_row_is_refused_for_that_reason(absent_means):
    spans = said(covered(9, (10, "7"), 11, 12, 13, absent_means=absent_means))
    assert spans == [
        (9, 10, "complete", None),
        (10, 11, "refused", "E_NUM_TICKETS_TYPE"),
        (11, 14, "complete", None),
    ]


def test_an_hour_that_was_not_over_is_not_covered():
    assert said(covered(absent_means="zero", after=-90 * timedelta(minutes=1))) == [
        (9, 12, "complete", None)
    ]
    assert said(covered(absent_means="zero", after=-6 * HOUR)) == []
    assert failed(after=-6 * HOUR).num_rows == 0


def test_a_failed_request_is_refused_coverage_with_the_errors_code():
    assert said(needed(failed())) == [(9, 14, "refused", "E_FEED_TIMEOUT")]
    assert failed()["observed_s"].to_pylist() == [0.0]


def test_only_whole_hours_of_a_failed_request_are_kept():
    assert said(needed(failed(after=-30 * timedelta(minutes=1)))) == [
        (9, 13, "refused", "E_FEED_TIMEOUT")
    ]


def test_the_same_poll_again_says_nothing_new():
    for poll in (covered(9, 11), covered(absent_means="zero"), failed()):
        assert said(needed(poll, needed(poll))) == []
    assert said(needed(covered(9, 11, after=2 * HOUR), covered(9, 11))) == []


def test_an_hour_that_was_silent_and_now_has_a_row_is_complete():
    assert said(needed(covered(9, 10, after=2 * HOUR), covered(9))) == [(10, 11, "complete", None)]


def test_a_complete_hour_stays_complete_whatever_fails_later():
    complete = covered(absent_means="zero")
    assert said(needed(failed(after=100 * HOUR), complete)) == []
    assert said(needed(covered(after=100 * HOUR), complete)) == []


def test_an_answer_after_a_failure_is_told():
    assert said(needed(covered(9, after=2 * HOUR), failed())) == [
        (9, 10, "complete", None),
        (10, 14, "silent", "feed_absent_hour"),
    ]


def test_a_refused_row_is_told_of_an_hour_that_an_earlier_answer_left_out():
    assert said(needed(failed(after=2 * HOUR), covered(9))) == [
        (10, 14, "refused", "E_FEED_TIMEOUT")
    ]


def test_a_failed_request_says_nothing_of_an_hour_that_an_answer_left_out():
    known = covered(9)
    assert said(known) == [(9, 10, "complete", None), (10, 14, "silent", "feed_absent_hour")]
    refused = failed(after=2 * HOUR)
    assert said(needed(refused, known, is_answer=False)) == []
    assert said(needed(refused, covered(9, absent_means="zero"), is_answer=False)) == []


def test_the_first_answer_after_the_grace_time_is_told_hour_by_hour():
    early = covered(absent_means="zero")
    half = covered(absent_means="zero", after=FINAL_AFTER - 2 * HOUR)
    assert said(needed(half, early)) == [(9, 12, "complete", None)]
    known = pa.concat_tables([early, needed(half, early)])
    late = covered(absent_means="zero", after=FINAL_AFTER)
    assert said(needed(late, known)) == [(12, 14, "complete", None)]
    known = pa.concat_tables([known, needed(late, known)])
    assert said(needed(covered(absent_means="zero", after=99 * HOUR), known)) == []


def test_other_connectors_and_codes_do_not_count():
    other_code = covered(absent_means="zero").set_column(
        3, DATASETS["coverage"].field("key"), pa.array(["0002"])
    )
    assert said(needed(covered(9, 10, 11, 12, 13), other_code)) == [(9, 14, "complete", None)]


@given(
    st.lists(
        st.tuples(st.sets(st.integers(9, 13)), st.sampled_from([0, 10, 47, 48, 60]), st.booleans()),
        max_size=6,
    )
)
@settings(max_examples=60, deadline=None)
def test_however_polls_follow_each_other_an_hour_once_complete_is_never_lost(polls):
    known, complete = NOTHING, set()
    for hours, after_h, is_failed in sorted(polls, key=lambda poll: poll[1]):
        new = failed(after_h * HOUR) if is_failed else covered(*hours, after=after_h * HOUR)
        known = pa.concat_tables([known, needed(new, known)])
        complete |= set() if is_failed else hours
        found = {
            hour
            for start, end, status, _ in said(known)
            if status == "complete"
            for hour in range(start, end)
        }
        assert found == complete
        assert needed(new, known).num_rows == 0
