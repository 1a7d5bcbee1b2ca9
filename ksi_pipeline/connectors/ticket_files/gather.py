"""From typed rows to whole tickets: what is loaded, what is refused, and which hours stay open.

The unit is the ticket: one refused row refuses its ticket, because half a ticket never stands for
the ticket. A row that cannot be cut into cells takes the tickets beside it, whose row it may be.
A refused ticket leaves its hour open, as a refused row of a feed does; where its code or time
cannot be read, every hour that it may have meant and that no good ticket fills.

Rows of one ticket that stand together are gathered as they come. A ticket whose rows are scattered
over a file is found at the end, and joined or refused as a whole.
"""

from typing import Protocol

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from ksi_pipeline.connectors.ticket_files.drop import Drop, Gathered, Scattered, key_hash
from ksi_pipeline.connectors.ticket_files.mapping import Mapping
from ksi_pipeline.connectors.ticket_files.placed import placed
from ksi_pipeline.connectors.ticket_files.refusals import Refusals
from ksi_pipeline.connectors.ticket_files.runs import begins, line_columns, runs_of
from ksi_pipeline.connectors.ticket_files.tables import line_table, ticket_table
from ksi_pipeline.connectors.ticket_files.text_rows import ROW_NUMBER, TextRows
from ksi_pipeline.connectors.ticket_files.typed import Typer
from ksi_pipeline.core.schemas import TICKET_LINES


class Sink(Protocol):
    """Takes rows as they come."""

    def write(self, rows: pa.Table) -> None:
        """Add rows."""
        ...


