"""Revisions of ticket hours: what an answer changes, and what holds now or held at some time.

The unit of revision is the whole set of rows of one (connector_id, ext_ref_code, hour_start_utc).
History is append-only: the set with the latest fetched_at_utc holds (on a tie, the one whose
raw_sha256 sorts last), and a category that a newer set does not name is gone.
"""

from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ksi_pipeline.core.hour_grid import HourGrid, Int64s, hour_grid
from ksi_pipeline.core.instants import to_us
from ksi_pipeline.core.schemas import TICKET_HOURS
from ksi_pipeline.core.ticket_answer import AbsentMeans, CodeHour, ParsedAnswer
from ksi_pipeline.core.ticket_row import AMOUNT_COLUMNS

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
    grid = hour_grid(answer.fetch.window, answer.fetch.zone)
    near = _of_window(known, answer, grid)
    if not near.num_rows:
        return answer.rows
    codes = _same_numbers(near["ext_ref_code"], answer.rows["ext_ref_code"])
    cells, sent_cells = (
        code * len(grid.starts) + grid.places_of(microseconds(rows["hour_start_utc"]))
        for code, rows in zip(codes, (near, answer.rows), strict=True)
    )
    size = int(max(cells.max(initial=0), sent_cells.max(initial=0))) + 1
    is_held = _is_held(near, cells, size)
    held, cells = _kept(near, is_held), cells[is_held]
    sent_counts = np.bincount(sent_cells, minlength=size)
    is_changed = sent_counts != np.bincount(cells, minlength=size)
    is_changed[sent_cells[~_is_known(answer.rows, sent_cells, held, cells)]] = True
    added = _kept(answer.rows, is_changed[sent_cells])
    if absent_means == "missing":
        return added
    gone = _kept(held, sent_counts[cells] == 0)
    return pa.concat_tables([added, _retracted(gone, answer)]) if gone.num_rows else added


def microseconds(column: pa.ChunkedArray) -> Int64s:
    """Give a column of instants, or of whole numbers, as integers."""
    return np.asarray(column.cast(pa.int64()).to_numpy(), dtype=np.int64)


def _kept(rows: pa.Table, is_kept: NDArray[np.bool_]) -> pa.Table:
    return rows if is_kept.all() else rows.filter(pa.array(is_kept))


def _of_window(known: pa.Table, answer: ParsedAnswer, grid: HourGrid) -> pa.Table:
    """Keep the rows of the answer's hours that were known when it came."""
    if not known.num_rows:
        return known
    is_near = grid.places_of(microseconds(known["hour_start_utc"])) >= 0
    is_near &= microseconds(known["fetched_at_utc"]) <= to_us(answer.fetch.fetched_at_utc)
    near = _kept(known, is_near)
    is_own = pc.equal(near["connector_id"], answer.fetch.connector_id)
    return near if pc.all(is_own).as_py() else near.filter(is_own)


def _same_numbers(one: pa.ChunkedArray, other: pa.ChunkedArray) -> tuple[Int64s, Int64s]:
    """Give integers that are equal exactly where the texts of two columns are; null is -1."""
    both = pa.chunked_array([*one.chunks, *other.chunks], one.type).combine_chunks()
    numbers = both.dictionary_encode().indices.fill_null(-1)
    values = np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.int64)
    return values[: len(one)], values[len(one) :]


def _is_held(rows: pa.Table, cells: Int64s, size: int) -> NDArray[np.bool_]:
    """Find the rows of the set that holds in each cell; of rows appended twice, the first."""
    rank = np.zeros(len(cells), dtype=np.int64)
    for name in _ANSWER:
        values = rows[name]
        if pa.types.is_string(values.type):
            ranks = pc.rank(values.combine_chunks(), tiebreaker="dense").to_numpy()
        else:
            ranks = np.unique(microseconds(values), return_inverse=True)[1]
        rank = rank * (int(ranks.max()) + 1) + ranks
    best = np.full(size, -1, dtype=np.int64)
    np.maximum.at(best, cells, rank)
    is_held = rank == best[cells]
    numbers = microseconds(rows["row_number"]) + 1
    keys = np.where(is_held, cells * (int(numbers.max()) + 1) + numbers, -1)
    distinct, firsts = np.unique(keys, return_index=True)
    if len(distinct) - int(distinct[0] < 0) < np.count_nonzero(is_held):
        is_first = np.zeros(len(cells), dtype=np.bool_)
        is_first[firsts] = True
        is_held &= is_first
    return np.asarray(is_held)


def _is_known(
    sent: pa.Table, sent_cells: Int64s, held: pa.Table, cells: Int64s
) -> NDArray[np.bool_]:
    """Find the rows for which the set that holds has the very same one.

    In a set no category comes twice, so cell and category name one row.
    """
    sent_keys, keys = sent_cells, cells
    if sent["category"].null_count < len(sent_cells) or held["category"].null_count < len(cells):
        sent_names, names = _same_numbers(sent["category"], held["category"])
        width = int(max(sent_names.max(initial=0), names.max(initial=0))) + 2
        sent_keys, keys = sent_cells * width + sent_names + 1, cells * width + names + 1
    order = np.argsort(keys)
    places = np.searchsorted(keys, sent_keys, sorter=order)
    places[places == len(keys)] = 0
    partners = order[places]
    is_same = np.asarray(keys[partners] == sent_keys)
    indices = pa.array(partners)
    for name in _CONTENT:
        is_said = sent[name].null_count < len(sent) or held[name].null_count < len(held)
        if name != "category" and is_said:
            is_same &= _is_equal(sent[name], held[name].take(indices))
    return is_same


def _is_equal(one: pa.ChunkedArray, other: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Compare two columns; null equals null."""
    one_null, other_null = one.is_null().to_numpy(), other.is_null().to_numpy()
    is_same = np.asarray(one_null & other_null)
    if not is_same.all():
        is_same |= pc.equal(one, other).fill_null(False).to_numpy()
    return is_same


def _retracted(gone: pa.Table, answer: ParsedAnswer) -> pa.Table:
    """Give a row of 0 tickets for each hour with sales that the answer was asked for."""
    asked = set(answer.fetch.asked_codes)
    zeros: dict[CodeHour, dict[str, object]] = {}
    for row in gone.sort_by([(name, "ascending") for name in _KEY]).to_pylist():
        key = (row["ext_ref_code"], row["hour_start_utc"])
        if key[0] in asked and key not in answer.refused_hours and any(map(row.get, _COUNTED)):
            zeros.setdefault(key, _zero(key, row["utc_offset_s"], answer))
    return pa.Table.from_pylist(list(zeros.values()), schema=TICKET_HOURS)


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
