"""How far a system's counts are from counts by hand, over clips of video.

Bias says whether it counts too much or too little in sum; clips that cancel each other leave it at
0. WAPE (weighted absolute percentage error) sums the size of every error, so nothing cancels: not
clip against clip, and not in against out. Both are shares of all that was counted by hand.

The intervals come from drawing clips anew with replacement: a clip is one observation, however many
people are in it, and a wide interval asks for more clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ksi_pipeline.core.errors import ContractError

DRAWS = 10_000
# An interval holds so much of what the draws gave.
CONFIDENCE = 0.95
_SEED = 20_260_301

FloatArray = npt.NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class CountError:
    """Errors of counts over clips.

    Attributes:
        clips: how many.
        manual: people counted by hand, the sum.
        counted: people counted by the system, the sum.
        bias: (counted - manual) / manual, a share; null where nobody was counted by hand.
        wape: sum of absolute errors / manual, a share; null as bias.
        bias_interval: of 95 %, by bootstrap over clips; null as bias, and with fewer than 2 clips.
        wape_interval: the same of wape.
    """

    clips: int
    manual: int
    counted: int
    bias: float | None
    wape: float | None
    bias_interval: Interval | None
    wape_interval: Interval | None


def count_error(manual: Sequence[Sequence[int]], counted: Sequence[Sequence[int]]) -> CountError:
    """Compare what a system counted in clips with what people counted.

    Args:
        manual: one row a clip, with one count or one for each direction; people, at least 0.
        counted: the system's counts of the same, in the same order.

    Raises:
        ContractError: there is no clip, the shapes differ, or a count is below 0.

    Source: weighted absolute percentage error, Kolassa and Schuetz 2007, Foresight 6.

    >>> error = count_error([[20], [30], [50]], [[19], [33], [48]])
    >>> error.bias, error.wape
    (0.0, 0.06)
    """
    true, found = _counts(manual), _counts(counted)
    if true.shape != found.shape:
        raise ContractError(
            f"Auditing counts failed: {true.shape} were counted by hand and {found.shape} by the "
            "system, clips by directions. Give the counts of the same clips."
        )
    total = int(true.sum())
    # a clip is drawn whole, with both of its directions
    clip_true = true.sum(axis=1)
    clip_net = (found - true).sum(axis=1)
    clip_off = np.abs(found - true).sum(axis=1)
    return CountError(
        clips=len(true),
        manual=total,
        counted=int(found.sum()),
        bias=float(clip_net.sum() / total) if total else None,
        wape=float(clip_off.sum() / total) if total else None,
        bias_interval=_interval(clip_net, clip_true),
        wape_interval=_interval(clip_off, clip_true),
    )


def _counts(rows: Sequence[Sequence[int]]) -> FloatArray:
    if len({len(row) for row in rows}) != 1:
        raise ContractError(
            f"Auditing counts failed: {len(rows)} clips, which need to be at least one, with the "
            "same directions in each."
        )
    counts = np.array(rows, dtype=np.float64)
    if counts.size and counts.min() < 0:
        raise ContractError(
            f"Auditing counts failed: a count is {counts.min():g}; people are 0 or more."
        )
    return counts


def _interval(errors: FloatArray, true: FloatArray) -> Interval | None:
    if len(true) < 2 or not true.sum():
        return None
    drawn = np.random.default_rng(_SEED).integers(len(true), size=(DRAWS, len(true)))
    people = true[drawn].sum(axis=1)
    has_people = people > 0
    shares = errors[drawn].sum(axis=1)[has_people] / people[has_people]
    low, high = np.quantile(shares, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
