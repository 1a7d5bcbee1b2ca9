"""What campaigns did: judged from the daily marts, shown by fct_campaign_effect."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa

from ksi_pipeline.core.campaign_effects import (
    EFFECT_RULE_VERSION,
    UnitRecord,
    campaign_effect,
)
from ksi_pipeline.core.campaigns import METRICS, Campaign, Metric, controls_of
from ksi_pipeline.core.effect_days import UnitDay
from ksi_pipeline.core.effect_words import verdict_text
from ksi_pipeline.core.schemas import CAMPAIGN_EFFECT
from ksi_pipeline.defs.steps.python_step import Decided, PythonStep
from ksi_pipeline.defs.workspace import Workspace, digest
from ksi_pipeline.space.campaigns import load_campaigns
from ksi_pipeline.store.lake_views import open_duckdb

_READ = "campaigns read as"


def _judge(workspace: Workspace) -> Decided:
    """Judge every campaign by each of its metrics."""
    campaigns = load_campaigns(workspace.home.campaigns)
    rows: list[dict[str, Any]] = []
    if campaigns:
        with open_duckdb(workspace.home.build_db, workspace.memory_limit) as connection:
            rows = [
                row for campaign in campaigns for row in _effects(connection, campaign, campaigns)
            ]
    for row in rows:
        row["verdict_text"] = verdict_text(row)
    table = pa.Table.from_pylist(rows, schema=CAMPAIGN_EFFECT)
    inputs = digest(rows, campaigns, EFFECT_RULE_VERSION)
    return Decided(table, inputs, {_READ: _read_as(campaigns)})


def _effects(
    connection: duckdb.DuckDBPyConnection, campaign: Campaign, campaigns: Sequence[Campaign]
) -> list[dict[str, Any]]:
    known = connection.execute("select unit_key, category from marts.dim_unit").fetchall()
    control = controls_of(campaign, campaigns, {str(key): name for key, name in known})
    return [
        campaign_effect(
            campaign,
            metric,
            control,
            unit_records(connection, METRICS[metric], campaign, [*campaign.treated, *control]),
        )
        for metric in campaign.metrics
    ]


def unit_records(
    connection: duckdb.DuckDBPyConnection,
    metric: Metric,
    campaign: Campaign,
    units: Sequence[str],
) -> dict[str, UnitRecord]:
    """Read the days of some units, from the first that the campaign looks at to its last.

    Returns:
        A record for each unit that has a row in the metric's mart, by key.
    """
    # A day on which nothing was sold has no amount, and its sales are 0; where the unit never has
    # an amount they are not known, whatever was sold.
    sold = (
        "case when amount_reason = 'no_tickets' and ticket_count = 0 "
        "and count(net_sales) over (partition by unit_key) > 0 then 0 else net_sales end"
    )
    value = sold if metric.is_money else metric.value
    rows = connection.sql(
        f"select unit_key, business_date, basis = 'measured' as is_complete, "
        f"coalesce(reason, '') <> 'closed' as is_open, cast({value} as double) as value, "
        f"cast({metric.divisor or 'null'} as double) as divisor, net_sales is not null as is_sold, "
        f"currency, tax_included, is_provisional, as_of_utc "
        f"from marts.{metric.mart} where unit_key in (select unnest(?)) "
        "and business_date between ? and ? order by unit_key, business_date",
        params=[list(units), campaign.first, campaign.during.last],
    ).to_arrow_table()
    by_unit: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows.to_pylist():
        by_unit[row["unit_key"]].append(row)
    return {key: _record(metric, days) for key, days in by_unit.items()}


def _record(metric: Metric, days: Sequence[dict[str, Any]]) -> UnitRecord:
    return UnitRecord(
        history={
            day["business_date"]: UnitDay(
                day["value"] if day["is_complete"] else None, day["divisor"], day["is_open"]
            )
            for day in days
        },
        money=frozenset(
            (day["currency"], day["tax_included"])
            for day in days
            if metric.is_money and day["is_sold"] and day["is_complete"]
        ),
        is_provisional=any(day["is_provisional"] for day in days),
        as_of_utc=max((day["as_of_utc"] for day in days if day["as_of_utc"]), default=None),
    )


def _is_outdated(workspace: Workspace) -> bool:
    """Whether campaigns.yaml says something else than when it was judged, or the rule does.

    Raises:
        ConfigError: the file is wrong, or names a unit that no space file has.
    """
    path = workspace.home.campaigns
    campaigns = load_campaigns(path, workspace.spaces()) if path.exists() else ()
    judged = workspace.store.ledger.inputs_of(_READ) or _read_as(())
    return judged != _read_as(campaigns)


def _read_as(campaigns: tuple[Campaign, ...]) -> str:
    """Hash what campaigns are judged from beside models; no campaign is judged by no rule."""
    return digest(campaigns, EFFECT_RULE_VERSION) if campaigns else digest(())


def _has_no_campaign(workspace: Workspace) -> bool:
    return not load_campaigns(workspace.home.campaigns)


EFFECTS = PythonStep(
    dataset="campaign_effect",
    about=(
        "What campaigns did, before and after and against units without them. Grain: one row per "
        "campaign and metric."
    ),
    reads=("dim_unit", "fct_sales_daily", "fct_conversion_daily"),
    mart="fct_campaign_effect",
    noted_as="campaigns",
    decide=_judge,
    has_nothing=_has_no_campaign,
    is_outdated=_is_outdated,
)
