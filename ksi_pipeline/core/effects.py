"""Effect of a campaign from one change for each unit: difference in differences, and its doubt.

What was measured of a unit before and during the campaign is two figures; their difference is its
*change*. The effect is the mean change of treated units less that of control units. Its doubt comes
from how much changes differ between units, never from how many days there are: a unit is one
observation. What turns days into these figures is core.effect_days; what may be said of the result
is core.campaigns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb, expm1, log, sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

from ksi_pipeline.core.errors import ContractError

ALPHA = 0.05
# up to as many splits are all looked at; beyond, so many are drawn
EXACT_SPLITS = 20_000
DRAWN_SPLITS = 9_999
# A difference below this share of the figures is rounding, not a change.
_ROUNDING = 1e-9
_SEED = 20_260_301

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Means:
    """Means over units: treated and control, before and during."""

    treated_before: float
    treated_during: float
    control_before: float
    control_during: float

    @property
    def naive(self) -> float:
        """Change of the treated units alone: before and after."""
        return self.treated_during - self.treated_before

    @property
    def did(self) -> float:
        """Change of the treated units less that of the control units."""
        return self.naive - (self.control_during - self.control_before)

    @property
    def counterfactual(self) -> float | None:
        """What the treated units would have come to, had they grown as the control units did.

        Null where either had nothing before, or less: nothing grows from there.
        """
        if min(self.treated_before, self.control_before) <= 0:
            return None
        return self.treated_before * self.control_during / self.control_before

    @property
    def log_did(self) -> float | None:
        """Growth of the treated units over that of the control units, as a share.

        It is exp(log difference in differences) - 1, which is what came beside the counterfactual;
        null where a mean is not above 0.
        """
        means = (self.treated_before, self.treated_during, self.control_before, self.control_during)
        if min(means) <= 0:
            return None
        growth = log(self.treated_during / self.treated_before)
        return expm1(growth - log(self.control_during / self.control_before))


@dataclass(frozen=True, slots=True)
class Welch:
    """Difference of two means whose spreads may differ, with its 95 % interval."""

    difference: float
    standard_error: float
    degrees_of_freedom: float
    t: float
    critical: float
    p: float

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.difference - self.critical * self.standard_error

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.difference + self.critical * self.standard_error


@dataclass(frozen=True, slots=True)
class Permutation:
    """How often chance alone gives a difference as large as the one that was found.

    Attributes:
        p: share of the splits whose difference is at least as large, either way; the found split
            is one of them, so it is never 0.
        splits: how many were looked at.
        is_exact: whether these are all there are.
    """

    p: float
    splits: int
    is_exact: bool


def group_means(
    treated_before: Sequence[float],
    treated_during: Sequence[float],
    control_before: Sequence[float],
    control_during: Sequence[float],
) -> Means:
    """Average over units; each counts once, however large it is.

    Raises:
        ContractError: a group is empty.

    >>> means = group_means([1000.0], [1150.0], [800.0], [840.0])
    >>> means.naive, means.did, means.counterfactual
    (150.0, 110.0, 1050.0)
    """
    groups = (treated_before, treated_during, control_before, control_during)
    if not all(len(group) for group in groups):
        raise ContractError("An effect needs a treated and a control unit; one group is empty.")
    return Means(*(_mean(group) for group in groups))


def welch(treated: Sequence[float], control: Sequence[float], scale: float) -> Welch | None:
    """Compare the changes of two groups of units (Welch 1947, Satterthwaite's df).

    Args:
        treated: change of each unit.
        control: the same.
        scale: size of the figures that the changes are differences of; below a billionth of it, a
            spread is rounding.

    Returns:
        Null where a group has fewer than two units, or no unit differs from its group, so that
        nothing tells how sure the difference is.
    """
    if min(len(treated), len(control)) < 2:
        return None
    spreads = [float(np.var(sorted(group), ddof=1)) / len(group) for group in (treated, control)]
    variance = sum(spreads)
    error = sqrt(variance)
    if error <= _ROUNDING * scale:
        return None
    freedom = variance**2 / (
        spreads[0] ** 2 / (len(treated) - 1) + spreads[1] ** 2 / (len(control) - 1)
    )
    difference = _mean(treated) - _mean(control)
    t = difference / error
    return Welch(difference, error, freedom, t, critical_t(freedom), two_sided_p(t, freedom))


def permutation(treated: Sequence[float], control: Sequence[float]) -> Permutation:
    """Ask how often a random choice of treated units differs as much from the others.

    All splits are looked at while there are at most EXACT_SPLITS; beyond, DRAWN_SPLITS are drawn
    with a fixed seed, so that a replay gives the same.

    Raises:
        ContractError: a group is empty.
    """
    if not treated or not control:
        raise ContractError("A permutation test needs units in both groups; one is empty.")
    # the order of units decides nothing, not even which splits are drawn
    changes = np.array([*sorted(treated), *sorted(control)])
    size, count = len(treated), len(changes)
    total = comb(count, size)
    found = abs(_differences(changes, np.arange(size)[None, :])[0])
    at_least = found - _ROUNDING * max(1.0, float(np.abs(changes).max()))
    if total <= EXACT_SPLITS:
        chosen = np.array(list(combinations(range(count), size)))
        hits = int(np.count_nonzero(np.abs(_differences(changes, chosen)) >= at_least))
        return Permutation(hits / total, total, is_exact=True)
    hits = sum(
        int(np.count_nonzero(np.abs(_differences(changes, chosen)) >= at_least))
        for chosen in _drawn(count, size)
    )
    return Permutation((1 + hits) / (1 + DRAWN_SPLITS), DRAWN_SPLITS, is_exact=False)


def least_p(treated_count: int, control_count: int) -> float:
    """Give the smallest p that a permutation test of so many units can come to, either way."""
    splits = comb(treated_count + control_count, treated_count)
    # with groups of one size, the mirrored split differs as much
    return (2 if treated_count == control_count else 1) / splits


def roi(gain: float, margin_rate: float, cost: float) -> float:
    """Give what a campaign earned on its cost, as a share: (gain x margin - cost) / cost.

    Args:
        gain: additional net sales over the whole campaign, in the currency of the cost.
        margin_rate: share of net sales that is left after the cost of goods.
        cost: of the campaign, above 0.

    >>> round(roi(150 * 14, 0.4, 700), 4), round(roi(110 * 14, 0.4, 700), 4)
    (0.2, -0.12)
    """
    return (gain * margin_rate - cost) / cost


def critical_t(degrees_of_freedom: float, alpha: float = ALPHA) -> float:
    """Give the value that |t| passes with a chance of alpha."""
    return float(stdtrit(degrees_of_freedom, 1 - alpha / 2))


def two_sided_p(t: float, degrees_of_freedom: float) -> float:
    """Give the chance of a t at least as far from 0."""
    return float(2 * stdtr(degrees_of_freedom, -abs(t)))


def _mean(values: Sequence[float]) -> float:
    # sorted, so that the order of units does not decide the last bits
    return float(np.mean(sorted(values)))


def _differences(changes: FloatArray, chosen: npt.NDArray[np.int64]) -> FloatArray:
    """Give the difference of means for each row of chosen units."""
    size, count = chosen.shape[1], len(changes)
    sums = changes[chosen].sum(axis=1)
    result: FloatArray = sums / size - (changes.sum() - sums) / (count - size)
    return result


def _drawn(count: int, size: int) -> Iterator[npt.NDArray[np.int64]]:
    random = np.random.default_rng(_SEED)
    left = DRAWN_SPLITS
    while left:
        rows = min(left, 1_000)
        keys = random.random((rows, count))
        yield np.argpartition(keys, size - 1, axis=1)[:, :size]
        left -= rows
