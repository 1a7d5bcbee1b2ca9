"""Reading a published sheet back: what a cell is counts, not only what it shows."""

import duckdb
import fastexcel
import pytest
from rustpy_xlsxwriter import FastExcel

from ksi_pipeline.core.errors import PublishRefused
from ksi_pipeline.publishers.files.xlsx_file import figures_as_xlsx, write_xlsx, xlsx_figures

from .places import JANUARY, MART, NAMES, FilesPlace, Marts


@pytest.fixture
def batch(tmp_path):
    return Marts(tmp_path / "marts").batch("2026-01", JANUARY)


def read_back(path, batch):
    with duckdb.connect() as connection:
        return xlsx_figures(connection, path, batch)


def sheet(path, batch, **cells):
    """The file of the batch, but for the cells of some columns, one for each row."""
    write_xlsx(batch, path)
    rows = fastexcel.read_excel(path).load_sheet(0).to_polars().to_dicts()
    for name, values in cells.items():
        for row, value in zip(rows, values, strict=True):
            row[name] = value
    FastExcel(str(path)).sheet(
        "rows 1", [{name: row[name] for name in NAMES} for row in rows]
    ).save()


def test_what_was_written_adds_up_to_what_the_batch_does(tmp_path, batch):
    write_xlsx(batch, tmp_path / "a.xlsx")
    with duckdb.connect() as connection:
        assert read_back(tmp_path / "a.xlsx", batch) == figures_as_xlsx(connection, batch)


def test_a_code_that_is_text_is_read(tmp_path, batch):
    sheet(tmp_path / "a.xlsx", batch, code=["1", "2"])
    assert read_back(tmp_path / "a.xlsx", batch).sums["code"] == 2


def test_a_column_of_empty_cells_is_read_without_a_warning(tmp_path, caplog):
    bare = [(*row[:6], None, None) for row in JANUARY]
    batch = Marts(tmp_path / "marts").batch("2026-01", bare)
    write_xlsx(batch, tmp_path / "a.xlsx")
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
    def write_numbers(batch, path):
        sheet(path, batch, code=range(batch.rows))

    place = FilesPlace(tmp_path)
    place.config = place.config.model_copy(update={"formats": ["xlsx"]})
    monkeypatch.setattr("ksi_pipeline.publishers.files.target.write_xlsx", write_numbers)
    with pytest.raises(PublishRefused, match="cells of code are float") as caught:
        place.publish(Marts(tmp_path / "marts").batches())
    assert (caught.value.code, caught.value.marts) == ("E_RECONCILE", (MART,))
    assert not (tmp_path / "out" / "current").exists()
