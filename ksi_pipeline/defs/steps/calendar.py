"""The calendar of each site: every local hour between its first and its last sign of life.

The span comes from what was covered and counted, never from the clock, so that a replay gives the
same rows. Coverage counts where the site was open: an answer for a whole UTC day begins a few hours
before the local business day does, and those closed hours must not add a day that nobody watched.
"""

from datetime import datetime
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc

from ksi_pipeline.core.time import HOUR, Window, merged, open_spans
from ksi_pipeline.defs.steps.backfill_steps import drop_orphans, live_from_of
from ksi_pipeline.defs.steps.touched import changed_rows, units_of
from ksi_pipeline.defs.workspace import Workspace, digest
from ksi_pipeline.space.calendar import site_calendar
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.bounds import ticket_bounds
from ksi_pipeline.store.store import Change


def build_calendars(workspace: Workspace) -> dict[str, int]:
    """Extend or correct the calendar of every site.

    Returns:
        Hours in the calendar, by site.
    """
    drop_orphans(workspace)
    coverage = workspace.store.read("coverage")
    hours: dict[str, int] = {}
    for space in workspace.spaces():
        window = _span(space, _coverage_of(space, coverage), _counted_hours(workspace, space))
        if window is not None and (window := _without_backfill(workspace, space, window)):
            hours[space.site_id] = _build_one(workspace, space, window)
    return hours


def _without_backfill(workspace: Workspace, space: Space, window: Window) -> Window | None:
    """Leave out the past that a backfill is bringing, unless the calendar had it before."""
    live_from = live_from_of(workspace, space.site_id)
    if not live_from:
        return window
    known = workspace.store.read("site_hours", source=f"calendar:{space.site_id}")
    instants = known["hour_start_utc"].to_pylist()
    start = min([*instants, *live_from])
    return window.overlap(Window(start, max(window.end, start + HOUR)))


def _coverage_of(space: Space, coverage: pa.Table) -> list[Window]:
    codes = {(link.connector, link.ext_ref_code) for link in space.file.links}
    windows = {
        Window(row["from_utc"], row["to_utc"])
        for row in coverage.to_pylist()
        if row["from_utc"] < row["to_utc"]
        and (row["site_id"] == space.site_id or (row["source_id"], row["key"]) in codes)
    }
    return merged(windows)


def _counted_hours(workspace: Workspace, space: Space) -> list[datetime]:
    """Give the first and the last hour in which something was counted, closed ones included.

    None of them may be lost.
    """
    codes = {(link.connector, link.ext_ref_code) for link in space.file.links}
    hours = list(ticket_bounds(workspace.store, codes) or ())
    for dataset in ("visits", "line_crossings", "zone_occupancy"):
        events = workspace.store.read(
            dataset, source=f"events:{space.site_id}", columns=["hour_start_utc"]
        )
        if events.num_rows:
            hours += pc.min_max(events["hour_start_utc"]).as_py().values()
    return sorted(hours)


def _span(space: Space, covered: list[Window], counted: list[datetime]) -> Window | None:
    """Give the instants between which every hour belongs to the calendar."""
    site = space.file.site
    instants = [*counted[:1], *(hour + HOUR for hour in counted[-1:])]
    for windows, pick in ((covered, 0), (covered[::-1], -1)):
        for window in windows:
            opened = open_spans(site.opening(), window, site.zone_info)
            if opened:
                instants += [opened[pick].start, opened[pick].end]
                break
    return Window(min(instants), max(instants)) if instants else None


def _build_one(workspace: Workspace, space: Space, window: Window) -> int:
    store, source = workspace.store, f"calendar:{space.site_id}"
    inputs = digest(space.file.site, window)
    before = store.read("site_hours", source=source)
    if store.ledger.inputs_of(source) == inputs:
        return int(before.num_rows)
    change = Change(cause="calendar", steps={source: inputs})
    spans_before = store.read("site_open_spans", source=source)
    tables = site_calendar(space, window)
    for dataset, table in tables.items():
        store.replace(change, dataset, table, source=source)
    changed = chain(
        changed_rows(before, tables["site_hours"]),
        changed_rows(spans_before, tables["site_open_spans"]),
    )
    touched = {row["hour_start_utc"] for row in changed}
    units = units_of(space)
    change.affect((space.site_id, unit_id, hour) for hour in touched for unit_id in units)
    store.commit(change)
    return int(tables["site_hours"].num_rows)
