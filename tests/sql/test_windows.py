"""Windows of watermarks: nothing is left out, in any zone and on any night."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ksi_pipeline.connectors.sql.windows import (
    DAY_US,
    QUARTER_US,
    Span,
    bounds,
    largest_known,
    number_spans,
    time_spans,
)
from ksi_pipeline.core.instants import from_us

ZONES = ("Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC")
START, END = 1_750_000_000_000_000, 1_800_000_000_000_000
INSTANTS = st.integers(START, END)


def us(text):
    return int(datetime.fromisoformat(f"{text}+00:00").timestamp() * 1e6)


@given(INSTANTS, INSTANTS, st.integers(0, 9 * DAY_US), st.integers(1, 30))
def test_windows_follow_each_other_from_midnight_to_the_last_quarter(a, b, overlap, days):
    start, now = min(a, b), max(a, b)
    spans = list(time_spans(start, now, overlap, days * DAY_US))
    assert [s.end for s in spans[:-1]] == [s.start for s in spans[1:]]
    assert all(s.start < s.end for s in spans)
    if spans:
        assert (spans[0].start, spans[-1].end) == (
            start // DAY_US * DAY_US,
            now // QUARTER_US * QUARTER_US,
        )
        assert max(s.end - s.start for s in spans) <= days * DAY_US


def test_old_time_is_cut_long_and_the_overlap_by_days():
    spans = list(time_spans(us("2026-01-01"), us("2026-01-20 10:20"), 2 * DAY_US, 7 * DAY_US))
    shown = [f"{from_us(s.start):%d} {from_us(s.end):%d %H:%M}" for s in spans]
    assert shown == [
        "01 08 00:00",
        "08 15 00:00",
        "15 17 00:00",
        "17 18 00:00",
        "18 19 00:00",
        "19 20 00:00",
        "20 20 10:15",
    ]


def test_numbers_are_cut_without_a_gap():
    assert list(number_spans(5, 12, 4)) == [Span(5, 9), Span(9, 12)]


SAMPLES = (
    datetime(2026, 1, 1),
    datetime(2026, 1, 1, tzinfo=UTC),
    date(2026, 1, 1),
    "2026-01-01 00:00:00",
    "2026-01-01T00:00:00.123",
    "2026-01-01T00:00Z",
    "2026-01-01",
)


def as_written(instant, sample, zone):
    wall = instant.astimezone(zone).replace(tzinfo=None)
    if isinstance(sample, datetime):
        return instant if sample.tzinfo else wall
    if isinstance(sample, date):
        return wall.date()
    if len(sample) == 10:
        return wall.date().isoformat()
    if sample.endswith("Z"):
        return instant.strftime("%Y-%m-%dT%H:%MZ")
    spec = "milliseconds" if "." in sample else "seconds"
    return wall.isoformat(sep=sample[10], timespec=spec)


@given(
    INSTANTS,
    st.integers(1, 400),
    st.floats(0, 1, exclude_max=True),
    st.sampled_from(SAMPLES),
    st.sampled_from(ZONES),
)
def test_a_time_inside_a_window_lies_inside_its_bounds_however_it_is_written(
    start, quarters, share, sample, name
):
    zone = ZoneInfo(name)
    span = Span(start // QUARTER_US * QUARTER_US, (start // QUARTER_US + quarters) * QUARTER_US)
    at = from_us(span.start + int(share * (span.end - span.start)))
    low, high = bounds(span, sample, [ZoneInfo("Asia/Tokyo"), zone])
    assert low <= as_written(at, sample, zone) < high


def test_the_hour_that_comes_twice_is_inside_from_its_first_to_its_last_minute():
    madrid = [ZoneInfo("Europe/Madrid")]
    span = Span(us("2026-10-25 00:30"), us("2026-10-25 01:00"))
    assert bounds(span, datetime(2026, 1, 1), madrid) == (
        datetime(2026, 10, 25, 1, 30),
        datetime(2026, 10, 25, 3, 0),
    )


@pytest.mark.parametrize("sample", [7, "27.03.2026", "2026-03-27T10:00:00+01:00", b"x", None])
def test_what_is_no_time_or_in_no_order_has_no_bounds(sample):
    assert bounds(Span(0, 1), sample, [ZoneInfo("UTC")]) is None


def test_times_without_offset_need_a_zone():
    assert bounds(Span(0, 1), datetime(2026, 1, 1), []) is None
    assert bounds(Span(0, 1), "2026-01-01 00:00", []) is None
    assert bounds(Span(0, 1), datetime(2026, 1, 1, tzinfo=UTC), []) is not None


def test_the_largest_value_never_means_later_than_it_may():
    zones = [ZoneInfo("America/New_York"), ZoneInfo("Asia/Tokyo")]
    assert largest_known(datetime(2026, 1, 1, 12), zones) == us("2026-01-01 03:00")
    assert largest_known("2026-01-01T12:00:00Z", zones) == us("2026-01-01 12:00")
    assert largest_known("infinity", zones) is None
