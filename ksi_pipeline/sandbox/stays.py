"""When people really were in the zones of the mall, cut from their walks and not from samples.

A walk is straight and even between two of its places, and a zone is an upright box, so each leg is
clipped against the box exactly. Nothing of the pipeline's counting is used.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from ksi_pipeline.sandbox.mall import SITE_ID, Box, FloatArray, Shop
from ksi_pipeline.sandbox.trail import Walk
from video_ingest.contract import UTC_US

# One row per stay in a zone of a unit, by day, walker, zone and time; whether a camera saw it or
# not. walker_id: numbers the people of a day from 0, those who only pass by included.
ZONE_VISITS = pa.schema(
    [
        pa.field("site_id", pa.string(), nullable=False),
        pa.field("unit_id", pa.string(), nullable=False),
        pa.field("zone_id", pa.string(), nullable=False),
        pa.field("walker_id", pa.int64(), nullable=False),
        pa.field("entered_at_utc", UTC_US, nullable=False),
        pa.field("left_at_utc", UTC_US, nullable=False),
    ]
)
# Two legs meet at one instant; adding up their floats may miss it by less than this.
_SAME_S = 1e-6


def stays(t_s: FloatArray, xy_m: FloatArray, box: Box) -> list[tuple[float, float]]:
    """Give the spans in which a walk is in a box, in time order.

    Args:
        t_s: shape (K,), seconds, increasing.
        xy_m: shape (K, 2), floor metres.
        box: its edges belong to it; a walk that only touches it gives nothing.

    >>> through = np.array([[-1.0, 0.5], [3.0, 0.5]])
    >>> stays(np.array([0.0, 4.0]), through, Box(0.0, 0.0, 2.0, 1.0))
    [(1.0, 3.0)]
    """
    step, lasts = np.diff(xy_m, axis=0), np.diff(t_s)
    first, last = np.zeros(len(step)), np.ones(len(step))
    for axis, (low, high) in enumerate(((box.x0, box.x1), (box.y0, box.y1))):
        place, way = xy_m[:-1, axis], step[:, axis]
        is_still = way == 0
        safe = np.where(is_still, 1.0, way)
        to_low, to_high = (low - place) / safe, (high - place) / safe
        first = np.where(is_still, first, np.maximum(first, np.minimum(to_low, to_high)))
        last = np.where(is_still, last, np.minimum(last, np.maximum(to_low, to_high)))
        last = np.where(is_still & ((place < low) | (place > high)), -1.0, last)
    found: list[tuple[float, float]] = []
    for leg in np.flatnonzero(last > first):
        start, end = (float(t_s[leg] + lasts[leg] * share[leg]) for share in (first, last))
        if found and start - found[-1][1] <= _SAME_S:
            found[-1] = found[-1][0], end
        else:
            found.append((start, end))
    return found


def zone_visit_rows(
    shops: Sequence[Shop], walks: Iterable[Walk], midnight: datetime
) -> list[dict[str, Any]]:
    """Give one day's rows of ZONE_VISITS."""
    return [
        {
            "site_id": SITE_ID,
            "unit_id": shop.unit_id,
            "zone_id": zone_id,
            "walker_id": walker_id,
            "entered_at_utc": midnight + timedelta(microseconds=round(start * 1e6)),
            "left_at_utc": midnight + timedelta(microseconds=round(end * 1e6)),
        }
        for walker_id, walk in enumerate(walks)
        for shop, zone_id, box in _near(shops, walk)
        for start, end in stays(walk.t_s, walk.xy_m, box)
    ]


def _near(shops: Sequence[Shop], walk: Walk) -> Iterator[tuple[Shop, str, Box]]:
    """Give the zones that a walk can have been in."""
    (west, south), (east, north) = walk.xy_m.min(axis=0), walk.xy_m.max(axis=0)
    for shop in shops:
        for zone_id, box in shop.zones.items():
            if box.x0 <= east and box.x1 >= west and box.y0 <= north and box.y1 >= south:
                yield shop, zone_id, box
