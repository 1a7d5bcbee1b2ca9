"""Which totals of tenants are shown: the golden mall, and one rule at a time."""

import random

import numpy as np
import pytest

from ksi_pipeline.core.benchmarks import BenchmarkRules, benchmark_suppression
from ksi_pipeline.core.disclosure import Members, Protection, follows, is_exposed, why_unsafe

from .tenants import golden, month, table, tenant


def decided(rows, k=5, memory_months=12, **thresholds):
    """What is said of each month (from 0), measure and group: its reason, or who is added up."""
    rules = BenchmarkRules(Protection(min_operators=k, **thresholds), memory_months)
    found = {}
    for row in benchmark_suppression(table(rows), rules).to_pylist():
        at = row["month_start"]
        key = ((at.year - 2026) * 12 + at.month - 1, row["measure"], row["peer_group"])
        if row["is_suppressed"]:
            assert row["reason"]
            assert not row["is_in_cohort"]
            found[key] = row["reason"]
        else:
            assert row["reason"] is None
            found.setdefault(key, set()).update({row["tenant_id"]} if row["is_in_cohort"] else ())
    return found


def sales(rows, **rules):
    return {k[::2]: said for k, said in decided(rows, **rules).items() if k[1] == "sales"}


def crowd(n, category="fashion", first=0, **more):
    return [tenant(f"{category}-{i}", category, 1000, **more) for i in range(first, first + n)]


def during(months, rows):
    return [{**row, "month_start": month(n)} for n in months for row in rows]


def test_golden_two_food_courts_are_hidden_and_so_is_the_total_that_would_tell_them():
    shown = sales(golden(), k=4)
    assert shown == {
        (0, "fashion"): {"T1", "T2", "T3", "T4", "T5"},
        (0, "food court"): "below_k",
        (0, "_all"): "complementary",
    }


def test_golden_five_tenants_have_four_others_which_is_too_few_at_five():
    assert sales(golden(), k=5)[0, "fashion"] == "below_k"


def test_golden_the_total_of_the_site_may_be_shown_where_no_part_of_it_is():
    assert sales(golden(), k=5)[0, "_all"] == {f"T{n}" for n in range(1, 8)}


def test_three_shops_of_one_operator_count_once():
    rows = crowd(4) + [tenant(f"x{n}", "fashion", 1000, operator="chain") for n in range(3)]
    assert sales(rows, k=5)[0, "fashion"] == "below_k"
    assert sales(rows, k=4)[0, "fashion"] != "below_k"


def test_operators_who_share_a_unit_know_each_others_figures_and_count_once():
    rows = crowd(4) + [
        tenant(f"x{n}", "fashion", 1000, unit_id="shared", is_unit_shared=True) for n in range(3)
    ]
    assert sales(rows, k=5)[0, "fashion"] == "below_k"
    assert sales(rows, k=4)[0, "fashion"] != "below_k"
    one_after_the_other = [{**row, "is_unit_shared": False} for row in rows]
    assert sales(one_after_the_other, k=5)[0, "fashion"] != "below_k"


def test_operators_who_share_with_one_and_the_same_count_once():
    pairs = [("first", "a"), ("first", "b"), ("second", "b"), ("second", "c")]
    rows = crowd(4) + [
        tenant(f"x{n}", "fashion", 1000, operator=name, unit_id=unit, is_unit_shared=True)
        for n, (unit, name) in enumerate(pairs)
    ]
    assert sales(rows, k=5)[0, "fashion"] == "below_k"
    assert sales(rows, k=4)[0, "fashion"] != "below_k"


@pytest.mark.parametrize(
    ("largest", "said"), [(18_000, None), (18_001, "dominated")], ids=["75 %", "more"]
)
def test_one_operator_may_have_three_quarters_of_a_total(largest, said):
    members = Members(np.arange(7), np.array([[float(largest)], *[[1000.0]] * 6]))
    assert why_unsafe(np.ones(7), members, Protection()) == said


@pytest.mark.parametrize(("rest", "said"), [(250, None), (249, "dominated")], ids=["10 %", "less"])
def test_the_second_largest_could_otherwise_estimate_the_largest_within_ten_percent(rest, said):
    amounts = np.array([[10_000.0], [9_000.0], *[[float(rest)]] * 4])
    members = Members(np.arange(6), amounts)
    assert why_unsafe(np.ones(6), members, Protection()) == said


