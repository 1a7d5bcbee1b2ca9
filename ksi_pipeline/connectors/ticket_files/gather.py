"""From typed rows to whole tickets: what is loaded, what is refused, and which hours stay open.

The unit is the ticket: one refused row refuses its ticket, because half a ticket never stands for
the ticket. A row that cannot be cut into cells takes the tickets beside it, whose row it may be.
A refused ticket leaves its hour open, as a refused row of a feed does; where its code or time
cannot be read, every hour that it may have meant and that no good ticket fills.

Rows of one ticket that stand together are gathered as they come. A ticket whose rows are scattered
over a file is found at the end, and joined or refused as a whole.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from ksi_pipeline.connectors.ticket_files.mapping import KINDS, SITE_ZONE
from ksi_pipeline.connectors.ticket_files.mapping import Mapping as FileMapping
from ksi_pipeline.connectors.ticket_files.text import ROW_NUMBER, TextRows
from ksi_pipeline.connectors.ticket_files.typed import BAD, MONEY_FIELDS, RAW, SCALE, Typer
from ksi_pipeline.core.schemas import TICKET_LINES, TICKETS
from ksi_pipeline.core.time import wall_to_utc

# Rows of one file with one code that the quarantine shows one by one; the rest are counted.
MOST_SHOWN = 1_000
# Columns of text that are one value in a whole file; they are written as a dictionary.
STAMPS = ("connector_id", "raw_sha256")
_KEY = ("ext_ref_code", "ticket_id")
_SALE, _RETURN, _VOID, _EXCHANGE, _GIFT_CARD = range(len(KINDS))
_HOUR_US = 3_600_000_000
_EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)


class Sink(Protocol):
    """Takes rows as they come."""

    def write(self, rows: pa.Table) -> None:
        """Add rows."""
        ...


@dataclass(frozen=True, slots=True)
class Drop:
    """One file as it came.

    Attributes:
        fetched_at_utc: when it was taken; of two revisions of a ticket the later holds.
        zones: ext_ref_code -> IANA zone of its site; codes that are not here are unmatched.
        only_codes: none: all rows; else rows of other codes are passed over and not counted.
    """

    connector_id: str
    name: str
    raw_sha256: str
    fetched_at_utc: datetime
    zones: Mapping[str, str]
    only_codes: frozenset[str] | None = None

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"Connector {self.connector_id!r}, file {self.name}"


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row for the quarantine; `raw_value` is JSON of its mapped cells, as text."""

    code: str
    message: str
    row_number: int
    raw_value: str | None


@dataclass(slots=True)
class Gathered:
    """What a file held.

    Attributes:
        rows_in: all rows, but for those passed over by `only_codes`.
        rows_skipped: left out by the mapping's skip:.
        rows_good: rows of tickets that can be loaded.
        refused_codes: how many rows were refused for which reason; refused holds MOST_SHOWN each.
        unmatched: rows of each code that is linked to nothing.
        open_hours: (code, hour in us) -> code of the refusal.
        open_codes: code -> refusal of a ticket whose hour is not known; None stands for all codes.
        scattered: tickets whose rows lie in several places; None: there are none.
    """

    rows_in: int = 0
    rows_skipped: int = 0
    rows_good: int = 0
    ticket_count: int = 0
    refused: list[RefusedRow] = field(default_factory=list)
    refused_codes: Counter[str] = field(default_factory=Counter)
    unmatched: Counter[str] = field(default_factory=Counter)
    unmatched_first: dict[str, int] = field(default_factory=dict)
    open_hours: dict[tuple[str, int], str] = field(default_factory=dict)
    open_codes: dict[str | None, str] = field(default_factory=dict)
    scattered: "Scattered | None" = None

    def refuse_ticket(self, drop: Drop, code: str, why: str, row_number: int) -> None:
        """Show a ticket that was refused once the whole file was seen, unless many were."""
        if sum(row.code == code for row in self.refused) < MOST_SHOWN:
            message = (
                f"{drop.label}, row {row_number}: {why}. None of its rows counts. Send the ticket "
                "again, right."
            )
            self.refused.append(RefusedRow(code, message, row_number, None))


@dataclass(frozen=True, slots=True)
class Scattered:
    """Tickets whose rows lie in several places of the file, by hash of their key.

    Attributes:
        joined: every place is good: they are to be made one ticket each.
        refused: one place was refused, so the others are too.
    """

    joined: NDArray[np.uint64]
    refused: NDArray[np.uint64]


