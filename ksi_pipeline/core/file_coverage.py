"""What a file of tickets covers: which hours of which codes are known, silent or spoilt."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ksi_pipeline.core.feed_coverage import ABSENT_HOUR, COVERAGE
from ksi_pipeline.core.instants import to_us
from ksi_pipeline.core.tickets import AbsentMeans
from ksi_pipeline.core.time import LocalHour, Window


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
    starts = np.array([to_us(hour.start_utc) for hour in hours], dtype=np.int64)
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
            rows.append(_row(connector_id, code, start, stop, status, reason, fetched_at_utc))
    return pa.Table.from_pylist(rows, schema=COVERAGE)


def pull_coverage(
    connector_id: str,
    sold: Mapping[str, Collection[int]],
    spoilt: Mapping[tuple[str, int], str],
    any_hour: Mapping[str, str],
    unsettled: Collection[tuple[str, int]],
    hours: Sequence[LocalHour],
    *,
    covers: Window | None,
    settles_outside: bool,
    complete_from_utc: datetime,
    absent_means: AbsentMeans,
    written_at_utc: datetime,
    fetched_at_utc: datetime,
) -> pa.Table:
    """Say what a pull says of the hours of a site: it speaks for whole windows.

    Of the window that it covers, every whole hour is said. Outside of it, a refused ticket leaves
    its hour open, and where `settles_outside` a good one settles its hour.

    Args:
        connector_id: whose pull.
        sold: code -> keys of its hours with good tickets, of this pull and, of the hours covered,
            of those before it; every code that is spoken for is there, with no hour if need be.
        spoilt: (code, key of an hour) -> code of the refusal of a ticket in it.
        any_hour: code -> code of the refusal of a ticket whose hour is not known.
        unsettled: (code, key of an hour) of earlier refusals that this pull says nothing of.
        hours: consecutive local hours of the site that hold all of these and the window.
        covers: the window; None: the pull covers nothing yet.
        settles_outside: all that is known until now was asked for, so that an hour outside of the
            window was open only because of the ticket that now came right.
        complete_from_utc: earlier hours are never said, as tickets of theirs may not be known.
        absent_means: the connector's choice.
        written_at_utc: when the database was asked; hours that were not over get no coverage.
        fetched_at_utc: when the pull was kept.

    Returns:
        As `file_coverage`.
    """
    starts = np.array([to_us(hour.start_utc) for hour in hours], dtype=np.int64)
    place = {int(start): at for at, start in enumerate(starts)}
    can_say = [complete_from_utc <= h.from_utc and h.end_utc <= written_at_utc for h in hours]
    inside = [
        at
        for at, hour in enumerate(hours)
        if covers and can_say[at] and covers.start <= hour.from_utc and hour.end_utc <= covers.end
    ]
    rows: list[dict[str, object]] = []
    for code in sorted(sold):
        known = np.array(sorted(sold[code]), dtype=np.int64)
        bad = {place[at]: why for (c, at), why in spoilt.items() if c == code}
        places = np.searchsorted(starts, known)
        says = _says(len(hours), places, bad, any_hour.get(code), absent_means)
        said = {*inside, *bad, *(places.tolist() if settles_outside else ())}
        said -= {place[at] for c, at in unsettled if c == code and at in place}
        for begin, end, status, reason in _runs(says, sorted(at for at in said if can_say[at])):
            start, stop = hours[begin].from_utc, hours[end - 1].end_utc
            rows.append(_row(connector_id, code, start, stop, status, reason, fetched_at_utc))
    return pa.Table.from_pylist(rows, schema=COVERAGE)


def _runs(
    says: Sequence[tuple[str, str | None]], places: Sequence[int]
) -> Iterator[tuple[int, int, str, str | None]]:
    """Give the spans of some places, as `_spans` does."""
    begin = 0
    for at in range(1, len(places) + 1):
        if at == len(places) or places[at] != places[at - 1] + 1:
            yield from _spans(says, places[begin], places[at - 1] + 1)
            begin = at


def _row(
    connector_id: str,
    code: str,
    start: datetime,
    stop: datetime,
    status: str,
    reason: str | None,
    fetched_at_utc: datetime,
) -> dict[str, object]:
    expected_s = (stop - start).total_seconds()
    return {
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
            known[row["key"]].append((to_us(row["from_utc"]), to_us(row["to_utc"])))
    free = [
        not any(
            begin < to_us(row["to_utc"]) and end > to_us(row["from_utc"])
            for begin, end in known.get(row["key"], ())
        )
        for row in new.select(["key", "from_utc", "to_utc"]).to_pylist()
    ]
    return np.array(free, dtype=np.bool_)
