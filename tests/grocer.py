"""A year of five stores of a real grocer (Complete Journey), as a till's file would bring it."""

import gzip
import io
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ksi_pipeline.defs.steps.ticket_files import FilesReport
from ksi_pipeline.defs.workspace import Workspace

from .ticket_files.homes import load, make_home

STORES = ("367", "406", "343", "361", "381")
SPACE = (
    "schema: 1\n"
    "site: {id: grocer, name: Grocer, timezone: America/New_York, currency: USD}\n"
    f"units: [{', '.join(f'{{id: u{code}}}' for code in STORES)}]\n"
    "links:\n"
    + "".join(f'  - {{connector: till, ext_ref_code: "{c}", unit: u{c}}}\n' for c in STORES)
)
MAPPING = """\
grain: line
columns:
  ext_ref_code: store_id
  ticket_id: basket_id
  at: {column: transaction_timestamp, zone: UTC}
  net: sales_value
  quantity: quantity
  sku: product_id
  category: {column: department, default: UNKNOWN}
  currency: {value: USD}
"""


@dataclass(frozen=True, slots=True)
class GrocerYear:
    """The year loaded into a data home, and what the loading said of it."""

    workspace: Workspace
    report: FilesReport


def lines_of(folder: Path) -> pl.DataFrame:
    """Every line of the five stores, with the department of its product."""
    sold = pl.read_parquet(folder / "transactions.parquet").filter(
        pl.col("store_id").is_in([int(code) for code in STORES])
    )
    products = pl.read_parquet(folder / "products.parquet").select(
        pl.col("product_id").cast(pl.Int32), "department", "product_category"
    )
    return sold.join(products, on="product_id", how="left", maintain_order="left")


def as_csv(frame: pl.DataFrame, separator: str = ",") -> bytes:
    """The lines as a CSV; nothing of the household goes in."""
    file = io.BytesIO()
    frame.drop("product_category", "household_id").write_csv(file, separator=separator)
    return file.getvalue()


def load_year(home: Path, frame: pl.DataFrame) -> GrocerYear:
    """Load the lines into a home of their own."""
    workspace = make_home(home, MAPPING, SPACE)
    return GrocerYear(workspace, load(workspace, gzip.compress(as_csv(frame), 1), "year.csv.gz"))
