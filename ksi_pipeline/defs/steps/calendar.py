"""The calendar of each site: every local hour between its first and its last sign of life.

The span comes from what was covered, never from the clock, so that a replay gives the same rows.
"""

from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from ksi_pipeline.core.time import Window
from ksi_pipeline.defs.steps.touched import units_of
from ksi_pipeline.defs.workspace import Workspace, digest
from ksi_pipeline.space.calendar import site_calendar
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.store import Change


def build_calendars(workspace: Workspace) -> dict[str, int]:
    """Extend or correct the calendar of every site.

    Returns:
        Hours in the calendar, by site.
    """
    coverage = workspace.store.read("coverage")
    hours: dict[str, int] = {}
    for space in workspace.spaces():
        window = _span(space, coverage)
        if window is not None:
            hours[space.site_id] = _build_one(workspace, space, window)
    return hours


def _span(space: Space, coverage: pa.Table) -> Window | None:
    codes = {(link.connector, link.ext_ref_code) for link in space.file.links}
    instants: list[datetime] = []
    cameras = coverage.filter(pc.equal(coverage["site_id"], space.site_id))
    feeds = coverage.filter(pc.equal(coverage["source_kind"], "feed"))
    keys = zip(feeds["source_id"].to_pylist(), feeds["key"].to_pylist(), strict=True)
    ours = feeds.filter(pa.array([key in codes for key in keys], pa.bool_()))
    for table in (cameras, ours):
        if table.num_rows:
            instants += [pc.min(table["from_utc"]).as_py(), pc.max(table["to_utc"]).as_py()]
    if not instants or min(instants) >= max(instants):
        return None
    return Window(min(instants), max(instants))


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
    touched = _hours_changed(before, tables["site_hours"])
    touched |= _hours_changed(spans_before, tables["site_open_spans"])
    units = units_of(space)
    change.affect((space.site_id, unit_id, hour) for hour in touched for unit_id in units)
    store.commit(change)
    return int(tables["site_hours"].num_rows)


def _hours_changed(before: pa.Table, after: pa.Table) -> set[datetime]:
    old = {tuple(row.items()) for row in before.to_pylist()}
    new = {tuple(row.items()) for row in after.to_pylist()}
    return {dict(row)["hour_start_utc"] for row in old ^ new}
