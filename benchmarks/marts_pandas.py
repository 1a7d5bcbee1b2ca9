"""fct_conversion_daily in pandas: what benchmarks/marts.py compares the build with.

The same rows and the same values, from the same files, in one process and in memory: newest
answers, links and lines by validity, coverage by overlap, currencies and tax bases, reasons,
completeness, whole microseconds and whole ten-thousandths of money. Hours of units are numbered
once, and most group-bys are by that number.

Left out, because the benchmark's lake has no case of them:

* staff rules (space_staff, tracklet_staff): everybody counts, so net entries are entries;
* another time until an hour is final by connector (the variable final_after_by_connector).

What the build does besides is not done either: nothing is kept to restate one day of it later, no
hourly mart is written, and hours of paying (net_entry_count_lagged) are not in the daily mart.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from marts_pandas_hours import (
    COMPLETE,
    basis,
    coverage_of,
    covered,
    least_reason,
    observed,
    pieces_of,
    read,
    share,
    unit_hours,
    us,
    valid,
)
from marts_pandas_sales import (
    DIFFER,
    differing,
    sales_of,
    tally,
)

DAY_KEY = ["site_id", "unit_id", "business_date"]


def conversion_daily(lake: Path) -> pd.DataFrame:
    """fct_conversion_daily: one row per site, unit and business date.

    Money is in whole ten-thousandths as floats (exact below 9 * 10**11); counts are floats where
    they may be null.
    """
    hours = unit_hours(lake)
    traffic = _traffic(lake, hours)
    sales, currencies = sales_of(lake, hours)
    return _days(_paired(hours, traffic, sales), currencies)


def _traffic(lake: Path, hours: pd.DataFrame) -> pd.DataFrame:
    """Entries of each unit-hour as far as cameras saw its entrances, with basis and reason."""
    validity = ("valid_from_utc", "valid_to_utc")
    lines = read(lake, "space_line", "site_id", "unit_id", "line_id", "role", *validity)
    lines = lines[lines["role"] == "entrance"].drop(columns="role")
    sees = read(
        lake, "space_camera_sees", "site_id", "camera_id", "sees_kind", "sees_id", *validity
    )
    cameras = sees[["site_id", "camera_id"]].drop_duplicates()
    sees = sees[sees["sees_kind"] == "line"].rename(columns={"sees_id": "line_id"})
    units = hours[["site_id", "unit_id", "hour_start_utc", "n"]]
    doors = valid(units.merge(lines, on=["site_id", "unit_id"]))
    doors = doors.drop_duplicates(["n", "line_id"])
    doors["door"] = np.arange(len(doors))
    seen = valid(doors.merge(sees.drop(columns="sees_kind"), on=["site_id", "line_id"]))
    unseen = doors[~doors["door"].isin(seen["door"])]
    by_camera = _camera_hours(lake, hours, cameras)
    seen = seen[["n", "site_id", "camera_id", "hour_start_utc"]].drop_duplicates(["n", "camera_id"])
    seen = seen.merge(by_camera, on=["site_id", "camera_id", "hour_start_utc"])
    return _counted(lake, hours, doors, seen, unseen)


def _camera_hours(lake: Path, hours: pd.DataFrame, cameras: pd.DataFrame) -> pd.DataFrame:
    """How much of each hour each camera saw, whether it sent anything or not."""
    pieces = pieces_of(lake, hours)
    sites = hours.drop_duplicates(["site_id", "hour_start_utc"])
    every = cameras.merge(sites[["site_id", "hour_start_utc", "open_us"]], on="site_id")
    every["camera_hour"] = np.arange(len(every))
    coverage = coverage_of(lake, "camera", "observed_s", "expected_s")
    coverage["share"] = share(coverage["observed_s"].to_numpy(), coverage["expected_s"].to_numpy())
    coverage = coverage.rename(columns={"source_id": "camera_id"})
    met = covered(pieces, coverage[coverage["camera_id"].isin(cameras["camera_id"])], ["site_id"])
    met["us"] = np.floor(met["share"].fillna(0) * us(met["until"] - met["since"]) + 0.5)
    met = met.merge(every, on=["site_id", "camera_id", "hour_start_utc"])
    opened, whole = observed(met, "us", "camera_hour", len(every))
    reason = least_reason(met[~met["is_complete"]], "camera_hour", len(every))
    every["completeness"] = share(opened, every["open_us"].to_numpy())
    every["observed_any"] = whole > 0
    every["reason"] = reason.fillna("camera_silent").to_numpy()
    return every.drop(columns=["open_us", "camera_hour"])


def _counted(
    lake: Path,
    hours: pd.DataFrame,
    doors: pd.DataFrame,
    seen: pd.DataFrame,
    unseen: pd.DataFrame,
) -> pd.DataFrame:
    """Put together what cameras saw of each unit-hour and who came in."""
    size = len(hours)
    crossings = pd.read_parquet(
        lake / "line_crossings",
        columns=["site_id", "unit_id", "hour_start_utc", "line_id"],
        filters=[("direction", "==", "in")],
    )
    entries = crossings.value_counts(sort=False).rename("entries").reset_index()
    entries = entries.merge(doors, on=["site_id", "unit_id", "hour_start_utc", "line_id"])
    by_unit = seen.groupby("n")
    completeness = by_unit["completeness"].min().reindex(range(size)).fillna(0.0)
    observed = by_unit["observed_any"].max().reindex(range(size), fill_value=False)
    dark = seen[~(seen["completeness"] >= COMPLETE)]
    reason = least_reason(dark, "n", size).fillna("camera_silent")
    is_unseen = np.isin(np.arange(size), unseen["n"])
    uncounted = is_unseen | ~np.isin(np.arange(size), seen["n"])
    found = pd.DataFrame({"completeness": completeness.mask(is_unseen, 0.0)})
    found["completeness"] = found["completeness"].where(hours["is_open"])
    found["entry_count"] = pd.Series(np.bincount(entries["n"], entries["entries"], size)).where(
        observed.astype(bool)
    )
    found["basis"] = basis(found["entry_count"], found["completeness"])
    found["reason"] = reason.mask(uncounted, "no_entrance_camera")
    return found


def _paired(hours: pd.DataFrame, traffic: pd.DataFrame, sales: pd.DataFrame) -> pd.DataFrame:
    """fct_conversion_hourly, as much of it as the days need."""
    paired = hours[[*DAY_KEY, "is_open", "open_us"]].copy()
    lesser = sales["completeness"].mask(
        traffic["completeness"] <= sales["completeness"], traffic["completeness"]
    )
    either = sales["ticket_count"].mask(traffic["entry_count"].isna())
    paired["is_matched"] = basis(either, lesser) == "measured"
    paired["ticket_count"], paired["entry_count"] = sales["ticket_count"], traffic["entry_count"]
    for name in ("net_sales", "currency", "tax", "amount_reason", "as_of_utc", "is_provisional"):
        paired[name] = sales[name]
    paired["reason"] = np.select(
        [
            ~hours["is_open"],
            sales["basis"] != "measured",
            traffic["basis"] != "measured",
            traffic["entry_count"] == 0,
        ],
        ["closed", sales["reason"], traffic["reason"], "no_entries"],
        default=None,
    )
    return paired


def _days(paired: pd.DataFrame, currencies: list[str]) -> pd.DataFrame:
    """Sums over the matched hours of each day, then one division."""
    matched = paired["is_matched"]
    days = paired.groupby(DAY_KEY).ngroup()
    rows = paired[DAY_KEY].groupby(days).first()
    rows["unit_key"] = rows["site_id"] + "/" + rows["unit_id"]
    counted = paired[["ticket_count", "entry_count", "net_sales", "as_of_utc"]].where(matched)
    counted["matched_hours"] = matched.astype("int64")
    counted["open_hours"] = paired["is_open"].astype("int64")
    counted["matched_us"] = paired["open_us"].where(matched, 0)
    counted["open_us"] = paired["open_us"]
    counted["is_provisional"] = paired["is_open"] & paired["is_provisional"]
    by_day = counted.groupby(days)
    sums = by_day[["ticket_count", "entry_count", "net_sales"]].sum(min_count=1)
    whole = by_day[["matched_hours", "open_hours", "matched_us", "open_us"]].sum()
    ends = by_day[["is_provisional", "as_of_utc"]].max()
    rows = rows.join([sums, whole, ends])
    size = len(rows)
    paired["day"] = days
    unmatched = least_reason(paired[paired["is_open"] & ~matched], "day", size)
    # hours without tickets have no amount and lack none
    lacks = matched & (paired["amount_reason"] != "no_tickets")
    lacking = least_reason(paired[lacks], "day", size, "amount_reason")
    tallied = tally(paired, "day", matched & paired["net_sales"].notna())
    unpaired = rows["matched_hours"] == 0
    amount_reason = pd.Series(
        np.select(
            [unpaired, lacking.notna(), rows["net_sales"].isna(), *differing(tallied)],
            [unmatched, lacking, "no_tickets", *DIFFER],
            default=None,
        )
    )
    agrees = amount_reason.isna()
    rows["net_sales"] = rows["net_sales"].where(agrees)
    names = dict(enumerate(currencies))
    rows["currency"] = tallied["first_currency"].where(agrees).map(names)
    rows["tax_included"] = tallied["most_tax"].where(agrees).map({0.0: False, 1.0: True})
    rows["net_entry_count"] = rows["entry_count"]
    rows["conversion_rate"] = _ratio(rows["ticket_count"], rows["entry_count"])
    rows["conversion_rate_gross"] = rows["conversion_rate"]
    rows["is_over_100"] = (rows["conversion_rate"] > 1).where(rows["conversion_rate"].notna())
    rows["sales_per_visitor"] = _ratio(rows["net_sales"] / 10_000, rows["entry_count"])
    rows["completeness"] = share(rows["matched_us"].to_numpy(), rows["open_us"].to_numpy())
    is_measured = rows["completeness"] >= COMPLETE
    rows["basis"] = np.select([unpaired, is_measured], ["missing", "measured"], default="partial")
    is_closed = rows["open_hours"] == 0
    rows["reason"] = np.select(
        [is_closed, unpaired | (rows["completeness"] < COMPLETE), rows["entry_count"] == 0],
        ["closed", unmatched, "no_entries"],
        default=None,
    )
    rows["amount_reason"] = amount_reason.mask(is_closed, "closed")
    rows["metric_version"] = "conversion.gross.v1"
    return rows.drop(columns=["matched_us", "open_us"])


def _ratio(part: pd.Series, whole: pd.Series) -> pd.Series:
    return part / whole.where(whole != 0)
