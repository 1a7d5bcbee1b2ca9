"""Tracklet points into visits, line crossings and occupancy, for the days whose inputs changed.

A tracklet lives in the UTC day of its first sample, so that day is the unit of work (count_days).
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from ksi_pipeline.core.occupancy import zone_occupancy
from ksi_pipeline.defs.steps.count_days import count_days, last_days_reached
from ksi_pipeline.defs.steps.queues import update_queues
from ksi_pipeline.defs.steps.staff import update_staff
from ksi_pipeline.defs.steps.touched import changed_hours
from ksi_pipeline.defs.workspace import Workspace, digest
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.count_versions import VERSIONED
from ksi_pipeline.store.store import Change


@dataclass(frozen=True, slots=True)
class EventsReport:
    """What a pass over the events did.

    Attributes:
        days_counted: site-days that were counted again.
        row_counts: rows of each event dataset now.
    """

    days_counted: int
    row_counts: dict[str, int]


def update_events(workspace: Workspace) -> EventsReport:
    """Count the site-days whose tracklets, zones or rules changed, and spread them over minutes."""
    counted = 0
    for space in workspace.spaces():
        counted += len(count_days(workspace, space).counted)
        update_occupancy(workspace, space)
        update_queues(workspace, space)
        update_staff(workspace, space)
    names = (*VERSIONED, "zone_occupancy", "queue_events", "tracklet_staff", "zone_staffing")
    return EventsReport(counted, {name: _live_rows(workspace, name) for name in names})


def update_occupancy(workspace: Workspace, space: Space) -> None:
    """Spread visits over minutes, by the UTC day of the minute.

    A visit may run past midnight, so a day's minutes depend on the visits of tracklets that began
    on it and before.
    """
    store = workspace.store
    visits = {
        row["partition"]: row["sha256"]
        for row in store.ledger.live_files("visits", source=f"events:{space.site_id}")
    }
    prefix = f"occupancy:{space.site_id}/"
    done = store.ledger.inputs_by_step(prefix)
    known = {step.removeprefix(prefix) for step in done}
    begun = _days_that_reach(workspace, space)
    for day in sorted(known | set(visits) | {_next(day) for day in visits} | set(begun)):
        days = [*begun.get(day, ()), _before(day), day]
        inputs = digest(*(visits.get(d) for d in days), str(space.file.site.timezone))
        if done.get(prefix + day) != inputs:
            _spread_day(workspace, space, day, days, inputs)


def _days_that_reach(workspace: Workspace, space: Space) -> dict[str, list[str]]:
    """Give, for each day that visits reach which began two days before it or more, those days."""
    begun: dict[str, list[str]] = defaultdict(list)
    for first, last in last_days_reached(workspace.store, space.site_id).items():
        day = _next(_next(first))
        while day <= last:
            begun[day].append(first)
            day = _next(day)
    return {day: sorted(days) for day, days in begun.items()}


def _spread_day(workspace: Workspace, space: Space, day: str, days: list[str], inputs: str) -> None:
    store, source = workspace.store, f"events:{space.site_id}"
    visits = pa.concat_tables([store.read("visits", source=source, partition=d) for d in days])
    minutes = zone_occupancy(visits, space.file.site.zone_info)
    start = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
    of_day = pc.and_(
        pc.greater_equal(minutes["minute_utc"], pa.scalar(start)),
        pc.less(minutes["minute_utc"], pa.scalar(start + timedelta(days=1))),
    )
    table = minutes.filter(of_day)
    change = Change(cause=f"occupancy of {day}", steps={f"occupancy:{space.site_id}/{day}": inputs})
    before = store.read("zone_occupancy", source=source, partition=day)
    store.replace(change, "zone_occupancy", table, source=source, partition=day)
    change.affect(changed_hours(before, table))
    store.commit(change)


def _live_rows(workspace: Workspace, dataset: str) -> int:
    return sum(int(row["row_count"]) for row in workspace.store.ledger.live_files(dataset))


def _before(day: str) -> str:
    return (date.fromisoformat(day) - timedelta(days=1)).isoformat()


def _next(day: str) -> str:
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()
