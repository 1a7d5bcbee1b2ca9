"""Tracklet points into visits, line crossings and occupancy, for the days whose inputs changed.

A tracklet lives in the UTC day of its first sample, so that day is the unit of work. What a day was
last counted from (files, zones, rules) is kept as a hash; the same hash means nothing to do.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ksi_pipeline.core.occupancy import zone_occupancy
from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.core.walks import RULE_VERSION
from ksi_pipeline.defs.steps.counting import count_points, plans_version
from ksi_pipeline.defs.steps.queues import update_queues
from ksi_pipeline.defs.steps.staff import update_staff
from ksi_pipeline.defs.steps.touched import changed_hours
from ksi_pipeline.defs.workspace import Workspace, digest
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.ledger import Row
from ksi_pipeline.store.store import Change

EVENT_TABLES = ("visits", "line_crossings")


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
    """Count the site-days whose tracklets, zones or rules changed."""
    files = _files_by_day(workspace)
    counted = 0
    for space in workspace.spaces():
        days = sorted(_days_known(workspace, space) | files[space.site_id].keys())
        for number, day in enumerate(days):
            workspace.progress(f"counting {space.site_id} {day}", number / len(days))
            if _count_day(workspace, space, day, files[space.site_id].get(day, [])):
                counted += 1
        _update_occupancy(workspace, space)
        update_queues(workspace, space)
        update_staff(workspace, space)
    names = (*EVENT_TABLES, "zone_occupancy", "queue_events", "tracklet_staff", "zone_staffing")
    return EventsReport(counted, {name: _live_rows(workspace, name) for name in names})


def site_of(source: str) -> str:
    """Give the site of a source such as `chunk:<site>/<camera>/<start>` or `events:<site>`."""
    return source.partition(":")[2].partition("/")[0]


def _files_by_day(workspace: Workspace) -> dict[str, dict[str, list[Row]]]:
    files: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in workspace.store.ledger.live_files("tracklet_points"):
        files[site_of(row["source"])][row["partition"]].append(row)
    return files


def _days_known(workspace: Workspace, space: Space) -> set[str]:
    prefix = f"events:{space.site_id}/"
    return {step.removeprefix(prefix) for step in workspace.store.ledger.steps(prefix)}


def _count_day(workspace: Workspace, space: Space, day: str, files: list[Row]) -> bool:
    store = workspace.store
    step, source = f"events:{space.site_id}/{day}", f"events:{space.site_id}"
    inputs = digest(sorted(row["sha256"] for row in files), plans_version(space), RULE_VERSION)
    if store.ledger.inputs_of(step) == inputs:
        return False
    points = pa.concat_tables(
        [
            DATASETS["tracklet_points"].empty_table(),
            *(pq.read_table(store.absolute(row)) for row in files),
        ]
    )
    events = count_points(points, space)
    change = Change(cause=f"events of {day}", steps={step: inputs})
    for dataset, table in zip(EVENT_TABLES, (events.visits, events.line_crossings), strict=True):
        before = store.read(dataset, source=source, partition=day)
        store.replace(change, dataset, table, source=source, partition=day)
        change.affect(changed_hours(before, table))
    store.commit(change)
    return True


def _update_occupancy(workspace: Workspace, space: Space) -> None:
    """Spread visits over minutes, by the UTC day of the minute.

    A visit may run past midnight, so a day's minutes depend on the visits of tracklets that began
    on it and on the day before.
    """
    store, source = workspace.store, f"events:{space.site_id}"
    visits: dict[str, str] = {
        row["partition"]: row["sha256"] for row in store.ledger.live_files("visits", source=source)
    }
    prefix = f"occupancy:{space.site_id}/"
    known = {step.removeprefix(prefix) for step in store.ledger.steps(prefix)}
    for day in sorted(known | set(visits) | {_next(day) for day in visits}):
        inputs = digest(visits.get(_before(day)), visits.get(day), str(space.file.site.timezone))
        if store.ledger.inputs_of(prefix + day) != inputs:
            _spread_day(workspace, space, day, inputs)


def _spread_day(workspace: Workspace, space: Space, day: str, inputs: str) -> None:
    store, source = workspace.store, f"events:{space.site_id}"
    visits = pa.concat_tables(
        [store.read("visits", source=source, partition=d) for d in (_before(day), day)]
    )
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
