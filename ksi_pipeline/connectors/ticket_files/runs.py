"""Runs: rows that stand together and have one key, made one row for each ticket."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ksi_pipeline.connectors.ticket_files.drop import KEY
from ksi_pipeline.connectors.ticket_files.fields import MONEY_FIELDS, SCALE
from ksi_pipeline.connectors.ticket_files.mapping import KINDS, Mapping
from ksi_pipeline.connectors.ticket_files.text_rows import ROW_NUMBER
from ksi_pipeline.connectors.ticket_files.typed import BAD

SALE, RETURN, VOID, EXCHANGE, GIFT_CARD = range(len(KINDS))


def begins(typed: pl.DataFrame, mapping: Mapping) -> NDArray[np.bool_]:
    """Say which rows begin another ticket than that of the row before."""
    result = np.ones(typed.height, dtype=np.bool_)
    if mapping.grain == "line" and typed.height > 1:
        result[1:] = False
        for name in KEY:
            result[1:] |= typed[name][1:].ne_missing(typed[name][:-1]).to_numpy()
    return result


def line_columns(rows: pl.DataFrame, mapping: Mapping) -> list[pl.Expr]:
    """Give what lines mean: signs of returns, gift cards, units."""
    given = mapping.columns.given()
    has_gifts = "gift_card" in given
    gift = pl.col("gift_card").fill_null(False) if has_gifts else pl.lit(False)

    def signed(name: str) -> pl.Expr:
        if mapping.returns == "positive" and "kind" in given:
            return pl.col(name) * pl.when(pl.col("kind") == RETURN).then(-1).otherwise(1)
        return pl.col(name)

    def sold(name: str) -> pl.Expr:
        amount = signed(name)
        return pl.when(~gift).then(amount).otherwise(amount * 0) if has_gifts else amount

    columns = [gift.alias("is_gift_card")]
    columns += [sold(name).alias(name) for name in MONEY_FIELDS if name in rows.columns]
    if "net" in rows.columns:
        columns.append(signed("net").alias("_net_line"))
        if has_gifts:
            columns.append(pl.when(gift).then(signed("net")).otherwise(0).alias("_gift"))
    if "quantity" in rows.columns:
        columns += [signed("quantity").alias("quantity"), sold("_units").alias("units")]
    elif "units" in rows.columns:
        columns.append((signed("units") // SCALE).alias("units"))
    return columns


def runs_of(
    rows: pl.DataFrame, starts: NDArray[np.int64], begin: NDArray[np.bool_], mapping: Mapping
) -> pl.DataFrame:
    """Give one row for each ticket of the piece; rows of a ticket stand together.

    Args:
        rows: typed, with what line_columns gives.
        starts: places of the first rows of tickets.
        begin: the same, as a mark of each row.
        mapping: of the file.
    """
    given = mapping.columns.given()
    same = [n for n in ("kind", "currency", "tax_included") if n in given]
    sums = [n for n in (*MONEY_FIELDS, "units", "_gift") if n in rows.columns]
    firsts = [n for n in (*KEY, *same, "till", "channel") if n in rows.columns]
    mixed = np.zeros(rows.height, dtype=np.bool_)
    for name in same:
        if given[name].value is None and rows.height > 1:
            mixed[1:] |= rows[name][1:].ne_missing(rows[name][:-1]).to_numpy()
    mixed &= ~begin
    ends = np.append(starts[1:], rows.height)
    numbers = rows[ROW_NUMBER].to_numpy()
    gifts = rows["is_gift_card"]
    only_gifts = (
        np.logical_and.reduceat(gifts.to_numpy(), starts)
        if gifts.any()
        else np.zeros(len(starts), dtype=np.bool_)
    )
    first = rows.select(pl.col(firsts).gather(starts))
    runs = first.with_columns(
        first["ext_ref_code"].cast(pl.String),
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
    return runs.with_columns(_kind(runs, is_given="kind" in given))


def _kind(runs: pl.DataFrame, *, is_given: bool) -> pl.Expr:
    if is_given:
        kind = pl.col("kind").fill_null(SALE)
    elif "net" in runs.columns:
        kind = pl.when(pl.col("net") < 0).then(RETURN).otherwise(SALE).fill_null(SALE)
    else:
        kind = pl.lit(SALE)
    # a sale of nothing but gift cards is no sale
    is_gift = pl.col("_only_gifts") & (kind == SALE)
    return pl.when(is_gift).then(GIFT_CARD).otherwise(kind).cast(pl.UInt8).alias("kind")


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
