"""Why tickets are refused, in words, and which hours they leave open."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ksi_pipeline.connectors.ticket_files.drop import MOST_SHOWN, Drop, Gathered, RefusedRow
from ksi_pipeline.connectors.ticket_files.fields import Refusal
from ksi_pipeline.connectors.ticket_files.mapping import Mapping as FileMapping
from ksi_pipeline.connectors.ticket_files.runs import RETURN
from ksi_pipeline.connectors.ticket_files.text_rows import ROW_NUMBER, BrokenRow, TextRows
from ksi_pipeline.connectors.ticket_files.typed import BAD

_EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)
_OF_TICKETS: tuple[tuple[str, str], ...] = (
    ("", ""),
    ("E_TICKET_MIXED", "the rows of its ticket differ in kind, currency or tax"),
    ("E_TIME_GAP", "its wall-clock time was skipped by a clock change, and gap: is refuse"),
    ("E_TIME_FOLD", "its wall-clock time came twice in a clock change, and fold: is refuse"),
    ("E_BAD_TIME", "its time lies before 1980 or more than a day after the file came"),
    (
        "E_RETURN_SIGN",
        "its ticket is a return with an amount above 0; if the till writes returns so, set "
        "returns: positive",
    ),
    (
        "E_TICKET_INCOMPLETE",
        "a row beside it could not be cut into fields and may belong to its ticket",
    ),
)
_TIME_LOST = {"E_BAD_TIME", "E_NAIVE_TIME", "E_TIME_GAP", "E_TIME_FOLD"}


class Refusals:
    """Judges the tickets of one file, and notes in `found` what was refused."""

    def __init__(
        self, mapping: FileMapping, drop: Drop, of_rows: list[Refusal], found: Gathered
    ) -> None:
        """Begin a file; `of_rows` are what numbers in BAD stand for."""
        self._mapping, self._drop, self._of_rows, self._found = mapping, drop, of_rows, found
        self._given = mapping.columns.given()
        self._broken: set[int] = set()

    def note_broken(self, rows: list[BrokenRow], *, is_counted: bool) -> None:
        """Remember rows that could not be cut: a ticket beside one may lack it."""
        for row in rows:
            if is_counted:
                self._found.refused_codes[row.code] += 1
                if self._found.refused_codes[row.code] <= MOST_SHOWN:
                    self._refuse(row.code, row.why, row.row_number, None)
            self._found.open_codes.setdefault(None, row.code)
            self._broken.add(row.row_number)

    def of_tickets(self, runs: pl.DataFrame) -> NDArray[np.uint8]:
        """Give what is wrong with tickets whose rows are all readable, as index of _OF_TICKETS."""
        latest = (self._drop.fetched_at_utc + timedelta(days=1)).replace(tzinfo=None)
        tests = {
            1: pl.col("_mixed"),
            2: pl.col("_gap"),
            3: pl.col("_fold"),
            4: (pl.col("at_utc") > latest) | (pl.col("at_utc") < _EARLIEST.replace(tzinfo=None)),
            5: (pl.col("kind") == RETURN) & (pl.col("net") > 0) if "net" in runs.columns else None,
            6: pl.Series("near", self._near_broken(runs)),
        }
        result = pl.lit(0, pl.UInt8)
        for number, test in reversed(tests.items()):
            if test is not None:
                result = pl.when(test).then(pl.lit(number, pl.UInt8)).otherwise(result)
        return runs.select(pl.lit(0).alias("_"), result.alias("r"))["r"].to_numpy()

    def _near_broken(self, runs: pl.DataFrame) -> NDArray[np.bool_]:
        if not self._broken or self._mapping.grain == "ticket":
            return np.zeros(runs.height, dtype=bool)
        broken = np.array(sorted(self._broken), dtype=np.int64)
        first, last = runs["row_number"].to_numpy(), runs["_last_row"].to_numpy()
        # a broken row inside, just before or just after
        begin = np.searchsorted(broken, first - 1, side="left")
        end = np.searchsorted(broken, last + 1, side="right")
        return end > begin

    def note(
        self,
        rows: pl.DataFrame,
        tickets: pl.DataFrame,
        wrong: NDArray[np.uint8],
        texts: Sequence[TextRows],
    ) -> None:
        """Count and show refused rows, and leave the hours of their tickets open.

        Args:
            rows: typed rows of refused tickets, with the `_run` of each.
            tickets: these tickets, likewise.
            wrong: of tickets by `_run`, as of_tickets gives it.
            texts: the pieces that hold these rows, in order.
        """
        of_run, bad = rows["_run"].to_numpy(), rows[BAD].to_numpy()
        own = wrong[of_run]
        counts = dict(self._counts(bad, own))
        for code, count in counts.items():
            self._found.refused_codes[code] += count
        self._show(rows, own, set(counts), texts)
        first = rows.group_by("_run").agg(pl.col(BAD).filter(pl.col(BAD) > 0).first())
        reasons = dict(zip(first["_run"].to_list(), first[BAD].to_list(), strict=True))
        columns = ("_run", "ext_ref_code", "_hour_us", "_zone")
        for number, code, hour, zone in tickets.select(columns).iter_rows():
            why = reasons.get(number)
            reason = self._of_rows[why].code if why else _OF_TICKETS[wrong[number]][0]
            is_timed = hour is not None and zone is not None and reason not in _TIME_LOST
            if code is not None and is_timed:
                self._found.open_hours.setdefault((code, hour), reason)
            else:
                self._found.open_codes.setdefault(code, reason)

    def _counts(self, bad: NDArray[np.uint8], own: NDArray[np.uint8]) -> Iterable[tuple[str, int]]:
        """Count refused rows by code, as _show names them."""
        counts: Counter[str] = Counter()
        for number, count in zip(*np.unique(bad[bad > 0], return_counts=True), strict=True):
            counts[self._of_rows[int(number)].code] += int(count)
        whole = bad == 0
        numbers = np.unique(own[whole & (own > 0)], return_counts=True)
        for number, count in zip(*numbers, strict=True):
            counts[_OF_TICKETS[int(number)][0]] += int(count)
        if rest := int((whole & (own == 0)).sum()):
            counts["E_TICKET_INCOMPLETE"] += rest
        return counts.items()

    def _show(
        self,
        rows: pl.DataFrame,
        own: NDArray[np.uint8],
        codes: set[str],
        texts: Sequence[TextRows],
    ) -> None:
        shown = Counter(row.code for row in self._found.refused)
        if all(shown[code] >= MOST_SHOWN for code in codes):
            return
        names = self._mapping.headers()
        # all of one kind, in the worst case: look at no more than can be shown
        few = rows.head(MOST_SHOWN * 4).with_columns(pl.Series("_own", own[: MOST_SHOWN * 4]))
        first_bad: dict[int, int] = {}
        for run, number in few.filter(pl.col(BAD) > 0).select("_run", ROW_NUMBER).iter_rows():
            first_bad.setdefault(run, number)
        numbers = few[ROW_NUMBER].to_numpy()
        raw = pl.concat([piece.cells(names, numbers) for piece in texts]).drop(ROW_NUMBER)
        judged = few.select(BAD, "_own", "_run", ROW_NUMBER).iter_rows(named=True)
        for row, cells in zip(judged, raw.iter_rows(named=True), strict=True):
            code, why = self._why(row, cells, first_bad)
            if shown[code] < MOST_SHOWN:
                shown[code] += 1
                self._refuse(code, why, row[ROW_NUMBER], json.dumps(cells, ensure_ascii=False))

    def _why(
        self, row: Mapping[str, int], texts: Mapping[str, str], first_bad: Mapping[int, int]
    ) -> tuple[str, str]:
        number = row[BAD]
        if number:
            refusal = self._of_rows[number]
            source = self._given[refusal.field] if refusal.field else None
            cells = [texts[name] for name in (source.column if source else ())]
            return refusal.code, f"{refusal.field} is {_shown(' '.join(cells))}: {refusal.why}"
        if own := row["_own"]:
            return _OF_TICKETS[own]
        other = first_bad.get(row["_run"])
        named = f"row {other}" if other is not None else "another row"
        return (
            "E_TICKET_INCOMPLETE",
            f"{named} of its ticket was refused, and a ticket is taken whole or not at all",
        )

    def _refuse(self, code: str, why: str, row_number: int, raw_value: str | None) -> None:
        message = (
            f"{self._drop.label}, row {row_number}: {why}. The row and its ticket count nowhere. "
            "Send the ticket again, right; if it is the mapping that is wrong, correct it, and the "
            "file is read again."
        )
        self._found.refused.append(RefusedRow(code, message, row_number, raw_value))


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}...")
