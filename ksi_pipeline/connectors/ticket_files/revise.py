"""Revisions of tickets: what a file changes, and the hours that follow from it.

The unit of revision is the whole set of rows of one (connector, ext_ref_code, ticket_id): equal to
the one that holds, nothing is appended; different, the new set replaces it. A ticket that a later
file leaves out stays: a till takes a ticket back by sending it as a void. Only where the mapping
says that files are complete, leaving it out says the same.

An hour is rolled up anew where a ticket of it changed, or left it: sale tickets are counted,
returns are counted beside them, voids, exchanges and gift cards in neither; amounts above 0 are
gross_sales, those below 0 returns_amount, voids none. Amounts of two currencies or two tax rules
are not added up: they are null then.
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa

from ksi_pipeline.connectors.ticket_files.drop import Drop, Gathered, Scattered, key_hash
from ksi_pipeline.connectors.ticket_files.known import REVISION, Known, latest
from ksi_pipeline.connectors.ticket_files.takeback import taken_back
from ksi_pipeline.core.schemas import TICKET_HOURS, TICKETS

_KEY = ["ext_ref_code", "ticket_id"]
_HOUR = ["ext_ref_code", "hour_start_utc"]
_CONTENT = (
    "at_utc",
    "utc_offset_s",
    "kind",
    "currency",
    "tax_included",
    "net",
    "gross",
    "tax",
    "gift_card",
    "units",
    "line_count",
    "till",
    "channel",
)
_LINE_CONTENT = ("line_no", "sku", "category", "quantity", "net", "is_gift_card")
_REFUSED = [*_KEY, "hour_start_utc", "row_number", "line_count"]
_SUMMED = ("net", "gross", "tax", "gift_card", "units")


@dataclass(slots=True)
class Revised:
    """What is new.

    Attributes:
        tickets: file with the tickets to add, those taken back as voids; may be the staged one.
        lines: file with their lines; may be the staged one.
        rows_unchanged: rows of tickets that are as they were known.
        taken_back_count: tickets that the file leaves out and that no longer count.
        refused: scattered tickets that cannot be joined: key, hour, first row, rows.
        hours: schema TICKET_HOURS without what is known: every hour that changed, as it is now.
    """

    tickets: Path
    lines: Path
    ticket_count: int
    line_count: int
    rows_unchanged: int
    taken_back_count: int
    refused: pl.DataFrame
    hours: pa.Table


def revise(
    tickets: Path,
    lines: Path,
    drop: Drop,
    found: Gathered,
    known: Known,
    room: Path,
    *,
    is_complete: bool,
) -> Revised:
    """Compare the good tickets of a file with what is known, and roll up the hours they touch.

    Args:
        tickets: staged, schema TICKETS; rows of a scattered ticket are there several times.
        lines: staged, schema TICKET_LINES.
        drop: the file; revisions that came after it are ignored.
        found: what the file held besides.
        known: earlier revisions of the connector.
        room: folder for new files.
        is_complete: whether a ticket of its days that it leaves out is taken back.
    """
    sent = pl.scan_parquet(tickets)
    joined, refused = _gathered(sent, found.scattered)
    earlier = known.earlier(drop.fetched_at_utc)
    not_loaded = refused.select(_KEY)
    if found.scattered is not None:
        tickets = _written(_joined(sent, joined, refused), room / "joined.parquet")
    held, unchanged = _compared(pl.scan_parquet(tickets), lines, earlier, known)
    if unchanged.height:
        changed = pl.scan_parquet(tickets).join(unchanged.lazy(), on=_KEY, how="anti")
        tickets = _written(changed, room / "changed.parquet")
        not_loaded = pl.concat([not_loaded, unchanged.select(_KEY)])
    if not_loaded.height:
        left = pl.scan_parquet(lines).join(not_loaded.lazy(), on=_KEY, how="anti")
        lines = _written(left, room / "changed_lines.parquet")
    voids = taken_back(sent, earlier, found, drop) if is_complete and earlier is not None else None
    if voids is not None:
        more = pl.concat([pl.scan_parquet(tickets), voids.lazy()])
        tickets = _written(more, room / "with_voids.parquet")
    old = held.join(unchanged, on=_KEY, how="anti")
    return Revised(
        tickets=tickets,
        lines=lines,
        ticket_count=_height(tickets),
        line_count=_height(lines),
        rows_unchanged=int(unchanged["line_count"].sum() or 0),
        taken_back_count=0 if voids is None else voids.height,
        refused=refused,
        hours=_hours(pl.scan_parquet(tickets), old, earlier, drop),
    )


def _written(rows: pl.LazyFrame, path: Path) -> Path:
    rows.sink_parquet(path)
    return path


def _height(path: Path) -> int:
    return int(pl.scan_parquet(path).select(pl.len()).collect().item())


def _joined(sent: pl.LazyFrame, joined: pl.DataFrame, refused: pl.DataFrame) -> pl.LazyFrame:
    """Put joined tickets in the place of their parts, and leave out refused ones."""
    parts = pl.concat([joined.select(_KEY), refused.select(_KEY)])
    apart = sent.join(parts.lazy(), on=_KEY, how="anti")
    return pl.concat([apart, joined.lazy()]).select(TICKETS.names).sort("row_number")


def _gathered(new: pl.LazyFrame, scattered: Scattered | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Join the places of scattered tickets; give also those that are refused, with their rows."""
    nothing = new.clear().collect()
    if scattered is None:
        return nothing, nothing.select(_REFUSED)
    hashed = new.with_columns(key_hash().alias("_h"))
    places = (
        hashed.filter(pl.col("_h").is_in(pl.Series(scattered.joined).implode()))
        .drop("_h")
        .collect()
    )
    refused = hashed.filter(pl.col("_h").is_in(pl.Series(scattered.refused).implode()))
    same = [pl.col(n).n_unique() > 1 for n in ("kind", "currency", "tax_included")]
    first = pl.col("at_utc").arg_min()
    joined = (
        places.sort("row_number")
        .group_by(_KEY, maintain_order=True)
        .agg(
            *(
                pl.col(n).gather(first).first()
                for n in ("at_utc", "hour_start_utc", "utc_offset_s")
            ),
            *(pl.when(pl.col(n).null_count() == 0).then(pl.col(n).sum()).alias(n) for n in _SUMMED),
            pl.col("line_count").sum(),
            *(
                pl.col(n).first()
                for n in TICKETS.names
                if n
                not in (*_KEY, *_SUMMED, "line_count", "at_utc", "hour_start_utc", "utc_offset_s")
            ),
            pl.any_horizontal(same).alias("_mixed"),
        )
    )
    mixed = joined.filter("_mixed").select(_REFUSED)
    sums = (
        pl.col("hour_start_utc").first(),
        pl.col("row_number").min(),
        pl.col("line_count").sum(),
    )
    spoilt = refused.group_by(_KEY).agg(*sums).collect()
    kept = joined.filter(~pl.col("_mixed")).select(TICKETS.names)
    return kept, pl.concat([spoilt.select(_REFUSED), mixed])