def key_hash() -> pl.Expr:
    """Hash the key of a ticket; equal within one process only."""
    return pl.struct(*_KEY).hash(seed=7)


class Gathering:
    """Takes a file piece by piece, and writes its good tickets and lines."""

    def __init__(self, mapping: FileMapping, drop: Drop, tickets: Sink, lines: Sink) -> None:
        """Begin a file; nothing is written before the first good ticket."""
        self._mapping, self._drop = mapping, drop
        self._given = mapping.columns.given()
        self._tickets, self._lines = tickets, lines
        self._typer = Typer(mapping)
        self._carry: pl.DataFrame | None = None
        self._broken: set[int] = set()
        self._good: list[NDArray[np.uint64]] = []
        self._bad: list[NDArray[np.uint64]] = []
        self.found = Gathered()

    def add(self, rows: TextRows) -> None:
        """Take the next piece of the file."""
        frame, found = rows.frame, self.found
        if self._drop.only_codes is None:
            found.rows_in += frame.height + len(rows.broken)
            self._note_broken(rows)
        for row in rows.broken:
            found.open_codes.setdefault(None, row.code)
            self._broken.add(row.row_number)
        if self._mapping.skip:
            kept = frame.filter(~self._typer.is_skipped())
            if self._drop.only_codes is None:
                found.rows_skipped += frame.height - kept.height
            frame = kept
        if frame.height:
            self._take(self._typer.type(frame), is_last=False)

    def finish(self) -> Gathered:
        """Take what was held back, and look for scattered tickets."""
        if self._carry is not None:
            last, self._carry = self._carry, None
            self._take(last, is_last=True)
        self.found.scattered = self._scattered()
        return self.found

    def _take(self, typed: pl.DataFrame, *, is_last: bool) -> None:
        if self._carry is not None:
            typed = pl.concat([self._carry, typed])
            self._carry = None
        changed = self._begins(typed)
        starts = np.flatnonzero(changed)
        if not is_last:
            # the last ticket may go on in the next piece, and a broken row may follow it
            end = int(starts[-1])
            self._carry = typed.slice(end).rechunk()
            typed, starts, changed = typed.slice(0, end), starts[:-1], changed[:end]
        if typed.height == 0:
            return
        typed = typed.with_columns(self._line_columns(typed))
        self._settle(typed, self._runs(typed, starts, changed), np.cumsum(changed) - 1)

    def _begins(self, typed: pl.DataFrame) -> NDArray[np.bool_]:
        """Say which rows begin another ticket than that of the row before."""
        begins = np.ones(typed.height, dtype=np.bool_)
        if self._mapping.grain == "line" and typed.height > 1:
            begins[1:] = False
            for name in _KEY:
                begins[1:] |= typed[name][1:].ne_missing(typed[name][:-1]).to_numpy()
        return begins

    def _runs(
        self, rows: pl.DataFrame, starts: NDArray[np.int64], begins: NDArray[np.bool_]
    ) -> pl.DataFrame:
        """Give one row for each ticket of the piece; rows of a ticket stand together."""
        same = [n for n in ("kind", "currency", "tax_included") if n in self._given]
        sums = [n for n in (*MONEY_FIELDS, "units", "_gift") if n in rows.columns]
        firsts = [n for n in (*_KEY, *same, "till", "channel") if n in rows.columns]
        mixed = np.zeros(rows.height, dtype=np.bool_)
        for name in same:
            if self._given[name].value is None and rows.height > 1:
                mixed[1:] |= rows[name][1:].ne_missing(rows[name][:-1]).to_numpy()
        mixed &= ~begins
        ends = np.append(starts[1:], rows.height)
        numbers = rows[ROW_NUMBER].to_numpy()
        gifts = rows["is_gift_card"]
        only_gifts = (
            np.logical_and.reduceat(gifts.to_numpy(), starts)
            if gifts.any()
            else np.zeros(len(starts), dtype=np.bool_)
        )
        runs = rows.select(pl.col(firsts).gather(starts)).with_columns(
            _least(rows["_naive"], starts),
            _least(rows["_instant"], starts),
            pl.Series("row_number", numbers[starts]),
            pl.Series("_last_row", numbers[ends - 1]),
            pl.Series("line_count", ends - starts),
            pl.Series("_is_bad", np.maximum.reduceat(rows[BAD].to_numpy(), starts)),
            pl.Series("_mixed", np.logical_or.reduceat(mixed, starts)),
            pl.Series("_only_gifts", only_gifts),
            pl.Series("_run", np.arange(len(starts))),
            *(_total(rows[name], starts) for name in sums),
        )
        return self._timed(runs.with_columns(self._kind(runs)))

    def _line_columns(self, rows: pl.DataFrame) -> list[pl.Expr]:
        """Give what lines mean: signs of returns, gift cards, units."""
        gift = pl.col("gift_card").fill_null(False) if "gift_card" in self._given else pl.lit(False)
        turned = self._mapping.returns == "positive" and "kind" in self._given
        sign = pl.when(pl.col("kind") == _RETURN).then(-1).otherwise(1) if turned else 1
        columns = [gift.alias("is_gift_card")]
        for name in MONEY_FIELDS:
            if name in rows.columns:
                amount = pl.col(name) * sign
                columns.append(pl.when(~gift).then(amount).otherwise(pl.col(name) * 0).alias(name))
        if "net" in rows.columns:
            columns.append((pl.col("net") * sign).alias("_net_line"))
            if "gift_card" in self._given:
                sold = pl.when(gift).then(pl.col("net") * sign).otherwise(pl.lit(0))
                columns.append(sold.alias("_gift"))
        if "quantity" in rows.columns:
            quantity = pl.col("quantity") * sign
            # goods by weight are one unit a line
            units = (
                pl.when(quantity % SCALE == 0).then(quantity // SCALE).otherwise(quantity.sign())
            )
            columns.append(quantity.alias("quantity"))
            columns.append(pl.when(gift).then(quantity * 0).otherwise(units).alias("units"))
        elif "units" in rows.columns:
            columns.append((pl.col("units") * sign // SCALE).alias("units"))
        return columns

    def _kind(self, runs: pl.DataFrame) -> pl.Expr:
        if "kind" in self._given:
            kind = pl.col("kind").fill_null(_SALE)
        elif "net" in runs.columns:
            kind = pl.when(pl.col("net") < 0).then(_RETURN).otherwise(_SALE).fill_null(_SALE)
        else:
            kind = pl.lit(_SALE)
        # a sale of nothing but gift cards is no sale
        is_gift = pl.col("_only_gifts") & (kind == _SALE)
        return pl.when(is_gift).then(_GIFT_CARD).otherwise(kind).cast(pl.UInt8).alias("kind")

    def _timed(self, runs: pl.DataFrame) -> pl.DataFrame:
        """Add the instant, the local hour and the offset; null where the code has no site."""
        codes = runs["ext_ref_code"].unique().drop_nulls().to_list()
        zones = sorted({self._drop.zones[code] for code in codes if code in self._drop.zones})
        numbers = {
            code: zones.index(self._drop.zones[code]) for code in codes if code in self._drop.zones
        }
        runs = runs.with_columns(
            pl.col("ext_ref_code")
            .replace_strict(
                list(numbers), list(numbers.values()), default=None, return_dtype=pl.Int32
            )
            .alias("_zone")
        )
        declared = self._given["at"].zone
        parts = []
        for number, zone in enumerate(zones):
            part = runs if len(zones) == 1 else runs.filter(pl.col("_zone") == number)
            parts.append(self._in_zone(part, zone if declared == SITE_ZONE else declared, zone))
        if len(zones) != 1:
            rest = runs.filter(pl.col("_zone").is_null())
            parts.append(self._in_zone(rest, declared if declared != SITE_ZONE else None, "UTC"))
            return pl.concat(parts).sort("_run")
        return parts[0]

    def _in_zone(self, runs: pl.DataFrame, wall_zone: str | None, zone: str) -> pl.DataFrame:
        naive = runs["_naive"]
        at = runs["_instant"]
        is_gap = is_fold = pl.Series([False]).new_from_index(0, runs.height)
        if wall_zone and naive.null_count() < runs.height:
            mapping = self._mapping
            last: Literal["latest", "earliest"] = (
                "latest" if mapping.fold == "later" else "earliest"
            )
            walls = naive.dt.replace_time_zone(wall_zone, ambiguous=last, non_existent="null")
            read = walls.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
            is_gap = naive.is_not_null() & read.is_null()
            if is_gap.any():
                info = ZoneInfo(wall_zone)
                shifted = [
                    wall_to_utc(wall, info).replace(tzinfo=None) if gap else None
                    for wall, gap in zip(naive.to_list(), is_gap.to_list(), strict=True)
                ]
                read = read.zip_with(~is_gap, pl.Series(shifted, dtype=pl.Datetime("us")))
            if mapping.fold == "refuse":
                once = naive.dt.replace_time_zone(wall_zone, ambiguous="null", non_existent="null")
                is_fold = naive.is_not_null() & once.is_null() & ~is_gap
            if mapping.gap != "refuse":
                is_gap = pl.Series([False]).new_from_index(0, runs.height)
            at = at.zip_with(at.is_not_null(), read)
        at_us = pl.col("at_utc").to_physical()
        local = (
            pl.col("at_utc")
            .dt.replace_time_zone("UTC")
            .dt.convert_time_zone(zone)
            .dt.replace_time_zone(None)
        )
        offset = local.to_physical() - at_us
        return (
            runs.with_columns(at.alias("at_utc"), is_gap.alias("_gap"), is_fold.alias("_fold"))
            .with_columns(offset.alias("_offset_us"))
            .with_columns(
                (
                    (at_us + pl.col("_offset_us")) // _HOUR_US * _HOUR_US - pl.col("_offset_us")
                ).alias("_hour_us")
            )
        )

    # deciding

    def _settle(self, typed: pl.DataFrame, runs: pl.DataFrame, run: NDArray[np.int64]) -> None:
        refusal = self._ticket_refusals(runs)
        is_known = runs["_zone"].is_not_null().to_numpy()
        # a code that is linked to nothing is judged once it is linked
        is_strange = ~is_known & runs["ext_ref_code"].is_not_null().to_numpy()
        is_bad = ((runs["_is_bad"].to_numpy() > 0) | (refusal > 0)) & ~is_strange
        only = self._drop.only_codes
        is_ours = (
            np.ones(runs.height, dtype=bool)
            if only is None
            else runs["ext_ref_code"].is_in(list(only)).fill_null(False).to_numpy()
        )
        is_unmatched = is_strange & is_ours
        is_good = is_known & ~is_bad & is_ours
        if only is not None:
            self.found.rows_in += int(is_ours[run].sum())
        if is_unmatched.any():
            self._note_unmatched(runs.filter(pl.Series(is_unmatched)))
        if (is_bad & is_ours).any():
            self._note_refused(typed, runs, run, is_bad & is_ours, refusal)
        if is_good.any():
            self._write(typed, runs, run, is_good)

    def _ticket_refusals(self, runs: pl.DataFrame) -> NDArray[np.uint8]:
        """Give what is wrong with tickets whose rows are all readable, as index of _OF_TICKETS."""
        latest = (self._drop.fetched_at_utc + timedelta(days=1)).replace(tzinfo=None)
        near = self._near_broken(runs)
        tests = {
            1: pl.col("_mixed"),
            2: pl.col("_gap"),
            3: pl.col("_fold"),
            4: (pl.col("at_utc") > latest) | (pl.col("at_utc") < _EARLIEST.replace(tzinfo=None)),
            5: (pl.col("kind") == _RETURN) & (pl.col("net") > 0) if "net" in runs.columns else None,
            6: pl.Series("near", near),
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

    def _note_refused(
        self,
        typed: pl.DataFrame,
        runs: pl.DataFrame,
        run: NDArray[np.int64],
        is_bad: NDArray[np.bool_],
        refusal: NDArray[np.uint8],
    ) -> None:
        found, refused = self.found, typed.filter(pl.Series(is_bad[run]))
        of_run = run[is_bad[run]]
        bad = refused[BAD].to_numpy()
        own = refusal[of_run]
        for code, count in _counts(bad, own, self._typer):
            found.refused_codes[code] += count
        self._show_refused(refused, of_run, own)
        worst = typed.filter(pl.Series(is_bad[run])).with_columns(pl.Series("_run", of_run))
        first = worst.group_by("_run").agg(pl.col(BAD).filter(pl.col(BAD) > 0).first())
        reasons = dict(zip(first["_run"].to_list(), first[BAD].to_list(), strict=True))
        hit = runs.filter(pl.Series(is_bad))
        columns = ("_run", "ext_ref_code", "_hour_us", "_zone")
        for number, code, hour, zone in hit.select(columns).iter_rows():
            why = reasons.get(number)
            reason = self._typer.refusals[why].code if why else _OF_TICKETS[refusal[number]][0]
            is_timed = hour is not None and zone is not None and reason not in _TIME_LOST
            if code is not None and is_timed:
                found.open_hours.setdefault((code, hour), reason)
            else:
                found.open_codes.setdefault(code, reason)
        keyed = hit.filter(pl.col("ticket_id").is_not_null() & pl.col("ext_ref_code").is_not_null())
        if keyed.height:
            self._bad.append(keyed.select(key_hash().alias("h"))["h"].to_numpy())

    def _show_refused(
        self, refused: pl.DataFrame, of_run: NDArray[np.int64], own: NDArray[np.uint8]
    ) -> None:
        shown = Counter(row.code for row in self.found.refused)
        codes = {code for code, _ in _counts(refused[BAD].to_numpy(), own, self._typer)}
        if all(shown[code] >= MOST_SHOWN for code in codes):
            return
        names = self._mapping.headers()
        # all of one kind, in the worst case: look at no more than can be shown
        first_bad: dict[int, int] = {}
        few = refused.head(MOST_SHOWN * 4).with_columns(
            pl.Series("_run", of_run[: MOST_SHOWN * 4]), pl.Series("_own", own[: MOST_SHOWN * 4])
        )
        for own_run, number in few.filter(pl.col(BAD) > 0).select("_run", ROW_NUMBER).iter_rows():
            first_bad.setdefault(own_run, number)
        for row in few.iter_rows(named=True):
            code, why = self._why(row, first_bad)
            if shown[code] < MOST_SHOWN:
                shown[code] += 1
                cells = {name: row[f"{RAW}{name}"] for name in names}
                self._refuse(code, why, row[ROW_NUMBER], json.dumps(cells, ensure_ascii=False))

    def _why(self, row: Mapping[str, object], first_bad: Mapping[int, int]) -> tuple[str, str]:
        number = int(str(row[BAD]))
        if number:
            refusal = self._typer.refusals[number]
            source = self._given[refusal.field] if refusal.field else None
            cells = [str(row[f"{RAW}{name}"]) for name in (source.column if source else ())]
            return refusal.code, f"{refusal.field} is {_shown(' '.join(cells))}: {refusal.why}"
        own = int(str(row["_own"]))
        if own:
            return _OF_TICKETS[own]
        other = first_bad.get(int(str(row["_run"])))
        named = f"row {other}" if other is not None else "another row"
        return (
            "E_TICKET_INCOMPLETE",
            f"{named} of its ticket was refused, and a ticket is taken whole or not at all",
        )

    def _note_broken(self, rows: TextRows) -> None:
        for row in rows.broken:
            self.found.refused_codes[row.code] += 1
            if self.found.refused_codes[row.code] <= MOST_SHOWN:
                self._refuse(row.code, row.why, row.row_number, None)

    def _refuse(self, code: str, why: str, row_number: int, raw_value: str | None) -> None:
        message = (
            f"{self._drop.label}, row {row_number}: {why}. The row and its ticket count nowhere. "
            "Send the ticket again, right; if it is the mapping that is wrong, correct it, and the "
            "file is read again."
        )
        self.found.refused.append(RefusedRow(code, message, row_number, raw_value))

    def _note_unmatched(self, runs: pl.DataFrame) -> None:
        sums = runs.group_by("ext_ref_code").agg(
            pl.col("line_count").sum(), pl.col("row_number").min()
        )
        for code, count, first in sums.iter_rows():
            self.found.unmatched[code] += count
            self.found.unmatched_first.setdefault(code, first)

    # writing

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
        self._good.append(good.select(key_hash().alias("h"))["h"].to_numpy())
        self._tickets.write(self._ticket_table(good))
        if self._mapping.grain == "line":
            needed = {*TICKET_LINES.names, ROW_NUMBER, "_net_line"}
            rows = typed.select(name for name in typed.columns if name in needed)
            rows = rows if all_good else rows.filter(pl.Series(is_good[run]))
            self._lines.write(self._line_table(rows))

    def _ticket_table(self, runs: pl.DataFrame) -> pa.Table:
        runs = runs.with_columns(
            pl.col("_hour_us").alias("hour_start_utc"),
            (pl.col("_offset_us") // 1_000_000).alias("utc_offset_s"),
            pl.col("kind").replace_strict(
                list(range(len(KINDS))), list(KINDS), return_dtype=pl.String
            ),
        )
        if "_gift" in runs.columns:
            runs = runs.rename({"_gift": "gift_card"})
        return self._table(runs, TICKETS)

    def _line_table(self, rows: pl.DataFrame) -> pa.Table:
        rows = rows.rename({ROW_NUMBER: "row_number"})
        if "_net_line" in rows.columns:
            rows = rows.drop("net").rename({"_net_line": "net"})
        return self._table(rows, TICKET_LINES)

    def _table(self, rows: pl.DataFrame, schema: pa.Schema) -> pa.Table:
        stamps = dict(zip(STAMPS, (self._drop.connector_id, self._drop.raw_sha256), strict=True))
        columns = []
        for item in schema:
            if item.name in stamps:
                stamp = pa.array([stamps[item.name]], item.type)
                none = pa.array(np.zeros(rows.height, dtype=np.int32))
                columns.append(pa.DictionaryArray.from_arrays(none, stamp))
            elif item.name == "fetched_at_utc":
                stamp = pa.scalar(self._drop.fetched_at_utc, item.type)
                columns.append(pa.repeat(stamp, rows.height))
            elif item.name not in rows.columns:
                columns.append(pa.nulls(rows.height, item.type))
            elif pa.types.is_decimal(item.type):
                columns.append(_decimals(rows[item.name], item.type))
            else:
                column = rows[item.name].to_arrow(compat_level=pl.CompatLevel.oldest())
                columns.append(column.cast(item.type))
        return pa.Table.from_arrays(columns, schema.names)

    def _scattered(self) -> Scattered | None:
        nothing = [np.empty(0, dtype=np.uint64)]
        good, bad = np.concatenate(self._good or nothing), np.concatenate(self._bad or nothing)
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


def _counts(
    bad: NDArray[np.uint8], own: NDArray[np.uint8], typer: Typer
) -> Iterable[tuple[str, int]]:
    """Count refused rows by code, as _show_refused names them."""
    for number, count in zip(*np.unique(bad[bad > 0], return_counts=True), strict=True):
        yield typer.refusals[int(number)].code, int(count)
    whole = bad == 0
    for number, count in zip(*np.unique(own[whole & (own > 0)], return_counts=True), strict=True):
        yield _OF_TICKETS[int(number)][0], int(count)
    rest = int((whole & (own == 0)).sum())
    if rest:
        yield "E_TICKET_INCOMPLETE", rest


def _total(values: pl.Series, starts: NDArray[np.int64]) -> pl.Series:
    """Add up each ticket; a sum of which a part was not sent is not known."""
    sums = np.add.reduceat(values.fill_null(0).to_numpy(), starts)
    total = pl.Series(values.name, sums, dtype=pl.Int64)
    if values.null_count():
        lacks = np.logical_or.reduceat(values.is_null().to_numpy(), starts)
        total = total.set(pl.Series(lacks), None)
    return total


def _least(times: pl.Series, starts: NDArray[np.int64]) -> pl.Series:
    """Give the first time of each ticket."""
    if times.null_count() == len(times):
        return times.gather(starts)
    late = np.iinfo(np.int64).max
    least = np.minimum.reduceat(times.to_physical().fill_null(late).to_numpy(), starts)
    result = pl.Series(times.name, least)
    return result.set(result == late, None).cast(pl.Datetime("us"))


def _decimals(values: pl.Series, kind: pa.DataType) -> pa.Array:
    """Give ten-thousandths as DECIMAL(18,4), without a copy through text."""
    array = values.cast(pl.Int64).to_arrow()
    low = values.cast(pl.Int64).fill_null(0).to_numpy()
    wide = np.empty((len(low), 2), dtype=np.int64)
    wide[:, 0], wide[:, 1] = low, low >> 63
    validity = None
    if array.null_count:
        validity = pa.array(values.is_not_null().to_numpy()).buffers()[1]
    return pa.Array.from_buffers(kind, len(low), [validity, pa.py_buffer(wide)])


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}...")


def hours_open(found: Gathered, codes: Sequence[str]) -> dict[str, str]:
    """Give the codes of which a refused ticket may have meant any hour, with the refusal."""
    everywhere = found.open_codes.get(None)
    named = {code: found.open_codes.get(code, everywhere) for code in codes}
    return {code: reason for code, reason in named.items() if reason}
