"""Revisions of ticket hours: what an answer changes, and what holds now or held at some time.

The unit of revision is the whole set of rows of one (connector_id, ext_ref_code, hour_start_utc).
History is append-only: the set with the latest fetched_at_utc holds (on a tie, the one whose
raw_sha256 sorts last), and a category that a newer set does not name is gone.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ksi_pipeline.core.schemas import TICKET_HOURS
from ksi_pipeline.core.ticket_row import AMOUNT_COLUMNS
from ksi_pipeline.core.tickets import AbsentMeans, CodeHour, ParsedAnswer, whole_hours

_KEY = ("connector_id", "ext_ref_code", "hour_start_utc")
_ANSWER = ("fetched_at_utc", "raw_sha256")
# Equal in all of these means: nothing new was said.
_CONTENT = ("utc_offset_s", *AMOUNT_COLUMNS)
_COUNTED = ("num_tickets", "num_returns", "gross_sales", "returns_amount", "net_sales", "units")
_ABSENT_ROW = -1


def current_revisions(all_rows: pa.Table) -> pa.Table:
    """Give the sets that hold now, sorted by key and row_number.

    Args:
        all_rows: schema TICKET_HOURS, in any order; rows appended twice are given once.
    """
    if all_rows.num_rows == 0:
        return all_rows
    order = [(name, "ascending") for name in _KEY]
    order += [(name, "descending") for name in _ANSWER]
    order += [("row_number", "ascending")]
    rows = all_rows.take(pc.sort_indices(all_rows, sort_keys=order))
    starts = _differs_from_row_before(rows, _KEY)
    leader = np.maximum.accumulate(np.where(starts, np.arange(rows.num_rows), 0))
    is_latest = np.ones(rows.num_rows, dtype=bool)
    for name in _ANSWER:
        values = _comparable(rows, name)
        is_latest &= values == values[leader]
    is_latest &= _differs_from_row_before(rows, (*_KEY, *_ANSWER, "row_number"))
    return rows.filter(pa.array(is_latest))


def as_of(all_rows: pa.Table, instant: datetime) -> pa.Table:
    """Give the sets that held at an instant; an answer that came at the instant itself counts."""
    known = pc.less_equal(all_rows["fetched_at_utc"], pa.scalar(instant, pa.timestamp("us", "UTC")))
    return current_revisions(all_rows.filter(known))


def new_revisions(answer: ParsedAnswer, known: pa.Table, *, absent_means: AbsentMeans) -> pa.Table:
    """Give the sets that an answer adds; empty when it says nothing new.

    An hour whose set equals the known one adds nothing. Under `zero`, an hour with sales that the
    answer leaves out, and no refused row may have meant, is retracted by one row of 0 tickets with
    row_number -1. Under `missing`, absence adds nothing.

    Answers have to be applied in order of fetched_at_utc. One that turns up late is applied against
    the whole history, and the later answers to the same question once more after it.

    Args:
        answer: as parse_hourly_answer gave it.
        known: schema TICKET_HOURS: the current revisions, or all; other connectors, codes and
            hours are ignored, and so are answers that came after this one.
        absent_means: the connector's choice.

    Returns:
        Schema TICKET_HOURS.
    """
    fetch = answer.fetch
    hours = whole_hours(fetch.window, fetch.zone)
    held = _sets(as_of(_of_window(known, answer, hours), fetch.fetched_at_utc))
    sent = _sets(answer.rows)
    changed = {key for key, rows in sent.items() if _content(rows) != _content(held.get(key, []))}
    kept = [key in changed for key in _keys(answer.rows)]
    added = answer.rows.filter(pa.array(kept, pa.bool_()))
    if absent_means == "missing":
        return added
    asked = set(fetch.asked_codes)
    retracted = [
        _zero(key, rows[0]["utc_offset_s"], answer)
        for key, rows in held.items()
        if key not in sent
        and key not in answer.refused_hours
        and key[0] in asked
        and any(row[name] for row in rows for name in _COUNTED)
    ]
    return pa.concat_tables([added, pa.Table.from_pylist(retracted, schema=TICKET_HOURS)])


def _of_window(known: pa.Table, answer: ParsedAnswer, hours: Iterable[datetime]) -> pa.Table:
    starts = pa.array(list(hours), pa.timestamp("us", "UTC"))
    is_own = pc.and_(
        pc.equal(known["connector_id"], answer.fetch.connector_id),
        pc.is_in(known["hour_start_utc"], value_set=starts),
    )
    return known.filter(is_own)


def _keys(rows: pa.Table) -> list[CodeHour]:
    codes, starts = rows["ext_ref_code"].to_pylist(), rows["hour_start_utc"].to_pylist()
    return list(zip(codes, starts, strict=True))


def _sets(rows: pa.Table) -> dict[CodeHour, list[dict[str, object]]]:
    result: dict[CodeHour, list[dict[str, object]]] = {}
    for key, row in zip(_keys(rows), rows.select(_CONTENT).to_pylist(), strict=True):
        result.setdefault(key, []).append(row)
    return result


def _content(rows: list[dict[str, object]]) -> Counter[tuple[object, ...]]:
    return Counter(tuple(row[name] for name in _CONTENT) for row in rows)


def _zero(key: CodeHour, utc_offset_s: object, answer: ParsedAnswer) -> dict[str, object]:
    return {
        "connector_id": answer.fetch.connector_id,
        "ext_ref_code": key[0],
        "hour_start_utc": key[1],
        "utc_offset_s": utc_offset_s,
        "num_tickets": 0,
        "fetched_at_utc": answer.fetch.fetched_at_utc,
        "raw_sha256": answer.fetch.raw_sha256,
        "row_number": _ABSENT_ROW,
    }


def _differs_from_row_before(rows: pa.Table, names: tuple[str, ...]) -> NDArray[np.bool_]:
    differs = np.zeros(rows.num_rows, dtype=bool)
    differs[0] = True
    for name in names:
        values = _comparable(rows, name)
        differs[1:] |= values[1:] != values[:-1]
    return differs


def _comparable(rows: pa.Table, name: str) -> NDArray[np.int64]:
    """Give integers that are equal exactly where the column's values are."""
    column = rows[name].combine_chunks()
    if pa.types.is_string(column.type):
        column = column.dictionary_encode().indices
    return np.asarray(column.cast(pa.int64()).to_numpy(zero_copy_only=False), dtype=np.int64)
