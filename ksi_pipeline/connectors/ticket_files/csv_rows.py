"""CSV as text: header, separator, and rows; those with another number of fields come apart."""

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from ksi_pipeline.connectors.ticket_files.packed import PackedFile
from ksi_pipeline.connectors.ticket_files.text_rows import (
    BrokenRow,
    CodedTexts,
    TextRows,
    numbered,
)
from ksi_pipeline.core.errors import ContractError

_CODED = pa.dictionary(pa.int32(), pa.string())


def csv_header(file: PackedFile, delimiter: str | None) -> list[str]:
    """Give the cells of the first record; none of a blank file.

    Raises:
        ContractError: E_FILE_ENCODING where it holds zero bytes.
    """
    head = file.head()
    if not head.strip():
        return []
    if "\x00" in head:
        raise ContractError(
            f"File {file.name}: it holds zero bytes, so it is no text in "
            f"{file.encoding()}. Nothing was loaded. Set encoding: (utf-16-le is likely), or "
            "format: in the mapping.",
            code="E_FILE_ENCODING",
        )
    sign = delimiter or _found_delimiter(head)
    first = next(csv.reader(io.StringIO(head, newline=""), delimiter=sign), [])
    return [cell.strip() for cell in first]


def csv_pieces(
    file: PackedFile,
    header: Sequence[str],
    delimiter: str | None,
    columns: Sequence[str],
    block_bytes: int,
    coded: Collection[str] = (),
) -> Iterator[TextRows]:
    """Yield the rows after the header.

    Args:
        file: to read.
        header: of all its columns, unique.
        delimiter: none: found in the header.
        columns: those that are decoded.
        block_bytes: how much of the file makes a piece.
        coded: columns whose texts come again and again; they come as CodedTexts.
    """
    broken: list[BrokenRow] = []
    with file.open() as stream:
        reader = pa_csv.open_csv(
            stream,
            read_options=pa_csv.ReadOptions(
                column_names=list(header),
                skip_rows=1,
                block_size=block_bytes,
                encoding=file.encoding(),
                # numbers of broken rows are known only so
                use_threads=False,
            ),
            parse_options=_parse_options(delimiter or _found_delimiter(file.head()), broken),
            convert_options=pa_csv.ConvertOptions(
                column_types={n: _CODED if n in coded else pa.string() for n in columns},
                include_columns=list(columns),
                strings_can_be_null=False,
            ),
        )
        at = told = 0
        for batch in reader:
            # the reader is ahead: some broken rows belong to later pieces
            numbers = _numbers(at, batch.num_rows, [row.row_number for row in broken[told:]])
            at = int(numbers[-1]) + 1 if len(numbers) else at
            ready = [row for row in broken[told:] if row.row_number < at]
            told += len(ready)
            yield _text_rows(batch, numbers, ready)
        if broken[told:]:
            nothing = pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
            yield TextRows(numbered(nothing, np.empty(0, dtype=np.int64)), broken[told:])


def _parse_options(delimiter: str, broken: list[BrokenRow]) -> pa_csv.ParseOptions:
    """Say how rows are cut; those that cannot be are added to `broken`."""

    def note(row: Any) -> str:
        why = f"it has {row.actual_columns} fields, the header has {row.expected_columns}"
        # the header is row 1
        broken.append(BrokenRow(int(row.number) - 2, "E_ROW_FIELDS", why))
        return "skip"

    return pa_csv.ParseOptions(
        delimiter=delimiter, newlines_in_values=True, invalid_row_handler=note
    )


def _text_rows(
    batch: pa.RecordBatch, numbers: NDArray[np.int64], broken: list[BrokenRow]
) -> TextRows:
    plain: dict[str, pl.Series] = {}
    coded: dict[str, CodedTexts] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if isinstance(column, pa.DictionaryArray):
            codes = pl.Series(column.indices.to_numpy().view(np.uint32))
            coded[name] = CodedTexts(pl.Series(column.dictionary), codes)
        else:
            plain[name] = pl.Series(name, column)
    return TextRows(numbered(pl.DataFrame(plain), numbers), broken, coded)


def _found_delimiter(head: str) -> str:
    line = head.splitlines()[0] if head.splitlines() else ""
    counts = {sign: line.count(sign) for sign in ",;\t|"}
    return max(counts, key=lambda sign: counts[sign])


def _numbers(at: int, count: int, broken: Sequence[int]) -> NDArray[np.int64]:
    """Number the rows of a piece, leaving out those that were broken."""
    inside = sorted(number for number in broken if number >= at)
    numbers = np.arange(at, at + count, dtype=np.int64)
    for number in inside:
        numbers[numbers >= number] += 1
    return numbers
