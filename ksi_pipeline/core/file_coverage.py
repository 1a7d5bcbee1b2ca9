"""What a file of tickets covers: which hours of which codes are known, silent or spoilt."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ksi_pipeline.core.feed_coverage import ABSENT_HOUR, COVERAGE
from ksi_pipeline.core.tickets import AbsentMeans
from ksi_pipeline.core.time import LocalHour

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


def file_coverage(
    connector_id: str,
    sold: Mapping[str, NDArray[np.int64]],
    spoilt: Mapping[tuple[str, int], str],
    any_hour: Mapping[str, str],
    hours: Sequence[LocalHour],
    *,
    absent_means: AbsentMeans,
    written_at_utc: datetime,
    fetched_at_utc: datetime,
    whole_days: bool,
) -> pa.Table:
    """Say what one file says of the hours of a site.

    Args:
        connector_id: whose file.
        sold: code -> keys of its hours with good tickets, microseconds since the epoch.
        spoilt: (code, key of an hour) -> code of the refusal of a ticket in it.
        any_hour: code -> code of the refusal of a ticket whose hour is not known.
        hours: consecutive local hours of the site that hold all of these; whole days of them.
        absent_means: the connector's choice.
        written_at_utc: when the file was complete; hours that were not over get no coverage.
        fetched_at_utc: when it was taken.
        whole_days: whether it holds whole local days, or the hours between its tickets only.

    Returns:
        Schema COVERAGE: for each code spans in order, merged where neighbours say the same.
    """
    starts = np.array([_us(hour.start_utc) for hour in hours], dtype=np.int64)
    over = sum(hour.end_utc <= written_at_utc for hour in hours)
    days = np.array([hour.local_hour.toordinal() for hour in hours], dtype=np.int64)
    rows: list[dict[str, object]] = []
    for code in sorted({*sold, *(code for code, _ in spoilt)}):
        places = np.searchsorted(starts, sold.get(code, np.empty(0, dtype=np.int64)))
        bad = {
            int(np.searchsorted(starts, at)): why for (c, at), why in spoilt.items() if c == code
        }
        touched = [*places.tolist(), *bad]
        first, last = min(touched), max(touched)
        if whole_days:
            first = int(np.searchsorted(days, days[first], side="left"))
            last = int(np.searchsorted(days, days[last], side="right")) - 1
        says = _says(len(hours), places, bad, any_hour.get(code), absent_means)
        for begin, end, status, reason in _spans(says, first, min(last + 1, over)):
            start, stop = hours[begin].from_utc, hours[end - 1].end_utc
            expected_s = (stop - start).total_seconds()
            rows.append(
                {
                    "site_id": None,
                    "source_kind": "feed",
                    "source_id": connector_id,
                    "key": code,
                    "from_utc": start,
                    "to_utc": stop,
                    "status": status,
                    "reason": reason,
                    "observed_s": expected_s if status == "complete" else 0.0,
                    "expected_s": expected_s,
                    "fetched_at_utc": fetched_at_utc,
                }
            )
    return pa.Table.from_pylist(rows, schema=COVERAGE)


def _says(
    count: int,
    sold: NDArray[np.int64],
    bad: Mapping[int, str],
    any_hour: str | None,
    absent_means: AbsentMeans,
) -> list[tuple[str, str | None]]:
    """Give what the file says of each hour."""
    absent: tuple[str, str | None] = ("complete", None)
    if any_hour is not None:
        absent = ("refused", any_hour)
    elif absent_means == "missing":
        absent = ("silent", ABSENT_HOUR)
    says = [absent] * count
    for place in sold.tolist():
        says[place] = ("complete", None)
    for place, why in bad.items():
        says[place] = ("refused", why)
    return says


def _spans(
    says: Sequence[tuple[str, str | None]], first: int, end: int
) -> Iterator[tuple[int, int, str, str | None]]:
    begin = first
    for at in range(first + 1, end + 1):
        if at == end or says[at] != says[begin]:
            yield begin, at, *says[begin]
            begin = at


def uncontested(new: pa.Table, existing: pa.Table, keys: Collection[str]) -> NDArray[np.bool_]:
    """Say which rows of new coverage overlap nothing that is known of their key.

    Both tables have schema COVERAGE; `existing` is of one connector.
    """
    known: dict[str, list[tuple[int, int]]] = {key: [] for key in keys}
    for row in existing.to_pylist():
        if row["key"] in known:
            known[row["key"]].append((_us(row["from_utc"]), _us(row["to_utc"])))
    free = [
        not any(
            begin < _us(row["to_utc"]) and end > _us(row["from_utc"])
            for begin, end in known.get(row["key"], ())
        )
        for row in new.select(["key", "from_utc", "to_utc"]).to_pylist()
    ]
    return np.array(free, dtype=np.bool_)


def _us(instant: datetime) -> int:
    return (instant - _EPOCH) // _US
