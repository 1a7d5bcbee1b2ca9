"""A file as text: header, and pieces of rows in which every cell is text.

Nothing is typed here. CSV rows with another number of fields than the header come beside the rest,
as `broken`; only the columns that the mapping names are decoded.
"""

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pyarrow as pa

from ksi_pipeline.connectors.ticket_files.csv_rows import csv_header, csv_pieces
from ksi_pipeline.connectors.ticket_files.json_rows import json_header, json_pieces
from ksi_pipeline.connectors.ticket_files.mapping import FileFormat, Mapping
from ksi_pipeline.connectors.ticket_files.packed import BLOCK_BYTES, PackedFile
from ksi_pipeline.connectors.ticket_files.text_rows import TextRows
from ksi_pipeline.connectors.ticket_files.typed_files import (
    parquet_header,
    parquet_pieces,
    workbook_header,
    workbook_pieces,
)
from ksi_pipeline.core.errors import ContractError

SAMPLE_ROWS = 200
_SAMPLE_BYTES = 1 << 19
_ENDINGS: dict[str, FileFormat] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".xlsx": "xlsx",
}
_UNREADABLE = (
    EOFError,
    OSError,
    # a way of packing that zipfile does not know
    NotImplementedError,
    pa.ArrowException,
    pl.exceptions.PolarsError,
    zipfile.BadZipFile,
    zlib.error,
)


class TicketFile:
    """One file, of any format, opened by its kept bytes.

    Raises ContractError everywhere that the file as a whole cannot be read: E_FILE_TYPE,
    E_FILE_ENCODING, E_FILE_UNREADABLE, E_FILE_EMPTY, E_MAPPING_COLUMN.
    """

    def __init__(self, path: Path, name: str, mapping: Mapping) -> None:
        """Take the file that lies at `path` and was sent under `name`."""
        self._name, self._mapping = name, mapping
        self._format = mapping.format
        self._file = PackedFile(path, name, mapping.encoding)
        with self._readable():
            self._format = self._format or _format_of(name, self._file.inner_name())
            self.header = self._header()
            self._require_columns()

    def sample(self) -> dict[str, list[str]]:
        """Give the first rows of every column, mapped or not."""
        with self._readable():
            for rows in self._pieces(self.header, limit=SAMPLE_ROWS):
                head = rows.frame.head(SAMPLE_ROWS)
                return {name: head[name].to_list() for name in self.header}
        return {name: [] for name in self.header}

    def pieces(self) -> Iterator[TextRows]:
        """Yield the rows, mapped columns only, in the order of the file.

        The next piece is read while the caller works on one.
        """
        pieces = self._pieces(self._mapping.headers())
        with self._readable(), ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(next, pieces, None)
            while (piece := ahead.result()) is not None:
                ahead = reader.submit(next, pieces, None)
                yield piece

    def _pieces(self, columns: Sequence[str], limit: int | None = None) -> Iterator[TextRows]:
        if self._format == "csv":
            sign = self._mapping.delimiter
            if limit is not None:
                return csv_pieces(self._file, self.header, sign, columns, _SAMPLE_BYTES)
            coded = self._mapping.repeated_headers()
            return csv_pieces(self._file, self.header, sign, columns, BLOCK_BYTES, coded)
        if self._format == "parquet":
            return parquet_pieces(self._file, columns)
        if self._format == "jsonl":
            return json_pieces(self._file, columns)
        return workbook_pieces(self._file, self._mapping.sheet, self.header, columns, limit)

    def _header(self) -> tuple[str, ...]:
        if self._format == "parquet":
            return parquet_header(self._file)
        if self._format == "jsonl":
            return json_header(self._file, SAMPLE_ROWS)
        if self._format == "xlsx":
            return _unique(workbook_header(self._file, self._mapping.sheet))
        return _unique(csv_header(self._file, self._mapping.delimiter))

    def _require_columns(self) -> None:
        if not self.header:
            raise ContractError(
                f"File {self._name}: it is empty. Nothing was loaded. Send it again, whole.",
                code="E_FILE_EMPTY",
            )
        missing = [name for name in self._mapping.headers() if name not in self.header]
        if missing:
            raise ContractError(
                f"File {self._name}: it has no column {', '.join(map(repr, missing))}. Nothing "
                f"was loaded. Its columns are {', '.join(map(repr, self.header))}. Correct the "
                "mapping, or its delimiter.",
                code="E_MAPPING_COLUMN",
            )

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Turn what the libraries say of a file into one error."""
        try:
            yield
        except (UnicodeError, pa.ArrowInvalid) as error:
            if isinstance(error, UnicodeError) or "UTF8" in str(error):
                raise ContractError(
                    f"File {self._name}: it is no text in {self._file.encoding()}. Nothing was "
                    "loaded. Set encoding: in the mapping; cp1252 is usual for Western European "
                    "tills.",
                    code="E_FILE_ENCODING",
                ) from error
            raise self._unreadable(error) from error
        except _UNREADABLE as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> ContractError:
        return ContractError(
            f"File {self._name}: it cannot be read as {self._format or 'zip'} "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__}). Nothing was "
            "loaded. It may be cut off; send it again, whole.",
            code="E_FILE_UNREADABLE",
        )


def _format_of(name: str, inner_name: str) -> FileFormat:
    ending = Path(inner_name.lower()).suffix
    if ending not in _ENDINGS:
        raise ContractError(
            f"File {name}: its name does not end in {', '.join(_ENDINGS)}, with or without .gz, "
            "nor is it a .zip of such a file, and the mapping has no format:. Nothing was loaded. "
            "Rename it or set format:.",
            code="E_FILE_TYPE",
        )
    return _ENDINGS[ending]


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    """Number the headers that come again, so that each names one column."""
    seen: dict[str, int] = {}
    result: list[str] = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return tuple(result)
