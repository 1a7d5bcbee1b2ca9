"""Tickets and net sales by unit and hour, for marts_pandas.py.

Money is in whole ten-thousandths as floats, a currency its place in a list, a tax basis 0 or 1.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
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
    us,
    valid,
)

FINAL_AFTER = pd.Timedelta(hours=72)
CODE = ["connector_id", "ext_ref_code"]
DIFFER = ["currencies_differ", "tax_basis_differs"]


def sales_of(lake: Path, hours: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Tickets and net sales of each unit-hour as far as its feeds told, with basis and reasons.

    Currencies are numbers: their places in the list.
    """
    links = read(lake, "space_link", "site_id", "unit_id", *CODE, "valid_from_utc", "valid_to_utc")
    units = hours[
        ["site_id", "unit_id", "hour_start_utc", "hour_end_utc", "open_us", "hour_us", "n"]
    ]
    linked = valid(units.merge(links, on=["site_id", "unit_id"])).drop_duplicates(["n", *CODE])
    feeds = _feed_hours(lake, hours, linked)
    told, currencies = _unit_sales(lake, linked)
    size = len(hours)
    by_unit = feeds.groupby("n")
    found = (
        by_unit[["completeness", "is_whole", "is_provisional"]]
        .agg({"completeness": "min", "is_whole": "min", "is_provisional": "max"})
        .reindex(range(size))
    )
    is_linked = found["is_whole"].notna()
    is_whole = found["is_whole"].eq(True)
    found["is_provisional"] = found["is_provisional"].eq(True)
    found["completeness"] = found["completeness"].fillna(0.0).where(hours["is_open"])
    told = told.reindex(range(size))
    has_rows = told["row_count"].notna() & is_whole
    found["ticket_count"] = told["ticket_count"].where(has_rows).mask(is_whole & ~has_rows, 0.0)
    for name in ("net_sales", "currency", "tax", "as_of_utc"):
        found[name] = told[name].where(has_rows)
    # nothing of a closed hour is incomplete
    lacking = ~is_whole | (found["completeness"] < COMPLETE)
    found["reason"] = np.select(
        [~is_linked, lacking, found["ticket_count"].isna()],
        [
            "feed_not_linked",
            least_reason(feeds, "n", size).fillna("feed_silent"),
            "tickets_by_category_only",
        ],
        default=None,
    )
    amount_reason = told["amount_reason"].where(has_rows).mask(is_whole & ~has_rows, "no_tickets")
    found["amount_reason"] = amount_reason.fillna(found["reason"]).where(found["net_sales"].isna())
    found["basis"] = basis(found["ticket_count"], found["completeness"])
    return found, currencies


def _feed_hours(lake: Path, hours: pd.DataFrame, linked: pd.DataFrame) -> pd.DataFrame:
    """How much of each hour of each linked code was answered, and whether that is final.

    Answers overlap, so what counts is their union: in order of time, what lies behind the end of
    those before.
    """
    pieces = pieces_of(lake, hours)
    answers = coverage_of(lake, "feed", "key", "fetched_at_utc")
    answers = answers.rename(
        columns={"source_id": "connector_id", "key": "ext_ref_code", "site_id": "told_site"}
    )
    linked = linked.reset_index(drop=True)
    linked["link_hour"] = np.arange(len(linked))
    asked = linked[["site_id", "hour_start_utc", *CODE, "link_hour"]].merge(
        pieces, on=["site_id", "hour_start_utc"]
    )
    met = covered(asked, answers, CODE)
    met = met[met["told_site"].isna() | (met["told_site"] == met["site_id"])]
    whole = met[met["is_complete"]].sort_values(["link_hour", "piece", "since", "until"])
    before = whole.groupby(["link_hour", "piece"])["until"]
    if before.ngroups < len(whole):
        ended = before.cummax().shift().where(before.cumcount() > 0)
        whole["since"] = whole["since"].mask(ended > whole["since"], ended)
    whole["us"] = us(whole["until"] - whole["since"]).clip(lower=0)
    opened, any_us = observed(whole, "us", "link_hour", len(linked))
    answered = met[met["status"].isin(["complete", "silent"])]
    last = answered.groupby("link_hour")["fetched_at_utc"].max().reindex(range(len(linked)))
    linked["completeness"] = share(opened, linked["open_us"].to_numpy())
    linked["is_whole"] = any_us >= linked["hour_us"]
    linked["is_provisional"] = last.isna() | (last < linked["hour_end_utc"] + FINAL_AFTER)
    linked["reason"] = least_reason(met[~met["is_complete"]], "link_hour", len(linked))
    return linked


