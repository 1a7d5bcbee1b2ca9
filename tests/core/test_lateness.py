"""Lateness learned from revisions, with numbers that can be checked by hand."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from ksi_pipeline.core import lateness
from ksi_pipeline.core.gaps import Answered
from ksi_pipeline.core.schemas import TICKET_HOURS

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START = datetime(2026, 3, 2, tzinfo=UTC)
NAMES = ["ext_ref_code", "hour_start_utc", "fetched_at_utc"]


def revisions(*ages_after_end: list[timedelta]) -> pa.Table:
    """One hour for each argument: how long after its end each of its revisions came."""
    rows = [
        ("0001", START + n * HOUR, START + n * HOUR + HOUR + age)
        for n, ages in enumerate(ages_after_end)
        for age in ages
    ]
    schema = pa.schema([TICKET_HOURS.field(name) for name in NAMES])
    return pa.table([list(column) for column in zip(*rows, strict=True)], schema=schema)


def learned_lateness(revisions, *, before=HOUR, hour_of=timedelta(), code="0001"):
    """With an answer so long before each revision, for its hour or one so much away from it."""
    answers = [
        Answered(start, start + HOUR, row["fetched_at_utc"] - before, (code,))
        for row in revisions.to_pylist()
        for start in [row["hour_start_utc"] + hour_of]
    ]
    return lateness.learned_lateness(revisions, answers)


def changed_after(*ages: timedelta) -> pa.Table:
    return revisions(*[[HOUR, age] for age in ages])


def test_it_is_the_day_by_which_99_of_100_changed_hours_had_changed_for_the_last_time():
    # answered an hour before it was seen changed: 99 of them at most 99 hours after their end
    late = changed_after(*(n * HOUR for n in range(2, 102)))
    assert learned_lateness(late, before=HOUR) == 5 * DAY
    earlier = changed_after(*(n * HOUR for n in range(2, 99)), *[99 * HOUR] * 3)
    assert learned_lateness(earlier, before=4 * HOUR) == 4 * DAY


def test_a_change_is_as_late_as_the_answer_before_it_and_not_as_when_it_was_seen():
    assert learned_lateness(changed_after(*[60 * HOUR] * 100), before=24 * HOUR) == 2 * DAY


def test_a_change_that_was_seen_after_an_outage_teaches_nothing():
    late = changed_after(*[20 * DAY] * 500)
    assert learned_lateness(late, before=19 * DAY) is None
    assert learned_lateness(late, before=31 * HOUR) is None
    assert learned_lateness(late, before=30 * HOUR) == 19 * DAY


def test_an_answer_for_another_code_or_hour_or_at_the_same_time_is_no_answer_before():
    late = changed_after(*[20 * DAY] * 100)
    assert learned_lateness(late) == 20 * DAY
    assert learned_lateness(late, code="0002") is None
    assert learned_lateness(late, hour_of=-2 * DAY) is None
    assert learned_lateness(late, before=timedelta()) is None


def test_hours_that_never_changed_say_nothing():
    late = [[HOUR, 2 * HOUR]] * 99 + [[50 * DAY]] * 1000
    assert learned_lateness(revisions(*late)) is None


def test_a_hundred_changed_hours_are_enough():
    assert learned_lateness(revisions(*[[HOUR, 2 * HOUR]] * 100)) == DAY


def test_the_last_change_of_an_hour_counts_and_the_first_answer_does_not():
    late = [[HOUR, 2 * HOUR, 6 * DAY]] * 100
    assert learned_lateness(revisions(*late)) == 6 * DAY


def test_what_was_restated_after_a_month_is_not_lateness():
    late = [[HOUR, 2 * DAY]] * 100 + [[HOUR, 400 * DAY]] * 50
    assert learned_lateness(revisions(*late)) == 2 * DAY


def test_no_revisions_teach_nothing():
    empty = pa.schema([TICKET_HOURS.field(name) for name in NAMES]).empty_table()
    assert learned_lateness(empty) is None
