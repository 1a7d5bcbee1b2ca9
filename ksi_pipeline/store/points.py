"""Reading tracklet points from a file larger than memory: part by part, sorted first if need be."""

import bisect
from collections.abc import Callable, Iterator
from functools import partial
from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ksi_pipeline.core.errors import ContractError, TransientError
from ksi_pipeline.core.samples import KEYS
from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.core.streams import RowError
from ksi_pipeline.store.files import readable, require_columns

PART_ROWS = 1 << 21
PIECE_ROWS = 3 << 17
# Small row groups that are read as one part.
_MOST_GROUPS = 64
_READ_BYTES = 1 << 20
_COUNTED = (*KEYS, "ts_utc", "x_m", "y_m")
_SORT_MEMORY = "300MB"
_SORTED_GROUP = 1 << 18
# Where a row of a sorted copy came from.
_ROW = "file_row_number"

Part = Callable[[], Iterator[pa.Table]]


class PointsFile:
    """One Parquet file of tracklet points.

    Attributes:
        path: the file.
        row_count: its rows.
    """

    def __init__(self, path: Path, *, copy_of: "PointsFile | None" = None) -> None:
        """Open a file and check its columns.

        Args:
            path: the file.
            copy_of: the file that this is a sorted copy of.

        Raises:
            ContractError: E_PARQUET, E_SCHEMA, or E_NO_POINTS when it has no rows.
        """
        self.path = path
        self._original = copy_of
        if path.is_dir():
            raise ContractError(
                f"Reading {path} failed: it is a folder. Nothing was written. Name one file in it.",
                code="E_FILE",
            )
        with readable(path):
            schema = pq.read_schema(path)
            if copy_of is None:
                require_columns(path.name, schema, DATASETS["tracklet_points"])
            self._file = pq.ParquetFile(path, read_dictionary=list(KEYS))
        metadata = self._metadata = self._file.metadata
        self.row_count: int = metadata.num_rows
        counts = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        self._firsts = list(accumulate(counts, initial=0))[:-1]
        self._counts = counts
        if not self.row_count:
            raise ContractError(
                f"{path.name} has no rows, and no points do not mean that nobody came. Nothing was "
                "written. Check what made the file.",
                code="E_NO_POINTS",
            )

    def parts(self) -> Iterator[tuple[int, Part]]:
        """Yield (first row, a function that reads the part in pieces) in the order of rows.

        Row groups are read apart, in any thread, small ones some at a time. A large one is read
        here and handed out piece by piece, so that others can count while it is read.
        """
        small: list[int] = []
        for group, (first, count) in enumerate(zip(self._firsts, self._counts, strict=True)):
            if count > PART_ROWS:
                yield from self._together(small)
                for row, piece in self._pieces([group], first):
                    yield row, partial(iter, [piece])
                small = []
            elif count:
                small.append(group)
                if sum(self._counts[i] for i in small) >= PIECE_ROWS or len(small) >= _MOST_GROUPS:
                    yield from self._together(small)
                    small = []
        yield from self._together(small)

    def _together(self, groups: list[int]) -> Iterator[tuple[int, Part]]:
        if groups:
            yield self._firsts[groups[0]], partial(self._tables, groups)

    def _tables(self, groups: list[int]) -> Iterator[pa.Table]:
        return (piece for _row, piece in self._pieces(groups, self._firsts[groups[0]]))

    def _pieces(self, groups: list[int], first: int) -> Iterator[tuple[int, pa.Table]]:
        with readable(self.path):
            file = pq.ParquetFile(
                self.path,
                metadata=self._metadata,
                read_dictionary=list(KEYS),
                pre_buffer=False,
                buffer_size=_READ_BYTES,
            )
            for batch in file.iter_batches(
                PIECE_ROWS, row_groups=groups, columns=list(_COUNTED), use_threads=False
            ):
                rows, piece = batch.num_rows, [pa.Table.from_batches([batch])]
                # Nothing here may hold the piece while others count it.
                del batch
                yield first, self._filled(piece.pop(), first)
                first += rows

    def _filled(self, table: pa.Table, first: int) -> pa.Table:
        for name in (*KEYS, "ts_utc"):
            if table[name].null_count:
                row = table[name].is_null().to_pylist().index(True)
                raise RowError(
                    f"Column {name!r} is null and must always be filled.",
                    code="E_NULL",
                    row=first + row,
                )
        for name in KEYS:
            self._require_text(table[name], name)
        return table

    def _require_text(self, strings: pa.ChunkedArray, name: str) -> None:
        try:
            for chunk in strings.chunks:
                chunk.dictionary.validate(full=True)
        except pa.ArrowInvalid as error:
            raise ContractError(
                f"{self.path.name}: column {name!r} holds bytes that are no UTF-8 text. Nothing "
                "was written. Write the file again with text.",
                code="E_PARQUET",
            ) from error

    def place_of(self, row: int) -> str:
        """Name a row as people find it: file, row group and row, all from 0."""
        if self._original:
            group = bisect.bisect_right(self._firsts, row) - 1
            rows = self._file.read_row_group(group, columns=[_ROW])[_ROW]
            return self._original.place_of(rows[row - self._firsts[group]].as_py())
        group = bisect.bisect_right(self._firsts, row) - 1
        return f"{self.path.name}, row group {group}, row {row} of the file"

    def _numbered(self) -> pa.RecordBatchReader:
        """Read what is counted, each row with its place in the file."""
        with readable(self.path):
            file = pq.ParquetFile(self.path, metadata=self._metadata, pre_buffer=False)
        schema = pa.schema([file.schema_arrow.field(name) for name in _COUNTED])

        def batches() -> Iterator[pa.RecordBatch]:
            first = 0
            for batch in file.iter_batches(PIECE_ROWS, columns=list(_COUNTED)):
                numbers = pa.array(range(first, first + batch.num_rows), pa.int64())
                yield pa.RecordBatch.from_arrays(
                    [*(batch.column(name) for name in _COUNTED), numbers], schema=numbered
                )
                first += batch.num_rows

        numbered = schema.append(pa.field(_ROW, pa.int64()))
        return pa.RecordBatchReader.from_batches(numbered, batches())

    def sorted_copy(self, folder: Path) -> "PointsFile":
        """Write the points in order into `folder`, in little memory; the work is DuckDB's.

        Raises:
            TransientError: E_SORT, no room on the disk, mostly.
        """
        import duckdb  # large, and most files come sorted

        path = folder / "sorted.parquet"
        order = ", ".join((*KEYS, "ts_utc", _ROW))
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": _SORT_MEMORY,
            "temp_directory": str(folder),
        }
        rows = self._numbered()  # a path in the query would be taken for a pattern
        try:
            with duckdb.connect(config=settings) as connection:
                connection.register("numbered_rows", rows)
                connection.execute(
                    f"copy (select * from numbered_rows order by {order}) to '{_quoted(path)}' "
                    f"(format parquet, compression zstd, row_group_size {_SORTED_GROUP})"
                )
        except duckdb.Error as error:
            raise TransientError(
                f"Sorting {self.path.name} into {folder} failed: {error}. It needs about "
                "three times the size of the file on that disk. Nothing was written; make room and "
                "run it again.",
                code="E_SORT",
            ) from error
        return PointsFile(path, copy_of=self)


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
