"""Space files into dimension tables."""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

import pyarrow as pa

from ksi_pipeline.core.schemas import DATASETS, SPACE_TABLES
from ksi_pipeline.defs.steps.touched import units_of
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.space.load import Space
from ksi_pipeline.space.model import COMMON
from ksi_pipeline.space.tables import space_tables
from ksi_pipeline.store.store import Change

# Columns that reach no mart by themselves: counts, tracklets and coverage follow from them.
_OF_NO_HOUR = {"space_version", "geometry_version", "camera_version", "polygon_wkt"}

_Span = tuple[datetime | None, datetime | None]


def load_spaces(workspace: Workspace) -> dict[str, int]:
    """Bring the dimension tables up to date with the space files.

    A changed file touches the hours in which an entry holds and did not before, or the other way
    round, of the entry's unit. What is redrawn touches its hours when the events are counted.

    A site whose file is gone leaves the marts; its tracklets and tickets stay and count again
    when the file comes back.

    Returns:
        Rows of each table over all sites.
    """
    spaces = workspace.spaces()
    _forget_removed(workspace, {space.site_id for space in spaces})
    for space in spaces:
        _load_one(workspace, space)
    return {name: workspace.store.read(name).num_rows for name in SPACE_TABLES}


def _forget_removed(workspace: Workspace, present: set[str]) -> None:
    store = workspace.store
    known = {row["site_id"] for row in store.read("space_site").to_pylist()}
    for site_id in sorted(known - present):
        change = Change(cause=f"space file of {site_id} removed")
        change.dropped_steps.append(f"calendar:{site_id}")
        units = {COMMON} | {
            row["unit_id"]
            for row in store.read("space_unit", source=f"space:{site_id}").to_pylist()
        }
        hours = store.read("site_hours", source=f"calendar:{site_id}")["hour_start_utc"]
        change.affect((site_id, unit, hour) for hour in hours.to_pylist() for unit in units)
        for dataset in (*SPACE_TABLES, "site_hours", "site_open_spans"):
            for source in (f"space:{site_id}", f"calendar:{site_id}"):
                store.replace(change, dataset, DATASETS[dataset].empty_table(), source=source)
        store.commit(change)


def _load_one(workspace: Workspace, space: Space) -> None:
    store, source = workspace.store, f"space:{space.site_id}"
    change = Change(cause=f"space model {space.version}")
    units = set(units_of(space)) | {
        row["unit_id"] for row in store.read("space_unit", source=source).to_pylist()
    }
    hours = store.read("site_hours", source=f"calendar:{space.site_id}", columns=["hour_start_utc"])
    starts = sorted(hours["hour_start_utc"].to_pylist())
    touched: set[tuple[str, datetime]] = set()
    changed = []
    for name, table in space_tables(space).items():
        before = store.read(name, source=source)
        touched |= _touched(before, table, sorted(units), starts)
        changed.append(store.replace(change, name, table, source=source))
    if any(changed):
        # Dimensions are built whole, and only when something is built.
        touched = touched or {(unit_id, start) for unit_id in units for start in starts[-1:]}
        change.affect((space.site_id, unit_id, start) for unit_id, start in touched)
        store.commit(change)


def _touched(
    before: pa.Table, after: pa.Table, units: list[str], starts: list[datetime]
) -> set[tuple[str, datetime]]:
    """Give the units and hour starts for which two versions of a dimension table differ.

    A row holds for an hour when it holds at its start, as in dbt's macro valid_at. A row that names
    no unit speaks for all of them.
    """
    touched: set[tuple[str, datetime]] = set()
    for unit_id, start, end in _differing_spans(before, after):
        low = 0 if start is None else bisect_left(starts, start)
        high = len(starts) if end is None else bisect_left(starts, end)
        named = units if unit_id is None else [unit_id]
        touched |= {(unit, at) for at in starts[low:high] for unit in named}
    return touched


def _differing_spans(before: pa.Table, after: pa.Table) -> Iterator[tuple[str | None, *_Span]]:
    """Yield the unit and the ends of each span in which only one of the tables has some row."""
    held: dict[tuple[object, ...], tuple[list[_Span], list[_Span]]] = {}
    for side, table in enumerate((before, after)):
        for row in table.to_pylist():
            span = row.pop("valid_from_utc", None), row.pop("valid_to_utc", None)
            # a camera that sees a staff zone tells the staff of every unit whose doors it sees
            unit_id = None if row.get("role") == "staff" else row.get("unit_id")
            key = unit_id, *(row[name] for name in sorted(row.keys() - _OF_NO_HOUR))
            held.setdefault(key, ([], []))[side].append(span)
    for key, (old, new) in held.items():
        bounds = sorted({end for span in (*old, *new) for end in span if end is not None})
        for start, end in pairwise([None, *bounds, None]):
            if _holds(old, start, end) != _holds(new, start, end):
                named = key[0]
                yield None if named is None else str(named), start, end


def _holds(spans: list[_Span], start: datetime | None, end: datetime | None) -> bool:
    """Whether one of the spans lasts all through a span that none of them cuts."""
    return any(
        (begins is None or (start is not None and begins <= start))
        and (ends is None or (end is not None and end <= ends))
        for begins, ends in spans
    )
