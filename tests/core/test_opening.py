"""Opening hours that change: from a date on, on single dates, and where nobody said any."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ksi_pipeline.core.time import DatedHours, OpeningHours, Window, local_midnight_utc, open_spans

MADRID = ZoneInfo("Europe/Madrid")
# the clocks go on in the night to this Sunday, and back in the night to that one
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)
DAY = timedelta(days=1)
EVENING = dict.fromkeys(range(7), ((18 * 60, 2 * 60),))
MORNING = dict.fromkeys(range(7), ((9 * 60, 12 * 60),))

spans = st.lists(
    st.sampled_from([(0, 1440), (60, 300), (540, 840), (900, 1260), (1320, 120), (1380, 180)]),
    max_size=2,
    unique=True,
).map(tuple)
weeks = st.dictionaries(st.integers(0, 6), spans, min_size=1)
zones = st.sampled_from([MADRID, ZoneInfo("America/Santiago"), ZoneInfo("Australia/Lord_Howe")])
dates = st.dates(date(2026, 3, 20), date(2026, 4, 10)) | st.dates(
    date(2026, 10, 1), date(2026, 10, 30)
)


def days(first: date, end: date, zone: ZoneInfo = MADRID) -> Window:
    return Window(local_midnight_utc(first, zone), local_midnight_utc(end, zone))


def opened(opening: OpeningHours, first: date, end: date) -> list[str]:
    """The open pieces in local time."""
    return [
        " to ".join(f"{at.astimezone(MADRID):%d %H:%M}" for at in (span.start, span.end))
        for span in open_spans(opening, days(first, end), MADRID)
    ]


@given(week=weeks, zone=zones, change=dates)
def test_a_week_that_ends_and_goes_on_is_open_as_the_week_that_always_holds(week, zone, change):
    parted = OpeningHours(dated=(DatedHours(week, end=change), DatedHours(week, first=change)))
    around = days(change - 4 * DAY, change + 4 * DAY, zone)
    assert open_spans(parted, around, zone) == open_spans(OpeningHours(week), around, zone)


@given(before=weeks, after=weeks, zone=zones, change=dates)
def test_other_hours_from_a_date_on_change_nothing_before_it(before, after, zone, change):
    parted = OpeningHours(dated=(DatedHours(before, end=change), DatedHours(after, first=change)))
    earlier = days(change - 8 * DAY, change, zone)
    assert open_spans(parted, earlier, zone) == open_spans(OpeningHours(before), earlier, zone)
    # what began before may run on into the first day
    later = days(change + DAY, change + 9 * DAY, zone)
    assert open_spans(parted, later, zone) == open_spans(OpeningHours(after), later, zone)


def test_the_last_evening_of_old_hours_runs_on_past_midnight():
    change = date(2026, 3, 4)
    opening = OpeningHours(
        dated=(DatedHours(EVENING, end=change), DatedHours(MORNING, first=change))
    )
    assert opened(opening, change - DAY, change + DAY) == [
        "03 00:00 to 03 02:00",
        "03 18:00 to 04 02:00",
        "04 09:00 to 04 12:00",
    ]


@pytest.mark.parametrize(
    ("day", "hours"), [pytest.param(SPRING, 23, id="23"), pytest.param(AUTUMN, 25, id="25")]
)
def test_the_whole_of_a_day_on_which_clocks_change_is_open_where_its_hours_are_unknown(day, hours):
    closed = dict.fromkeys(range(7), ())
    around = (DatedHours(closed, end=day), DatedHours(closed, first=day + DAY))
    (span,) = open_spans(OpeningHours(dated=around), days(day - DAY, day + 2 * DAY), MADRID)
    assert span == days(day, day + DAY)
    assert (span.end - span.start) == timedelta(hours=hours)


def test_hours_that_begin_on_the_day_of_25_hours_follow_its_wall_clock():
    opening = OpeningHours(dated=(DatedHours({6: ((60, 240),)}, first=AUTUMN),))
    (span,) = open_spans(opening, days(AUTUMN, AUTUMN + DAY), MADRID)
    assert span.start == datetime(2026, 10, 25, 1, tzinfo=MADRID)
    assert (span.end - span.start) == timedelta(hours=4)


def test_special_hours_replace_those_of_the_weekday_and_may_run_past_midnight():
    eve = date(2026, 12, 24)
    opening = OpeningHours(MORNING, special={eve: ((10 * 60, 60),)})
    assert opened(opening, eve - DAY, eve + 2 * DAY) == [
        "23 09:00 to 23 12:00",
        "24 10:00 to 25 01:00",
        "25 09:00 to 25 12:00",
    ]


def test_a_date_of_which_nothing_is_said_is_unknown_and_one_that_is_closed_is_not():
    day = date(2026, 3, 4)
    opening = OpeningHours(
        closed=frozenset({day + DAY}),
        special={day + 2 * DAY: ((540, 600),)},
        dated=(DatedHours(MORNING, end=day),),
    )
    said = [opening.on(day + n * DAY) for n in (-1, 0, 1, 2, 3)]
    assert said == [((540, 720),), None, (), ((540, 600),), None]
    assert opened(opening, day, day + 3 * DAY) == ["04 00:00 to 05 00:00", "06 09:00 to 06 10:00"]
