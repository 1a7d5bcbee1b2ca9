"""Tickets that nobody here made give the hours that were worked out from them elsewhere."""

import json
from collections import defaultdict
from datetime import timedelta
from decimal import Decimal

import polars as pl
import pytest

from ksi_pipeline.core.time import Window, parse_instant

from ..grocer import MAPPING, SPACE, as_csv
from .homes import balanced, hours, lines, load, make_home, tickets

pytestmark = pytest.mark.data

BAKERY = """\
schema: 1
site: {id: bakery, name: Bakery, timezone: Europe/London, currency: GBP}
units: [{id: u1}]
links: [{connector: till, ext_ref_code: BB01, unit: u1}]
"""
BAKERY_MAPPING = """\
grain: line
skip: {Item: NONE}
columns:
  ext_ref_code: {value: BB01}
  ticket_id: Transaction
  at: {column: [Date, Time], zone: site}
  sku: Item
"""


def written(feed, window=None):
    return {
        (row["ext_ref_code"], parse_instant(row["time"])): row["num_tickets"]
        for row in feed
        if window is None or window.contains(parse_instant(row["time"]))
    }


def counted(workspace):
    return {key: row["num_tickets"] for key, row in hours(workspace).items()}


def test_a_year_of_a_real_grocer_is_loaded_to_the_cent(test_data, grocer, grocer_year):
    expected = test_data / "tickets" / "completejourney" / "expected"
    workspace, report = grocer_year.workspace, grocer_year.report
    assert balanced(report)
    assert (report.rows_in, report.rows_loaded) == (grocer.height, grocer.height)
    compare_with_the_grocer(workspace, expected)


def compare_with_the_grocer(workspace, expected):
    """The year is as it was worked out elsewhere: hours, amounts, clock changes, categories."""
    feed = json.loads((expected / "cj_feed_hourly.json").read_text())
    assert counted(workspace) == written(feed)

    found = hours(workspace)
    for row in pl.read_parquet(expected / "cj_hourly.parquet").iter_rows(named=True):
        hour = found[row["ext_ref_code"], parse_instant(row["time"])]
        assert (hour["net_sales"], hour["units"]) == (Decimal(row["amount"]), row["units"])

    for name in ("cj_request_spring_forward.json", "cj_request_fall_back.json"):
        asked = json.loads((expected / name).read_text())
        start, end = (parse_instant(asked["request"][key]) for key in ("fromTime", "toTime"))
        window = Window(start, end + timedelta(seconds=1))
        inside = {
            key: count
            for key, count in counted(workspace).items()
            if window.contains(key[1]) and key[0] in asked["request"]["ext_ref_codes"]
        }
        assert inside == written(asked["response"])

    by_category = defaultdict(lambda: [set(), Decimal(0), 0])
    starts = {(t["ext_ref_code"], t["ticket_id"]): t["hour_start_utc"] for t in tickets(workspace)}
    for line in lines(workspace):
        key = (line["ext_ref_code"], starts[line["ext_ref_code"], line["ticket_id"]])
        one = by_category[(*key, line["category"])]
        one[0].add(line["ticket_id"])
        one[1] += line["net"]
        one[2] += int(line["quantity"])
    wanted = {
        (row["ext_ref_code"], parse_instant(row["time"]), row["category"]): (
            row["num_tickets"],
            Decimal(row["amount"]),
            row["units"],
        )
        for row in pl.read_parquet(expected / "cj_hourly_by_category.parquet").iter_rows(named=True)
    }
    assert {key: (len(v[0]), v[1], v[2]) for key, v in by_category.items()} == wanted


def test_odd_encodings_and_a_file_for_each_week_give_the_same_year(test_data, grocer, tmp_path):
    expected = test_data / "tickets" / "completejourney" / "expected"
    mapping = 'decimal: ","\n' + MAPPING
    workspace = make_home(tmp_path, mapping, SPACE)
    commas = grocer.with_columns(
        pl.col("sales_value").cast(pl.String).str.replace(".", ",", literal=True)
    )
    middle = commas["transaction_timestamp"].median()
    parts = [
        commas.filter(pl.col("transaction_timestamp") > middle),
        # overlaps the first: a till that sends again what it sent
        commas.filter(pl.col("transaction_timestamp") <= middle + timedelta(days=3)),
    ]
    load(workspace, as_csv(parts[0], ";").decode().encode("utf-16"), "second.csv")
    report = load(workspace, as_csv(parts[1], "\t").decode().encode("utf-8-sig"), "first.tsv")
    assert report.rows_unchanged > 1000
    assert balanced(report)
    feed = json.loads((expected / "cj_feed_hourly.json").read_text())
    assert counted(workspace) == written(feed)


def test_half_a_year_of_a_real_bakery_is_counted_as_it_was_elsewhere(test_data, tmp_path):
    folder = test_data / "tickets" / "bread_basket"
    workspace = make_home(tmp_path, BAKERY_MAPPING, BAKERY)
    report = load(workspace, (folder / "BreadBasket_DMS.csv.gz").read_bytes(), "bakery.csv.gz")
    totals = json.loads((folder / "expected" / "bb_totals.json").read_text())
    feed = json.loads((folder / "expected" / "bb_feed_hourly.json").read_text())
    assert (report.tickets, report.rows_skipped) == (totals["tickets"], 786)
    assert report.rows_loaded == totals["units"]
    assert counted(workspace) == written(feed)
    assert {row["net_sales"] for row in hours(workspace).values()} == {None}
    assert balanced(report)
