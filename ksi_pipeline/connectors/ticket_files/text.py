"""A file as text: header, and pieces of rows in which every cell is text.

Nothing is typed here. CSV rows with another number of fields than the header come beside the rest,
as `broken`; only the columns that the mapping names are decoded.
"""

import codecs
import csv
import gzip
import io
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ksi_pipeline.connectors.ticket_files.mapping import FileFormat, Mapping
from ksi_pipeline.core.errors import ContractError

ROW_NUMBER = "_row_number"
BLOCK_BYTES = 8 << 20
BATCH_ROWS = 250_000
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
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A row that cannot be cut into cells; its text is not kept, as it may hold personal data."""

    row_number: int
    code: str
    why: str


@dataclass(slots=True)
class TextRows:
    """Rows as text.

    Attributes:
        frame: the columns that were asked for, and ROW_NUMBER from 0.
        broken: rows of the same stretch of the file that could not be cut.
    """

    frame: pl.DataFrame
    broken: list[BrokenRow] = field(default_factory=list)


class TicketFile:
    """One file, of any format, opened by its kept bytes.

    Raises ContractError everywhere that the file as a whole cannot be read: E_FILE_TYPE,
    E_FILE_ENCODING, E_FILE_UNREADABLE, E_FILE_EMPTY, E_MAPPING_COLUMN.
    """

    def __init__(self, path: Path, name: str, mapping: Mapping) -> None:
        """Take the file that lies at `path` and was sent under `name`."""
        self._path, self._name, self._mapping = path, name, mapping
        self._format = mapping.format or _format_of(name)
        with self._readable():
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
            yield from self._csv(columns, BLOCK_BYTES if limit is None else _SAMPLE_BYTES)
        elif self._format == "parquet":
            yield from self._parquet(columns)
        elif self._format == "jsonl":
            yield from self._json_lines(columns)
        else:
            yield from self._workbook(columns, limit)

    def _header(self) -> tuple[str, ...]:
        if self._format == "parquet":
            with self._seekable() as file:
                return tuple(pq.ParquetFile(file).schema_arrow.names)
        if self._format == "jsonl":
            return self._json_header()
        if self._format == "xlsx":
            rows = self._sheet(1)
            return _unique([_cell(value) for value in rows[0]]) if rows else ()
        first = self._first_record()
        return _unique([cell.strip() for cell in first])

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

    # CSV

    def _csv(self, columns: Sequence[str], block_bytes: int) -> Iterator[TextRows]:
        broken: list[BrokenRow] = []

        def note(row: Any) -> str:
            why = f"it has {row.actual_columns} fields, the header has {row.expected_columns}"
            # the header is row 1
            broken.append(BrokenRow(int(row.number) - 2, "E_ROW_FIELDS", why))
            return "skip"

        with self._plain() as stream:
            reader = pa_csv.open_csv(
                stream,
                read_options=pa_csv.ReadOptions(
                    column_names=list(self.header),
                    skip_rows=1,
                    block_size=block_bytes,
                    encoding=self._encoding(),
                    # numbers of broken rows are known only so
                    use_threads=False,
                ),
                parse_options=pa_csv.ParseOptions(
                    delimiter=self._delimiter(),
                    newlines_in_values=True,
                    invalid_row_handler=note,
                ),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(columns, pa.string()),
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
                table = pa.Table.from_batches([batch])
                yield TextRows(_numbered(pl.DataFrame(pl.from_arrow(table)), numbers), ready)
            if broken[told:]:
                yield TextRows(_no_rows(columns), broken[told:])

    def _first_record(self) -> list[str]:
        with self._plain() as stream:
            text = io.TextIOWrapper(_as_binary(stream), self._encoding(), newline="")
            head = text.read(1 << 16)
        if not head.strip():
            return []
        if "\x00" in head:
            raise ContractError(
                f"File {self._name}: it holds zero bytes, so it is no text in "
                f"{self._encoding()}. Nothing was loaded. Set encoding: (utf-16-le is likely), or "
                "format: in the mapping.",
                code="E_FILE_ENCODING",
            )
        return next(csv.reader(io.StringIO(head, newline=""), delimiter=self._delimiter(head)), [])

    def _delimiter(self, head: str | None = None) -> str:
        if self._mapping.delimiter:
            return self._mapping.delimiter
        if head is None:
            with self._plain() as stream:
                text = io.TextIOWrapper(_as_binary(stream), self._encoding(), newline="")
                head = text.read(1 << 16)
        line = head.splitlines()[0] if head.splitlines() else ""
        counts = {sign: line.count(sign) for sign in ",;\t|"}
        return max(counts, key=lambda sign: counts[sign])

    def _encoding(self) -> str:
        with self._plain() as stream:
            begin = stream.read(4)
        for mark, encoding in _MARKS:
            if begin.startswith(mark):
                return encoding
        return self._mapping.encoding

    # other formats

    def _parquet(self, columns: Sequence[str]) -> Iterator[TextRows]:
        at = 0
        with self._seekable() as file:
            for batch in pq.ParquetFile(file).iter_batches(BATCH_ROWS, columns=list(columns)):
                frame = pl.DataFrame(pl.from_arrow(batch))
                frame = frame.select(_as_text(frame[name]) for name in columns)
                yield TextRows(_numbered(frame, np.arange(at, at + frame.height)))
                at += frame.height

    def _json_header(self) -> tuple[str, ...]:
        names: dict[str, None] = {}
        with self._plain() as stream:
            for line in islice(_lines(stream, self._encoding()), SAMPLE_ROWS):
                try:
                    value = json.loads(line)
                except ValueError:
                    continue
                if isinstance(value, dict):
                    names |= dict.fromkeys(value)
        return tuple(names) or self._no_objects()

    def _no_objects(self) -> tuple[str, ...]:
        with self._plain() as stream:
            if not stream.read(1 << 16).strip():
                return ()
        raise ContractError(
            f"File {self._name}: none of its first lines is a JSON object. Nothing was loaded. "
            "Write one object to a line.",
            code="E_FILE_UNREADABLE",
        )

    def _json_lines(self, columns: Sequence[str]) -> Iterator[TextRows]:
        with self._plain() as stream:
            lines = (line for line in _lines(stream, self._encoding()) if line.strip())
            at = 0
            while part := list(islice(lines, BATCH_ROWS // 5)):
                cells: dict[str, list[str]] = {name: [] for name in columns}
                numbers: list[int] = []
                broken: list[BrokenRow] = []
                for number, line in enumerate(part, at):
                    try:
                        value = json.loads(line, parse_float=str, parse_int=str)
                    except (ValueError, RecursionError):
                        value = None
                    if not isinstance(value, dict):
                        broken.append(BrokenRow(number, "E_ROW_TYPE", "it is no JSON object"))
                        continue
                    numbers.append(number)
                    for name in columns:
                        cells[name].append(_cell(value.get(name)))
                at += len(part)
                frame = pl.DataFrame(cells, schema=dict.fromkeys(columns, pl.String))
                yield TextRows(_numbered(frame, np.array(numbers, dtype=np.int64)), broken)

    def _workbook(self, columns: Sequence[str], limit: int | None) -> Iterator[TextRows]:
        rows = self._sheet(None if limit is None else limit + 1)[1:]
        places = [self.header.index(name) for name in columns]
        cells = {
            name: [_cell(row[place]) for row in rows]
            for name, place in zip(columns, places, strict=True)
        }
        frame = pl.DataFrame(cells, schema=dict.fromkeys(columns, pl.String))
        filled = np.array([any(_cell(value) for value in row) for row in rows], dtype=bool)
        numbers = np.arange(len(rows))
        yield TextRows(_numbered(frame, numbers).filter(pl.Series(filled, dtype=pl.Boolean)))

    def _sheet(self, limit: int | None) -> list[list[Any]]:
        import python_calamine

        try:
            with self._seekable() as file:
                book = python_calamine.CalamineWorkbook.from_filelike(file)
                name = self._mapping.sheet or book.sheet_names[0]
                if name not in book.sheet_names:
                    raise ContractError(
                        f"File {self._name}: it has no sheet {name!r}, only "
                        f"{', '.join(map(repr, book.sheet_names))}. Nothing was loaded. Correct "
                        "sheet: in the mapping.",
                        code="E_MAPPING_COLUMN",
                    )
                rows = book.get_sheet_by_name(name).to_python(skip_empty_area=False, nrows=limit)
        except (python_calamine.CalamineError, IndexError) as error:
            raise self._unreadable(error) from error
        return list(rows)

    # bytes

    @contextmanager
    def _plain(self) -> Iterator[IO[bytes]]:
        """Open the file's bytes, whatever they are packed in."""
        kind = "zstd" if self._path.suffix == ".zst" else None
        with pa.input_stream(str(self._path), compression=kind) as stream:
            if _is_gzip(self._name):
                with gzip.open(stream) as unpacked:
                    yield cast("IO[bytes]", unpacked)
            else:
                yield stream

    @contextmanager
    def _seekable(self) -> Iterator[IO[bytes]]:
        with self._plain() as stream:
            yield io.BytesIO(stream.read())

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Turn what the libraries say of a file into one error."""
        try:
            yield
        except (UnicodeError, pa.ArrowInvalid) as error:
            if isinstance(error, UnicodeError) or "UTF8" in str(error):
                raise ContractError(
                    f"File {self._name}: it is no text in {self._encoding()}. Nothing was loaded. "
                    "Set encoding: in the mapping; cp1252 is usual for Western European tills.",
                    code="E_FILE_ENCODING",
                ) from error
            raise self._unreadable(error) from error
        except (EOFError, OSError, pa.ArrowException, pl.exceptions.PolarsError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> ContractError:
        return ContractError(
            f"File {self._name}: it cannot be read as {self._format} "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__}). Nothing was "
            "loaded. It may be cut off; send it again, whole.",
            code="E_FILE_UNREADABLE",
        )


def _format_of(name: str) -> FileFormat:
    ending = Path(name.lower().removesuffix(".gz")).suffix
    if ending not in _ENDINGS:
        raise ContractError(
            f"File {name}: its name does not end in {', '.join(_ENDINGS)}, with or without .gz, "
            "and the mapping has no format:. Nothing was loaded. Rename it or set format:.",
            code="E_FILE_TYPE",
        )
    return _ENDINGS[ending]


def _is_gzip(name: str) -> bool:
    return name.lower().endswith(".gz")


def _as_binary(stream: IO[bytes]) -> IO[bytes]:
    return stream if isinstance(stream, gzip.GzipFile) else io.BytesIO(stream.read(1 << 18))


def _lines(stream: IO[bytes], encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    rest = ""
    while block := stream.read(BLOCK_BYTES):
        *whole, rest = (rest + decoder.decode(block)).split("\n")
        yield from whole
    if rest := rest + decoder.decode(b"", final=True):
        yield rest


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    """Number the headers that come again, so that each names one column."""
    seen: dict[str, int] = {}
    result: list[str] = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return tuple(result)


def _cell(value: object) -> str:
    """Write a typed cell as text: what a number, a date or a flag looks like in ISO."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, datetime):
        return value.isoformat(sep="T")
    if isinstance(value, date | time):
        return value.isoformat()
    return value if isinstance(value, str) else str(value)


