"""Counting points against space files whose cameras change over time."""

from collections.abc import Iterator, Mapping
from functools import cache

import numpy as np
import pyarrow as pa

from ksi_pipeline.core.events import Events, Found, count_cameras, find
from ksi_pipeline.core.samples import Samples
from ksi_pipeline.core.streams import RowError
from ksi_pipeline.core.walks import encoded
from ksi_pipeline.space.load import Space


def count_points(points: pa.Table, space: Space) -> Events:
    """Count points of one site, any order; whole tracklets.

    Each camera counts for what it sees at the time. A tracklet that goes on while its camera is
    re-aimed is cut there, and censored.

    Returns:
        Events in the order of core.events.count_events.

    Raises:
        ContractError: the points cannot be counted, see core.events.count_events.
    """
    return count_cameras(points, space.site_id, space.plans)


class SiteCounters:
    """Counts sorted samples of many sites, each by its own space file."""

    def __init__(self, spaces: Mapping[str, Space]) -> None:
        """Plans are made once for each camera."""
        self._plans = {site_id: cache(space.plans) for site_id, space in spaces.items()}

    def count(self, samples: Samples) -> list[Found]:
        """Count whole tracklets, which were checked, in their order.

        Raises:
            RowError: E_UNKNOWN_SITE, a site without a space file.
        """
        found = []
        for site_id, camera_id, row, of_camera in samples.by_camera():
            if site_id not in self._plans:
                raise RowError(
                    f"Site {site_id!r} has no space file, so its points cannot be counted. Give "
                    f"the space files of all sites; these are of {', '.join(sorted(self._plans))}.",
                    code="E_UNKNOWN_SITE",
                    row=row,
                )
            found.append(find(of_camera.walk(), camera_id, self._plans[site_id](camera_id)))
        return found


def of_sites(rows: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Yield each site and its rows, of rows sorted by site_id."""
    sites = encoded(rows["site_id"])
    codes = sites.indices.to_numpy()
    is_new = np.ones(len(codes), dtype=np.bool_)
    is_new[1:] = codes[1:] != codes[:-1]
    begins = np.flatnonzero(is_new).tolist()
    for begin, end in zip(begins, [*begins[1:], len(codes)], strict=False):
        yield sites.dictionary[int(codes[begin])].as_py(), rows.slice(begin, end - begin)
