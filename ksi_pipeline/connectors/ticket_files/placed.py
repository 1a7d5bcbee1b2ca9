"""Tickets placed in time: the instant of each, and the local hour of its site."""

from collections.abc import Mapping
from typing import Literal
from zoneinfo import ZoneInfo

import polars as pl

from ksi_pipeline.connectors.ticket_files.mapping import SITE_ZONE
from ksi_pipeline.connectors.ticket_files.mapping import Mapping as FileMapping
from ksi_pipeline.core.time import wall_to_utc

_HOUR_US = 3_600_000_000


def placed(runs: pl.DataFrame, mapping: FileMapping, zones: Mapping[str, str]) -> pl.DataFrame:
    """Add when each ticket was and in which hour; null where the code has no site.

    Args:
        runs: one row a ticket, with `ext_ref_code`, `_naive`, `_instant` and `_run`, its place.
        mapping: of the file.
        zones: ext_ref_code -> IANA zone of its site.

    Returns:
        The same rows in the same order, with `_zone`, null where the code is linked to nothing,
        `at_utc`, `_gap` and `_fold`, true where a clock change leaves the instant open and the
        mapping refuses to guess, `_offset_us`, and `_hour_us`, microseconds since the epoch.
    """
    codes = runs["ext_ref_code"].unique().drop_nulls().to_list()
    known = {code: zones[code] for code in codes if code in zones}
    names = sorted(set(known.values()))
    numbers = [names.index(zone) for zone in known.values()]
    zone_of = pl.col("ext_ref_code").replace_strict(
        list(known), numbers, default=None, return_dtype=pl.Int32
    )
    runs = runs.with_columns(zone_of.alias("_zone"))
    declared = mapping.columns.at.zone
    parts = []
    for number, zone in enumerate(names):
        part = runs if len(names) == 1 else runs.filter(pl.col("_zone") == number)
        parts.append(_in_zone(part, mapping, zone if declared == SITE_ZONE else declared, zone))
    if len(names) == 1:
        return parts[0]
    rest = runs.filter(pl.col("_zone").is_null())
    parts.append(_in_zone(rest, mapping, declared if declared != SITE_ZONE else None, "UTC"))
    return pl.concat(parts).sort("_run")


def _in_zone(
    runs: pl.DataFrame, mapping: FileMapping, wall_zone: str | None, zone: str
) -> pl.DataFrame:
    naive, at = runs["_naive"], runs["_instant"]
    is_gap = is_fold = pl.Series([False]).new_from_index(0, runs.height)
    if wall_zone and naive.null_count() < runs.height:
        read, is_gap, is_fold = _instants(naive, mapping, wall_zone)
        at = at.zip_with(at.is_not_null(), read)
    at_us = pl.col("at_utc").to_physical()
    local = (
        pl.col("at_utc")
        .dt.replace_time_zone("UTC")
        .dt.convert_time_zone(zone)
        .dt.replace_time_zone(None)
    )
    offset = pl.col("_offset_us")
    hour = (at_us + offset) // _HOUR_US * _HOUR_US - offset
    return (
        runs.with_columns(at.alias("at_utc"), is_gap.alias("_gap"), is_fold.alias("_fold"))
        .with_columns((local.to_physical() - at_us).alias("_offset_us"))
        .with_columns(hour.alias("_hour_us"))
    )


def _instants(
    naive: pl.Series, mapping: FileMapping, wall_zone: str
) -> tuple[pl.Series, pl.Series, pl.Series]:
    """Give the instants of wall-clock times, and which are refused as skipped or repeated."""
    last: Literal["latest", "earliest"] = "latest" if mapping.fold == "later" else "earliest"
    walls = naive.dt.replace_time_zone(wall_zone, ambiguous=last, non_existent="null")
    read = walls.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    is_gap = naive.is_not_null() & read.is_null()
    nowhere = is_fold = pl.Series([False]).new_from_index(0, len(naive))
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
    return read, is_gap if mapping.gap == "refuse" else nowhere, is_fold
