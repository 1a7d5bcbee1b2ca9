"""Tracklet points as sorted arrays: what visits and crossings are counted from.

Tracklet ids are codes into one dictionary of names per table, so that no loop touches a string.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.geometry import FloatArray

RULE_VERSION = 1

IntArray = NDArray[np.int64]
_T = TypeVar("_T", bound=np.generic)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, eq=False)
class Names:
    """The distinct tracklet ids of one table.

    Attributes:
        values: strings, shape (T,).
        ranks: place of each in sorted order, shape (T,).
    """

    values: pa.Array
    ranks: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Walks:
    """Samples of one camera: each tracklet in one run, rising in time.

    Attributes:
        names: what `codes` point into.
        codes: tracklet of each sample, shape (N,).
        ts: microseconds since the epoch, shape (N,).
        x: floor metres, shape (N,).
        y: floor metres, shape (N,).
    """

    names: Names
    codes: NDArray[np.int32]
    ts: IntArray
    x: FloatArray
    y: FloatArray

    def rows(self, chosen: IntArray) -> "Walks":
        """Give some samples, by index, in their order."""
        return Walks(
            self.names,
            frozen(self.codes[chosen]),
            frozen(self.ts[chosen]),
            frozen(self.x[chosen]),
            frozen(self.y[chosen]),
        )


def walks_of(points: pa.Table, names: Names | None = None) -> Walks:
    """Bring the points of one camera into walks; rows with null metres are left out.

    Args:
        points: columns tracklet_id, ts_utc, x_m and y_m of TRACKLET_POINTS, any order.
        names: given when tracklet_id is dictionary-encoded with these names.

    Raises:
        ContractError: E_REPEATED_SAMPLE or E_NOT_FINITE, naming the tracklet and the instant.
    """
    from ksi_pipeline.core.compiled import survey  # numba is slow to import

    if points["x_m"].null_count or points["y_m"].null_count:
        points = points.filter(pc.and_(pc.is_valid(points["x_m"]), pc.is_valid(points["y_m"])))
    tracklets = encoded(points["tracklet_id"])
    names = names or names_of(tracklets)
    codes = tracklets.indices.to_numpy()
    ts = _numbers(points["ts_utc"].cast(pa.int64()))
    x, y = _numbers(points["x_m"]), _numbers(points["y_m"])
    in_order, finite = survey(frozen(codes), frozen(ts), frozen(x), frozen(y), len(names.ranks))
    if not in_order or not finite:
        order = np.lexsort((ts, names.ranks[codes]))
        codes, ts, x, y = codes[order], ts[order], x[order], y[order]
        _refuse_bad_samples(names, codes, ts, x, y)
    return Walks(names, frozen(codes), frozen(ts), frozen(x), frozen(y))


def bad_sample(tracklet_id: str, at_us: int, *, is_repeated: bool) -> tuple[str, str]:
    """Give message and code for a sample that comes twice, or whose position is no number."""
    instant = _EPOCH + timedelta(microseconds=at_us)
    sample = f"Tracklet {tracklet_id!r}, sample at {instant.isoformat()},"
    if is_repeated:
        return (
            f"{sample} comes twice, so the tracklet has no single position there. "
            "Remove the repeated sample.",
            "E_REPEATED_SAMPLE",
        )
    return (
        f"{sample} has a position that is no number. Write null metres for unknown.",
        "E_NOT_FINITE",
    )


def encoded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """Give strings, plain or dictionary-encoded, as one dictionary array with 32-bit indices.

    Each string has one code, also where the dictionary that was given has it twice.
    """
    if not pa.types.is_dictionary(column.type):
        column = pc.dictionary_encode(column)
    if column.num_chunks == 1:
        strings = column.chunk(0)
    elif column.num_chunks == 0:
        strings = pa.array([], column.type)
    else:
        strings = column.unify_dictionaries().combine_chunks()
    values = strings.dictionary
    if _rise(values) or len(pc.unique(values)) == len(values):
        return strings
    return pc.dictionary_encode(strings.cast(values.type))


def present(strings: pa.DictionaryArray) -> list[str]:
    """Give the distinct strings of an encoded column, in order."""
    codes = strings.indices.to_numpy()
    if is_one(codes):
        return [strings.dictionary[int(codes[0])].as_py()]
    return sorted(strings.dictionary.take(pa.array(np.unique(codes))).to_pylist())


def is_one(codes: NDArray[np.int32]) -> bool:
    """Whether all rows have one code: mostly, and what asks is much quicker then."""
    return len(codes) > 0 and bool(codes.min() == codes.max())


def names_of(tracklets: pa.DictionaryArray) -> Names:
    """Rank the names of a dictionary; sorted points come with sorted names, which costs nothing."""
    values = tracklets.dictionary
    if _rise(values):
        return Names(values, np.arange(len(values), dtype=np.int64))
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[pc.sort_indices(values).to_numpy()] = np.arange(len(values))
    return Names(values, ranks)


def _rise(values: pa.Array) -> bool:
    return len(values) < 2 or bool(pc.all(pc.less(values[:-1], values[1:])).as_py())


def table_of(columns: dict[str, object], schema: pa.Schema) -> pa.Table:
    """Build a table; columns of instants are given in microseconds since the epoch, UTC."""

    def arrow(column: object) -> pa.Array | pa.ChunkedArray:
        # pa.array would copy an Arrow array value by value.
        return pa.array(column) if isinstance(column, np.ndarray) else column

    arrays = [arrow(columns[field.name]).cast(field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def coded(values: Sequence[str], codes: NDArray[np.integer]) -> pa.DictionaryArray:
    """Give the string of each code, dictionary-encoded with distinct strings."""
    distinct = pa.array(sorted(set(values)), pa.string())
    ranks = ranks_of(values).astype(np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(ranks[codes]), distinct)


def coded_in_runs(values: pa.Array, codes: NDArray[np.integer]) -> pa.DictionaryArray:
    """Give the string of each code, dictionary-encoded with those that are there, in their order.

    Quick where equal codes follow each other.
    """
    begins = np.ones(len(codes), dtype=np.bool_)
    begins[1:] = codes[1:] != codes[:-1]
    of_runs = pc.dictionary_encode(values.take(pa.array(codes[begins])))
    indices = of_runs.indices.to_numpy()[np.cumsum(begins) - 1]
    return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), of_runs.dictionary)


def coded_schema(schema: pa.Schema) -> pa.Schema:
    """Give a schema with its text dictionary-encoded."""
    text = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [field.with_type(text) if pa.types.is_string(field.type) else field for field in schema]
    )


def taken(values: Sequence[str], codes: NDArray[np.integer]) -> pa.Array:
    """Give the string of each code, without a loop over rows."""
    return pa.array(values, pa.string()).take(pa.array(codes))


def ranks_of(values: Sequence[str]) -> IntArray:
    """Give the place of each string among the sorted distinct ones; equal strings rank equal."""
    places = {value: place for place, value in enumerate(sorted(set(values)))}
    return np.array([places[value] for value in values], dtype=np.int64)


def instant_us(instant: datetime) -> int:
    """Give an aware instant in microseconds since the epoch."""
    return round(instant.timestamp() * 1_000_000)


def frozen(array: NDArray[_T]) -> NDArray[_T]:
    """Give a read-only view: arrays from Arrow are read-only, and each kind is compiled apart."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def _numbers(column: pa.ChunkedArray) -> NDArray[Any]:
    array: NDArray[Any] = column.to_numpy()
    return array


def _refuse_bad_samples(
    names: Names, codes: NDArray[np.int32], ts: IntArray, x: FloatArray, y: FloatArray
) -> None:
    def refusal(row: int, *, is_repeated: bool) -> ContractError:
        name = names.values[int(codes[row])].as_py()
        message, code = bad_sample(name, int(ts[row]), is_repeated=is_repeated)
        return ContractError(message, code=code)

    finite = np.isfinite(x) & np.isfinite(y)
    if not finite.all():
        raise refusal(int(np.argmin(finite)), is_repeated=False)
    repeated = (codes[:-1] == codes[1:]) & (np.diff(ts) == 0)
    if repeated.any():
        raise refusal(int(np.argmax(repeated)), is_repeated=True)
