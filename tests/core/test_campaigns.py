"""From days to a verdict: which days count, and when nothing may be claimed."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from ksi_pipeline.core.campaign_effects import UnitRecord, campaign_effect
from ksi_pipeline.core.campaigns import Campaign, controls_of
from ksi_pipeline.core.effect_days import Days, UnitDay, pre_trend, unit_change
from ksi_pipeline.core.effect_words import REASONS, verdict_text

MONDAY = date(2026, 2, 2)
BEFORE, DURING = Days(MONDAY, date(2026, 2, 15)), Days(date(2026, 2, 16), date(2026, 3, 1))
EUR = frozenset({("EUR", False)})
TREATED, CONTROL = ("m/t1", "m/t2", "m/t3", "m/t4"), ("m/c1", "m/c2", "m/c3", "m/c4")
CAMPAIGN = Campaign("window", TREATED, CONTROL, BEFORE, DURING, ("net_sales",))
ALL_TREATED, ALL_CONTROL = (100, 120, 110, 90), (10, -10, 0, 20)


def day(number):
    return MONDAY + timedelta(days=number)


def history(before=1000.0, change=0.0, slope=0.0):
    """28 days; the second half has more by `change`, and every day more than the one before."""
    return {day(n): UnitDay(before + slope * n + (change if n >= 14 else 0)) for n in range(28)}


def records(treated=ALL_TREATED, control=ALL_CONTROL, **more):
    changes = dict(zip((*TREATED, *CONTROL), (*treated, *control), strict=False))
    return {key: UnitRecord(history(change=c, **more), EUR) for key, c in changes.items()}


def verdict(units, campaign=CAMPAIGN, metric="net_sales"):
    row = campaign_effect(campaign, metric, campaign.control, units)
    return row["verdict"], row["reason"]


def test_a_clear_effect_in_four_and_four_units_is_shown():
    row = campaign_effect(CAMPAIGN, "net_sales", CONTROL, records())
    assert (row["verdict"], row["reason"], row["basis"]) == ("shown", None, "measured")
    assert (row["effect_naive"], row["effect_did"]) == (105.0, 100.0)
    assert (row["pre_trend_p"], row["placebo_p"]) == (1.0, 1.0)
    assert (row["treated_day_count"], row["excluded_day_count"]) == (112, 0)


def test_the_same_the_other_way_is_harm():
    assert verdict(records([-c for c in ALL_TREATED])) == ("shown_harm", None)


def test_an_interval_with_zero_in_it_is_no_effect_shown():
    assert verdict(records(treated=(100, -80, 60, -40))) == ("not_shown", None)


def test_golden_three_and_three_units_with_zero_in_the_interval_show_no_effect():
    few = replace(CAMPAIGN, treated=TREATED[:3], control=CONTROL[:3])
    units = {
        key: UnitRecord(history(level, change), EUR)
        for key, level, change in (
            ("m/t1", 900.0, 100.0),
            ("m/t2", 1000.0, 200.0),
            ("m/t3", 1100.0, 150.0),
            ("m/c1", 700.0, 30.0),
            ("m/c2", 800.0, 50.0),
            ("m/c3", 900.0, 40.0),
        )
    }
    assert verdict(units, few) == ("not_shown", None)


def test_three_and_three_units_cannot_show_what_their_interval_claims():
    few = replace(CAMPAIGN, treated=TREATED[:3], control=CONTROL[:3])
    assert verdict(records(), few) == ("cannot_tell", "too_few_units")


def test_nothing_is_shown_where_the_treated_grew_before_already():
    units = records()
    for key, change in zip(TREATED, ALL_TREATED, strict=True):
        units[key] = UnitRecord(history(change=change, slope=5.0), EUR)
    assert verdict(units) == ("cannot_tell", "pre_trend")


def test_nothing_is_shown_where_a_placebo_finds_as_much():
    early = Days(MONDAY - timedelta(days=28), MONDAY - timedelta(days=15))
    late = Days(MONDAY - timedelta(days=14), MONDAY - timedelta(days=1))
    units = records()
    for key, record in units.items():
        jump = 50.0 + len(key) if key in TREATED else 0.0
        past = {d: UnitDay(1000.0 - jump * (d in early)) for w in (early, late) for d in w}
        units[key] = replace(record, history={**past, **record.history})
    assert verdict(units) == ("shown", None)
    assert verdict(units, replace(CAMPAIGN, placebo=(early, late))) == ("cannot_tell", "placebo")


def test_units_that_all_change_alike_tell_nothing():
    assert verdict(records((50,) * 4, (0,) * 4)) == ("cannot_tell", "no_variation")


@pytest.mark.parametrize(
    ("money", "reason"),
    [(("USD", False), "currencies_differ"), (("EUR", True), "tax_basis_differs")],
)
def test_money_is_not_compared_over_currencies_or_tax(money, reason):
    units = records()
    units["m/c1"] = replace(units["m/c1"], money=frozenset({money}))
    row = campaign_effect(CAMPAIGN, "net_sales", CONTROL, units)
    assert (row["verdict"], row["reason"], row["basis"]) == ("cannot_tell", reason, "missing")
    assert row["effect_did"] is row["effect_naive"] is row["roi_did"] is row["currency"] is None


def test_a_unit_without_days_is_left_out_and_counted():
    units = records()
    del units["m/c4"]
    row = campaign_effect(CAMPAIGN, "net_sales", CONTROL, units)
    assert (row["control_unit_count"], row["excluded_unit_count"]) == (3, 1)
    assert (row["excluded_day_count"], row["basis"]) == (28, "partial")


def test_too_short_a_time_before_is_told():
    week = replace(CAMPAIGN, before=Days(day(7), day(13)), during=Days(day(14), day(20)))
    assert verdict(records(), week) == ("cannot_tell", "before_too_short")


def test_too_few_days_on_weekdays_of_both_sides_are_told():
    short = replace(CAMPAIGN, during=Days(day(14), day(15)))
    assert verdict(records(), short) == ("cannot_tell", "too_few_days")


def test_two_weeks_before_and_one_during_are_enough_for_units_that_close_on_sundays():
    week = replace(CAMPAIGN, during=Days(day(14), day(20)))
    units = records()
    for key, record in units.items():
        sundays = {d: UnitDay(None, is_open=False) for d in record.history if d.weekday() == 6}
        units[key] = replace(record, history={**record.history, **sundays})
    row = campaign_effect(week, "net_sales", CONTROL, units)
    assert (row["verdict"], row["treated_day_count"]) == ("shown", 4 * (12 + 6))
    lost = {d: known for d, known in units["m/t1"].history.items() if d != day(16)}
    units["m/t1"] = replace(units["m/t1"], history=lost)
    row = campaign_effect(week, "net_sales", CONTROL, units)
    assert (row["treated_unit_count"], row["excluded_unit_count"]) == (3, 1)


def test_windows_of_a_weekend_are_too_few_days_although_both_have_the_same_weekdays():
    days = Days(day(5), day(6)), Days(day(12), day(13))
    assert unit_change(history(), *days, is_ratio=False).change is None


def test_one_control_unit_is_too_few():
    assert verdict(records(), replace(CAMPAIGN, control=CONTROL[:1]))[1] == "too_few_units"


def test_many_incomplete_days_allow_no_verdict():
    units = records()
    for key, record in units.items():
        kept = {d: known for d, known in record.history.items() if d.weekday() < 5}
        units[key] = replace(record, history=kept)
    assert verdict(units) == ("cannot_tell", "days_excluded")


def test_days_that_are_closed_are_not_missing_and_incomplete_ones_are_counted():
    days = history(change=70.0)
    days[day(6)] = UnitDay(None, is_open=False)
    days[day(1)] = UnitDay(None)
    found = unit_change(days, BEFORE, DURING, is_ratio=False)
    assert (found.excluded_day_count, found.day_count, found.open_day_count) == (1, 26, 14)
    assert found.change == 70.0


def test_a_saturday_more_on_one_side_changes_nothing():
    days = {day(n): UnitDay(100.0 if day(n).weekday() < 5 else 500.0) for n in range(28) if n != 12}
    assert unit_change(days, BEFORE, DURING, is_ratio=False).change == 0.0


def test_a_weekday_that_one_side_lacks_is_left_out_of_both():
    days = {n: known for n, known in history().items() if n < day(14) or n.weekday() < 5}
    days[day(5)] = UnitDay(9999.0)
    found = unit_change(days, BEFORE, DURING, is_ratio=False)
    assert (found.change, found.day_count) == (0.0, 20)


def test_a_ratio_is_a_sum_over_a_sum():
    days = {day(n): UnitDay(1.0 if n % 2 else 9.0, 10.0 if n % 2 else 30.0) for n in range(28)}
    found = unit_change(days, BEFORE, DURING, is_ratio=True)
    assert (found.before, found.during) == (0.25, 0.25)


def test_a_trend_is_the_slope_of_the_gap_whatever_the_weekdays_do():
    def weekly(slope):
        return {day(n): UnitDay(1000 + slope * n + 100 * (n % 7 == 5)) for n in range(14)}

    trend = pre_trend([weekly(3.0)], [weekly(1.0)], BEFORE, is_ratio=False)
    assert (round(trend.slope, 9), trend.p) == (2.0, 0.0)
    same = pre_trend([weekly(3.0)], [weekly(3.0)], BEFORE, is_ratio=False)
    assert (round(same.slope, 9), same.p) == (0.0, 1.0)


@pytest.mark.parametrize("level", [0.1, 1e6])
def test_rounding_is_no_trend(level):
    uneven = [{day(n): UnitDay(level * 1.1 * (1 + k / 7) / 3) for n in range(14)} for k in range(4)]
    assert pre_trend(uneven[:2], uneven[2:], BEFORE, is_ratio=False).p == 1.0


PAID = replace(CAMPAIGN, margin_rate=0.4, cost=Decimal(1000), currency="EUR")


def test_units_that_grew_alike_have_no_trend_although_floats_round_each_in_its_own_way():
    alike = [{day(n): UnitDay(level + 3.3 * n) for n in range(14)} for level in (0.1, 0.17, 0.3)]
    found = pre_trend(alike[:2], alike[2:], BEFORE, is_ratio=False)
    assert 0 < found.slope < 1e-15
    assert found.p == 1.0


def test_a_trend_is_one_however_large_the_figures_are():
    grew = {day(n): UnitDay(1e6 + n + 0.1 * (n % 3)) for n in range(14)}
    stayed = {day(n): UnitDay(1e6) for n in range(14)}
    assert pre_trend([grew], [stayed], BEFORE, is_ratio=False).p < 0.001


def test_the_return_is_over_the_open_days_of_all_treated_units():
    row = campaign_effect(PAID, "net_sales", CONTROL, records())
    assert row["roi_naive"] == pytest.approx((105 * 56 * 0.4 - 1000) / 1000)
    assert row["roi_did"] == pytest.approx((100 * 56 * 0.4 - 1000) / 1000)
    unknown = replace(PAID, margin_rate=None)
    assert campaign_effect(unknown, "net_sales", CONTROL, records())["roi_did"] is None


def test_a_treated_unit_without_a_figure_earns_nothing():
    five = replace(PAID, treated=(*TREATED, "m/t5"))
    row = campaign_effect(five, "net_sales", CONTROL, records())
    assert (row["verdict"], row["excluded_unit_count"]) == ("shown", 1)
    assert row["roi_did"] == pytest.approx((100 * 56 * 0.4 - 1000) / 1000)


def test_there_is_no_return_where_the_effect_cannot_be_told():
    few = replace(PAID, treated=TREATED[:3], control=CONTROL[:3])
    row = campaign_effect(few, "net_sales", few.control, records())
    assert (row["verdict"], row["roi_naive"], row["roi_did"]) == ("cannot_tell", None, None)
    assert row["effect_did"] is not None
    assert "Return" not in verdict_text(row)


def test_a_cost_in_another_currency_gives_no_return_and_the_text_says_why():
    paid = replace(PAID, currency="USD")
    row = campaign_effect(paid, "net_sales", CONTROL, records())
    assert row["roi_did"] is None
    assert "No return is computed: the cost is in USD, sales are in EUR." in verdict_text(row)


def test_the_result_is_provisional_and_as_new_as_its_newest_day():
    units = records()
    units["m/t1"] = replace(units["m/t1"], is_provisional=True, as_of_utc=datetime(2026, 3, 2))
    row = campaign_effect(CAMPAIGN, "net_sales", CONTROL, units)
    assert (row["is_provisional"], row["as_of_utc"]) == (True, datetime(2026, 3, 2))


def test_the_text_says_the_numbers_and_the_verdict():
    row = campaign_effect(CAMPAIGN, "net_sales", CONTROL, records())
    assert verdict_text(row) == (
        "net_sales of 4 treated units went from 1,000.00 to 1,105.00, that of 4 control units from "
        "1,000.00 to 1,005.00. Before and after differ by +105.00; against the control units the "
        "difference is +100.00, 95 % interval +77.66 to +122.34, permutation p 0.029 of 70 splits. "
        "An effect is shown."
    )


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_a_sentence(reason):
    row = {"metric": "net_sales", "effect_did": None, "verdict": "cannot_tell", "reason": reason}
    assert verdict_text(row).endswith(f": {REASONS[reason]}.")


def test_controls_by_category_are_of_the_site_and_had_no_campaign_themselves():
    categories = {"m/a": "shoes", "m/b": "shoes", "m/c": "shoes", "m/d": "food", "n/e": "shoes"}
    categories["m/f"] = None
    mine = replace(CAMPAIGN, treated=("m/a",), control=None)
    other = replace(mine, id="other", treated=("m/c",), before=Days(day(-9), day(-8)))
    assert controls_of(mine, [mine, other], categories) == ("m/b",)
    later = replace(other, during=Days(day(40), day(50)))
    assert controls_of(mine, [mine, later], categories) == ("m/b", "m/c")
    assert controls_of(CAMPAIGN, [CAMPAIGN], categories) == CONTROL


def test_a_campaign_looks_back_to_its_window_before_or_to_its_placebo():
    assert CAMPAIGN.first == MONDAY
    past = (Days(day(-20), day(-12)), Days(day(-11), day(-1)))
    assert replace(CAMPAIGN, placebo=past).first == day(-20)