def _as_text(column: pl.Series) -> pl.Series:
    if isinstance(column.dtype, pl.Datetime):
        ending = "%:z" if column.dtype.time_zone else ""
        column = column.dt.to_string(f"%Y-%m-%dT%H:%M:%S%.6f{ending}")
    elif column.dtype in (pl.Float64, pl.Float32):
        whole = (column == column.round(0)) & (column.abs() < 2**53)
        texts = column.cast(pl.String)
        column = (
            pl.select(
                pl.when(whole)
                .then(column.cast(pl.Int64, strict=False).cast(pl.String))
                .otherwise(texts)
            )
            .to_series()
            .alias(column.name)
        )
    return column.cast(pl.String).fill_null("")


def _numbers(at: int, count: int, broken: Sequence[int]) -> NDArray[np.int64]:
    """Number the rows of a piece, leaving out those that were broken."""
    inside = sorted(number for number in broken if number >= at)
    numbers = np.arange(at, at + count, dtype=np.int64)
    for number in inside:
        numbers[numbers >= number] += 1
    return numbers


def _numbered(frame: pl.DataFrame, numbers: NDArray[np.int64]) -> pl.DataFrame:
    return frame.with_columns(pl.Series(ROW_NUMBER, numbers, dtype=pl.Int64))


def _no_rows(columns: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame(schema={**dict.fromkeys(columns, pl.String), ROW_NUMBER: pl.Int64})
