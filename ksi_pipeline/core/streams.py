"""Counting points that come part by part, sorted by site, camera, tracklet and instant.

A part is some consecutive rows: a row group of a file, or less. Tracklets that lie whole inside a
part are counted with it, in any thread; the first and the last may go on in the parts beside it, so
they are carried over and counted when they are whole. What comes out does not depend on where one
part ends and the next begins.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.events import Events, Found, events_of
from ksi_pipeline.core.samples import Samples
from ksi_pipeline.core.walks import IntArray, bad_sample

# Tracklets at borders are counted together, as long as they are few.
_MOST_CARRIED = 1 << 16
Count = Callable[[Samples], Sequence[Found]]


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
        head: rows of its first tracklet, and maybe of some more whole ones.
        events: of the tracklets between.
        tail: rows of its last tracklet; none when all are in the head.
        tail_row: place of the tail's first row in the stream.
    """

    row: int
    head: Samples
    events: Events
    tail: Samples
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
    begun, head = row, None
    found: list[Found] = []
    # The last tracklet so far, which may go on.
    carried: list[Samples] = []
    carried_row = row
    for piece in pieces:
        samples = Samples.of(piece)
        del piece  # it would stay in memory while the next is read
        first, last = _checked(samples, row)
        if carried:
            _check_border(carried, samples, row)
        is_one = last == 0
        if is_one and (not carried or _is_same_tracklet(carried[-1], samples)):
            carried.append(samples.copied())
            row += len(samples)
            continue
        # Whole now: what was carried, and the first tracklet here unless it is the last, too.
        first = 0 if is_one else first
        border = Samples.joined([*carried, samples.part(0, first).copied()])
        if head is None:
            head = border
        else:
            found += _counted(border, carried_row, count)
        found += _counted(samples.part(first, last), row + first, count)
        carried, carried_row = [samples.part(last, len(samples)).copied()], row + last
        row += len(samples)
        del samples
    if not carried:
        raise ValueError("a part of a stream has no rows")
    tail = Samples.joined(carried)
    if head is None:
        return CountedPart(begun, tail, events_of(found), tail.part(0, 0), row)
    return CountedPart(begun, head, events_of(found), tail, carried_row)


def joined_up(parts: Iterable[CountedPart], count: Count) -> Iterator[Events]:
    """Give the events of all parts in order, with the tracklets that lie across their borders.

    Raises:
        Unsorted: a part that comes before the one before it.
        RowError: as in count_part.
    """
    carried: list[Samples] = []
    begun = 0
    for part in parts:
        if carried:
            _check_border(carried, part.head, part.row)
            is_long = sum(map(len, carried)) > _MOST_CARRIED
            if is_long and not _is_same_tracklet(carried[-1], part.head):
                yield events_of(_counted(Samples.joined(carried), begun, count))
                carried = []
        begun = begun if carried else part.row
        carried.append(part.head)
        if len(part.tail):
            yield events_of(_counted(Samples.joined(carried), begun, count))
            yield part.events
            carried, begun = [part.tail], part.tail_row
    if carried:
        yield events_of(_counted(Samples.joined(carried), begun, count))


def _counted(samples: Samples, row: int, count: Count) -> Sequence[Found]:
    try:
        return count(samples) if len(samples) else []
    except RowError as error:
        raise RowError(str(error), code=error.code, row=row + error.row) from error


def _checked(samples: Samples, row: int) -> tuple[int, int]:
    """Give the rows of the first tracklet and where the last begins, 0 when it is the first."""
    from ksi_pipeline.core.compiled import (  # numba is slow to import
        NO_INSTANT,
        NOT_FINITE,
        REPEATED,
        UNSORTED,
        first_fault,
    )

    site, camera, tracklet = samples.keys
    at, fault, first, last = first_fault(
        site.codes, camera.codes, tracklet.codes,
        site.names.ranks, camera.names.ranks, tracklet.names.ranks,
        samples.ts, samples.x, samples.y, samples.known,
    )  # fmt: skip
    if fault == UNSORTED:
        raise Unsorted(row + at)
    if fault == NO_INSTANT:
        raise RowError(
            f"ts_utc is {samples.ts[at]} microseconds since 1970, which is "
            "in no year from 1900 to 2200. Check the unit of time in what made the file.",
            code="E_BAD_TIME",
            row=row + at,
        )
    if fault in (REPEATED, NOT_FINITE):
        raise _bad_sample(samples, at, row + at, is_repeated=fault == REPEATED)
    return first, last


def _bad_sample(samples: Samples, at: int, row: int, *, is_repeated: bool) -> RowError:
    tracklet = samples.keys[2].text(at)
    message, code = bad_sample(tracklet, int(samples.ts[at]), is_repeated=is_repeated)
    return RowError(message, code=code, row=row)


def _check_border(before: Sequence[Samples], after: Samples, row: int) -> None:
    """Refuse an `after` whose first row, number `row`, does not follow the last of `before`."""
    last = before[-1]
    one, two = _tracklet(last, len(last) - 1), _tracklet(after, 0)
    if (one, last.ts[-1]) > (two, after.ts[0]):
        raise Unsorted(row)
    if one != two:
        return
    at = _known_rows(after, 0)
    if len(at) and after.ts[at[0]] == _last_known_us(before):
        raise _bad_sample(after, int(at[0]), row + int(at[0]), is_repeated=True)


def _last_known_us(parts: Sequence[Samples]) -> int | None:
    """Give the instant of the last known position of the tracklet at the end."""
    tracklet = _tracklet(parts[-1], len(parts[-1]) - 1)
    for samples in reversed(parts):
        if _tracklet(samples, len(samples) - 1) != tracklet:
            return None
        known = _known_rows(samples, len(samples) - 1)
        if len(known):
            return int(samples.ts[known[-1]])
    return None


def _known_rows(samples: Samples, row: int) -> IntArray:
    """Give the rows of known position of the tracklet that `row` is of."""
    is_wanted = np.ones(len(samples), dtype=np.bool_)
    for key in samples.keys:
        is_wanted &= key.codes == key.codes[row]
    if len(samples.known):
        is_wanted &= samples.known
    return np.flatnonzero(is_wanted)


def _tracklet(samples: Samples, row: int) -> tuple[bytes, ...]:
    return tuple(key.text(row).encode() for key in samples.keys)


def _is_same_tracklet(one: Samples, two: Samples) -> bool:
    return _tracklet(one, len(one) - 1) == _tracklet(two, 0)
