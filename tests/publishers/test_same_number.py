"""The same cell, read from every place with the tools of its readers, is the same number."""

import csv
from datetime import date, datetime
from decimal import Decimal

import duckdb
import polars as pl
import pytest
from python_calamine import load_workbook

from ksi_pipeline.core.publishing import Column
from ksi_pipeline.publishers.figures import read_figures

from .bigquery_place import BigqueryPlace
from .kafka_place import KafkaAvroPlace, KafkaPlace
from .places import MART, NAMES, DuckdbPlace, FilesPlace, PostgresPlace, sale
from .redshift_place import RedshiftPlace
from .snowflake_place import SnowflakePlace

DAY = date(2026, 1, 5)
# 17 digits are needed to tell this double from the next; the amount has 15, all that Excel keeps
CELL = sale(DAY, 9, 25, net="99999999999.1234", rate=0.1 + 0.2)
RATE, NET = Decimal("0.30000000000000004"), Decimal("99999999999.1234")
AT = {name: number for number, name in enumerate(NAMES)}


@pytest.fixture
def files(tmp_path, marts):
    """A published folder."""
    place = FilesPlace(tmp_path)
    place.publish(marts.batches({"2026-01": [CELL]}))
    return place.current


def csv_rows(files):
    (path,) = files.glob(f"csv/{MART}/*.csv")
    content = path.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(content.decode("utf-8-sig").splitlines()))


def xlsx_rows(path):
    book = load_workbook(str(path))
    sheets = [book.get_sheet_by_name(name).to_python() for name in book.sheet_names]
    return [dict(zip(rows[0], row, strict=True)) for rows in sheets for row in rows[1:]]


def exact(rate, net):
    return Decimal(repr(rate)), net


def test_in_parquet(files):
    (path,) = files.glob(f"parquet/{MART}/business_month=2026-01/*.parquet")
    ((rate, net),) = (
        pl.read_parquet(path, columns=["conversion_rate", "net_sales"])
        .select("conversion_rate", "net_sales")
        .rows()
    )
    assert exact(rate, net) == (RATE, NET)


def test_in_csv(files):
    (row,) = csv_rows(files)
    assert (Decimal(row["conversion_rate"]), Decimal(row["net_sales"])) == (RATE, NET)


def test_in_xlsx(files):
    (row,) = xlsx_rows(next(files.glob(f"xlsx/{MART}/*.xlsx")))
    assert exact(row["conversion_rate"], Decimal(repr(row["net_sales"]))) == (RATE, NET)


def test_in_duckdb(tmp_path, marts):
    place = DuckdbPlace(tmp_path)
    place.publish(marts.batches({"2026-01": [CELL]}))
    with duckdb.connect(str(place.path), read_only=True) as connection:
        (found,) = connection.execute(f"select conversion_rate, net_sales from {MART}").fetchall()
    assert exact(*found) == (RATE, NET)


@pytest.mark.services
def test_in_postgres(tmp_path, marts, postgres):
    place = PostgresPlace(tmp_path, postgres)
    place.publish(marts.batches({"2026-01": [CELL]}))
    (row,) = place.rows()
    assert exact(row[AT["conversion_rate"]], row[AT["net_sales"]]) == (RATE, NET)


@pytest.mark.services
def test_in_redshift(tmp_path, marts, redshift):
    place = RedshiftPlace(tmp_path, redshift)
    place.publish(marts.batches({"2026-01": [CELL]}))
    (row,) = place.rows()
    assert exact(row[AT["conversion_rate"]], row[AT["net_sales"]]) == (RATE, NET)


@pytest.mark.services
def test_in_bigquery(tmp_path, marts, bigquery):
    place = BigqueryPlace(tmp_path, bigquery)
    place.publish(marts.batches({"2026-01": [CELL]}))
    (row,) = place.rows()
    assert exact(row[AT["conversion_rate"]], row[AT["net_sales"]]) == (RATE, NET)


