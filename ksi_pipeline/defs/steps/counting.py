"""Counting points against a space file whose cameras change over time."""

from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from ksi_pipeline.core.events import Events, count_events
from ksi_pipeline.space.load import Space


def count_points(points: pa.Table, space: Space) -> Events:
    """Count whole tracklets of one site; each camera counts for what it sees at the time.

    A tracklet that goes on while its camera is re-aimed is cut there, and censored.

    Raises:
        ContractError: the points cannot be counted, see core.events.count_events.
    """
    parts = [count_events(_between(points, start, end), plan) for start, end, plan in space.plans()]
    if len(parts) == 1:
        return parts[0]
    return Events(
        visits=_sorted([part.visits for part in parts], "zone_id", "entered_at_utc"),
        line_crossings=_sorted([part.line_crossings for part in parts], "line_id", "at_utc"),
    )


def plans_version(space: Space) -> list[tuple[str, str, str]]:
    """Name everything that can change a count of a site."""
    return [(str(start), str(end), plan.version) for start, end, plan in space.plans()]


def _between(points: pa.Table, start: datetime | None, end: datetime | None) -> pa.Table:
    if start is not None:
        points = points.filter(pc.greater_equal(points["ts_utc"], pa.scalar(start)))
    if end is not None:
        points = points.filter(pc.less(points["ts_utc"], pa.scalar(end)))
    return points


def _sorted(tables: list[pa.Table], *keys: str) -> pa.Table:
    order = [(key, "ascending") for key in (*keys, "tracklet_id")]
    return pa.concat_tables(tables).sort_by(order)
