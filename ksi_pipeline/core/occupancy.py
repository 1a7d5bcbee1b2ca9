"""Zone occupancy by minute, from visits.

Visits are half-open intervals, so someone who leaves at 10:00:00 and someone who comes at 10:00:00
are never counted together. Person-seconds are split by minute and add up to the dwell of the
visits, to the microsecond.
"""

from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from ksi_pipeline.core.roles import numbered
from ksi_pipeline.core.schemas import ZONE_OCCUPANCY
from ksi_pipeline.core.time import hour_starts_us
from ksi_pipeline.core.walks import IntArray, encoded, ranks_of, table_of

MINUTE_US = 60_000_000


def zone_occupancy(visits: pa.Table, zone: ZoneInfo) -> pa.Table:
    """Spread visits over minutes.

    Args:
        visits: schema VISITS, one site, any order.
        zone: the site's time zone, for hour_start_utc.

    Returns:
        Schema ZONE_OCCUPANCY, one row per zone, geometry and minute in which somebody was there,
        ordered by zone and minute. Minutes without a row were empty if the camera was watching.
    """
    from ksi_pipeline.core.compiled import crowds  # numba is slow to import

    visit, minute, start, end = _stays(visits)
    shape = numbered(visits, *_SHAPE)[visit]
    # Stable, and near the order that visits come in, which makes it cheap.
    order = np.lexsort((minute, shape))
    visit, minute, start, end = visit[order], minute[order], start[order], end[order]
    shape = shape[order]
    begins = np.ones(len(order), dtype=np.bool_)
    begins[1:] = (shape[1:] != shape[:-1]) | (minute[1:] != minute[:-1])
    firsts = np.flatnonzero(begins)
    tracklets = encoded(visits["tracklet_id"]).indices.to_numpy().astype(np.int64)[visit]
    most, distinct = crowds(np.append(firsts, len(order)), start, end, tracklets)
    seconds = np.add.reduceat(end - start, firsts) / 1e6 if len(firsts) else np.empty(0)
    minutes = minute[firsts]
    columns = {
        **{name: visits[name].take(pa.array(visit[firsts])) for name in _SHAPE},
        "minute_utc": minutes,
        "person_seconds": seconds,
        "max_occupancy": most,
        "distinct_count": distinct,
        "hour_start_utc": hour_starts_us(minutes, zone),
    }
    # Equal keys keep the order in which their first stays came.
    by_zone = _ranks(columns["zone_id"]), minutes, _ranks(columns["geometry_version"])
    rows = np.lexsort((order[firsts], *by_zone[::-1]))
    return table_of(columns, ZONE_OCCUPANCY).take(pa.array(rows))


_SHAPE = ("site_id", "unit_id", "zone_id", "geometry_version", "rule_version")


def _stays(visits: pa.Table) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Cut visits at minutes: (row of the visit, minute, start, end), by row and minute."""
    start = visits["entered_at_utc"].cast(pa.int64()).to_numpy()
    end = visits["left_at_utc"].cast(pa.int64()).to_numpy()
    first = start - start % MINUTE_US
    count = np.maximum(-((first - end) // MINUTE_US), 0)
    visit = np.repeat(np.arange(len(start)), count)
    nth = np.arange(len(visit)) - np.repeat(np.cumsum(count) - count, count)
    minute = first[visit] + nth * MINUTE_US
    low = np.maximum(start[visit], minute)
    return visit, minute, low, np.minimum(end[visit], minute + MINUTE_US)


def _ranks(column: pa.ChunkedArray) -> IntArray:
    strings = encoded(column)
    ranks: IntArray = ranks_of(strings.dictionary.to_pylist())[strings.indices.to_numpy()]
    return ranks