@pytest.mark.services
@pytest.mark.parametrize("kind", [KafkaPlace, KafkaAvroPlace])
def test_in_kafka(tmp_path, marts, kafka, kind):
    place = kind(tmp_path, kafka)
    place.publish(marts.batches({"2026-01": [CELL]}))
    (row,) = place.rows()
    assert exact(row[AT["conversion_rate"]], row[AT["net_sales"]]) == (RATE, NET)


@pytest.mark.services
def test_in_snowflake(tmp_path, marts, snowflake):
    place = SnowflakePlace(tmp_path, snowflake)
    place.publish(marts.batches({"2026-01": [CELL]}))
    (row,) = place.rows()
    assert exact(row[AT["conversion_rate"]], row[AT["net_sales"]]) == (RATE, NET)


def test_codes_stay_text_and_days_are_days_in_excel(files):
    (row,) = xlsx_rows(next(files.glob(f"xlsx/{MART}/*.xlsx")))
    assert row["code"] == "0001"
    assert (row["business_date"], row["hour_start_utc"]) == (
        DAY,
        datetime(2026, 1, 5, 9, 0, 0, 123000),
    )
    assert row["is_open"] is True


def test_codes_stay_as_they_are_in_csv(files):
    (row,) = csv_rows(files)
    assert (row["code"], row["business_date"]) == ("0001", "2026-01-05")
    assert row["hour_start_utc"] == "2026-01-05 09:00:00.123000"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum(a1)", "\t=1", "'=1"])
def test_text_that_looks_like_a_formula_runs_nowhere(tmp_path, marts, text):
    place = FilesPlace(tmp_path)
    place.publish(marts.batches({"2026-01": [(CELL[0], text, *CELL[2:])]}))
    (row,) = csv_rows(place.current)
    assert row["code"] == "'" + text
    (row,) = xlsx_rows(next(place.current.glob(f"xlsx/{MART}/*.xlsx")))
    assert row["code"] == text
    assert place.rows()[0][1] == text


def test_an_amount_of_more_digits_than_excel_keeps_is_text(tmp_path, marts):
    place = FilesPlace(tmp_path)
    place.publish(marts.batches({"2026-01": [sale(DAY, 9, 1, net="12345678901234.5678")]}))
    (row,) = xlsx_rows(next(place.current.glob(f"xlsx/{MART}/*.xlsx")))
    assert row["net_sales"] == "12345678901234.5678"


def test_nulls_and_empty_text_stay_apart_in_csv(tmp_path, marts):
    place = FilesPlace(tmp_path)
    rows = [(CELL[0], None, *CELL[2:4], None, None, None, None), (CELL[0], "", *CELL[2:])]
    place.publish(marts.batches({"2026-01": rows}))
    (path,) = place.current.glob(f"csv/{MART}/*.csv")
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    assert lines[1] == '"mall/0001",,"2026-01-05","2026-01-05 09:00:00.123000",,,,'
    assert lines[2].startswith('"mall/0001","",')


def test_empty_text_in_a_key_is_no_difference_to_an_empty_cell(tmp_path, marts):
    place = FilesPlace(tmp_path)
    place.publish(marts.batches({"2026-01": [CELL, ("", *CELL[1:])]}))
    assert [row[0] for row in place.rows()] == ["", CELL[0]]


def test_more_rows_than_a_sheet_holds_go_to_the_next(tmp_path, marts, monkeypatch):
    monkeypatch.setattr("ksi_pipeline.publishers.files.xlsx_file.MOST_ROWS", 2)
    place = FilesPlace(tmp_path)
    rows = [sale(DAY, hour, hour) for hour in range(5)]
    place.publish(marts.batches({"2026-01": rows}))
    (path,) = place.current.glob(f"xlsx/{MART}/*.xlsx")
    assert load_workbook(str(path)).sheet_names == ["rows 1", "rows 2", "rows 3"]
    assert [row["tickets"] for row in xlsx_rows(path)] == [0, 1, 2, 3, 4]


def test_a_sum_keeps_each_of_its_digits():
    part, total = Column("part", "decimal(38,10)"), "1234567890123456789012345678.0123456789"
    (found,) = read_figures(MART, [part], [], [("2026-01", 2, 2, Decimal(total))]).values()
    assert found.sums == {"part": int(total.replace(".", ""))}
