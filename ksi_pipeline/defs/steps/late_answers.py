"""Answers that have to be read once more, because one that came before them turned up late.

What they said was judged without the late one. So it is taken back, and they are read again in the
order in which they hold: what is known then is what it would be, had the late one been in time.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ksi_pipeline.core.hour_grid import Int64s, hour_grid
from ksi_pipeline.core.instants import from_us
from ksi_pipeline.core.time import Window
from ksi_pipeline.defs.steps.asked_before import rank_of
from ksi_pipeline.defs.steps.coverage import units_by_code
from ksi_pipeline.defs.steps.feed_history import FeedHistory
from ksi_pipeline.defs.steps.touched import hours_in
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.ledger import Row
from ksi_pipeline.store.store import AffectedHour, Change


def with_later_ones(workspace: Workspace, space: Space, waiting: list[Row]) -> list[Row]:
    """Add the answers that were read before one that came earlier for the same hours.

    What they said, and what those among `waiting` said that were read before, no longer counts: one
    change takes it back and notes them as unread.

    Args:
        workspace: the data home.
        space: of the site that the answers are for.
        waiting: unread answers of one feed, in the order in which they hold.

    Returns:
        What is to be read, in the order in which it holds.
    """
    connector_id, site_id = waiting[0]["connector_id"], waiting[0]["site_id"]
    first = min(fetch["fetched_at_utc"] for fetch in waiting)
    known = workspace.store.ledger.parsed_fetches(connector_id, site_id, first)
    later = [fetch for fetch in known if any(_follows(late, fetch) for late in waiting)]
    again = [fetch for fetch in waiting if fetch["rows_in"] is not None]
    if not later and not again:
        return waiting
    later += _of_the_same_moment([*later, *again], known)
    change = Change(cause=f"a late answer of {connector_id}")
    _take_back(FeedHistory(workspace.store, connector_id, space), change, space, [*later, *again])
    change.fetches_to_apply_again += [fetch["fetch_id"] for fetch in (*later, *again)]
    workspace.store.commit(change)
    return sorted([*waiting, *later], key=rank_of)


def _follows(late: Row, fetch: Row) -> bool:
    return rank_of(late) < rank_of(fetch) and _meet(late, fetch)


def _meet(one: Row, other: Row) -> bool:
    return bool(one["from_utc"] < other["to_utc"] and other["from_utc"] < one["to_utc"])


def _of_the_same_moment(chosen: list[Row], known: list[Row]) -> list[Row]:
    """Give the answers that came with a chosen one for the same hours.

    Coverage does not name its answer, only when it came, so it is taken back of both.
    """
    by_moment: dict[int, list[Row]] = defaultdict(list)
    for fetch in chosen:
        by_moment[fetch["fetched_at_utc"]].append(fetch)
    ids = {fetch["fetch_id"] for fetch in chosen}
    rest = [f for f in known if f["fetched_at_utc"] in by_moment and f["fetch_id"] not in ids]
    found: list[Row] = []
    while True:
        more = [f for f in rest if any(_meet(f, one) for one in by_moment[f["fetched_at_utc"]])]
        if not more:
            return found
        found += more
        for fetch in more:
            rest.remove(fetch)
            by_moment[fetch["fetched_at_utc"]].append(fetch)


def _take_back(history: FeedHistory, change: Change, space: Space, fetches: list[Row]) -> None:
    first = min(fetch["from_utc"] for fetch in fetches)
    end = max(fetch["to_utc"] for fetch in fetches)
    said_by = _SaidBy(fetches, space)
    units = units_by_code(space, history.connector_id)
    for rows in history.take_back(change, "ticket_hours", first, end, said_by.tickets):
        change.affect(_ticket_hours(space, units, rows))
    for rows in history.take_back(change, "coverage", first, end, said_by.coverage):
        names = ("key", "from_utc", "to_utc")
        for key, begin, stop in zip(*(rows[name].to_pylist() for name in names), strict=True):
            change.affect(hours_in(space, units.get(key, ()), [(begin, stop)]))


def _ticket_hours(
    space: Space, units: dict[str, set[str]], rows: pa.Table
) -> Iterable[AffectedHour]:
    for row in rows.group_by(["ext_ref_code", "hour_start_utc"]).aggregate([]).to_pylist():
        for unit in units.get(row["ext_ref_code"], ()):
            yield space.site_id, unit, row["hour_start_utc"]


class _SaidBy:
    """Finds the rows that some answers said."""

    def __init__(self, fetches: list[Row], space: Space) -> None:
        self._zone = space.file.site.zone_info
        self._by_moment: dict[int, list[Row]] = defaultdict(list)
        for fetch in fetches:
            self._by_moment[fetch["fetched_at_utc"]].append(fetch)

    def tickets(self, rows: pa.Table) -> NDArray[np.bool_]:
        """Tell which rows of ticket hours they said."""
        hours = _us(rows, "hour_start_utc")

        def said(fetch: Row, places: Int64s) -> NDArray[np.bool_]:
            window = Window(from_us(fetch["from_utc"]), from_us(fetch["to_utc"]))
            is_own = hour_grid(window, self._zone).places_of(hours[places]) >= 0
            hashes = rows["raw_sha256"].take(pa.array(places)).to_numpy()
            return np.asarray(is_own & (hashes == fetch["raw_sha256"]), dtype=np.bool_)

        return self._found(rows, said)

    def coverage(self, rows: pa.Table) -> NDArray[np.bool_]:
        """Tell which rows of coverage they said."""
        starts, ends = _us(rows, "from_utc"), _us(rows, "to_utc")

        def said(fetch: Row, places: Int64s) -> NDArray[np.bool_]:
            meets = (starts[places] < fetch["to_utc"]) & (ends[places] > fetch["from_utc"])
            return np.asarray(meets, dtype=np.bool_)

        return self._found(rows, said)

    def _found(
        self, rows: pa.Table, said: Callable[[Row, Int64s], NDArray[np.bool_]]
    ) -> NDArray[np.bool_]:
        found = np.zeros(rows.num_rows, dtype=np.bool_)
        moments = _us(rows, "fetched_at_utc")
        for moment in np.unique(moments).tolist():
            for fetch in self._by_moment.get(moment, ()):
                places = np.flatnonzero(moments == moment)
                found[places] |= said(fetch, places)
        return found


def _us(rows: pa.Table, name: str) -> Int64s:
    return np.asarray(rows[name].cast(pa.int64()).to_numpy(), dtype=np.int64)