class Gathering:
    """Takes a file piece by piece, and writes its good tickets and lines."""

    def __init__(self, mapping: Mapping, drop: Drop, tickets: Sink, lines: Sink) -> None:
        """Begin a file; nothing is written before the first good ticket."""
        self._mapping, self._drop = mapping, drop
        self._tickets, self._lines = tickets, lines
        self._typer = Typer(mapping)
        self.found = Gathered()
        self._refusals = Refusals(mapping, drop, self._typer.refusals, self.found)
        self._carry: pl.DataFrame | None = None
        # pieces that hold the rows in hand; none of their text is typed twice
        self._texts: list[TextRows] = []
        self._good: list[NDArray[np.uint64]] = []
        self._bad: list[NDArray[np.uint64]] = []

    def add(self, rows: TextRows) -> None:
        """Take the next piece of the file."""
        height, found = rows.frame.height, self.found
        is_first_time = self._drop.only_codes is None
        if is_first_time:
            found.rows_in += height + len(rows.broken)
        self._refusals.note_broken(rows.broken, is_counted=is_first_time)
        if self._mapping.skip:
            rows = rows.filter(~self._typer.is_skipped(rows.frame))
            if is_first_time:
                found.rows_skipped += height - rows.frame.height
        if rows.frame.height:
            self._texts.append(rows)
            self._take(self._typer.type(rows), is_last=False)

    def finish(self) -> Gathered:
        """Take what was held back, and look for scattered tickets."""
        if self._carry is not None:
            last, self._carry = self._carry, None
            self._take(last, is_last=True)
        nothing = [np.empty(0, dtype=np.uint64)]
        self.found.refused_keys = np.concatenate(self._bad or nothing)
        self.found.scattered = self._scattered(np.concatenate(self._good or nothing))
        return self.found

    def _take(self, typed: pl.DataFrame, *, is_last: bool) -> None:
        if self._carry is not None:
            typed = pl.concat([self._carry, typed], rechunk=True)
            self._carry = None
        changed = begins(typed, self._mapping)
        starts = np.flatnonzero(changed)
        if not is_last:
            # the last ticket may go on in the next piece, and a broken row may follow it
            end = int(starts[-1])
            self._carry = typed.slice(end).rechunk()
            typed, starts, changed = typed.slice(0, end), starts[:-1], changed[:end]
        if typed.height == 0:
            return
        typed = typed.with_columns(line_columns(typed, self._mapping))
        runs = placed(
            runs_of(typed, starts, changed, self._mapping), self._mapping, self._drop.zones
        )
        self._settle(typed, runs, np.cumsum(changed) - 1)
        # rows that were carried may lie in pieces before the last
        held = typed[ROW_NUMBER][-1]
        self._texts = [piece for piece in self._texts if piece.frame[ROW_NUMBER][-1] > held]

    def _settle(self, typed: pl.DataFrame, runs: pl.DataFrame, run: NDArray[np.int64]) -> None:
        wrong = self._refusals.of_tickets(runs)
        is_known = runs["_zone"].is_not_null().to_numpy()
        # a code that is linked to nothing is judged once it is linked
        is_strange = ~is_known & runs["ext_ref_code"].is_not_null().to_numpy()
        is_bad = ((runs["_is_bad"].to_numpy() > 0) | (wrong > 0)) & ~is_strange
        only = self._drop.only_codes
        is_ours = (
            np.ones(runs.height, dtype=bool)
            if only is None
            else runs["ext_ref_code"].is_in(list(only)).fill_null(False).to_numpy()
        )
        is_unmatched = is_strange & is_ours
        is_good = is_known & ~is_bad & is_ours
        is_bad = is_bad & is_ours
        if only is not None:
            self.found.rows_in += int(is_ours[run].sum())
        if is_unmatched.any():
            self._note_unmatched(runs.filter(pl.Series(is_unmatched)))
        if is_bad.any():
            refused = typed.filter(pl.Series(is_bad[run]))
            hit = runs.filter(pl.Series(is_bad))
            numbered = refused.with_columns(pl.Series("_run", run[is_bad[run]]))
            self._refusals.note(numbered, hit, wrong, self._texts)
            keyed = hit.drop_nulls(["ticket_id", "ext_ref_code"])
            if keyed.height:
                self._bad.append(_hashes(keyed))
            nameless = hit.filter(pl.col("ticket_id").is_null())
            self.found.nameless.update(nameless["ext_ref_code"].drop_nulls())
        if is_good.any():
            self._write(typed, runs, run, is_good)

    def _note_unmatched(self, runs: pl.DataFrame) -> None:
        sums = runs.group_by("ext_ref_code").agg(
            pl.col("line_count").sum(), pl.col("row_number").min()
        )
        for code, count, first in sums.iter_rows():
            self.found.unmatched[code] += count
            self.found.unmatched_first.setdefault(code, first)

    def _write(
        self,
        typed: pl.DataFrame,
        runs: pl.DataFrame,
        run: NDArray[np.int64],
        is_good: NDArray[np.bool_],
    ) -> None:
        all_good = bool(is_good.all())
        good = runs if all_good else runs.filter(pl.Series(is_good))
        self.found.ticket_count += good.height
        self.found.rows_good += int(good["line_count"].sum())
        self._good.append(_hashes(good))
        self._tickets.write(ticket_table(good, self._drop))
        if self._mapping.grain == "line":
            needed = {*TICKET_LINES.names, ROW_NUMBER, "_net_line"}
            rows = typed.select(name for name in typed.columns if name in needed)
            rows = rows if all_good else rows.filter(pl.Series(is_good[run]))
            self._lines.write(line_table(rows, self._drop))

    def _scattered(self, good: NDArray[np.uint64]) -> Scattered | None:
        bad = self.found.refused_keys
        once = pl.Series(np.concatenate([good, bad])).n_unique()
        if once == len(good) + pl.Series(bad).n_unique():
            return None
        keys, counts = np.unique(good, return_counts=True)
        spoilt = np.intersect1d(keys, bad)
        joined = np.setdiff1d(keys[counts > 1], spoilt)
        if self._mapping.grain == "ticket" and len(joined):
            # two rows of one ticket: which holds is not guessed
            spoilt, joined = np.union1d(spoilt, joined), joined[:0]
        return Scattered(joined, spoilt) if len(joined) or len(spoilt) else None


def _hashes(tickets: pl.DataFrame) -> NDArray[np.uint64]:
    return tickets.select(key_hash().alias("h"))["h"].to_numpy()
