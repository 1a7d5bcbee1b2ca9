"""Local hours, business dates and opening hours, on the days and in the zones that break them."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ksi_pipeline.core import time as ksi_time
from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.time import OpeningHours, Window

ZONES = ["Europe/Madrid", "Asia/Kathmandu", "America/Santiago", "Australia/Lord_Howe", "UTC"]


def day_window(zone: str, day: date) -> Window:
    tz = ZoneInfo(zone)
    return Window(
        ksi_time.local_midnight_utc(day, tz),
        ksi_time.local_midnight_utc(day + timedelta(days=1), tz),
    )


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        pytest.param("Europe/Madrid", date(2026, 3, 29), 23, id="madrid-spring"),
        pytest.param("Europe/Madrid", date(2026, 10, 25), 25, id="madrid-autumn"),
        pytest.param("America/Santiago", date(2023, 9, 3), 23, id="santiago-without-midnight"),
        pytest.param("America/Santiago", date(2023, 4, 1), 25, id="santiago-autumn"),
        pytest.param("Asia/Kathmandu", date(2026, 3, 2), 24, id="kathmandu"),
    ],
)
def test_a_day_has_as_many_hours_as_its_clock_showed(zone, day, hours):
    assert len(list(ksi_time.local_hours(day_window(zone, day), ZoneInfo(zone)))) == hours


def test_nine_o_clock_in_kathmandu_starts_at_a_quarter_past_three_utc():
    instant = datetime(2026, 3, 2, 3, 20, tzinfo=UTC)
    start = ksi_time.hour_start_utc(instant, ZoneInfo("Asia/Kathmandu"))
    assert start == datetime(2026, 3, 2, 3, 15, tzinfo=UTC)


def test_the_two_two_o_clock_hours_of_an_autumn_night_stay_apart():
    zone = ZoneInfo("Europe/Madrid")
    first = ksi_time.hour_start_utc(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), zone)
    second = ksi_time.hour_start_utc(datetime(2026, 10, 25, 1, 30, tzinfo=UTC), zone)
    assert (first.hour, second.hour) == (0, 1)


@given(
    zone=st.sampled_from(ZONES),
    start=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
    hours=st.integers(1, 72),
)
def test_local_hours_tile_time_without_hole_or_overlap(zone, start, hours):
    window = Window(start, start + timedelta(hours=hours))
    rows = list(ksi_time.local_hours(window, ZoneInfo(zone)))
    assert rows[0].from_utc <= window.start < rows[0].end_utc
    assert rows[-1].end_utc >= window.end
    assert all(a.end_utc == b.from_utc for a, b in zip(rows, rows[1:], strict=False))
    assert len({row.start_utc for row in rows}) == len(rows)


@given(
    zone=st.sampled_from(ZONES),
    instant=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
)
def test_an_instant_falls_into_the_calendar_hour_that_its_key_names(zone, instant):
    tz = ZoneInfo(zone)
    window = Window(instant, instant + timedelta(microseconds=1))
    (row,) = ksi_time.local_hours(window, tz)
    assert row.start_utc == ksi_time.hour_start_utc(instant, tz)
    assert row.from_utc <= instant < row.end_utc
    assert row.local_hour.minute == 0


@given(
    zone=st.sampled_from(ZONES),
    day=st.dates(date(2020, 1, 1), date(2030, 1, 1)),
)
def test_consecutive_utc_days_share_no_local_hour_and_lose_none(zone, day):
    tz = ZoneInfo(zone)
    midnight = datetime.combine(day, time(), UTC)
    first = ksi_time.aligned_to_hours(Window(midnight, midnight + timedelta(days=1)), tz)
    second = ksi_time.aligned_to_hours(
        Window(midnight + timedelta(days=1), midnight + timedelta(days=2)), tz
    )
    assert first.end == second.start


def test_a_sale_at_one_in_the_night_belongs_to_yesterdays_business_date():
    instant = datetime(2026, 3, 3, 0, 0, tzinfo=UTC)  # 01:00 in Madrid
    day = ksi_time.business_date(instant, ZoneInfo("Europe/Madrid"), time(5))
    assert day == date(2026, 3, 2)


def test_opening_hours_past_midnight_run_into_the_next_day():
    zone = ZoneInfo("Europe/Madrid")
    opening = OpeningHours(weekly={0: ((20 * 60, 2 * 60),)})
    window = day_window("Europe/Madrid", date(2026, 3, 3))  # a Tuesday
    assert ksi_time.open_spans(opening, window, zone) == [
        Window(window.start, window.start + timedelta(hours=2))
    ]


def test_a_closed_date_has_no_open_span():
    opening = OpeningHours(weekly={0: ((540, 1260),)}, closed=frozenset({date(2026, 3, 2)}))
    window = day_window("Europe/Madrid", date(2026, 3, 2))
    assert ksi_time.open_spans(opening, window, ZoneInfo("Europe/Madrid")) == []


def test_unknown_opening_hours_count_every_hour_as_open():
    window = day_window("Europe/Madrid", date(2026, 3, 2))
    assert ksi_time.open_spans(OpeningHours(), window, ZoneInfo("Europe/Madrid")) == [window]


def test_a_time_without_offset_is_refused():
    with pytest.raises(ContractError) as caught:
        ksi_time.parse_instant("2026-03-02T09:00:00")
    assert caught.value.code == "E_NAIVE_TIME"


def test_what_is_taken_from_a_window_leaves_the_rest_in_order():
    start = datetime(2026, 3, 2, tzinfo=UTC)
    hours = [start + timedelta(hours=h) for h in range(5)]
    left = ksi_time.minus(
        Window(hours[0], hours[4]), [Window(hours[1], hours[2]), Window(hours[3], hours[4])]
    )
    assert left == [Window(hours[0], hours[1]), Window(hours[2], hours[3])]
