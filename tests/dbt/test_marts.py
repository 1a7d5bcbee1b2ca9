"""The marts over the cases: what each hour says, and that it says why."""

from datetime import date, datetime

import pytest

from .cases import DAY, NINE, TEN
from .small_site import rows_of

pytestmark = pytest.mark.slow


@pytest.fixture
def hour(built):
    def row(mart, unit_id, local_hour, site_id="sp"):
        (found,) = rows_of(
            built,
            f"select * from marts.{mart} where site_id = '{site_id}' and unit_id = '{unit_id}' "
            f"and local_hour = timestamp '{local_hour}:00'",
        )
        return found

    return row


@pytest.fixture
def day(built):
    def row(unit_id):
        (found,) = rows_of(
            built,
            "select * from marts.fct_conversion_daily "
            f"where site_id = 'sp' and unit_id = '{unit_id}'",
        )
        return found

    return row


def picked(row, *columns):
    return tuple(row[column] for column in columns)


RATE = ("ticket_count", "entry_count", "conversion_rate", "is_over_100", "basis", "reason")


def test_golden_c1_by_hour(hour):
    mart = "fct_conversion_hourly"
    assert picked(hour(mart, "0001", NINE), *RATE) == (25, 100, 0.25, False, "measured", None)
    assert picked(hour(mart, "0001", TEN), *RATE) == (30, 120, 0.25, False, "measured", None)
    flagged = hour(mart, "0002", NINE)
    assert picked(flagged, *RATE) == (150, 140, 150 / 140, True, "measured", None)
    assert picked(hour(mart, "0002", TEN), *RATE) == (230, 400, 0.575, False, "measured", None)


def test_golden_c1_by_day_is_pooled(day):
    columns = ("conversion_rate", "matched_hours", "open_hours", "completeness", "basis", "reason")
    assert picked(day("0001"), *columns) == (0.25, 2, 2, 1.0, "measured", None)
    assert picked(day("0002"), *columns) == (380 / 540, 2, 2, 1.0, "measured", None)


def test_golden_c4_nine_of_twelve_chunks(hour):
    row = hour("fct_conversion_hourly", "partial", NINE)
    assert row["traffic_completeness"] == row["completeness"] == 0.75
    assert picked(row, *RATE) == (30, 90, 30 / 90, False, "partial", "camera_silent")
    assert (row["entry_count_imputed"], row["conversion_rate_imputed"]) == (120.0, 0.25)
    assert not row["is_matched"]


def test_a_silent_camera_is_null_and_not_zero(hour):
    row = hour("fct_conversion_hourly", "dark", NINE)
    assert picked(row, *RATE) == (10, None, None, None, "missing", "camera_silent")


def test_an_answered_hour_without_a_row_is_zero_tickets(hour):
    row = hour("fct_conversion_hourly", "leaves", TEN)
    assert picked(row, *RATE) == (0, 0, None, None, "measured", "no_entries")


def test_a_refused_feed_is_null_with_its_code_and_an_unlinked_unit_says_so(hour):
    refused = hour("fct_conversion_hourly", "refused", NINE)
    assert picked(refused, *RATE) == (None, 5, None, None, "missing", "E_FEED_REFUSED")
    unlinked = hour("fct_conversion_hourly", "unlinked", NINE)
    assert picked(unlinked, *RATE) == (None, 5, None, None, "missing", "feed_not_linked")
    assert picked(unlinked, "is_provisional", "as_of_utc") == (False, None)


def test_a_door_that_no_camera_sees_makes_the_unit_incomplete(hour):
    row = hour("fct_traffic_hourly", "doors", NINE)
    columns = ("entry_count", "completeness", "basis", "reason", "entry_count_imputed")
    assert picked(row, *columns) == (10, 0.0, "partial", "no_entrance_camera", None)


def test_people_seen_in_a_closed_hour_are_kept_and_enter_no_day(hour, day):
    row = hour("fct_traffic_hourly", "0001", f"{DAY} 07:00")
    columns = ("is_open", "entry_count", "completeness", "basis", "reason")
    assert picked(row, *columns) == (False, 3, None, "partial", "closed")
    assert day("0001")["entry_count"] == 220


def test_an_hour_is_provisional_until_the_feed_was_asked_late_enough(hour):
    mart = "fct_conversion_hourly"
    assert hour(mart, "early", NINE)["is_provisional"]
    assert hour(mart, "refused", NINE)["is_provisional"]
    final = hour(mart, "0001", NINE)
    assert not final["is_provisional"]
    assert final["as_of_utc"] == datetime(2023, 2, 12, 15)


def test_a_day_with_a_missing_feed_has_no_rate_but_a_reason(day):
    row = day("refused")
    columns = ("ticket_count", "conversion_rate", "matched_hours", "basis", "reason")
    assert picked(row, *columns) == (None, None, 0, "missing", "E_FEED_REFUSED")