def test_golden_shares_of_the_fashion_total():
    amounts = np.array([[10_000.0], [15_750.0], [9_000.0], [2_500.0], [7_200.0]])
    members, everyone = Members(np.arange(5), amounts), np.ones(5)
    rest = (44_450 - 15_750 - 10_000) / 15_750
    assert round(100 * rest, 1) == 118.7
    for protection, said in [
        (Protection(4, max_share=0.3544), None),
        (Protection(4, max_share=0.3543), "dominated"),
        (Protection(4, min_rest=rest), None),
        (Protection(4, min_rest=rest + 1e-9), "dominated"),
    ]:
        assert why_unsafe(everyone, members, protection) == said


def test_a_total_of_zero_would_say_that_each_sold_nothing():
    rows = [{**row, "net_sales": 0} for row in crowd(8)]
    assert sales(rows)[0, "fashion"] == "dominated"


def test_who_dominates_tickets_alone_hides_the_traffic_and_not_the_sales():
    rows = [*crowd(6), tenant("x", "fashion", 1000, entries=100, tickets=9000)]
    said = decided(rows)
    assert said[0, "traffic", "fashion"] == "dominated"
    assert len(said[0, "sales", "fashion"]) == 7


def test_a_tenant_whose_sales_are_not_known_is_in_no_total_of_sales():
    rows = [*crowd(7), tenant("x", "fashion", None)]
    said = decided(rows)
    assert "x" not in said[0, "sales", "fashion"]
    assert "x" in said[0, "traffic", "fashion"]


def test_money_is_never_compared_across_currencies_or_tax():
    others = crowd(7, first=7, currency="USD") + crowd(7, first=14, tax_included=True)
    rows = crowd(7) + others
    found = benchmark_suppression(table(rows), BenchmarkRules()).to_pylist()
    of_sales = [row for row in found if row["measure"] == "sales"]
    assert len(of_sales) == 42
    one_alone = [*crowd(7), tenant("x", "fashion", 1000, currency="USD")]
    assert decided(one_alone)[0, "traffic", "fashion"] >= {"x"}
    assert [
        row["reason"]
        for row in benchmark_suppression(table(one_alone), BenchmarkRules()).to_pylist()
        if row["tenant_id"] == "x" and row["measure"] == "sales"
    ] == ["below_k", "below_k"]


def test_a_tenant_that_joins_is_left_out_of_the_total_until_it_cannot_be_told_apart():
    before, joins = crowd(8), crowd(1, first=8)
    said = sales(during([0], before) + during([1], before + joins))
    assert said[1, "fashion"] == said[0, "fashion"]
    assert "fashion-8" not in said[1, "fashion"]


def test_a_tenant_that_leaves_hides_the_total_as_long_as_readers_remember():
    before, after = crowd(8), crowd(7)
    rows = during([0], before) + during(range(1, 4), after)
    said = sales(rows, memory_months=3)
    assert [said[n, "fashion"] for n in (1, 2)] == ["complementary", "complementary"]
    assert len(said[3, "fashion"]) == 7


def test_many_changes_at_once_are_shown():
    rows = during([0], crowd(14)) + during([1], crowd(14, first=7))
    assert len(sales(rows)[1, "fashion"]) == 14


def test_a_second_shop_of_an_operator_is_a_difference_of_one_operator():
    chain = tenant("y", "fashion", 1000, operator="op-fashion-0")
    rows = during([0], crowd(8)) + during([1], [*crowd(8), chain])
    assert "y" not in sales(rows)[1, "fashion"]


def test_a_tenant_that_changes_category_is_told_by_neither():
    rows = [*crowd(8), *crowd(8, "food")]
    moved = [
        {**row, "category": "food"} if row["tenant_id"] == "fashion-0" else row for row in rows
    ]
    said = sales(during([0], rows) + during([1], moved))
    assert said[1, "fashion"] == "complementary"
    assert "fashion-0" not in said[1, "food"]
    assert len(said[1, "_all"]) == 16


def test_two_small_groups_hide_each_other_when_together_they_are_many():
    rows = [*crowd(9), *crowd(3, "food"), *crowd(4, "toys")]
    said = sales(rows)
    assert said[0, "food"] == said[0, "toys"] == "below_k"
    assert len(said[0, "_all"]) == 16


def test_two_small_groups_that_one_tenant_comes_to_dominate_hide_the_total_from_then_on():
    small = [*crowd(3, "food"), *crowd(4, "toys")]
    large = [{**small[0], "net_sales": 90_000}, *small[1:]]
    fashion = [{**row, "net_sales": 90_000} for row in crowd(9)]
    said = sales(during([0], fashion + small) + during([1], fashion + large))
    assert len(said[0, "_all"]) == 16
    assert said[1, "_all"] == "complementary"


