"""Counts by hand beside counts by the system: worked examples and what cancels."""

import numpy as np
import pytest

from ksi_pipeline.core.count_audit import count_error
from ksi_pipeline.core.errors import ContractError


def test_errors_that_cancel_over_clips_leave_no_bias_and_do_show_in_wape():
    error = count_error([[20], [30], [50]], [[19], [33], [48]])
    assert (error.clips, error.manual, error.counted) == (3, 100, 100)
    assert (error.bias, error.wape) == (0.0, 0.06)


def test_errors_that_cancel_between_directions_show_in_wape():
    error = count_error([[20, 20]], [[25, 15]])
    assert (error.bias, error.wape) == (0.0, 0.25)


def test_bias_has_the_sign_of_the_error():
    assert count_error([[10], [30]], [[8], [30]]).bias == -0.05
    assert count_error([[10], [30]], [[12], [30]]).bias == 0.05


def test_intervals_are_between_the_worst_and_the_best_clip_and_hold_the_figure():
    error = count_error([[20], [30], [50]], [[19], [33], [48]])
    # clip by clip: -5 %, +10 %, -4 %
    low, high = error.bias_interval
    assert -0.05 <= low < error.bias < high <= 0.10
    low, high = error.wape_interval
    assert 0.04 <= low < error.wape < high <= 0.10


def test_the_same_clips_give_the_same_interval():
    clips = [[20], [30], [50]], [[19], [33], [48]]
    assert count_error(*clips) == count_error(*clips)


def test_clips_that_are_all_off_alike_leave_no_doubt():
    error = count_error([[10], [20], [40]], [[11], [22], [44]])
    assert error.bias_interval == pytest.approx((0.1, 0.1))


def test_more_clips_of_the_same_kind_narrow_the_interval():
    rng = np.random.default_rng(4)
    true = rng.integers(20, 40, (64, 1))
    found = true + rng.integers(-3, 4, (64, 1))

    def width(clips):
        low, high = count_error(true[:clips].tolist(), found[:clips].tolist()).bias_interval
        return high - low

    assert width(64) < 0.5 * width(8)


def test_one_clip_has_no_interval():
    error = count_error([[20]], [[19]])
    assert (error.bias_interval, error.wape_interval) == (None, None)
    assert error.bias == -0.05


def test_clips_without_anybody_have_no_share_and_keep_what_was_counted():
    error = count_error([[0], [0]], [[1], [0]])
    assert (error.bias, error.wape, error.bias_interval) == (None, None, None)
    assert (error.manual, error.counted) == (0, 1)


@pytest.mark.parametrize(
    ("manual", "counted"),
    [([], []), ([[1]], [[1], [2]]), ([[1, 2], [3]], [[1, 2], [3]]), ([[-1]], [[1]])],
    ids=["none", "unequal", "ragged", "negative"],
)
def test_clips_that_cannot_be_compared_are_refused(manual, counted):
    with pytest.raises(ContractError, match="Auditing counts failed"):
        count_error(manual, counted)
