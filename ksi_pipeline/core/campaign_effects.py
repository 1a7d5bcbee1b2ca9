"""What a campaign did to a metric, and what may be said of it.

The verdict is `shown` (or `shown_harm`) only where the 95 % interval of the difference in
differences leaves out 0, a permutation test agrees, treated and control units moved alike before
the campaign, and the same computation finds nothing where there was no campaign. Otherwise it is
`not_shown`, or `cannot_tell` with a reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ksi_pipeline.core.campaigns import METRICS, Campaign
from ksi_pipeline.core.effect_days import (
    Days,
    History,
    Trend,
    UnitChange,
    pre_trend,
    unit_change,
)
from ksi_pipeline.core.effects import (
    ALPHA,
    Means,
    Permutation,
    Welch,
    group_means,
    least_p,
    permutation,
    roi,
    welch,
)

EFFECT_RULE_VERSION = 1
# Below this share of complete days nothing is said.
MIN_COMPLETENESS = 0.8
_COMPLETE = 0.98
# A spread below a billionth of the figures is rounding.
_ROUNDING = 1e-9

VERDICTS = ("shown", "shown_harm", "not_shown", "cannot_tell")


@dataclass(frozen=True, slots=True)
class UnitRecord:
    """The days of one unit in one metric.

    Attributes:
        money: currency and tax_included of the amounts.
        as_of_utc: newest ticket revision used; null: none.
    """

    history: History
    money: frozenset[tuple[str | None, bool | None]] = frozenset()
    is_provisional: bool = False
    as_of_utc: datetime | None = None


def campaign_effect(
    campaign: Campaign, metric: str, control: Sequence[str], records: Mapping[str, UnitRecord]
) -> dict[str, Any]:
    """Judge one campaign by one metric.

    Args:
        campaign: the campaign.
        metric: a key of METRICS.
        control: keys of the control units.
        records: of the units, by key; a unit without one has no days.

    Returns:
        A row of the schema CAMPAIGN_EFFECT, without verdict_text.
    """
    is_ratio = METRICS[metric].divisor is not None
    groups = [
        [records.get(key, UnitRecord({})) for key in sorted(set(keys))]
        for keys in (campaign.treated, control)
    ]
    found = _compare(groups, campaign.before, campaign.during, is_ratio=is_ratio)
    treated, others = ([record.history for record in group] for group in groups)
    trend = pre_trend(treated, others, campaign.before, is_ratio=is_ratio)
    placebo = _compare(groups, *(campaign.placebo or campaign.before.halves()), is_ratio=is_ratio)
    money = {pair for group in groups for record in group for pair in record.money}
    differ = _why_not_added(money)
    if differ:
        found = replace(found, means=None, test=None, permuted=None)
    (currency, tax_included) = next(iter(money)) if len(money) == 1 else (None, None)
    verdict, reason = _verdict(found, trend, placebo, differ)
    known = [record for group in groups for record in group if record.history]
    return {
        "campaign_id": campaign.id,
        "metric": metric,
        "before_from": campaign.before.first,
        "before_to": campaign.before.last,
        "during_from": campaign.during.first,
        "during_to": campaign.during.last,
        **found.as_row(),
        "pre_trend_slope": trend.slope if trend else None,
        "pre_trend_p": trend.p if trend else None,
        "placebo_effect": placebo.means.did if placebo.means else None,
        "placebo_p": placebo.p,
        **_returns(campaign, metric, found, currency, verdict),
        "currency": currency,
        "tax_included": tax_included,
        "verdict": verdict,
        "basis": found.basis,
        "reason": reason or ("days_excluded" if found.basis == "partial" else None),
        "is_provisional": any(record.is_provisional for record in known),
        "as_of_utc": max((r.as_of_utc for r in known if r.as_of_utc), default=None),
        "rule_version": EFFECT_RULE_VERSION,
    }


@dataclass(frozen=True, slots=True)
class _Found:
    """What two windows show; figures are null where a group has no unit left."""

    treated: tuple[UnitChange, ...]
    control: tuple[UnitChange, ...]
    means: Means | None
    test: Welch | None
    permuted: Permutation | None

    @property
    def completeness(self) -> float | None:
        every = (*self.treated, *self.control)
        complete = sum(unit.complete_day_count for unit in every)
        whole = complete + sum(unit.excluded_day_count for unit in every)
        return complete / whole if whole else None

    @property
    def basis(self) -> str:
        if self.means is None:
            return "missing"
        return "measured" if (self.completeness or 0) >= _COMPLETE else "partial"

    @property
    def p(self) -> float | None:
        """Chance of the difference without an effect; 1 or 0 where no unit differs from another."""
        if self.means is None or self.permuted is None:
            return None
        if self.test is not None:
            return self.test.p
        if min(len(_used(self.treated)), len(_used(self.control))) < 2:
            return None
        return 1.0 if abs(self.means.did) <= _ROUNDING * _scale(self.means) else 0.0

    def as_row(self) -> dict[str, Any]:
        means, test, permuted = self.means, self.test, self.permuted
        treated, control = _used(self.treated), _used(self.control)
        every = (*self.treated, *self.control)
        return {
            "treated_unit_count": len(treated),
            "control_unit_count": len(control),
            "excluded_unit_count": len(every) - len(treated) - len(control),
            "treated_day_count": sum(unit.day_count for unit in treated),
            "control_day_count": sum(unit.day_count for unit in control),
            "excluded_day_count": sum(unit.excluded_day_count for unit in every),
            "treated_before": means.treated_before if means else None,
            "treated_during": means.treated_during if means else None,
            "control_before": means.control_before if means else None,
            "control_during": means.control_during if means else None,
            "counterfactual": means.counterfactual if means else None,
            "effect_naive": means.naive if means else None,
            "effect_did": means.did if means else None,
            "effect_log_did": means.log_did if means else None,
            "standard_error": test.standard_error if test else None,
            "degrees_of_freedom": test.degrees_of_freedom if test else None,
            "t_statistic": test.t if test else None,
            "t_critical": test.critical if test else None,
            "p_value": test.p if test else None,
            "interval_low": test.low if test else None,
            "interval_high": test.high if test else None,
            "permutation_p": permuted.p if permuted else None,
            "permutation_count": permuted.splits if permuted else None,
            "is_permutation_exact": permuted.is_exact if permuted else None,
            "completeness": self.completeness,
        }


def _used(units: Sequence[UnitChange]) -> list[UnitChange]:
    return [unit for unit in units if unit.change is not None]


def _scale(means: Means) -> float:
    return max(abs(means.treated_before), abs(means.treated_during), abs(means.control_before))


def _compare(
    groups: Sequence[Sequence[UnitRecord]], before: Days, during: Days, *, is_ratio: bool
) -> _Found:
    treated, control = (
        tuple(unit_change(one.history, before, during, is_ratio=is_ratio) for one in group)
        for group in groups
    )
    sides = [
        [(u.before, u.during) for u in units if u.before is not None and u.during is not None]
        for units in (treated, control)
    ]
    if not all(sides):
        return _Found(treated, control, None, None, None)
    means = group_means(*([pair[n] for pair in side] for side in sides for n in (0, 1)))
    of_treated, of_control = ([during - before for before, during in side] for side in sides)
    test = welch(of_treated, of_control, _scale(means))
    return _Found(treated, control, means, test, permutation(of_treated, of_control))


def _why_not_added(money: set[tuple[str | None, bool | None]]) -> str | None:
    """Say why amounts cannot be laid beside each other; money is not added over currencies."""
    if len({currency for currency, _ in money}) > 1:
        return "currencies_differ"
    return "tax_basis_differs" if len(money) > 1 else None


def _verdict(
    found: _Found, trend: Trend | None, placebo: _Found, differ: str | None
) -> tuple[str, str | None]:
    """Give the verdict and, where it cannot be told, the first reason that holds."""
    counts = [len(_used(units)) for units in (found.treated, found.control)]
    if differ:
        return "cannot_tell", differ
    if min(len(found.treated), len(found.control)) < 2:
        return "cannot_tell", "too_few_units"
    if found.means is None or min(counts) < 2:
        return "cannot_tell", "too_few_days"
    if (found.completeness or 0) < MIN_COMPLETENESS:
        return "cannot_tell", "days_excluded"
    if trend is None or placebo.p is None:
        return "cannot_tell", "before_too_short"
    if trend.p < ALPHA:
        return "cannot_tell", "pre_trend"
    if placebo.p < ALPHA:
        return "cannot_tell", "placebo"
    if found.test is None or found.permuted is None:
        return "cannot_tell", "no_variation"
    if found.test.low <= 0 <= found.test.high:
        return "not_shown", None
    if found.permuted.p > ALPHA:
        # the interval rests on few units and on their being spread evenly
        few = least_p(*counts) > ALPHA
        return ("cannot_tell", "too_few_units") if few else ("not_shown", None)
    return ("shown" if found.test.low > 0 else "shown_harm"), None


def _returns(
    campaign: Campaign, metric: str, found: _Found, currency: str | None, verdict: str
) -> dict[str, Any]:
    """Give the return on the cost: null where margin or cost are not given, or do not fit."""
    row: dict[str, Any] = {
        "margin_rate": campaign.margin_rate,
        "cost": campaign.cost,
        "cost_currency": campaign.currency,
        "roi_naive": None,
        "roi_did": None,
    }
    fits = metric == "net_sales" and currency is not None and currency == campaign.currency
    if not fits or found.means is None or verdict == "cannot_tell":
        return row
    if campaign.margin_rate is None or campaign.cost is None:
        return row
    unit_days = sum(unit.open_day_count for unit in _used(found.treated))
    for name, effect in (("roi_naive", found.means.naive), ("roi_did", found.means.did)):
        row[name] = roi(effect * unit_days, campaign.margin_rate, float(campaign.cost))
    return row
