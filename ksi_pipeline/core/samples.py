"""Points of a stream as arrays: text as codes, so that no loop touches a string."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ksi_pipeline.core.geometry import BoolArray, FloatArray
from ksi_pipeline.core.walks import IntArray, Names, Walks, encoded, frozen, is_one, names_of

KEYS = ("site_id", "camera_id", "tracklet_id")


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """Text of each row.

    Attributes:
        codes: shape (N,), what `names` point at.
        names: the distinct texts, also of rows that are elsewhere.
    """

    codes: NDArray[np.int32]
    names: Names

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> "Coded":
        """Take a column of text, dictionary-encoded or not."""
        strings = encoded(column)
        return cls(frozen(strings.indices.to_numpy()), names_of(strings))

    @classmethod
    def joined(cls, parts: Sequence["Coded"]) -> "Coded":
        """Give text one after the other, with names of these rows only: a copy."""
        texts, places, first = [], [], 0
        for part in parts:
            used, at = _distinct(part.codes)
            texts.append(part.names.values.take(pa.array(used)))
            places.append(first + at)
            first += len(used)
        strings = pc.dictionary_encode(pa.concat_arrays(texts))
        return cls(
            frozen(strings.indices.to_numpy()[np.concatenate(places)]),
            names_of(strings),
        )

    def part(self, low: int, high: int) -> "Coded":
        """Give rows [low, high), as a view."""
        return Coded(self.codes[low:high], self.names)

    def text(self, row: int) -> str:
        """Give the text of one row."""
        text: str = self.names.values[int(self.codes[row])].as_py()
        return text


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Rows of TRACKLET_POINTS, in their order.

    Attributes:
        keys: site, camera and tracklet of each row.
        ts: microseconds since the epoch, shape (N,).
        x: floor metres, shape (N,); anything where not known.
        y: floor metres, shape (N,); anything where not known.
        known: where the metres are not null, shape (N,), or (0,) when they all are.
    """

    keys: tuple[Coded, Coded, Coded]
    ts: IntArray
    x: FloatArray
    y: FloatArray
    known: BoolArray

    @classmethod
    def of(cls, points: pa.Table) -> "Samples":
        """Take columns KEYS, ts_utc, x_m and y_m; arrays are views where the table allows."""
        known = np.empty(0, dtype=np.bool_)
        if points["x_m"].null_count + points["y_m"].null_count > 0:
            known = pc.and_(pc.is_valid(points["x_m"]), pc.is_valid(points["y_m"])).to_numpy()
        site, camera, tracklet = (Coded.of(points[name]) for name in KEYS)
        return cls(
            (site, camera, tracklet),
            frozen(points["ts_utc"].cast(pa.int64()).to_numpy()),
            frozen(points["x_m"].to_numpy()),
            frozen(points["y_m"].to_numpy()),
            frozen(known),
        )

    @classmethod
    def joined(cls, parts: Sequence["Samples"]) -> "Samples":
        """Give rows one after the other; a copy, unless there is one part only."""
        if len(parts) == 1:
            return parts[0]
        site, camera, tracklet = (Coded.joined([p.keys[i] for p in parts]) for i in range(3))
        known = np.empty(0, dtype=np.bool_)
        if any(len(part.known) for part in parts):
            known = np.concatenate(
                [p.known if len(p.known) else np.ones(len(p), dtype=np.bool_) for p in parts]
            )
        return cls(
            (site, camera, tracklet),
            frozen(np.concatenate([part.ts for part in parts])),
            frozen(np.concatenate([part.x for part in parts])),
            frozen(np.concatenate([part.y for part in parts])),
            frozen(known),
        )

    def copied(self) -> "Samples":
        """Give a copy, which does not keep in memory what the rows are a part of."""
        site, camera, tracklet = (Coded(frozen(key.codes.copy()), key.names) for key in self.keys)
        return Samples(
            (site, camera, tracklet),
            frozen(self.ts.copy()),
            frozen(self.x.copy()),
            frozen(self.y.copy()),
            frozen(self.known.copy()),
        )

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.ts)

    def part(self, low: int, high: int) -> "Samples":
        """Give rows [low, high), as a view."""
        site, camera, tracklet = (key.part(low, high) for key in self.keys)
        return Samples(
            (site, camera, tracklet),
            self.ts[low:high],
            self.x[low:high],
            self.y[low:high],
            self.known[low:high],
        )

    def by_camera(self) -> Iterator[tuple[str, str, int, "Samples"]]:
        """Yield site, camera, first row and rows of each stretch of one camera."""
        from ksi_pipeline.core.compiled import begins_of  # numba is slow to import

        if len(self) == 0:
            return
        site, camera, _ = self.keys
        begins = begins_of(site.codes, camera.codes)
        for begin, end in zip(begins, [*begins[1:], len(self)], strict=True):
            yield site.text(begin), camera.text(begin), begin, self.part(begin, end)

    def walk(self) -> Walks:
        """Give checked rows of one camera as walks, those of unknown place left out."""
        tracklet = self.keys[2]
        walk = Walks(tracklet.names, tracklet.codes, self.ts, self.x, self.y)
        return walk.rows(np.flatnonzero(self.known)) if len(self.known) else walk


def _distinct(codes: NDArray[np.int32]) -> tuple[NDArray[np.int32], IntArray]:
    """Give the distinct codes and the place of each row among them."""
    if is_one(codes):
        return codes[:1], np.zeros(len(codes), dtype=np.int64)
    used, at = np.unique(codes, return_inverse=True)
    return used, at.astype(np.int64)
