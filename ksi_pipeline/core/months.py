"""Rows of a feed, parted by the UTC month that they speak about."""

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from ksi_pipeline.core.hour_grid import Int64s
from ksi_pipeline.core.instants import to_us
from ksi_pipeline.core.time import Window, aligned_to_hours

# Spans over more months stay whole: they come of requests that failed for years at once.
MOST_MONTHS = 24
LONG = "long"


def months_between(first_us: int, end_us: int) -> list[str]:
    """Name the months of [first, end), like 2026-03."""
    first, last = np.array([first_us, end_us - 1], "M8[us]").astype("M8[M]")
    return [str(month) for month in np.arange(first, last + 1)]


def tickets_by_month(rows: pa.Table) -> dict[str, pa.Table]:
    """Part schema TICKET_HOURS by the month in which the hour starts."""
    return _by_month(rows, _us(rows["hour_start_utc"]))


def coverage_by_month(rows: pa.Table, zone: ZoneInfo) -> dict[str, pa.Table]:
    """Part schema COVERAGE by month; spans over its end are cut between two local hours.

    Spans over more than MOST_MONTHS stay whole, under LONG.
    """
    firsts, lasts = (
        values.astype("M8[us]").astype("M8[M]").astype(np.int64)
        for values in (_us(rows["from_utc"]), _us(rows["to_utc"]) - 1)
    )
    crossed = lasts - firsts
    whole = rows.filter(pa.array(crossed <= 0))
    cut = rows.filter(pa.array((crossed > 0) & (crossed < MOST_MONTHS)))
    if cut.num_rows:
        pieces = [piece for row in cut.to_pylist() for piece in _pieces(row, zone)]
        whole = pa.concat_tables([whole, pa.Table.from_pylist(pieces, schema=rows.schema)])
    parted = _by_month(whole, _us(whole["from_utc"]))
    if (crossed >= MOST_MONTHS).any():
        parted[LONG] = rows.filter(pa.array(crossed >= MOST_MONTHS))
    return parted


def _pieces(row: dict[str, object], zone: ZoneInfo) -> list[dict[str, object]]:
    begin, end = row["from_utc"], row["to_utc"]
    if not (isinstance(begin, datetime) and isinstance(end, datetime)):
        return [row]
    edges = [begin]
    for month in months_between(to_us(begin), to_us(end))[1:]:
        starts = datetime.fromisoformat(f"{month}-01").replace(tzinfo=UTC)
        edge = aligned_to_hours(Window(starts, end), zone).start if starts < end else end
        if edges[-1] < edge < end:
            edges.append(edge)
    edges.append(end)
    return [
        {
            **row,
            "from_utc": start,
            "to_utc": stop,
            "expected_s": (stop - start).total_seconds(),
            "observed_s": (stop - start).total_seconds() if row["status"] == "complete" else 0.0,
        }
        for start, stop in pairwise(edges)
    ]


def _by_month(rows: pa.Table, instants: Int64s) -> dict[str, pa.Table]:
    months = instants.astype("M8[us]").astype("M8[M]")
    return {str(month): rows.filter(pa.array(months == month)) for month in np.unique(months)}


def _us(column: pa.ChunkedArray) -> Int64s:
    return np.asarray(column.cast(pa.int64()).to_numpy(), dtype=np.int64)
