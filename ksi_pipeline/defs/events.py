"""Assets that count: events from tracklets, and the calendar they are laid on."""

from collections.abc import Iterator

import dagster as dg

from ksi_pipeline.defs.failures import no_retry_on_permanent_errors
from ksi_pipeline.defs.space import space_model
from ksi_pipeline.defs.steps.calendar import build_calendars
from ksi_pipeline.defs.steps.events import update_events
from ksi_pipeline.defs.tickets import ticket_hours
from ksi_pipeline.defs.vision import tracklets
from ksi_pipeline.defs.workspace import Workspace

_EVENT_SPECS = [
    dg.AssetSpec(
        name,
        group_name="events",
        kinds={"python", "parquet"},
        deps=[tracklets, space_model],
        description=description,
    )
    for name, description in (
        ("visits", "Grain: one row per visit of a tracklet to a zone."),
        ("line_crossings", "Grain: one row per directed crossing of a counting line."),
        ("zone_occupancy", "Grain: one row per zone and minute in which somebody was there."),
        ("queue_events", "Grain: one row per visit of a tracklet to a queue zone."),
        ("tracklet_staff", "Grain: one row per tracklet with a visit, where a staff rule is set."),
        ("zone_staffing", "Grain: one row per zone, local hour and UTC day with a customer."),
    )
]
_CALENDAR_SPECS = [
    dg.AssetSpec(
        name,
        group_name="events",
        kinds={"python", "parquet"},
        deps=[tracklets, ticket_hours, space_model],
        description=description,
    )
    for name, description in (
        ("site_hours", "Grain: one row per site and local hour, 23 or 25 of them on DST days."),
        ("coverage", "Grain: one row per source and span; what was watched, and what was not."),
    )
]


@dg.multi_asset(specs=_EVENT_SPECS, name="zone_events")
def zone_events(
    context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
) -> Iterator[dg.MaterializeResult]:
    """Count the days whose tracklets, zones or rules changed; leave the others alone."""
    with no_retry_on_permanent_errors(context):
        report = update_events(workspace)
    for name, rows in report.row_counts.items():
        yield dg.MaterializeResult(
            asset_key=name,
            metadata={"dagster/row_count": rows, "days_counted": report.days_counted},
        )


@dg.multi_asset(specs=_CALENDAR_SPECS, name="calendar")
def calendar(
    context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
) -> Iterator[dg.MaterializeResult]:
    """Lay out every local hour between a site's first and last covered instant."""
    with no_retry_on_permanent_errors(context):
        hours = build_calendars(workspace)
    coverage = sum(int(f["row_count"]) for f in workspace.store.ledger.live_files("coverage"))
    yield dg.MaterializeResult(
        asset_key="site_hours", metadata={"dagster/row_count": sum(hours.values())}
    )
    yield dg.MaterializeResult(asset_key="coverage", metadata={"dagster/row_count": coverage})
