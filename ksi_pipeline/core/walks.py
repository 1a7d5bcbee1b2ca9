"""Tracklet points as sorted arrays: what visits and crossings are counted from."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.geometry import BoolArray, FloatArray

RULE_VERSION = 1

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Walks:
    """Samples of one camera, sorted by tracklet and time.

    Attributes:
        ids: tracklet of each sample, shape (N,).
        ts: microseconds since the epoch, shape (N,).
        xy: floor metres, shape (N, 2).
        joined: whether sample i and i + 1 are joined by a straight walk, shape (N,); last False.
    """

    ids: NDArray[np.object_]
    ts: IntArray
    xy: FloatArray
    joined: BoolArray


def walks_of(points: pa.Table, max_gap_s: float) -> Walks:
    """Sort points into walks; rows with null metres are left out.

    Raises:
        ContractError: E_REPEATED_SAMPLE or E_NOT_FINITE, naming the tracklet and the instant.
    """
    points = points.filter(pc.and_(pc.is_valid(points["x_m"]), pc.is_valid(points["y_m"])))
    points = points.sort_by([("tracklet_id", "ascending"), ("ts_utc", "ascending")])
    ids = np.asarray(points["tracklet_id"].to_pylist(), dtype=object)
    ts = points["ts_utc"].cast(pa.int64()).to_numpy()
    xy = np.column_stack([points["x_m"].to_numpy(), points["y_m"].to_numpy()]).astype(np.float64)
    finite = np.isfinite(xy).all(axis=1)
    if not finite.all():
        raise ContractError(
            f"{_sample(points, int(np.argmin(finite)))} has a position that is no number. "
            "Write null metres for unknown.",
            code="E_NOT_FINITE",
        )
    same, step = ids[:-1] == ids[1:], np.diff(ts)
    repeated = same & (step == 0)
    if repeated.any():
        raise ContractError(
            f"{_sample(points, int(np.argmax(repeated)))} comes twice, so the tracklet has no "
            "single position there. Remove the repeated sample.",
            code="E_REPEATED_SAMPLE",
        )
    joined = np.zeros(len(ts), dtype=np.bool_)
    joined[:-1] = same & (step <= round(max_gap_s * 1e6))
    return Walks(ids, ts, xy, joined)


def event_table(columns: dict[str, object], schema: pa.Schema) -> pa.Table:
    """Build a table; columns of instants are given in microseconds since the epoch, UTC."""
    arrays = [
        pa.array(columns[field.name], pa.int64()).cast(field.type)
        if pa.types.is_timestamp(field.type)
        else pa.array(columns[field.name], field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def instant_us(instant: datetime) -> int:
    """Give an aware instant in microseconds since the epoch."""
    return round(instant.timestamp() * 1_000_000)


def _sample(points: pa.Table, row: int) -> str:
    tracklet, instant = points["tracklet_id"][row].as_py(), points["ts_utc"][row].as_py()
    return f"Tracklet {tracklet!r}, sample at {instant.isoformat()},"