def _unit_sales(lake: Path, linked: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """What the codes of each unit-hour told, by its number; only hours of which there are rows."""
    tickets = _ticket_rows(lake)
    tickets["tax"] = tickets["tax_included"].astype("float64")
    names = tickets["currency"].cat.categories
    tickets["currency"] = pd.Categorical(tickets["currency"], sorted(names)).codes
    tickets["currency"] = tickets["currency"].where(tickets["currency"] >= 0).astype("float64")
    for name in CODE:
        tickets[name] = tickets[name].astype("str")
    tickets = tickets.merge(linked[["n", *CODE, "hour_start_utc"]], on=[*CODE, "hour_start_utc"])
    tickets["code_hour"] = tickets.groupby(["n", "answered"], sort=False).ngroup()
    by_code = tickets.groupby("code_hour")
    codes = by_code.agg(
        n=("n", "first"),
        row_count=("n", "size"),
        num_tickets=("num_tickets", "max"),
        num_returns=("num_returns", "max"),
        net_sales=("net_sales", "sum"),
        net_count=("net_sales", "count"),
        fetched_at_utc=("fetched_at_utc", "max"),
    )
    one = codes["row_count"] == 1
    codes["num_tickets"] = codes["num_tickets"].where(one)
    codes["num_returns"] = codes["num_returns"].where(one)
    tallied = tally(tickets, "code_hour", pd.Series(True, index=tickets.index))
    differs = differing(tallied)
    codes["reason"] = np.select(differs, DIFFER, default=None)
    agrees = ~differs[0] & ~differs[1]
    codes["net_sales"] = codes["net_sales"].where(
        agrees & (codes["net_count"] == codes["row_count"])
    )
    codes["currency"] = tallied["first_currency"].where(agrees)
    codes["tax"] = tallied["most_tax"].where(agrees)
    return _units_told(codes), sorted(names)


def _ticket_rows(lake: Path) -> pd.DataFrame:
    """Rows of the newest answer for each code and hour; of those with a total, only that."""
    table = pq.read_table(
        lake / "ticket_hours",
        columns=[
            *CODE,
            "hour_start_utc",
            "category",
            "num_tickets",
            "num_returns",
            "net_sales",
            "currency",
            "tax_included",
            "fetched_at_utc",
            "raw_sha256",
        ],
    )
    money = pc.multiply(pc.cast(table["net_sales"], "float64"), 10_000)
    table = table.set_column(
        table.schema.get_field_index("net_sales"), "net_sales", pc.round(money)
    )
    tickets = table.to_pandas(strings_to_categorical=True)
    key = [*CODE, "hour_start_utc"]
    tickets["answered"] = tickets.groupby(key, sort=False, observed=True).ngroup()
    told = tickets.groupby("answered")["fetched_at_utc"].transform("max")
    tickets = tickets[tickets["fetched_at_utc"] == told]
    # of two answers fetched at once the one with the greater hash, so that any order gives the same
    rank = pd.Series(tickets["raw_sha256"].cat.categories).rank().to_numpy()
    tickets["rank"] = rank[tickets["raw_sha256"].cat.codes]
    tickets = tickets[tickets["rank"] == tickets.groupby("answered")["rank"].transform("max")]
    is_total = tickets["category"].isna()
    return tickets[is_total | ~is_total.groupby(tickets["answered"]).transform("max")]


def _units_told(codes: pd.DataFrame) -> pd.DataFrame:
    """The codes of a unit together: known where each with tickets told, in one currency and tax."""
    has_amount = codes["net_sales"].notna()
    codes["is_told"] = ~(
        codes["num_tickets"].fillna(1).eq(0)
        & codes["num_returns"].fillna(0).eq(0)
        & ~has_amount
        & codes["reason"].isna()
    )
    by_unit = codes.groupby("n")
    units = by_unit.agg(
        row_count=("row_count", "size"),
        ticket_count=("num_tickets", "sum"),
        known=("num_tickets", "count"),
        net_sales=("net_sales", "sum"),
        told_count=("is_told", "sum"),
        as_of_utc=("fetched_at_utc", "max"),
    )
    units["ticket_count"] = units["ticket_count"].where(units["known"] == units["row_count"])
    tallied = tally(codes, "n", has_amount)
    of_code = codes.loc[codes["reason"].notna()].groupby("n")["reason"].min().reindex(units.index)
    units["amount_reason"] = np.select(
        [
            of_code.notna(),
            units["told_count"] == 0,
            tallied["amount_count"] < units["told_count"],
            *differing(tallied),
        ],
        [of_code, "no_tickets", "feed_has_no_amount", *DIFFER],
        default=None,
    )
    agrees = units["amount_reason"].isna()
    units["net_sales"] = units["net_sales"].where(agrees)
    units["tax"] = tallied["most_tax"].where(agrees)
    units["currency"] = tallied["first_currency"].where(agrees)
    return units


def tally(rows: pd.DataFrame, key: str | list[str], counted: pd.Series) -> pd.DataFrame:
    """How many rows that count have which currency (a number) and tax basis (0, 1 or null)."""
    currency, tax = rows["currency"].where(counted), rows["tax"].where(counted)
    tallied = pd.DataFrame(
        {"amount_count": counted.astype("int64"), "currency": currency, "tax": tax}
    ).groupby([rows[name] for name in key] if isinstance(key, list) else rows[key])
    return tallied.agg(
        amount_count=("amount_count", "sum"),
        currency_count=("currency", "count"),
        first_currency=("currency", "min"),
        last_currency=("currency", "max"),
        tax_count=("tax", "count"),
        least_tax=("tax", "min"),
        most_tax=("tax", "max"),
    )


def differing(tallied: pd.DataFrame) -> list[pd.Series]:
    """Where currencies differ, and where tax bases do; some that say none may differ as well."""
    rows = tallied["amount_count"]
    return [
        tallied[f"{name}_count"].between(1, rows - 1) | (tallied[least] < tallied[most])
        for name, least, most in (
            ("currency", "first_currency", "last_currency"),
            ("tax", "least_tax", "most_tax"),
        )
    ]
