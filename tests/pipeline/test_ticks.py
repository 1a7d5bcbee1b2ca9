"""Cron expressions on the clock of a site, where that clock changes."""

from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.schedule import Cron, read_rule
from ksi_pipeline.defs.steps.ticks import next_tick


def walls(text: str, first: str, zone: str, count: int) -> list[str]:
    """The wall-clock times, with their offset, of the ticks after a wall-clock time."""
    tz = ZoneInfo(zone)

    def ticks(after: datetime):
        while True:
            after = next_tick(Cron(text), after, tz)
            yield after.astimezone(tz)

    after = datetime.fromisoformat(first).replace(tzinfo=tz)
    return [f"{tick:%m-%d %H:%M%z}" for tick in islice(ticks(after), count)]


def test_a_time_that_does_not_exist_fires_once_at_the_next_that_does():
    assert walls("30 2 * * *", "2026-03-28T12:00", "Europe/Madrid", 2) == [
        "03-29 03:00+0200",
        "03-30 02:30+0200",
    ]
    assert walls("0 0 * * *", "2023-09-02T12:00", "America/Santiago", 2) == [
        "09-03 01:00-0300",
        "09-04 00:00-0300",
    ]


def test_a_time_that_comes_twice_fires_once():
    assert walls("30 2 * * *", "2026-10-24T12:00", "Europe/Madrid", 2) == [
        "10-25 02:30+0100",
        "10-26 02:30+0100",
    ]


def test_an_hourly_expression_fires_in_both_hours_of_an_autumn_night():
    assert walls("7 * * * *", "2026-10-25T01:30", "Europe/Madrid", 3) == [
        "10-25 02:07+0200",
        "10-25 02:07+0100",
        "10-25 03:07+0100",
    ]


def test_nine_o_clock_is_nine_on_the_clock_of_the_site():
    assert walls("0 9 * * MON", "2026-03-02T08:00", "Asia/Kathmandu", 1) == ["03-02 09:00+0545"]


def test_an_interval_ticks_as_core_says():
    tz = ZoneInfo("Europe/Madrid")
    tick = next_tick(read_rule("1d"), datetime(2026, 3, 28, 12, tzinfo=tz), tz)
    assert tick.astimezone(tz).isoformat() == "2026-03-29T00:00:00+01:00"


@pytest.mark.parametrize("text", ["99 * * * *", "0 0 31 2 *", "a b c d e"])
def test_an_expression_that_names_no_time_is_refused(text):
    with pytest.raises(ConfigError) as refused:
        next_tick(Cron(text), datetime(2026, 3, 28, 12, tzinfo=ZoneInfo("UTC")), ZoneInfo("UTC"))
    assert refused.value.code == "E_EVERY"