def test_a_common_zone_has_its_visits_and_an_unseen_zone_is_null(hour):
    columns = ("visit_count", "dwell_s_sum", "person_seconds", "max_occupancy", "basis", "reason")
    mart = "fct_zone_hourly"
    assert picked(hour(mart, "_common", NINE), *columns) == (3, 0.6, 0.6, 2, "measured", None)
    assert picked(hour(mart, "_common", TEN), *columns) == (0, 0.0, 0.0, 0, "measured", None)
    unseen = hour(mart, "0001", NINE)
    assert picked(unseen, *columns) == (None, None, None, None, "missing", "no_zone_camera")


def test_golden_c2_staff_are_no_customers_where_the_rule_holds(hour, day):
    columns = ("entry_count", "net_entry_count", "conversion_rate_gross", "conversion_rate")
    for row in (hour("fct_conversion_hourly", "staffed", NINE), day("staffed")):
        assert picked(row, *columns) == (120, 100, 25 / 120, 0.25)
        assert row["metric_version"] == "conversion.net.v1"
    traffic = hour("fct_traffic_hourly", "staffed", NINE)
    assert (traffic["staff_entry_count"], traffic["metric_version"]) == (20, "traffic.net.v1")


def test_where_the_entrance_camera_sees_no_staff_zone_entries_stay_gross(hour):
    row = hour("fct_traffic_hourly", "0001", NINE)
    columns = ("entry_count", "staff_entry_count", "net_entry_count", "metric_version")
    assert picked(row, *columns) == (100, None, 100, "traffic.gross.v1")


def test_golden_queue(hour):
    row = hour("fct_queue_hourly", "staffed", NINE)
    assert picked(row, "join_count", "served_count", "abandoned_count", "balked_count") == (
        6,
        5,
        1,
        1,
    )
    figures = ("abandonment_rate", "mean_served_wait_s", "mean_join_wait_s", "mean_queue_length")
    assert picked(row, *figures) == (1 / 6, 180.0, 220.0, 1320 / 3600)
    empty = hour("fct_queue_hourly", "staffed", TEN)
    assert picked(empty, "join_count", "mean_queue_length", "abandonment_rate") == (0, 0.0, None)


def test_golden_zone_uncovered(built):
    rows = rows_of(
        built,
        "select zone_id, customer_s, uncovered_s, staff_coverage_rate from marts.fct_zone_hourly "
        f"where unit_id = 'staffed' and local_hour = timestamp '{NINE}:00' order by zone_id",
    )
    assert [tuple(row.values()) for row in rows] == [
        ("behind", None, None, None),
        ("desk", 2100.0, 900.0, 20 / 35),
        ("line", None, None, None),
    ]


def test_every_source_of_a_unit_has_its_completeness(built):
    rows = rows_of(
        built,
        "select source_kind, source_key, expected_s, observed_s, status, reason "
        "from marts.fct_data_completeness_hourly where unit_id = 'partial' "
        f"and local_hour = timestamp '{NINE}:00' order by 1",
    )
    assert [tuple(row.values()) for row in rows] == [
        ("camera", "", 3600.0, 2700.0, "partial", "camera_silent"),
        ("feed", "partial", 3600.0, 3600.0, "complete", None),
    ]


def test_the_autumn_day_has_25_hours_and_two_of_them_are_two_o_clock(built):
    rows = rows_of(
        built,
        "select * from marts.fct_conversion_hourly where site_id = 'es' order by hour_start_utc",
    )
    assert len(rows) == len({row["hour_start_utc"] for row in rows}) == 25
    assert {row["business_date"] for row in rows} == {date(2026, 10, 25)}
    two = [row for row in rows if row["local_hour"] == datetime(2026, 10, 25, 2)]
    assert [row["utc_offset_s"] for row in two] == [7200, 3600]


def test_a_span_over_midnight_utc_covers_a_quarter_hour_zone_once(built):
    rows = rows_of(
        built,
        "select source_kind, count(*) as hours, min(observed_s) as least, max(observed_s) as most, "
        "min(status) as status from marts.fct_data_completeness_hourly "
        "where site_id = 'np' group by source_kind order by source_kind",
    )
    assert [tuple(row.values()) for row in rows] == [
        ("camera", 24, 3600.0, 3600.0, "complete"),
        ("feed", 24, 3600.0, 3600.0, "complete"),
    ]


def test_unknown_opening_hours_count_as_open_and_say_so(hour, built):
    row = hour("fct_traffic_hourly", "0001", "2026-10-25 00:00", site_id="es")
    assert picked(row, "is_open", "completeness", "entry_count", "basis") == (
        True,
        1.0,
        0,
        "measured",
    )
    known = rows_of(
        built,
        "select distinct is_hours_known from marts.fct_data_completeness_hourly "
        "where site_id = 'es'",
    )
    assert known == [{"is_hours_known": False}]


def test_a_unit_is_described_by_what_is_valid_at_the_end_of_the_calendar(built):
    rows = rows_of(built, "select * from marts.dim_unit where unit_key = 'sp/0001'")
    assert picked(rows[0], "unit_name", "tenant_id", "gla_m2", "timezone") == (
        "0001",
        "T1",
        120.0,
        "America/Sao_Paulo",
    )
    assert rows_of(built, "select * from marts.dim_unit where unit_key = 'sp/_common'")
