"""Which unit-hours a change touches."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import pyarrow as pa

from ksi_pipeline.core.time import Window, local_hours
from ksi_pipeline.space.load import Space
from ksi_pipeline.space.model import COMMON
from ksi_pipeline.store.store import AffectedHour


def changed_hours(before: pa.Table, after: pa.Table) -> set[AffectedHour]:
    """Give the unit-hours of rows that one table has and the other has not.

    Both tables have site_id, unit_id and hour_start_utc.
    """
    return {
        (row["site_id"], row["unit_id"], row["hour_start_utc"])
        for row in changed_rows(before, after)
    }


def changed_rows(before: pa.Table, after: pa.Table) -> Iterator[dict[str, Any]]:
    """Yield the rows that one of two tables of the same columns has and the other has not."""
    old = {tuple(row.items()) for row in before.to_pylist()}
    new = {tuple(row.items()) for row in after.to_pylist()}
    return map(dict, old ^ new)


def units_of(space: Space) -> list[str]:
    """Give all units of a site, the common area included."""
    return [COMMON, *(unit.id for unit in space.file.units)]


def units_seen(space: Space, camera_id: str) -> list[str]:
    """Give the units for whose zones and lines a camera counts."""
    plan = space.plan()
    seen = plan.sees.get(camera_id, frozenset())
    units = {zone.unit_id for zone in plan.zones if zone.zone_id in seen}
    units |= {line.unit_id for line in plan.lines if line.line_id in seen}
    return sorted(units)


def hours_in(
    space: Space, units: Iterable[str], spans: Iterable[tuple[datetime, datetime]]
) -> Iterator[AffectedHour]:
    """Yield the unit-hours that overlap spans of time; empty spans touch nothing."""
    listed = list(units)
    for start, end in spans:
        if start < end:
            for hour in local_hours(Window(start, end), space.file.site.zone_info):
                for unit_id in listed:
                    yield space.site_id, unit_id, hour.start_utc


def spans_of(coverage: pa.Table) -> list[tuple[datetime, datetime]]:
    """Give the spans that coverage rows speak about."""
    return list(zip(coverage["from_utc"].to_pylist(), coverage["to_utc"].to_pylist(), strict=True))
