"""What a campaign is, what it can be judged by, and which units it is compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from ksi_pipeline.core.effect_days import Days


@dataclass(frozen=True, slots=True)
class Metric:
    """What a campaign can be judged by: a column of a daily mart, or one over another."""

    mart: str
    value: str
    divisor: str | None = None

    @property
    def is_money(self) -> bool:
        """Whether it is in a currency."""
        return self.value == "net_sales"


METRICS = {
    "net_sales": Metric("fct_sales_daily", "net_sales"),
    "ticket_count": Metric("fct_sales_daily", "ticket_count"),
    "average_ticket_value": Metric("fct_sales_daily", "net_sales", "ticket_count"),
    "net_entry_count": Metric("fct_conversion_daily", "net_entry_count"),
    "conversion_rate": Metric("fct_conversion_daily", "ticket_count", "net_entry_count"),
    "sales_per_visitor": Metric("fct_conversion_daily", "net_sales", "net_entry_count"),
}


@dataclass(frozen=True, slots=True)
class Campaign:
    """One campaign.

    Attributes:
        treated: keys (site_id/unit_id) of the units that had it.
        control: keys of units that did not; null: those of the same sites and category.
        placebo: two windows before the campaign; null: the halves of `before`.
        margin_rate: share of net sales left after the cost of goods; null: no return is computed.
        cost: of the whole campaign, all treated units together, in `currency`.
    """

    id: str
    treated: tuple[str, ...]
    control: tuple[str, ...] | None
    before: Days
    during: Days
    metrics: tuple[str, ...]
    placebo: tuple[Days, Days] | None = None
    margin_rate: float | None = None
    cost: Decimal | None = None
    currency: str | None = None

    @property
    def first(self) -> date:
        """First day that is looked at."""
        return min([self.before.first, *(days.first for days in self.placebo or ())])

    def disturbs(self, other: "Campaign") -> bool:
        """Whether it ran while the other one looked at its units."""
        return self.during.overlaps(other.before) or self.during.overlaps(other.during)


def controls_of(
    campaign: Campaign, campaigns: Sequence[Campaign], categories: Mapping[str, str | None]
) -> tuple[str, ...]:
    """Give the control units: those that are named, or those of the same sites and category.

    A unit that another campaign treated in the time is no control by its category.

    Args:
        campaign: whose units are asked for.
        campaigns: all of them.
        categories: of each unit, by key.
    """
    if campaign.control is not None:
        return campaign.control
    alike = {(key.split("/")[0], categories.get(key)) for key in campaign.treated}
    disturbed = {key for one in campaigns if one.disturbs(campaign) for key in one.treated}
    return tuple(
        key
        for key, category in sorted(categories.items())
        if category is not None
        and (key.split("/")[0], category) in alike
        and key not in disturbed | set(campaign.treated)
    )
