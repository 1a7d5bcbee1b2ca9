"""Counting points against space files whose cameras change over time."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ksi_pipeline.core.events import Events, count_events
from ksi_pipeline.core.plan import SitePlan
from ksi_pipeline.core.streams import RowError
from ksi_pipeline.core.walks import encoded
from ksi_pipeline.space.load import Space

# Plans that hold one after the other, see Space.plans.
Plans = Sequence[tuple[datetime | None, datetime | None, SitePlan]]


def count_points(points: pa.Table, space: Space) -> Events:
    """Count whole tracklets of one site; each camera counts for what it sees at the time.

    A tracklet that goes on while its camera is re-aimed is cut there, and censored.

    Returns:
        Events in the order of core.events.count_events.

    Raises:
        ContractError: the points cannot be counted, see core.events.count_events.
    """
    return _count_by(points, space.plans())


def count_sites(points: pa.Table, plans: Mapping[str, Plans]) -> Events:
    """Count whole tracklets of many sites, each by its own plans.

    Args:
        points: sorted by site.
        plans: by site id.

    Returns:
        Events of one site after the other.

    Raises:
        RowError: E_UNKNOWN_SITE, a site without plans.
        ContractError: as in count_points.
    """
    counted: list[Events] = []
    begin = 0
    for site_id, of_site in of_sites(points):
        if site_id not in plans:
            raise RowError(
                f"Site {site_id!r} has no space file, so its points cannot be counted. Give the "
                f"space files of all sites; these are of {', '.join(sorted(plans))}.",
                code="E_UNKNOWN_SITE",
                row=begin,
            )
        counted.append(_count_by(of_site, plans[site_id]))
        begin += of_site.num_rows
    return Events.joined(counted)


def _count_by(points: pa.Table, plans: Plans) -> Events:
    parts = [count_events(_between(points, start, end), plan) for start, end, plan in plans]
    if len(parts) == 1:
        return parts[0]
    places = _places(points)
    return Events(
        visits=_in_order([part.visits for part in parts], places, "entered_at_utc", "zone_id"),
        line_crossings=_in_order(
            [part.line_crossings for part in parts], places, "at_utc", "line_id"
        ),
    )


def of_sites(rows: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Yield each site and its rows, of rows sorted by site_id."""
    sites = encoded(rows["site_id"])
    codes = sites.indices.to_numpy()
    is_new = np.ones(len(codes), dtype=np.bool_)
    is_new[1:] = codes[1:] != codes[:-1]
    begins = np.flatnonzero(is_new).tolist()
    for begin, end in zip(begins, [*begins[1:], len(codes)], strict=False):
        yield sites.dictionary[int(codes[begin])].as_py(), rows.slice(begin, end - begin)


def _between(points: pa.Table, start: datetime | None, end: datetime | None) -> pa.Table:
    if start is not None:
        points = points.filter(pc.greater_equal(points["ts_utc"], pa.scalar(start)))
    if end is not None:
        points = points.filter(pc.less(points["ts_utc"], pa.scalar(end)))
    return points


def _places(points: pa.Table) -> pa.Table:
    """Give each tracklet's place in the order of cameras and tracklets."""
    names = points.select(["camera_id", "tracklet_id"])
    distinct = pa.table(
        {name: names[name].cast(pa.string()) for name in names.column_names}
    ).group_by(names.column_names)
    in_order = distinct.aggregate([]).sort_by([(name, "ascending") for name in names.column_names])
    return in_order["tracklet_id"].combine_chunks()


def _in_order(tables: list[pa.Table], places: pa.Array, instant: str, shape: str) -> pa.Table:
    table = pa.concat_tables(tables)
    place = pc.index_in(table["tracklet_id"], places)
    keys = [("place", "ascending"), (instant, "ascending"), (shape, "ascending")]
    return table.append_column("place", place).sort_by(keys).drop_columns("place")
