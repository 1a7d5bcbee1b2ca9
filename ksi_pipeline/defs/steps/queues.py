"""Visits to queue zones into queue events, for the days whose visits or rules changed."""

from collections.abc import Iterator

import pyarrow as pa

from ksi_pipeline.core.plan import SitePlan
from ksi_pipeline.core.queues import QUEUE_RULE_VERSION, queue_events
from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.defs.steps.touched import changed_rows, hours_in
from ksi_pipeline.defs.workspace import Workspace, digest
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.store import AffectedHour, Change


def update_queues(workspace: Workspace, space: Space) -> None:
    """Read the queues of every UTC day of tracklets anew whose visits, zones or rules changed."""
    store, source, plan = workspace.store, f"events:{space.site_id}", space.plan()
    visits: dict[str, str] = {
        row["partition"]: row["sha256"] for row in store.ledger.live_files("visits", source=source)
    }
    rules = _rules(plan)
    prefix = f"queues:{space.site_id}/"
    known = {step.removeprefix(prefix) for step in store.ledger.steps(prefix)}
    for day in sorted(known | set(visits)):
        inputs = digest(visits.get(day), rules, QUEUE_RULE_VERSION)
        if store.ledger.inputs_of(prefix + day) != inputs:
            change = Change(cause=f"queues of {day}", steps={prefix + day: inputs})
            table = queue_events(_visits(workspace, plan, source, day), plan)
            before = store.read("queue_events", source=source, partition=day)
            store.replace(change, "queue_events", table, source=source, partition=day)
            change.affect(_hours_touched(space, before, table))
            store.commit(change)


def _hours_touched(space: Space, before: pa.Table, after: pa.Table) -> Iterator[AffectedHour]:
    """Yield the unit-hours in which changed waits began, went on or ended."""
    for row in changed_rows(before, after):
        yield row["site_id"], row["unit_id"], row["hour_start_utc"]
        yield from hours_in(space, [row["unit_id"]], [(row["joined_at_utc"], row["ended_at_utc"])])


def _visits(workspace: Workspace, plan: SitePlan, source: str, day: str) -> pa.Table:
    if not any(zone.role == "queue" for zone in plan.zones):
        return DATASETS["visits"].empty_table()
    return workspace.store.read("visits", source=source, partition=day)


def _rules(plan: SitePlan) -> object:
    """Name everything but visits that queue events depend on."""
    zones = [zone for zone in plan.zones if zone.role in ("queue", "service")]
    seen = [
        sorted(camera_ids & {zone.zone_id for zone in zones}) for camera_ids in plan.sees.values()
    ]
    return plan.queue_rules, zones, sorted(seen), str(plan.zone_info)
