"""One answer of an hourly ticket feed: from its bytes to rows, refused rows and open hours.

Nothing is lost: every row of the answer is either in `rows` or in `rejected`. Nothing is guessed:
the unit of revision is the whole set of rows of one code and hour, so a refused row takes the rest
of its hour with it, and half an hour's tickets never stand for the hour's.

A refused row also leaves hours open (`refused_hours`), in which absence is no zero. Where its own
code or hour cannot be read, it leaves every hour open that it may have meant and no good row fills.

Rows that are plainly right are read as columns (core.ticket_scan). All others, and all that share a
code and hour with one of them, go through the row-wise rules (core.ticket_verdicts).
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ksi_pipeline.core.hour_grid import HourGrid, Int64s, hour_grid, whole_hours
from ksi_pipeline.core.instants import to_us
from ksi_pipeline.core.schemas import TICKET_HOURS
from ksi_pipeline.core.ticket_answer import (
    AbsentMeans,
    CodeHour,
    Fetch,
    ParsedAnswer,
    RejectedRow,
)
from ksi_pipeline.core.ticket_row import AMOUNT_COLUMNS, KNOWN_FIELDS
from ksi_pipeline.core.ticket_scan import (
    NULL,
    Element,
    PlainRows,
    SentRows,
    arrow_column,
    sent_rows,
)
from ksi_pipeline.core.ticket_verdicts import (
    JudgedRow,
    WindowsByCode,
    judged_row,
    refuse_together,
    refused_hours,
)

__all__ = [
    "AbsentMeans",
    "CodeHour",
    "Fetch",
    "ParsedAnswer",
    "RejectedRow",
    "parse_hourly_answer",
    "whole_hours",
]

# Counting the rows of each (code, hour, category) in a table; more cells are sorted instead.
_MOST_CELLS = 1 << 22


def parse_hourly_answer(
    body: bytes,
    fetch: Fetch,
    *,
    known_codes: Collection[str],
    asked_before: Callable[[], WindowsByCode] = dict,
    is_small: bool | None = None,
) -> ParsedAnswer:
    """Read an answer strictly.

    Args:
        body: as received: a bare JSON list in UTF-8.
        fetch: what was asked.
        known_codes: codes that are linked to a unit. Rows of any other code are kept as unmatched
            and reported, so that they count once the code is linked. Nothing else depends on it:
            links change, and a kept answer must always read the same.
        asked_before: gives the windows that earlier answers of the feed were asked for, by code;
            only called where a row of another code than those asked for comes. Such a row is
            loaded, unless an earlier answer was asked for its code and hour.
        is_small: whether all rows are read one by one, which gives the same; null, as its size
            suggests.

    Raises:
        ContractError: E_NOT_JSON or E_NOT_LIST; nothing of the answer can be used.
    """
    sent = sent_rows(body, fetch.label, is_small=is_small)
    grid = hour_grid(fetch.window, fetch.zone)
    plain, others = sent.plain, sent.others
    not_asked = _not_asked(sent, fetch, asked_before)
    places = np.empty(0, dtype=np.int64)
    judged = _judged(others, fetch)
    if plain is not None:
        places = grid.places_of(plain.instants)
        is_odd = _is_doubtful(plain, places, grid, not_asked)
        doubtful = plain.kept(is_odd).elements()
        judged += _judged(doubtful, fetch)
        shares = _shares_an_hour(plain, places, grid, judged) & ~is_odd
        sharing = plain.kept(shares).elements()
        judged += _judged(sharing, fetch)
        others = [*others, *doubtful, *sharing]
        is_plain = ~(is_odd | shares)
        plain, places = plain.kept(is_plain), places[is_plain]
    judged.sort(key=lambda row: row.number)
    refuse_together(judged, not_asked)
    good = [row for row in judged if row.refused_as is None]
    rows = _table(plain, places, grid, good, fetch)
    unknown = _unknown(rows, known_codes)
    names = {name for _, _, value in others if isinstance(value, dict) for name in value}
    return ParsedAnswer(
        fetch=fetch,
        rows=rows,
        rejected=tuple(_rejected(judged, plain, fetch, unknown, sent.count)),
        refused_hours=refused_hours(judged, fetch, lambda: _filled(rows)),
        unmatched_count=unknown.total(),
        extra_fields=tuple(sorted((names | sent.extra_names) - KNOWN_FIELDS)),
    )


def _judged(elements: Sequence[Element], fetch: Fetch) -> list[JudgedRow]:
    if not elements:
        return []
    hours = whole_hours(fetch.window, fetch.zone)
    return [judged_row(number, raw, value, fetch, hours) for number, raw, value in elements]


def _not_asked(
    sent: SentRows, fetch: Fetch, asked_before: Callable[[], WindowsByCode]
) -> WindowsByCode:
    """Give the earlier questions for codes that were sent and not asked for."""
    codes = set(sent.plain.code_texts) if sent.plain is not None else set()
    for _, _, value in sent.others:
        code = value.get("ext_ref_code") if isinstance(value, dict) else None
        if isinstance(code, str):
            codes.add(code)
    codes -= set(fetch.asked_codes)
    return {code: spans for code, spans in asked_before().items() if code in codes} if codes else {}


def _is_doubtful(
    plain: PlainRows, places: Int64s, grid: HourGrid, not_asked: WindowsByCode
) -> NDArray[np.bool_]:
    """Find the rows that need a verdict: outside the hours, not asked for, or named twice."""
    is_odd = places < 0
    if not_asked:
        others = [number for number, text in enumerate(plain.code_texts) if text in not_asked]
        is_odd |= np.isin(plain.codes, others)
    categories = plain.categories
    if len(plain.category_texts):
        categories = np.where(categories == NULL, len(plain.category_texts), categories)
    else:
        categories = np.zeros(len(plain), dtype=np.int64)
    width, height = len(plain.category_texts) + 1, max(len(grid.starts), 1)
    cells = (plain.codes * height + places) * width + categories
    inside = cells[places >= 0]
    most = len(plain.code_texts) * height * width
    if most <= _MOST_CELLS:
        is_twice = np.bincount(inside, minlength=most) > 1
        if is_twice.any():
            is_odd |= (places >= 0) & is_twice[np.where(places >= 0, cells, 0)]
    else:
        distinct, counts = np.unique(inside, return_counts=True)
        if len(distinct) != len(inside):
            is_odd |= (places >= 0) & np.isin(cells, distinct[counts > 1])
    return is_odd


def _shares_an_hour(
    plain: PlainRows, places: Int64s, grid: HourGrid, judged: Sequence[JudgedRow]
) -> NDArray[np.bool_]:
    """Find the rows of a code and hour that a row to be judged has as well."""
    numbers = {text: number for number, text in enumerate(plain.code_texts)}
    met = [
        (numbers[row.ext_ref_code], to_us(row.hour))
        for row in judged
        if row.ext_ref_code in numbers and row.hour is not None
    ]
    if not met:
        return np.zeros(len(plain), dtype=np.bool_)
    codes, hours = np.array(met, dtype=np.int64).T
    height = len(grid.starts)
    spoilt = np.unique(codes * height + grid.places_of(hours))
    return (places >= 0) & np.isin(plain.codes * height + places, spoilt)


def _table(
    plain: PlainRows | None,
    places: Int64s,
    grid: HourGrid,
    good: Sequence[JudgedRow],
    fetch: Fetch,
) -> pa.Table:
    """Give the good rows in the order of the answer."""
    tables = []
    if plain is not None and len(plain):
        tables.append(_plain_table(plain, places, grid, fetch))
    if good or not tables:
        tables.append(_judged_table(good, fetch))
    if len(tables) == 1:
        return tables[0]
    return pa.concat_tables(tables).sort_by("row_number").combine_chunks()


def _plain_table(plain: PlainRows, places: Int64s, grid: HourGrid, fetch: Fetch) -> pa.Table:
    size = len(plain)
    kinds = {name: TICKET_HOURS.field(name).type for name in TICKET_HOURS.names}
    columns = {
        "connector_id": pa.repeat(fetch.connector_id, size),
        "ext_ref_code": pa.array(plain.code_texts, pa.string()).take(pa.array(plain.codes)),
        "hour_start_utc": pa.array(plain.instants).view(kinds["hour_start_utc"]),
        "utc_offset_s": pa.array(grid.offsets_s[places]),
        "fetched_at_utc": pa.repeat(pa.scalar(fetch.fetched_at_utc, kinds["fetched_at_utc"]), size),
        "raw_sha256": pa.repeat(fetch.raw_sha256, size),
        "row_number": pa.array(plain.numbers),
        "category": pa.array(plain.category_texts, pa.string()).take(
            pa.array(plain.categories, mask=plain.categories == NULL)
        )
        if plain.category_texts
        else pa.nulls(size, pa.string()),
    }
    for name in AMOUNT_COLUMNS:
        if name in plain.amounts:
            columns[name] = arrow_column(name, plain.amounts[name], kinds[name])
        else:
            columns.setdefault(name, pa.nulls(size, kinds[name]))
    return pa.Table.from_arrays([columns[n] for n in TICKET_HOURS.names], schema=TICKET_HOURS)


def _judged_table(good: Sequence[JudgedRow], fetch: Fetch) -> pa.Table:
    size, hours = len(good), whole_hours(fetch.window, fetch.zone) if good else {}
    columns: dict[str, list[object]] = {
        "connector_id": [fetch.connector_id] * size,
        "ext_ref_code": [row.ext_ref_code for row in good],
        "hour_start_utc": [row.hour for row in good],
        "utc_offset_s": [hours[row.hour].utc_offset_s for row in good if row.hour is not None],
        "fetched_at_utc": [fetch.fetched_at_utc] * size,
        "raw_sha256": [fetch.raw_sha256] * size,
        "row_number": [row.number for row in good],
    }
    for name in AMOUNT_COLUMNS:
        columns[name] = [getattr(row.amounts, name) for row in good]
    return pa.Table.from_pydict(columns, schema=TICKET_HOURS)


def _filled(rows: pa.Table) -> set[CodeHour]:
    pairs = (rows[name].to_pylist() for name in ("ext_ref_code", "hour_start_utc"))
    return set(zip(*pairs, strict=True))


def _unknown(rows: pa.Table, known_codes: Collection[str]) -> Counter[str]:
    counted = pc.value_counts(rows["ext_ref_code"]).to_pylist()
    return Counter(
        {item["values"]: item["counts"] for item in counted if item["values"] not in known_codes}
    )


def _rejected(
    judged: Sequence[JudgedRow],
    plain: PlainRows | None,
    fetch: Fetch,
    unknown: Counter[str],
    row_count: int,
) -> Iterator[RejectedRow]:
    found = [
        (row.number, row.raw, row.ext_ref_code)
        for row in judged
        if row.refused_as is None and unknown[str(row.ext_ref_code)]
    ]
    if plain is not None and unknown:
        numbers = [number for number, text in enumerate(plain.code_texts) if unknown[text]]
        kept = plain.kept(np.isin(plain.codes, numbers))
        codes = [plain.code_texts[number] for number in kept.codes.tolist()]
        found += zip(kept.numbers.tolist(), kept.texts(), codes, strict=True)
    result = [_refused(row, fetch) for row in judged if row.refused_as is not None]
    for number, raw, code in found:
        message = (
            f"{fetch.label}: {unknown[str(code)]} of {row_count} rows carry "
            f"ext_ref_code {code!r}, which is linked to no unit. They are kept as "
            "unmatched and left out of unit metrics. Link the code to a unit in the space file "
            "(links:, with its from date); the rows then count with the next run."
        )
        result.append(RejectedRow("E_UNKNOWN_CODE", message, number, raw))
    yield from sorted(result, key=lambda row: row.row_number)


def _refused(row: JudgedRow, fetch: Fetch) -> RejectedRow:
    message = (
        f"{fetch.label}, row {row.number}: {row.why}. The row is in the quarantine and "
        "counts nowhere; it counts when the feed sends it right and is asked again."
    )
    return RejectedRow(str(row.refused_as), message, row.number, row.raw)
