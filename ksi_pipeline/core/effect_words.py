"""The result of a campaign as a plain sentence with its numbers."""

from collections.abc import Mapping
from typing import Any

REASONS = {
    "currencies_differ": "the units sell in different currencies",
    "tax_basis_differs": "some amounts include tax and others do not, or do not say",
    "too_few_units": "there are too few units",
    "too_few_days": "too few units have enough complete days on the same weekdays",
    "days_excluded": "too many days are incomplete",
    "before_too_short": "there are too few complete days before it to test what comes before",
    "pre_trend": "treated and control units moved apart before it began",
    "placebo": "the same comparison finds an effect before it began",
    "no_variation": "the units of a group all changed by the same",
}
_SAID = {
    "shown": "An effect is shown",
    "shown_harm": "Harm is shown",
    "not_shown": "No effect is shown",
    "cannot_tell": "It cannot be told",
}


def verdict_text(row: Mapping[str, Any]) -> str:
    """Say what a row of CAMPAIGN_EFFECT says.

    >>> verdict_text({"metric": "net_sales", "effect_did": None, "verdict": "cannot_tell",
    ...               "reason": "too_few_units"})
    'It cannot be told whether net_sales changed: there are too few units.'
    """
    if row["effect_did"] is None:
        why = REASONS.get(row["reason"], "")
        return f"It cannot be told whether {row['metric']} changed: {why}."
    return " ".join(
        part for part in (_change(row), _doubt(row), _conclusion(row), _returns(row)) if part
    )


def _change(row: Mapping[str, Any]) -> str:
    number = _number_format(row)
    return (
        f"{row['metric']} of {row['treated_unit_count']} treated units went from "
        f"{number(row['treated_before'])} to {number(row['treated_during'])}, that of "
        f"{row['control_unit_count']} control units from {number(row['control_before'])} to "
        f"{number(row['control_during'])}."
    )


def _doubt(row: Mapping[str, Any]) -> str:
    number = _number_format(row, sign="+")
    text = (
        f"Before and after differ by {number(row['effect_naive'])}; against the control units the "
        f"difference is {number(row['effect_did'])}"
    )
    if row["interval_low"] is not None:
        text += (
            f", 95 % interval {number(row['interval_low'])} to {number(row['interval_high'])}, "
            f"permutation p {row['permutation_p']:.2g} of {row['permutation_count']} splits"
        )
    return f"{text}."


def _conclusion(row: Mapping[str, Any]) -> str:
    said = _SAID[row["verdict"]]
    if row["verdict"] == "cannot_tell":
        return f"{said}: {REASONS[row['reason']]}."
    if row["verdict"] != "not_shown":
        return f"{said}."
    if row["interval_low"] <= 0 <= row["interval_high"]:
        return f"{said}: the interval contains 0."
    return f"{said}: the permutation test does not agree."


def _returns(row: Mapping[str, Any]) -> str:
    if row["roi_did"] is not None:
        return (
            f"Return on the cost: {row['roi_naive']:+.1%} by before and after, "
            f"{row['roi_did']:+.1%} against the control units."
        )
    is_sales = row["metric"] == "net_sales" and row["cost"] is not None
    if is_sales and row["currency"] is not None and row["currency"] != row["cost_currency"]:
        return (
            f"No return is computed: the cost is in {row['cost_currency']}, sales are in "
            f"{row['currency']}."
        )
    return ""


def _number_format(row: Mapping[str, Any], sign: str = "") -> Any:
    """Choose decimals by the size of the figures: money has two, a rate four."""
    largest = max(abs(row["treated_before"]), abs(row["treated_during"]))
    form = f"{{:{sign},.{2 if largest >= 10 else 4}f}}"
    return form.format
