"""Dwell and bounces over the cases, beside what DuckDB makes of the same visits."""

import pytest

from .small_site import rows_of

pytestmark = pytest.mark.slow


def test_percentiles_are_those_of_quantile_cont(built):
    ours = rows_of(
        built,
        "select unit_id, zone_id, median_dwell_s as median, p90_dwell_s as p90 "
        "from marts.fct_zone_hourly where visit_count > 0 order by all",
    )
    theirs = rows_of(
        built,
        "select unit_id, zone_id, quantile_cont(dwell_s, 0.5) as median, "
        "quantile_cont(dwell_s, 0.9) as p90 from lake.visits "
        "group by unit_id, zone_id, hour_start_utc order by all",
    )
    assert [row["zone_id"] for row in ours] == ["hall", "bench", "floor"]
    for ours_row, theirs_row in zip(ours, theirs, strict=True):
        assert ours_row == pytest.approx(theirs_row, abs=1e-6)


def test_visits_shorter_than_two_minutes_bounce(built):
    (row,) = rows_of(
        built,
        "select visit_count, timed_visit_count, bounce_count, bounce_rate, censored_rate "
        "from marts.fct_zone_hourly where zone_id = 'floor' and visit_count > 0",
    )
    assert tuple(row.values()) == (24, 24, 24, 1.0, 0.0)
