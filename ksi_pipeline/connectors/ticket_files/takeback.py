"""Tickets that a later file of the same days leaves out, where a file holds all of them.

A ticket is taken back as a till does it: by a revision that is a void. It has no lines and no
amounts, and counts nowhere; what was before is still there for whoever asks as of then.
"""

from datetime import timedelta

import polars as pl

from ksi_pipeline.connectors.ticket_files.drop import KEY, Drop, Gathered, hours_open, key_hash
from ksi_pipeline.connectors.ticket_files.known import latest
from ksi_pipeline.core.schemas import TICKETS

_UNKNOWN = ("net", "gross", "tax", "gift_card", "units")
# More than the rest of a local day, whatever its zone.
_DAYS = timedelta(days=2)


def taken_back(
    sent: pl.LazyFrame, earlier: pl.LazyFrame, found: Gathered, drop: Drop
) -> pl.DataFrame:
    """Give the voids of tickets that are held and that a file of whole days leaves out.

    A file speaks, for each code, of the local days from its first good ticket to its last. A code
    of which a refused row may be any ticket takes nothing back, and a refused ticket stays.

    Args:
        sent: good tickets of the file, schema TICKETS.
        earlier: the revisions that came before, likewise.
        found: what the file held besides.
        drop: the file.
    """
    days = sent.group_by("ext_ref_code").agg(
        _local_day().min().alias("_first"), _local_day().max().alias("_last")
    )
    spoken = days.collect()
    unsure = {*found.nameless, *hours_open(found, spoken["ext_ref_code"].to_list())}
    spoken = spoken.filter(~pl.col("ext_ref_code").is_in(list(unsure)))
    hour = pl.col("hour_start_utc")
    near = sent.select(hour.min().alias("first") - _DAYS, hour.max().alias("last") + _DAYS)
    first, last = near.collect().row(0)
    keys = (
        # a ticket may have moved: what it was last is looked at below
        earlier.filter(hour.is_between(first, last))
        .select(KEY)
        .unique()
        .join(sent.select(KEY), on=KEY, how="anti")
    )
    newest = (
        latest(earlier.join(keys, on=KEY, how="semi"))
        .join(spoken.lazy(), on="ext_ref_code")
        .filter(
            _local_day().is_between("_first", "_last"),
            pl.col("kind") != "void",
            ~key_hash().is_in(pl.Series(found.refused_keys).implode()),
        )
    )
    return _as_voids(newest, drop).select(TICKETS.names).sort(KEY).collect()


def _as_voids(tickets: pl.LazyFrame, drop: Drop) -> pl.LazyFrame:
    return tickets.with_columns(
        pl.lit("void").alias("kind"),
        *(pl.when(False).then(pl.col(name)).alias(name) for name in _UNKNOWN),
        pl.lit(0, pl.Int64).alias("line_count"),
        pl.lit(drop.fetched_at_utc).cast(pl.Datetime("us", "UTC")).alias("fetched_at_utc"),
        pl.lit(drop.raw_sha256).alias("raw_sha256"),
        # it stands in no row of the file
        pl.lit(-1, pl.Int64).alias("row_number"),
    )


def _local_day() -> pl.Expr:
    wall = pl.col("hour_start_utc") + pl.duration(seconds=pl.col("utc_offset_s"))
    return wall.dt.date()
