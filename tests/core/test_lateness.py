"""Lateness learned from revisions, with numbers that can be checked by hand."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from ksi_pipeline.core.lateness import learned_lateness
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


def test_it_is_the_day_by_which_99_of_100_changed_hours_had_changed_for_the_last_time():
    late = [[HOUR, n * HOUR] for n in range(2, 102)]
    # 99 of the 100 changed at most 100 hours after their end, which is in the fifth day
    assert learned_lateness(revisions(*late)) == 5 * DAY


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
