"""Counting points that come part by part, sorted by site, camera, tracklet and instant.

A part is some consecutive rows: a row group of a file, or less. Tracklets that lie whole inside a
part are counted with it, in any thread; the first and the last may go on in the parts beside it, so
they are carried over and counted when they are whole. What comes out does not depend on where one
part ends and the next begins.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.events import Events
from ksi_pipeline.core.walks import bad_sample, encoded, frozen, names_of

KEYS = ("site_id", "camera_id", "tracklet_id")
# Tracklets at borders are counted together, as long as they are few.
_MOST_CARRIED = 1 << 16
Count = Callable[[pa.Table], Events]


class RowError(ContractError):
    """One row of a stream breaks the contract.

    Attributes:
        row: its place in the stream, from 0.
    """

    def __init__(self, message: str, *, code: str, row: int) -> None:
        super().__init__(message, code=code)
        self.row = row


class Unsorted(RowError):
    """A row comes before one that it should come after."""

    def __init__(self, row: int) -> None:
        super().__init__(
            "The points are not sorted by site_id, camera_id, tracklet_id and ts_utc.",
            code="E_UNSORTED",
            row=row,
        )


@dataclass(frozen=True, slots=True, eq=False)
class CountedPart:
    """One part, counted as far as it can be alone.

    Attributes:
        row: place of its first row in the stream.
        head: points of its first tracklet.
        events: of the tracklets between.
        tail: points of its last tracklet; empty when the part holds one only.
        tail_row: place of the tail's first row in the stream.
    """

    row: int
    head: pa.Table
    events: Events
    tail: pa.Table
    tail_row: int


def count_part(pieces: Iterable[pa.Table], row: int, count: Count) -> CountedPart:
    """Check one part and count the tracklets that begin and end in it.

    Args:
        pieces: columns of TRACKLET_POINTS, one after the other, so that no more of the part than
            one piece need be in memory; none of them is empty.
        row: place of the first row in the stream.
        count: counts whole tracklets.

    Raises:
        Unsorted: rows that do not rise by site, camera, tracklet and instant.
        RowError: E_REPEATED_SAMPLE, E_NOT_FINITE, or what `count` says of a row.
    """
    head: pa.Table | None = None
    begun = row
    events: list[Events] = []
    carried: pa.Table | None = None
    for piece in pieces:
        points = piece if carried is None else _in_one(carried, piece)
        del piece  # it would stay in memory while the next is read
        first, last = _checked(points, row)
        if last == 0:
            carried = points
            continue
        if head is None:
            head, start = _copied(points.slice(0, first)), first
        else:
            start = 0
        end = points.num_rows - last
        events.append(_count(points.slice(start, end - start), row + start, count))
        carried = _copied(points.slice(end))
        row += end
        del points
    if carried is None:
        raise ValueError("a part of a stream has no rows")
    if head is None:
        return CountedPart(begun, carried, Events.joined(events), carried.slice(0, 0), row)
    return CountedPart(begun, head, Events.joined(events), carried, row)


def joined_up(parts: Iterable[CountedPart], count: Count) -> Iterator[Events]:
    """Give the events of all parts in order, with the tracklets that lie across their borders.

    Raises:
        Unsorted: a part that comes before the one before it.
        RowError: as in count_part.
    """
    carried: list[pa.Table] = []
    begun = 0
    for part in parts:
        if carried:
            _check_border(carried[-1], part)
            is_long = sum(table.num_rows for table in carried) > _MOST_CARRIED
            if is_long and not _is_same_tracklet(carried[-1], part.head):
                yield _count(_in_one(*carried), begun, count)
                carried = []
        begun = begun if carried else part.row
        carried.append(part.head)
        if part.tail.num_rows:
            yield _count(_in_one(*carried), begun, count)
            yield part.events
            carried, begun = [part.tail], part.tail_row
    if carried:
        yield _count(_in_one(*carried), begun, count)


def _in_one(*tables: pa.Table) -> pa.Table:
    """One table of one chunk, so that its columns are arrays as they are."""
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _copied(points: pa.Table) -> pa.Table:
    """A copy with its own small dictionaries: a slice would keep the whole part in memory."""
    copy = points.take(pa.array(np.arange(points.num_rows)))
    for name in KEYS:
        place = copy.schema.get_field_index(name)
        field = copy.schema.field(place)
        if pa.types.is_dictionary(field.type):
            strings = copy[name].cast(pa.string())
            copy = copy.set_column(place, field, strings.dictionary_encode())
    return copy


def _count(points: pa.Table, row: int, count: Count) -> Events:
    try:
        return count(points)
    except RowError as error:
        raise RowError(str(error), code=error.code, row=row + error.row) from error


def _checked(points: pa.Table, row: int) -> tuple[int, int]:
    """Give the rows of the first tracklet and of the last, 0 for the last when it is the first."""
    from ksi_pipeline.core.compiled import (  # numba is slow to import
        NO_INSTANT,
        NOT_FINITE,
        REPEATED,
        UNSORTED,
        first_fault,
    )

    keys = [encoded(points[name]) for name in KEYS]
    site, camera, tracklet = (frozen(key.indices.to_numpy()) for key in keys)
    site_ranks, camera_ranks, tracklet_ranks = (names_of(key).ranks for key in keys)
    known = pc.and_(pc.is_valid(points["x_m"]), pc.is_valid(points["y_m"]))
    has_nulls = points["x_m"].null_count + points["y_m"].null_count > 0
    at, fault, head, last = first_fault(
        site, camera, tracklet, site_ranks, camera_ranks, tracklet_ranks,
        frozen(points["ts_utc"].cast(pa.int64()).to_numpy()),
        frozen(points["x_m"].to_numpy()), frozen(points["y_m"].to_numpy()),
        known.to_numpy() if has_nulls else np.empty(0, dtype=np.bool_),
    )  # fmt: skip
    if fault == UNSORTED:
        raise Unsorted(row + at)
    if fault == NO_INSTANT:
        raise RowError(
            f"ts_utc is {points['ts_utc'].cast(pa.int64())[at]} microseconds since 1970, which is "
            "in no year from 1900 to 2200. Check the unit of time in what made the file.",
            code="E_BAD_TIME",
            row=row + at,
        )
    if fault in (REPEATED, NOT_FINITE):
        raise _bad_sample(points.slice(at, 1), row + at, is_repeated=fault == REPEATED)
    return head, points.num_rows - last if last else 0


def _bad_sample(point: pa.Table, row: int, *, is_repeated: bool) -> RowError:
    tracklet, instant = point["tracklet_id"][0].as_py(), point["ts_utc"][0].as_py()
    message, code = bad_sample(tracklet, instant, is_repeated=is_repeated)
    return RowError(message, code=code, row=row)


def _check_border(before: pa.Table, part: CountedPart) -> None:
    one, two = (
        tuple(table[name][at].as_py() for name in (*KEYS, "ts_utc"))
        for table, at in ((before, before.num_rows - 1), (part.head, 0))
    )
    is_known = all(
        table[name][at].is_valid
        for table, at in ((before, before.num_rows - 1), (part.head, 0))
        for name in ("x_m", "y_m")
    )
    if one == two and is_known:
        raise _bad_sample(part.head, part.row, is_repeated=True)
    if _sort_key(one) > _sort_key(two):
        raise Unsorted(part.row)


def _sort_key(key: tuple[object, ...]) -> tuple[object, ...]:
    return (*(str(part).encode() for part in key[:3]), key[3])


def _is_same_tracklet(one: pa.Table, two: pa.Table) -> bool:
    return all(one[name][0].as_py() == two[name][0].as_py() for name in KEYS)
