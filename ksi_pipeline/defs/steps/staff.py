"""Visits into staff flags and the staffing of zones, for the days whose visits or rules changed."""

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from ksi_pipeline.core.plan import SitePlan
from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.core.staff import (
    STAFF_RULE_VERSION,
    STAFFED_ROLES,
    tracklet_staff,
    zone_staffing,
)
from ksi_pipeline.core.time import Window
from ksi_pipeline.defs.steps.touched import changed_hours
from ksi_pipeline.defs.workspace import Workspace, digest
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.store import AffectedHour, Change

_DAY = timedelta(days=1)


def update_staff(workspace: Workspace, space: Space) -> None:
    """Tell staff from customers anew for every day whose visits, crossings or rule changed."""
    store, source, plan = workspace.store, f"events:{space.site_id}", space.plan()
    visits: dict[str, str] = {
        row["partition"]: row["sha256"] for row in store.ledger.live_files("visits", source=source)
    }
    rules = _rules(plan)
    flags, staffing = f"staff:{space.site_id}/", f"staffing:{space.site_id}/"
    for day in sorted(_known(workspace, flags) | set(visits)):
        inputs = digest(visits.get(day), rules)
        if store.ledger.inputs_of(flags + day) != inputs:
            _flag_day(workspace, source, day, plan, flags + day, inputs)
    after = {_shifted(day, _DAY) for day in visits}
    for day in sorted(_known(workspace, staffing) | set(visits) | after):
        inputs = digest(visits.get(_shifted(day, -_DAY)), visits.get(day), rules)
        if store.ledger.inputs_of(staffing + day) != inputs:
            _measure_day(workspace, source, day, plan, staffing + day, inputs)


def _flag_day(
    workspace: Workspace, source: str, day: str, plan: SitePlan, step: str, inputs: str
) -> None:
    """Flag the tracklets of a UTC day; touched is where those with another flag went and stayed."""
    store = workspace.store
    table = tracklet_staff(_visits(workspace, plan, source, day), plan)
    before = store.read("tracklet_staff", source=source, partition=day)
    change = Change(cause=f"staff of {day}", steps={step: inputs})
    store.replace(change, "tracklet_staff", table, source=source, partition=day)
    flipped = _staff(before) ^ _staff(table)
    # marts read the flag with crossings and with visits, of which a tracklet may have only one
    for dataset in ("line_crossings", "visits"):
        change.affect(_hours_of(store.read(dataset, source=source, partition=day), flipped))
    store.commit(change)


def _measure_day(
    workspace: Workspace, source: str, day: str, plan: SitePlan, step: str, inputs: str
) -> None:
    """Measure one UTC day; visits of tracklets that began the day before may run into it."""
    store = workspace.store
    days = (_shifted(day, -_DAY), day)
    visits = pa.concat_tables([_visits(workspace, plan, source, d) for d in days])
    staff = pa.concat_tables(
        [store.read("tracklet_staff", source=source, partition=d) for d in days]
    )
    start = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
    table = zone_staffing(visits, staff, plan, Window(start, start + _DAY))
    before = store.read("zone_staffing", source=source, partition=day)
    change = Change(cause=f"staffing of {day}", steps={step: inputs})
    store.replace(change, "zone_staffing", table, source=source, partition=day)
    change.affect(changed_hours(before, table))
    store.commit(change)


def _visits(workspace: Workspace, plan: SitePlan, source: str, day: str) -> pa.Table:
    if plan.staff_rule is None:
        return DATASETS["visits"].empty_table()
    return workspace.store.read("visits", source=source, partition=day)


def _staff(flags: pa.Table) -> set[str]:
    return set(flags.filter(flags["is_staff"])["tracklet_id"].to_pylist())


def _hours_of(events: pa.Table, tracklets: set[str]) -> set[AffectedHour]:
    """Give the unit-hours in which some tracklets did something."""
    theirs = events.filter(
        pc.is_in(events["tracklet_id"], pa.array(sorted(tracklets), pa.string()))
    ).to_pylist()
    return {(row["site_id"], row["unit_id"], row["hour_start_utc"]) for row in theirs}


def _rules(plan: SitePlan) -> object:
    """Name everything but visits that staff flags and staffing depend on; without a rule nothing.

    Shapes are left out: another shape gives other visits.
    """
    if plan.staff_rule is None:
        return None
    zones = [
        (zone.zone_id, zone.role, zone.valid_from, zone.valid_to)
        for zone in plan.zones
        if zone.role in STAFFED_ROLES | {"staff"}
    ]
    seen = sorted(sorted(ids) for ids in plan.sees.values())
    return STAFF_RULE_VERSION, plan.staff_rule, zones, seen, str(plan.zone_info)


def _known(workspace: Workspace, prefix: str) -> set[str]:
    return {step.removeprefix(prefix) for step in workspace.store.ledger.steps(prefix)}


def _shifted(day: str, by: timedelta) -> str:
    return (date.fromisoformat(day) + by).isoformat()
