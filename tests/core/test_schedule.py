"""Ticks of intervals, on the clocks and dates that break them."""

from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.schedule import Cron, Interval, next_tick, read_rule

MADRID = ZoneInfo("Europe/Madrid")
SANTIAGO = ZoneInfo("America/Santiago")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
KATHMANDU = ZoneInfo("Asia/Kathmandu")
HAVANA = ZoneInfo("America/Havana")  # its clock goes back at 01:00, to a second midnight
ZONES = [MADRID, SANTIAGO, LORD_HOWE, KATHMANDU, HAVANA, ZoneInfo("UTC")]
HOUR = timedelta(hours=1)


def ticks(every: str, after: datetime, zone: ZoneInfo, anchor: date | None = None):
    rule = read_rule(every, anchor)
    while True:
        after = next_tick(rule, after, zone)
        yield after


def walls(every: str, first: str, zone: ZoneInfo, count: int, anchor: date | None = None):
    """The wall-clock times of the ticks after a wall-clock time."""
    after = datetime.fromisoformat(first).replace(tzinfo=zone)
    found = islice(ticks(every, after, zone, anchor), count)
    return [f"{tick.astimezone(zone):%m-%d %H:%M}" for tick in found]


def count_of_day(every: str, day: date, zone: ZoneInfo) -> int:
    start = datetime.combine(day, datetime.min.time()).replace(tzinfo=zone).astimezone(UTC)
    next_day = datetime.combine(day + timedelta(days=1), datetime.min.time())
    end = next_day.replace(tzinfo=zone).astimezone(UTC)
    found = ticks(every, start - timedelta(seconds=1), zone)
    return sum(1 for _ in iter(lambda: next(found) < end, False))


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        pytest.param(MADRID, date(2026, 3, 29), 23, id="madrid-spring"),
        pytest.param(MADRID, date(2026, 10, 25), 25, id="madrid-autumn"),
        pytest.param(SANTIAGO, date(2023, 9, 3), 23, id="santiago-without-midnight"),
        pytest.param(KATHMANDU, date(2026, 3, 2), 24, id="kathmandu"),
    ],
)
def test_1h_15m_and_1m_tick_for_every_hour_quarter_and_minute_of_a_day(zone, day, hours):
    assert count_of_day("1h", day, zone) == hours
    assert count_of_day("15m", day, zone) == 4 * hours
    assert count_of_day("1m", day, zone) == 60 * hours


def test_an_hour_of_kathmandu_ticks_at_a_quarter_past_utc():
    tick = next_tick(read_rule("1h"), datetime(2026, 3, 2, 3, 0, tzinfo=UTC), KATHMANDU)
    assert tick == datetime(2026, 3, 2, 3, 15, tzinfo=UTC)


def test_where_the_clock_goes_back_half_an_hour_its_quarters_tick_twice_and_the_hour_once():
    assert walls("15m", "2026-04-05T01:30", LORD_HOWE, 5) == [
        "04-05 01:45",
        "04-05 01:30",
        "04-05 01:45",
        "04-05 02:00",
        "04-05 02:15",
    ]
    assert walls("1h", "2026-04-05T00:30", LORD_HOWE, 3) == [
        "04-05 01:00",
        "04-05 02:00",
        "04-05 03:00",
    ]


def test_where_the_clock_goes_on_half_an_hour_the_skipped_hour_does_not_tick():
    assert walls("1h", "2026-10-04T00:30", LORD_HOWE, 3) == [
        "10-04 01:00",
        "10-04 03:00",
        "10-04 04:00",
    ]


def test_6h_ticks_at_six_o_clock_on_a_day_of_23_hours():
    assert walls("6h", "2026-03-28T20:00", MADRID, 3) == [
        "03-29 00:00",
        "03-29 06:00",
        "03-29 12:00",
    ]


@pytest.mark.parametrize(
    ("zone", "before", "wanted"),
    [
        pytest.param(
            MADRID, "2026-03-28T12:00", ["03-29 00:00", "03-30 00:00"], id="madrid-spring"
        ),
        pytest.param(
            MADRID, "2026-10-24T12:00", ["10-25 00:00", "10-26 00:00"], id="madrid-autumn"
        ),
        pytest.param(
            SANTIAGO,
            "2023-09-02T12:00",
            ["09-03 01:00", "09-04 00:00"],
            id="santiago-where-midnight-does-not-exist",
        ),
        pytest.param(LORD_HOWE, "2026-04-04T12:00", ["04-05 00:00", "04-06 00:00"], id="lord-howe"),
        pytest.param(KATHMANDU, "2026-03-02T12:00", ["03-03 00:00", "03-04 00:00"], id="kathmandu"),
    ],
)
def test_1d_ticks_once_at_each_local_midnight(zone, before, wanted):
    assert walls("1d", before, zone, 2) == wanted


def test_a_midnight_that_comes_twice_ticks_once():
    found = list(islice(ticks("1d", datetime(2026, 10, 31, 12, tzinfo=UTC), HAVANA), 2))
    assert [tick.isoformat() for tick in found] == [
        "2026-11-01T04:00:00+00:00",
        "2026-11-02T05:00:00+00:00",
    ]


def test_1mo_from_31_january_is_the_last_day_of_each_month_and_the_31st_again_in_march():
    assert walls("1mo", "2026-01-31T00:00", MADRID, 4, date(2026, 1, 31)) == [
        "02-28 00:00",
        "03-31 00:00",
        "04-30 00:00",
        "05-31 00:00",
    ]
    assert walls("1mo", "2028-01-31T00:00", MADRID, 2, date(2026, 1, 31)) == [
        "02-29 00:00",
        "03-31 00:00",
    ]


def test_1mo_without_an_anchor_is_the_first_of_the_month():
    assert walls("1mo", "2026-01-31T00:00", MADRID, 2) == ["02-01 00:00", "03-01 00:00"]


def test_1w_is_monday_and_with_an_anchor_its_weekday():
    assert walls("1w", "2026-03-04T00:00", MADRID, 2) == ["03-09 00:00", "03-16 00:00"]
    thursday = date(2026, 1, 1)
    assert walls("1w", "2026-03-04T00:00", MADRID, 2, thursday) == ["03-05 00:00", "03-12 00:00"]


@given(
    every=st.sampled_from(["1m", "15m", "1h", "7h", "1d", "3d", "1w", "1mo"]),
    zone=st.sampled_from(ZONES),
    after=st.datetimes(datetime(1996, 1, 1), datetime(2036, 1, 1), timezones=st.just(UTC)),
    later=st.timedeltas(timedelta(0), timedelta(days=40)),
)
def test_ticks_lie_after_the_instant_and_no_tick_is_skipped_or_invented(every, zone, after, later):
    rule = read_rule(every)
    tick = next_tick(rule, after, zone)
    assert after < tick <= after + timedelta(days=32)
    between = min(after + later, tick - timedelta(microseconds=1))
    assert next_tick(rule, between, zone) == tick


@pytest.mark.parametrize(
    "text", ["", "1", "0m", "5s", "2mo", "5w", "32d", "1 h", "* * * *", "* * * * * *", "1h; 2h"]
)
def test_what_is_no_interval_from_a_minute_to_a_month_is_refused(text):
    with pytest.raises(ConfigError) as refused:
        read_rule(text)
    assert refused.value.code == "E_EVERY"


def test_five_fields_are_a_cron_expression():
    assert read_rule("*/15  8-20 * * MON-SAT") == Cron("*/15 8-20 * * MON-SAT")
    assert read_rule("15m") == Interval(15, "m")