def _compared(
    new: pl.LazyFrame, lines: Path, earlier: pl.LazyFrame | None, known: Known
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give what is held of the file's tickets, and which of them say nothing new."""
    nothing = new.clear().collect()
    if earlier is None:
        return nothing, nothing.select(*_KEY, "line_count")
    keys = new.select(_KEY)
    held = latest(earlier.join(keys, on=_KEY, how="semi")).collect()
    if not held.height:
        return held, nothing.select(*_KEY, "line_count")
    equal = [pl.col(name).eq_missing(pl.col(f"{name}_held")) for name in _CONTENT]
    pairs = new.join(held.lazy().select(*_KEY, *_CONTENT), on=_KEY, suffix="_held")
    same = pairs.filter(pl.all_horizontal(equal)).select(*_KEY, "line_count").collect()
    own = _line_sums(pl.scan_parquet(lines).join(same.lazy(), on=_KEY, how="semi"))
    if known.lines:
        revision = held.lazy().select(*_KEY, *REVISION)
        of_held = pl.scan_parquet(list(known.lines)).join(
            revision, on=[*_KEY, *REVISION], how="semi"
        )
        before = _line_sums(of_held.join(same.lazy(), on=_KEY, how="semi"))
    else:
        before = own.clear()
    other = own.join(before, on=_KEY, how="full", coalesce=True, suffix="_held").filter(
        pl.col("lines").ne_missing(pl.col("lines_held"))
    )
    return held, same.join(other.select(_KEY), on=_KEY, how="anti")


def _line_sums(lines: pl.LazyFrame) -> pl.DataFrame:
    """Give a number for the lines of each ticket, whatever their order."""
    number = pl.struct(*_LINE_CONTENT).hash(seed=11)
    return (
        lines.with_columns(number.alias("lines"))
        .group_by(_KEY)
        # wraps around, which is no harm
        .agg(pl.col("lines").sum(), pl.len().alias("n"))
        .select(*_KEY, (pl.col("lines") ^ pl.col("n").cast(pl.UInt64)).alias("lines"))
        .collect()
    )


def _hours(
    new: pl.LazyFrame, old: pl.DataFrame, earlier: pl.LazyFrame | None, drop: Drop
) -> pa.Table:
    """Roll up every hour that a changed ticket is in, or was in."""
    columns = [
        *_KEY,
        "hour_start_utc",
        "utc_offset_s",
        "kind",
        "currency",
        "tax_included",
        "net",
        "units",
    ]
    counted = new.select(columns)
    left = old.select(*_HOUR, "utc_offset_s")
    touched = pl.concat([counted.select(*_HOUR, "utc_offset_s").unique().collect(), left]).unique(
        _HOUR
    )
    if not touched.height:
        return TICKET_HOURS.empty_table()
    if earlier is not None:
        first, last = touched["hour_start_utc"].min(), touched["hour_start_utc"].max()
        near = earlier.filter(pl.col("hour_start_utc").is_between(first, last))
        keys = near.join(touched.lazy(), on=_HOUR, how="semi").select(_KEY).unique()
        keys = keys.join(new.select(_KEY), on=_KEY, how="anti")
        current = latest(earlier.join(keys, on=_KEY, how="semi"))
        others = current.join(touched.lazy(), on=_HOUR, how="semi")
        counted = pl.concat([counted, others.select(columns)])
    hours = _rolled_up(counted)
    rows = (
        touched.lazy()
        .join(hours, on=_HOUR, how="left", suffix="_counted")
        # everything left this hour: nothing was sold in it
        .with_columns(pl.col("num_tickets").fill_null(0))
        .sort(_HOUR)
        .collect()
        .with_columns(
            pl.lit(drop.connector_id).alias("connector_id"),
            pl.lit(None, pl.String).alias("category"),
            pl.lit(drop.fetched_at_utc).cast(pl.Datetime("us", "UTC")).alias("fetched_at_utc"),
            pl.lit(drop.raw_sha256).alias("raw_sha256"),
        )
        .with_row_index("row_number")
    )
    return rows.select(TICKET_HOURS.names).to_arrow().cast(TICKET_HOURS)


def _rolled_up(tickets: pl.LazyFrame) -> pl.LazyFrame:
    real = tickets.filter(~pl.col("kind").is_in(["void", "gift_card"]))
    one = (pl.col("currency").n_unique() == 1) & (pl.col("tax_included").n_unique() == 1)
    net = pl.col("net")
    # an hour's money has 14 digits before the point; what has more is no sale but a fault
    fits = net.cast(pl.Float64).abs().sum() < 1e14
    is_known = one & (net.null_count() == 0) & fits
    return real.group_by(_HOUR).agg(
        (pl.col("kind") == "sale").sum().cast(pl.Int64).alias("num_tickets"),
        (pl.col("kind") == "return").sum().cast(pl.Int64).alias("num_returns"),
        pl.when(is_known).then(net.filter(net > 0).sum()).alias("gross_sales"),
        pl.when(is_known).then(-net.filter(net < 0).sum()).alias("returns_amount"),
        pl.when(is_known).then(net.sum()).alias("net_sales"),
        pl.when(pl.col("units").null_count() == 0).then(pl.col("units").sum()).alias("units"),
        pl.when(one).then(pl.col("currency").first()).alias("currency"),
        pl.when(one).then(pl.col("tax_included").first()).alias("tax_included"),
    )
