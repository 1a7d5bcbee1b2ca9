"""Hours of units, and what of them cameras and feeds covered, for marts_pandas.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

COMPLETE = 0.98


def read(lake: Path, name: str, *columns: str) -> pd.DataFrame:
    return pd.read_parquet(lake / name, columns=list(columns))


def us(length: pd.Series) -> pd.Series:
    return length.astype("timedelta64[us]").astype("int64")


def unit_hours(lake: Path) -> pd.DataFrame:
    """Every hour of every unit, `n` its number; open_us is the whole hour where none are known."""
    hours = read(
        lake,
        "site_hours",
        "site_id",
        "hour_start_utc",
        "hour_from_utc",
        "hour_end_utc",
        "business_date",
        "open_s",
        "is_hours_known",
    )
    hours["hour_us"] = us(hours["hour_end_utc"] - hours["hour_from_utc"])
    known_us = (hours["open_s"] * 1e6).round()
    hours["open_us"] = known_us.where(hours["is_hours_known"], hours["hour_us"])
    hours["is_open"] = hours["open_us"] > 0
    units = read(lake, "space_unit", "site_id", "unit_id")
    every = units[units["unit_id"] != "_common"].merge(hours, on="site_id")
    every["n"] = np.arange(len(every))
    return every


def valid(rows: pd.DataFrame) -> pd.DataFrame:
    """Only what is valid at the start of its hour; drops the two columns that say so."""
    begun = rows["valid_from_utc"].isna() | (rows["valid_from_utc"] <= rows["hour_start_utc"])
    lasts = rows["valid_to_utc"].isna() | (rows["hour_start_utc"] < rows["valid_to_utc"])
    return rows[begun & lasts].drop(columns=["valid_from_utc", "valid_to_utc"])


def pieces_of(lake: Path, hours: pd.DataFrame) -> pd.DataFrame:
    """The hours of the sites, whole and as far as open, each once for every UTC day it touches."""
    sites = hours.drop_duplicates(["site_id", "hour_start_utc"])
    spans = {"hour_from_utc": "from_utc", "hour_end_utc": "to_utc"}
    whole = sites[["site_id", "hour_start_utc", *spans]].rename(columns=spans)
    assumed = whole[~sites["is_hours_known"]]
    told = read(
        lake, "site_open_spans", "site_id", "hour_start_utc", "open_from_utc", "open_to_utc"
    )
    told = told.rename(columns={"open_from_utc": "from_utc", "open_to_utc": "to_utc"}).merge(
        sites.loc[sites["is_hours_known"], ["site_id", "hour_start_utc"]]
    )
    pieces = pd.concat(
        [whole.assign(is_open_piece=False), pd.concat([told, assumed]).assign(is_open_piece=True)],
        ignore_index=True,
    )
    pieces["span_us"] = us(pieces["to_utc"] - pieces["from_utc"])
    pieces["piece"] = np.arange(len(pieces))
    return _by_day(pieces)


def _by_day(spans: pd.DataFrame) -> pd.DataFrame:
    """Each span once for every UTC day of which it has something, to merge by."""
    first = spans["from_utc"].dt.floor("D")
    last = (spans["to_utc"] - pd.Timedelta(microseconds=1)).dt.floor("D")
    days = ((last - first) // pd.Timedelta(days=1) + 1).to_numpy().clip(min=1)
    rows = np.repeat(np.arange(len(spans)), days)
    spread = spans.iloc[rows]
    later = np.arange(len(rows)) - np.repeat(days.cumsum() - days, days)
    spread["day_utc"] = first.iloc[rows] + pd.to_timedelta(later, unit="D")
    return spread


def covered(pieces: pd.DataFrame, coverage: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """What of the pieces lies in spans of coverage, a row for each pair, cut to the day of both."""
    met = pieces.merge(_by_day(coverage), on=[*keys, "day_utc"], suffixes=("", "_told"))
    day_end = met["day_utc"] + pd.Timedelta(days=1)
    since = met[["from_utc", "from_utc_told", "day_utc"]].max(axis=1)
    until = pd.concat([met["to_utc"], met["to_utc_told"], day_end], axis=1).min(axis=1)
    met["since"], met["until"] = since, until
    return met[since < until]


def coverage_of(lake: Path, kind: str, *columns: str) -> pd.DataFrame:
    files = pd.read_parquet(
        lake / "coverage",
        columns=["site_id", "source_id", "from_utc", "to_utc", "status", "reason", *columns],
        filters=[("source_kind", "==", kind)],
    )
    files["is_complete"] = files["status"] == "complete"
    return files


def observed(met: pd.DataFrame, us: str, key: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Microseconds of each key that were observed while open, and in the whole hour."""
    opened = met["is_open_piece"].to_numpy()
    told, amounts = met[key].to_numpy(), met[us].to_numpy()
    return tuple(np.bincount(told[chosen], amounts[chosen], size) for chosen in (opened, ~opened))


def least_reason(rows: pd.DataFrame, key: str, size: int, reason: str = "reason") -> pd.Series:
    """The first reason by alphabet of each key; few rows have one."""
    told = rows.loc[rows[reason].notna(), [key, reason]]
    return told.groupby(key)[reason].min().reindex(range(size))


def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Null where there is no whole, and never above 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole != 0, np.minimum(part / whole, 1.0), np.nan)


def basis(count: pd.Series, completeness: pd.Series) -> np.ndarray:
    return np.select(
        [count.isna(), completeness >= COMPLETE], ["missing", "measured"], default="partial"
    )
