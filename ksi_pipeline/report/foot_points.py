"""The foot points of one local day, thinned for a picture: positions only, nobody's path."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.core.time import local_midnight_utc
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.files import read_parquet
from ksi_pipeline.store.store import Store

MOST_DRAWN = 20_000
_COLUMNS = ["site_id", "ts_utc", "x_m", "y_m"]


@dataclass(frozen=True, slots=True, eq=False)
class FootPoints:
    """Where feet stood on one local date of a site.

    Attributes:
        day: the date.
        xy_m: shape (N, 2), floor metres, N <= MOST_DRAWN, spread evenly over the samples.
        sample_count: samples of that day with floor metres, before thinning.
    """

    day: date
    xy_m: NDArray[np.float64]
    sample_count: int


def points_of_file(path: Path, space: Space, day: date | None) -> FootPoints | None:
    """Read the foot points of a day from a file of tracklet_points.

    Args:
        path: one Parquet file in that schema.
        space: the site.
        day: local date; None takes the last one that the file has samples of.

    Returns:
        None when `day` is None and the file has no sample with floor metres.

    Raises:
        ContractError: the file cannot be read or breaks the schema, or E_UNKNOWN_SITE, it holds
            points of another site.
    """
    points = read_parquet(path, DATASETS["tracklet_points"]).select(_COLUMNS)
    foreign = set(pc.unique(points["site_id"]).to_pylist()) - {space.site_id}
    if foreign:
        raise ContractError(
            f"{path.name} holds points of site {min(foreign)!r}, and the space file describes "
            f"{space.site_id!r}; nothing was drawn. Name the points of this site.",
            code="E_UNKNOWN_SITE",
        )
    return _of_day(points, space, day)


def points_of_lake(store: Store, space: Space, day: date | None) -> FootPoints | None:
    """Read the foot points of a day from the lake.

    Args:
        store: the data home.
        space: the site.
        day: local date; None takes the last one that the lake has samples of.

    Returns:
        None when `day` is None and the lake has no sample of this site with floor metres.
    """
    files = [
        row
        for row in store.ledger.live_files("tracklet_points")
        if str(row["source"]).partition(":")[2].startswith(f"{space.site_id}/")
    ]
    # A tracklet lies in the UTC day of its first sample, a local day in up to two of them.
    last = day or max((date.fromisoformat(row["partition"]) for row in files), default=None)
    if last is None:
        return None
    near = {(last + timedelta(days=step)).isoformat() for step in (-1, 0, 1)}
    schema = pa.schema([DATASETS["tracklet_points"].field(name) for name in _COLUMNS])
    tables = [
        pq.read_table(store.absolute(row), columns=_COLUMNS).cast(schema)
        for row in files
        if row["partition"] in near
    ]
    return _of_day(pa.concat_tables([schema.empty_table(), *tables]), space, day)


def _of_day(points: pa.Table, space: Space, day: date | None) -> FootPoints | None:
    points = points.filter(pc.and_(pc.is_valid(points["x_m"]), pc.is_valid(points["y_m"])))
    zone = space.file.site.zone_info
    if day is None:
        newest: datetime | None = pc.max(points["ts_utc"]).as_py()
        if newest is None:
            return None
        day = newest.astimezone(zone).date()
    start, end = (local_midnight_utc(d, zone) for d in (day, day + timedelta(days=1)))
    ts = points["ts_utc"]
    points = points.filter(
        pc.and_(
            pc.greater_equal(ts, pa.scalar(start.astimezone(UTC))),
            pc.less(ts, pa.scalar(end.astimezone(UTC))),
        )
    )
    every = max(1, -(-points.num_rows // MOST_DRAWN))
    xy_m = np.stack([points["x_m"].to_numpy(), points["y_m"].to_numpy()], axis=1)
    return FootPoints(day, xy_m[np.isfinite(xy_m).all(axis=1)][::every], points.num_rows)
