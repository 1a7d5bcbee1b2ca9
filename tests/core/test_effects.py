"""The arithmetic of effects: golden numbers, published tables, and what must never matter."""

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ksi_pipeline.core.effects import (
    DRAWN_SPLITS,
    critical_t,
    group_means,
    least_p,
    permutation,
    roi,
    two_sided_p,
    welch,
)
from ksi_pipeline.core.errors import ContractError

TREATED, CONTROL = [100.0, 200.0, 150.0], [30.0, 50.0, 40.0]
GOLDEN = ([1000.0], [1150.0], [800.0], [840.0])
changes = st.lists(st.integers(-1000, 1000).map(float), min_size=2, max_size=5)


def test_golden_means():
    means = group_means(*GOLDEN)
    assert (means.naive, means.did, means.counterfactual) == (150.0, 110.0, 1050.0)
    assert means.log_did == pytest.approx(0.0952, abs=5e-5)


def test_golden_interval_contains_zero_although_the_difference_is_110():
    test = welch(TREATED, CONTROL, scale=1000)
    found = (test.standard_error, test.degrees_of_freedom, test.t, test.critical)
    assert found == pytest.approx((29.439, 2.16, 3.737, 4.012), abs=5e-4)
    assert (test.low, test.high) == pytest.approx((-8.1, 228.1), abs=0.05)
    assert test.p > 0.05


def test_golden_permutation_of_three_and_three_is_exact_and_no_smaller_than_a_tenth():
    found = permutation(TREATED, CONTROL)
    assert (found.p, found.splits, found.is_exact) == (0.10, 20, True)
    assert least_p(3, 3) == found.p


def test_golden_return_changes_its_sign_beside_control_units():
    assert roi(150 * 14, 0.4, 700) == pytest.approx(0.20)
    assert roi(110 * 14, 0.4, 700) == pytest.approx(-0.12)


@pytest.mark.parametrize(
    ("degrees_of_freedom", "critical"),
    [(1, 12.706), (2, 4.303), (4, 2.776), (10, 2.228), (30, 2.042), (120, 1.980)],
)
def test_critical_values_are_those_of_printed_tables(degrees_of_freedom, critical):
    assert critical_t(degrees_of_freedom) == pytest.approx(critical, abs=5e-4)
    assert two_sided_p(critical, degrees_of_freedom) == pytest.approx(0.05, abs=5e-5)


@pytest.mark.parametrize("groups", [([1.0], CONTROL), (TREATED, [1.0])])
def test_one_unit_has_no_spread_and_so_no_interval(groups):
    assert welch(*groups, scale=1.0) is None


def test_units_that_all_change_alike_have_no_interval():
    assert welch([0.1 + 0.2, 0.3], [0.1, 0.1], scale=1.0) is None


@pytest.mark.parametrize("zero", range(4))
def test_growth_from_or_to_nothing_is_not_known(zero):
    figures = [[5.0], [6.0], [7.0], [8.0]]
    figures[zero] = [0.0]
    assert group_means(*figures).log_did is None


@pytest.mark.parametrize("nothing", [0.0, -5.0])
@pytest.mark.parametrize("group", [0, 2])
def test_nothing_has_no_growth_to_be_laid_beside(group, nothing):
    figures = [[5.0], [6.0], [7.0], [8.0]]
    figures[group] = [nothing]
    assert group_means(*figures).counterfactual is None


def test_an_empty_group_is_refused():
    with pytest.raises(ContractError):
        group_means([1.0], [1.0], [], [])
    with pytest.raises(ContractError):
        permutation([], CONTROL)


def test_many_units_are_permuted_by_drawing_and_the_same_each_time():
    treated, control = [float(n) for n in range(10)], [float(n) for n in range(5, 20)]
    found = permutation(treated, control)
    assert (found.splits, found.is_exact) == (DRAWN_SPLITS, False)
    assert 1 / (1 + DRAWN_SPLITS) <= found.p < 0.05
    assert permutation(treated[::-1], control[::-1]) == found


def test_a_drawn_p_is_never_zero():
    found = permutation([100.0 + n for n in range(12)], [float(n) for n in range(12)])
    assert found.p == 1 / (1 + DRAWN_SPLITS)


@given(changes, changes, st.integers(-500, 500))
def test_what_moves_all_units_alike_is_no_effect(treated, control, shift):
    was = group_means(treated, treated, control, control).did
    moved = group_means(
        treated, [v + shift for v in treated], control, [v + shift for v in control]
    )
    assert moved.did == pytest.approx(was, abs=1e-9)
    assert moved.naive == pytest.approx(shift, abs=1e-9)


@given(changes, changes)
def test_swapping_treated_and_control_changes_only_the_sign(treated, control):
    found, swapped = welch(treated, control, 1000), welch(control, treated, 1000)
    assert (found is None) == (swapped is None)
    if found:
        assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low))
    assert permutation(treated, control).p == permutation(control, treated).p


@given(changes, changes)
def test_a_permutation_p_lies_between_one_split_and_all(treated, control):
    splits = comb(len(treated) + len(control), len(treated))
    assert 1 / splits <= permutation(treated, control).p <= 1


@given(changes, changes, st.randoms())
def test_the_order_of_units_changes_no_bit(treated, control, random):
    shuffled = [random.sample(group, len(group)) for group in (treated, control)]
    assert welch(*shuffled, scale=1.0) == welch(treated, control, scale=1.0)
    assert permutation(*shuffled) == permutation(treated, control)