def test_two_small_groups_that_together_are_few_hide_the_total():
    rows = [*crowd(9), *crowd(2, "food"), *crowd(2, "toys")]
    assert sales(rows)[0, "_all"] == "complementary"


def test_tenants_without_a_category_are_a_group_nobody_sees():
    rows = [*crowd(9), tenant("x", None, 1000)]
    said = sales(rows)
    assert len(said[0, "fashion"]) == 9
    assert said[0, "_all"] == "complementary"


def test_months_are_decided_in_order_and_later_ones_change_nothing():
    rows = during([0, 1], crowd(8)) + during([2], crowd(7))
    early = [row for row in rows if row["month_start"] < month(2)]
    before, after = sales(early), sales(rows)
    assert {key: after[key] for key in before} == before


def test_the_order_of_rows_does_not_matter():
    rows = during([0], crowd(8)) + during([1], crowd(9) + crowd(3, "food"))
    shuffled = random.Random(3).sample(rows, len(rows))
    assert benchmark_suppression(table(rows), BenchmarkRules()).equals(
        benchmark_suppression(table(shuffled), BenchmarkRules())
    )


def test_no_rows_give_no_rows():
    assert benchmark_suppression(table([]), BenchmarkRules()).num_rows == 0


def test_who_joined_cannot_take_itself_out_of_the_rest_to_see_a_group_that_is_dominated():
    fashion, toys = crowd(8), crowd(8, "toys")
    food = [tenant("big", "food", 7600), *(tenant(f"f{n}", "food", 400) for n in range(6))]
    joins = [tenant("j", "fashion", 3000)]
    said = sales(during([0], fashion + toys + food) + during([1], fashion + toys + food + joins))
    assert said[1, "food"] == "dominated"
    assert "j" not in said[1, "fashion"]
    assert said[1, "_all"] == "complementary"


def sets(*spans):
    return [frozenset(n for span in parts for n in range(*span)) for parts in spans]


def equal(count):
    return Members(np.arange(count), np.ones((count, 1)))


def test_a_member_that_three_totals_pin_down_is_exposed():
    first, second, both_but_one = sets([(0, 10)], [(10, 20)], [(1, 20)])
    assert not is_exposed([first, second], equal(20), Protection())
    assert is_exposed([first, second, both_but_one], equal(20), Protection())


def test_two_pairs_that_three_totals_leave_over_are_exposed():
    """0 to 3 are what is left of everything; two of them are also in another total."""
    left, others = (0, 4), ((4, 14), (14, 24))
    everything, first, second, apart = sets(
        [left, *others], [others[0]], [others[1]], [(0, 2), (24, 34)]
    )
    assert is_exposed([everything, first, second, apart], equal(34), Protection())
    assert not is_exposed([everything, first, apart], equal(34), Protection())


def test_who_knows_itself_sees_the_two_that_are_left_over_beside_it():
    left, others = (0, 3), ((3, 13), (13, 23))
    everything, first, second = sets([left, *others], [others[0]], [others[1]])
    apart = sets([(0, 1), (23, 33)], [(1, 2), (33, 43)])
    assert is_exposed([everything, first, second, *apart], equal(43), Protection())
    assert not is_exposed([everything, first, *apart], equal(43), Protection())


def test_the_difference_of_two_totals_must_not_be_dominated():
    """What the larger total has more is three pairs that other totals tell apart."""
    more, less, *apart = sets(
        [(0, 16)], [(6, 16)], [(0, 2), (16, 26)], [(2, 4), (26, 36)], [(4, 6), (36, 46)]
    )
    large = Members(np.arange(46), np.where(np.arange(46) == 0, 40.0, 1.0)[:, None])
    protection = Protection(max_share=0.8, min_rest=0.0)
    assert is_exposed([more, less, *apart], large, protection)
    assert not is_exposed([more, *apart], large, protection)
    assert not is_exposed([more, less, *apart], equal(46), protection)


def test_who_knows_its_own_amount_can_tell_the_one_beside_it():
    hidden, shown = frozenset(range(8)), frozenset(range(9))
    assert follows(hidden, [shown], equal(9))
    assert not follows(hidden, [shown], equal(9), with_own=False)
    assert not follows(frozenset(range(7)), [shown], equal(9))
