"""Reading a published sheet back: what a cell is counts, not only what it shows."""

from datetime import datetime
from decimal import Decimal

import duckdb
import fastexcel
import pytest
from rustpy_xlsxwriter import FastExcel

from ksi_pipeline.core.errors import ContractError, PublishRefused
from ksi_pipeline.publishers.files.xlsx_file import figures_as_xlsx, write_xlsx, xlsx_figures

from .places import COLUMNS, JANUARY, MART, NAMES, FilesPlace, Marts


@pytest.fixture
def batch(tmp_path):
    return Marts(tmp_path / "marts").batch("2026-01", JANUARY)


def read_back(path, batch):
    with duckdb.connect() as connection:
        return xlsx_figures(connection, path, batch)


def write(path, batch):
    with duckdb.connect() as connection:
        write_xlsx(connection, batch, path)


def sheet(path, batch, **cells):
    """The file of the batch, but for the cells of some columns, one for each row."""
    write(path, batch)
    rows = fastexcel.read_excel(path).load_sheet(0).to_polars().to_dicts()
    for name, values in cells.items():
        for row, value in zip(rows, values, strict=True):
            row[name] = value
    FastExcel(str(path)).sheet(
        "rows 1", [{name: row[name] for name in NAMES} for row in rows]
    ).save()


def test_what_was_written_adds_up_to_what_the_batch_does(tmp_path, batch):
    write(tmp_path / "a.xlsx", batch)
    with duckdb.connect() as connection:
        assert read_back(tmp_path / "a.xlsx", batch) == figures_as_xlsx(connection, batch)


def test_an_instant_before_1970_is_the_millisecond_that_it_is_in(tmp_path):
    rows = [(*row[:3], datetime(1969, 12, 31, 23, 59, 59, 999_999), *row[4:]) for row in JANUARY]
    write(tmp_path / "a.xlsx", Marts(tmp_path / "marts").batch("2026-01", rows))
    (found, _) = fastexcel.read_excel(tmp_path / "a.xlsx").load_sheet(0).to_polars()[NAMES[3]]
    assert found == datetime(1969, 12, 31, 23, 59, 59, 999_000)


def test_a_column_of_which_a_number_has_16_digits_is_text(tmp_path):
    rows = [
        (*row[:4], tickets, *row[5:]) for row, tickets in zip(JANUARY, (-(10**15), 7), strict=True)
    ]
    rows = [(*row[:5], Decimal("99999999999.1234"), *row[6:]) for row in rows]
    write(tmp_path / "a.xlsx", Marts(tmp_path / "marts").batch("2026-01", rows))
    cells = fastexcel.read_excel(tmp_path / "a.xlsx").load_sheet(0).to_polars()
    assert list(cells["tickets"]) == ["-1000000000000000", "7"]
    assert list(cells["net_sales"]) == [99999999999.1234] * 2


def test_a_text_that_no_cell_holds_is_told_with_its_file(tmp_path):
    rows = [(row[0], "0" * 32_768, *row[2:]) for row in JANUARY]
    batch = Marts(tmp_path / "marts").batch("2026-01", rows)
    with pytest.raises(ContractError, match=r"a\.xlsx .*32,767") as caught:
        write(tmp_path / "a.xlsx", batch)
    assert caught.value.code == "E_TARGET_TYPE"


def test_a_mart_without_a_number_is_written(tmp_path):
    batch = Marts(tmp_path / "marts").batch("2026-01", JANUARY, columns=COLUMNS[:4])
    write(tmp_path / "a.xlsx", batch)
    assert read_back(tmp_path / "a.xlsx", batch).rows == len(JANUARY)


def test_a_code_that_is_text_is_read(tmp_path, batch):
    sheet(tmp_path / "a.xlsx", batch, code=["1", "2"])
    assert read_back(tmp_path / "a.xlsx", batch).sums["code"] == 2


def test_a_column_of_empty_cells_is_read_without_a_warning(tmp_path, caplog):
    bare = [(*row[:6], None, None) for row in JANUARY]
    batch = Marts(tmp_path / "marts").batch("2026-01", bare)
    write(tmp_path / "a.xlsx", batch)
    assert read_back(tmp_path / "a.xlsx", batch).filled["conversion_rate"] == 0
    assert caplog.text == ""


def test_a_code_that_became_a_number_is_refused(tmp_path, batch):
    sheet(tmp_path / "a.xlsx", batch, code=[1, 2])
    with pytest.raises(duckdb.Error, match="cells of code are float"):
        read_back(tmp_path / "a.xlsx", batch)


def test_a_column_of_which_some_cells_became_numbers_is_refused(tmp_path, batch):
    sheet(tmp_path / "a.xlsx", batch, code=["0001", 2])
    with pytest.raises(fastexcel.FastExcelError, match="strict"):
        read_back(tmp_path / "a.xlsx", batch)


def test_a_file_that_cannot_be_read_back_is_not_shown(tmp_path, monkeypatch):
    def write_numbers(_connection, batch, path):
        sheet(path, batch, code=range(batch.rows))

    place = FilesPlace(tmp_path)
    place.config = place.config.model_copy(update={"formats": ["xlsx"]})
    monkeypatch.setattr("ksi_pipeline.publishers.files.target.write_xlsx", write_numbers)
    with pytest.raises(PublishRefused, match="cells of code are float") as caught:
        place.publish(Marts(tmp_path / "marts").batches())
    assert (caught.value.code, caught.value.marts) == ("E_RECONCILE", (MART,))
    assert not (tmp_path / "out" / "current").exists()
