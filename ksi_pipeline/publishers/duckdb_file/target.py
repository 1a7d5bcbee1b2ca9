"""One DuckDB file, replaced in one step: readers that have it open keep what they opened.

The new file is made beside the old one, from a copy of it: only what changed is written.
It has DuckDB's 1.2 format, so that older clients open it.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import duckdb

from ksi_pipeline.core.errors import TransientError
from ksi_pipeline.core.publishing import Batch, Column, Figures, Part, marts_of
from ksi_pipeline.durable import sync
from ksi_pipeline.publishers.base import Accept
from ksi_pipeline.publishers.figures import DUCKDB, figures_query, read_figures
from ksi_pipeline.publishers.on_disk import only_publisher
from ksi_pipeline.publishers.parquet import duckdb_type, quoted, relation_figures, source
from ksi_pipeline.publishers.plan import Change
from ksi_pipeline.publishers.table_sql import make_commented
from ksi_pipeline.publishers.tables import BATCH_ID, of_part, type_named

STORAGE_VERSION = "v1.2.0"


class DuckdbTarget:
    """Publishes to one file; nothing is opened before it is needed."""

    def __init__(self, target_id: str, path: Path, memory_limit: str = "1GB") -> None:
        """Take the file, which need not be there, and how much memory DuckDB may take."""
        self.target_id = target_id
        self._path = path
        self._new = path.with_name(f".{path.name}.new")
        self._memory_limit = memory_limit
        self._staged: dict[Part, Figures] = {}
        self._session: duckdb.DuckDBPyConnection | None = None

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep other publishers out; see Target."""
        with only_publisher(self._path.with_name(f".{self._path.name}.lock"), self.target_id):
            self._sweep()
            # one for all steps: to start DuckDB takes as long as to read a month
            with self._connect() as self._session:
                try:
                    yield
                finally:
                    self._session = None

    def columns(self, mart: str) -> tuple[Column, ...] | None:
        """Give the columns of a table; see Target."""
        if not self._path.exists():
            return None
        with self._open(self._path) as connection:
            return _columns(connection, mart)

    def figures(self, mart: str, sample: Batch) -> dict[Part, Figures]:
        """Add a table up by partition; see Target."""
        with self._open(self._path) as connection:
            return _figures(connection, mart, sample)

    def loads(self, changes: Sequence[Change]) -> list[list[Change]]:
        """Replace the file once for all that changed."""
        return [list(changes)] if changes else []

    def stage(self, load: Sequence[Change]) -> dict[Part, Figures]:
        """Write the new file beside the old one."""
        self._sweep()
        if self._path.exists():
            shutil.copyfile(self._path, self._new)
            if _log(self._path).exists():
                shutil.copyfile(_log(self._path), _log(self._new))
        with self._open(self._new, writes=True) as connection:
            statements = []
            for mart in marts_of([change.part for change in load]):
                changes = [change for change in load if change.part.mart == mart]
                statements += _sql(changes, _columns(connection, mart))
            # one for all: rows of a commit that fill no row group are written twice
            for statement in ["begin", *statements]:
                connection.execute(statement)
            connection.execute("commit")
            connection.execute("checkpoint held")
        sync(self._new)
        with self._open(self._new) as connection:
            self._staged = _of_changes(connection, load)
        return self._staged

    def apply(self, load: Sequence[Change], accept: Accept) -> None:
        """Put the new file in the place of the old one; what was added up is what readers get."""
        accept({c.part: self._staged[c.part] for c in load if c.part in self._staged})
        # readers would add what it says to the new file
        _log(self._path).unlink(missing_ok=True)
        os.replace(self._new, self._path)
        sync(self._path.parent)

    def statements(self, change: Change) -> list[str]:
        """Write the SQL of a change; see Target."""
        held = self.columns(change.part.mart)
        told = f"-- in a copy that then replaces {self._path.name}"
        return ["begin", *_sql([change], held), "commit", told]

    def grants(self) -> list[str]:
        """Write which rights on files are needed."""
        return [
            f"# publishing needs to write to the folder {self._path.parent}",
            f"# reading needs to read {self._path}",
            f"chmod 644 {self._path}",
        ]

    def _connect(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(config={"memory_limit": self._memory_limit})
        connection.execute("set TimeZone = 'UTC'")
        # cores write side by side, each a file at a time, whose rows stay together
        connection.execute("set preserve_insertion_order = false")
        # what is committed goes into the file, not into a log first: nobody reads it before the end
        connection.execute("set checkpoint_threshold = '1B'")
        return connection

    @contextmanager
    def _open(self, path: Path, *, writes: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        try:
            with ExitStack() as stack:
                connection = self._session or stack.enter_context(self._connect())
                how = f"storage_version '{STORAGE_VERSION}'" if writes else "read_only"
                connection.execute(f"attach {quoted(path)} as held ({how})")
                connection.execute("use held")
                yield connection
                connection.execute("use memory")
                connection.execute("detach held")
        except duckdb.Error as error:
            # of blocks that are damaged it has no class of its own
            if not isinstance(error, duckdb.IOException) and type(error) is not duckdb.Error:
                raise
            raise TransientError(
                f"Target {self.target_id!r}: {self._path} could not be opened or written "
                f"({str(error).splitlines()[0]}). Readers keep what they had. Close what holds the "
                "file open for writing, or mend the disk, or move a damaged file away; then "
                "publish again.",
                code="E_TARGET_UNREACHABLE",
            ) from error

    def _sweep(self) -> None:
        for path in (self._new, _log(self._new)):
            path.unlink(missing_ok=True)


def _log(path: Path) -> Path:
    """Give where DuckDB keeps what was committed and is not in the file yet."""
    return path.with_name(f"{path.name}.wal")


def _columns(connection: duckdb.DuckDBPyConnection, mart: str) -> tuple[Column, ...] | None:
    try:
        found = connection.execute(f'from held."{mart}" limit 0').description
    except duckdb.CatalogException:
        return None
    return tuple(
        Column(name, type_named(str(kind))) for name, kind, *_ in found if name != BATCH_ID
    )


def _figures(
    connection: duckdb.DuckDBPyConnection, mart: str, sample: Batch
) -> dict[Part, Figures]:
    held = {column.name for column in _columns(connection, mart) or ()}
    columns = [column for column in sample.columns if column.name in held]
    key = [name for name in sample.key if name in held]
    is_by_month = sample.part.month != "whole"
    query = figures_query(f'"{mart}"', columns, key, DUCKDB, is_by_month=is_by_month)
    return read_figures(mart, columns, key, connection.execute(query).fetchall())


def _of_changes(
    connection: duckdb.DuckDBPyConnection, load: Sequence[Change]
) -> dict[Part, Figures]:
    found = {}
    for change in load:
        where = of_part(change.part)
        if change.batch:
            relation = f'(select * from "{change.part.mart}" where {where})'
            found[change.part] = relation_figures(connection, relation, change.batch)
        elif _columns(connection, change.part.mart):
            query = f'select count(*) from "{change.part.mart}" where {where}'
            (row,) = connection.execute(query).fetchall()
            found[change.part] = Figures(int(row[0]))
    return found


def _sql(changes: Sequence[Change], held: Sequence[Column] | None) -> list[str]:
    """Write what changes of one mart do to its table; all their rows go in at once."""
    table = f'"{changes[0].part.mart}"'
    batches = [change.batch for change in changes if change.batch]
    written = []
    if batches:
        written = make_commented(table, batches[0], held, duckdb_type, "varchar")
    if held is not None:
        written += [f"delete from {table} where {of_part(change.part)}" for change in changes]
    if batches:
        names = ", ".join(f'"{column.name}"' for column in batches[0].columns)
        rows = [f"select {names}, '{each.batch_id}' from {source(each)}" for each in batches]
        written.append(f"insert into {table} ({names}, {BATCH_ID}) " + " union all ".join(rows))
    return written
