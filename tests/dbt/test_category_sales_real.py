"""A month of a real grocer's lines gives the categories that were worked out elsewhere."""

import gzip
import io
from datetime import UTC
from decimal import Decimal

import polars as pl
import pytest

from ksi_pipeline.core.time import parse_instant
from ksi_pipeline.defs.steps.calendar import build_calendars
from ksi_pipeline.store.lake_views import pending_seq, register_lake

from ..ticket_files.homes import load, make_home
from .small_site import rows_of

pytestmark = [pytest.mark.data, pytest.mark.slow]

# the clocks go forward on the twelfth
MONTH = "2017-03"
SPACE = """\
schema: 1
site: {id: grocer, name: Grocer, timezone: America/New_York, currency: USD}
units: [{id: u367}]
zones:
  - {id: aisle, unit: u367, role: selling, polygon: [[0, 0], [2, 0], [2, 1]], categories: [GROCERY]}
  - {id: front, unit: u367, role: selling, polygon: [[0, 0], [2, 0], [2, 1]],
     categories: [PRODUCE, GROCERY]}
links: [{connector: till, ext_ref_code: "367", unit: u367}]
"""
MAPPING = """\
grain: line
columns:
  ext_ref_code: store_id
  ticket_id: basket_id
  at: {column: transaction_timestamp, zone: UTC}
  net: sales_value
  quantity: quantity
  category: {column: department, default: UNKNOWN}
  currency: {value: USD}
"""


@pytest.fixture(scope="module")
def grocer(test_data):
    return test_data / "tickets" / "completejourney"


@pytest.fixture(scope="module")
def month(grocer, tmp_path_factory, dbt):
    """The build file after a month of one store came in as a file."""
    products = pl.scan_parquet(grocer / "products.parquet").select(
        pl.col("product_id").cast(pl.Int32), "department"
    )
    sold = (
        pl.scan_parquet(grocer / "transactions.parquet")
        .filter(
            pl.col("store_id") == 367,
            pl.col("transaction_timestamp").dt.strftime("%Y-%m") == MONTH,
        )
        .join(products, on="product_id", how="left", maintain_order="left")
        .drop("household_id")
        .collect()
    )
    file = io.BytesIO()
    sold.write_csv(file)
    workspace = make_home(tmp_path_factory.mktemp("grocer"), MAPPING, SPACE)
    load(workspace, gzip.compress(file.getvalue(), 1), "month.csv.gz")
    build_calendars(workspace)
    store = workspace.store
    register_lake(store, up_to_seq=pending_seq(store) or 0, all_hours=True, memory_limit="1GB")
    dbt(store.home.build_db, "run", "--select", "+fct_zone_sales_hourly")
    return store.home.build_db


def test_a_month_of_a_real_grocer_by_category_is_as_it_was_worked_out_elsewhere(grocer, month):
    found = {
        (row["hour_start_utc"], row["category"]): (
            row["ticket_count"],
            row["net_sales"],
            row["units"],
        )
        for row in rows_of(month, "select * from marts.fct_category_sales_hourly")
        if row["category"] != "_uncategorised"
    }
    hours = {hour for hour, _ in found}
    by_category = pl.read_parquet(grocer / "expected" / "cj_hourly_by_category.parquet")
    wanted = {}
    for row in by_category.filter(pl.col("ext_ref_code") == "367").iter_rows(named=True):
        hour = parse_instant(row["time"]).astimezone(UTC).replace(tzinfo=None)
        if min(hours) <= hour <= max(hours):
            wanted[hour, row["category"]] = row["num_tickets"], Decimal(row["amount"]), row["units"]
    assert len(wanted) > 500
    assert found == wanted


def test_categories_and_zones_of_a_real_month_add_up_to_its_sales_in_every_hour(month):
    sums = "select hour_start_utc, sum(net_sales) as net_sales from marts.{} group by all"
    sales = rows_of(month, sums.format("fct_sales_hourly") + " order by all")
    assert sum(row["net_sales"] or 0 for row in sales) > 1000
    for mart in ("fct_category_sales_hourly", "fct_zone_sales_hourly"):
        assert rows_of(month, sums.format(mart) + " order by all") == sales
