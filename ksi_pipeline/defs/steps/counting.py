"""Counting points against space files whose cameras change over time."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ksi_pipeline.core.events import Events, count_events
from ksi_pipeline.core.streams import RowError
from ksi_pipeline.core.walks import encoded, present
from ksi_pipeline.space.load import Space


class SiteCounter:
    """Counts whole tracklets of one site; each camera counts for what it sees at the time."""

    def __init__(self, space: Space) -> None:
        """Plans are made once for each camera."""
        self._plans = cache(space.plans)

    def count(self, points: pa.Table) -> Events:
        """Count points of the site, any order; whole tracklets.

        A tracklet that goes on while its camera is re-aimed is cut there, and censored.

        Returns:
            Events in the order of core.events.count_events.

        Raises:
            ContractError: the points cannot be counted, see core.events.count_events.
        """
        cameras = present(encoded(points["camera_id"]))
        if len(cameras) == 1:
            return self._count_camera(points, cameras[0])
        return Events.joined(
            self._count_camera(points.filter(pc.equal(points["camera_id"], camera_id)), camera_id)
            for camera_id in cameras
        )

    def _count_camera(self, points: pa.Table, camera_id: str) -> Events:
        parts = [
            count_events(_between(points, start, end), plan)
            for start, end, plan in self._plans(camera_id)
        ]
        if len(parts) == 1:
            return parts[0]
        found = Events.joined(parts)
        return Events(
            found.visits.sort_by(_in_order("entered_at_utc", "zone_id")),
            found.line_crossings.sort_by(_in_order("at_utc", "line_id")),
        )


def count_points(points: pa.Table, space: Space) -> Events:
    """Count points of one site, see SiteCounter.count."""
    return SiteCounter(space).count(points)


def count_sites(points: pa.Table, counters: Mapping[str, SiteCounter]) -> Events:
    """Count whole tracklets of many sites, each by its own space file.

    Args:
        points: sorted by site.
        counters: by site id.

    Returns:
        Events of one site after the other.

    Raises:
        RowError: E_UNKNOWN_SITE, a site without a counter.
        ContractError: as in SiteCounter.count.
    """
    counted: list[Events] = []
    begin = 0
    for site_id, of_site in of_sites(points):
        if site_id not in counters:
            raise RowError(
                f"Site {site_id!r} has no space file, so its points cannot be counted. Give the "
                f"space files of all sites; these are of {', '.join(sorted(counters))}.",
                code="E_UNKNOWN_SITE",
                row=begin,
            )
        counted.append(counters[site_id].count(of_site))
        begin += of_site.num_rows
    return Events.joined(counted)


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


def _in_order(instant: str, shape: str) -> list[tuple[str, str]]:
    return [(name, "ascending") for name in ("tracklet_id", instant, shape)]
