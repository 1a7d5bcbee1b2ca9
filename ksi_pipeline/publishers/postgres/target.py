"""Tables in one schema of PostgreSQL: COPY into a stage, then delete and insert in a transaction.

Each partition becomes visible in a transaction of its own, in which what readers would see is added
up before it commits. An advisory lock on the schema keeps a second publisher waiting.
"""

import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from ksi_pipeline.core.publishing import Batch, Column, Figures, Part
from ksi_pipeline.publishers.base import Accept
from ksi_pipeline.publishers.figures import figures_query, read_figures
from ksi_pipeline.publishers.on_disk import busy
from ksi_pipeline.publishers.plan import Change
from ksi_pipeline.publishers.postgres import sql
from ksi_pipeline.publishers.postgres.config import PostgresConfig
from ksi_pipeline.publishers.postgres.failures import driver, told
from ksi_pipeline.publishers.tables import BATCH_ID, of_part, type_named

_BETWEEN_S = 0.2
_ROWS_AT_ONCE = 65_536


class PostgresTarget:
    """Publishes to one schema; a connection is made where it is needed."""

    def __init__(
        self, config: PostgresConfig, url: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Take the configuration and the URL, with its secrets."""
        self.target_id = config.id
        self._config, self._url, self._sleep = config, url, sleep
        self._schema = config.schema_name
        self._held: Any = None

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep other publishers out; see Target."""
        with self._connected() as connection:
            self._lock(connection)
            self._held = connection
            try:
                self._sweep(connection)
                yield
            finally:
                self._held = None

    def columns(self, mart: str) -> tuple[Column, ...] | None:
        """Give the columns of a table; see Target."""
        rows = self._rows(
            "select a.attname, format_type(a.atttypid, a.atttypmod) from pg_attribute a "
            "join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace "
            "where n.nspname = %s and c.relname = %s and a.attnum > 0 and not a.attisdropped "
            "order by a.attnum",
            (self._schema, mart),
        )
        named = [Column(name, type_named(kind)) for name, kind in rows if name != BATCH_ID]
        return tuple(named) or None

    def figures(self, mart: str, sample: Batch) -> dict[Part, Figures]:
        """Add a table up by partition; see Target."""
        held = {column.name for column in self.columns(mart) or ()}
        columns = [column for column in sample.columns if column.name in held]
        key = [name for name in sample.key if name in held]
        query = figures_query(
            f'"{self._schema}"."{mart}"',
            columns,
            key,
            sql.POSTGRES,
            is_by_month=sample.part.month != "whole",
        )
        return read_figures(mart, columns, key, self._rows(query))

    def loads(self, changes: Sequence[Change]) -> list[list[Change]]:
        """Make each partition visible by itself."""
        return [[change] for change in changes]

    def stage(self, load: Sequence[Change]) -> dict[Part, Figures]:
        """Copy the rows into tables beside those that readers know."""
        staged: dict[Part, Figures] = {}
        with self._session() as connection:
            self._make_schema(connection)
            for batch in [change.batch for change in load if change.batch]:
                for statement in sql.create_stage(self._schema, batch):
                    connection.execute(statement)
                self._copy(connection, batch)
                relation = f'"{self._schema}"."{sql.stage_name(batch)}"'
                staged[batch.part] = self._add_up(connection, relation, batch, "true")
        return staged

    def apply(self, load: Sequence[Change], accept: Accept) -> None:
        """Delete and insert in one transaction, which commits once `accept` took the figures."""
        with self._session() as connection, connection.transaction():
            connection.execute(f"set local lock_timeout = '{self._config.step_timeout_s}s'")
            found: dict[Part, Figures] = {}
            for change in load:
                held = self.columns(change.part.mart)
                for statement in self._statements(change, held):
                    connection.execute(statement)
                found |= self._of_change(connection, change, held)
            accept(found)

    def statements(self, change: Change) -> list[str]:
        """Write the SQL of a change; see Target."""
        batch = change.batch
        made = self._statements(change, self.columns(change.part.mart))
        if batch is None:
            return ["begin", *made, "commit"]
        return [
            *sql.create_stage(self._schema, batch),
            sql.copy_into_stage(self._schema, batch),
            "begin",
            *made,
            "commit",
        ]

    def grants(self) -> list[str]:
        """Write the least rights that publishing and reading need."""
        config = self._config
        return sql.grants(self._schema, config.publisher_role, config.reader_role)

    def _statements(self, change: Change, held: Sequence[Column] | None) -> list[str]:
        if change.batch is None:
            return [sql.remove_part(self._schema, change.part)] if held else []
        made = sql.make_table(self._schema, change.batch, held)
        return [*made, *sql.replace_part(self._schema, change.batch)]

    def _of_change(
        self, connection: Any, change: Change, held: Sequence[Column] | None
    ) -> dict[Part, Figures]:
        table, where = f'"{self._schema}"."{change.part.mart}"', of_part(change.part)
        if change.batch:
            return {change.part: self._add_up(connection, table, change.batch, where)}
        if not held:
            return {}
        row = connection.execute(f"select count(*) from {table} where {where}").fetchone()
        return {change.part: Figures(int(row[0]))}

    def _add_up(self, connection: Any, relation: str, batch: Batch, where: str) -> Figures:
        query = figures_query(
            relation, batch.columns, batch.key, sql.POSTGRES, is_by_month=False, where=where
        )
        rows = connection.execute(query).fetchall()
        (figures,) = read_figures(batch.part.mart, batch.columns, batch.key, rows).values()
        return figures

    def _copy(self, connection: Any, batch: Batch) -> None:
        names = [column.name for column in batch.columns]
        options = pa_csv.WriteOptions(include_header=False)
        with connection.cursor().copy(sql.copy_into_stage(self._schema, batch)) as copy:
            for rows in pq.ParquetFile(batch.path).iter_batches(_ROWS_AT_ONCE, columns=names):
                text = io.BytesIO()
                pa_csv.write_csv(rows.select(names), text, options)
                copy.write(text.getvalue())

    def _make_schema(self, connection: Any) -> None:
        # who may not make schemas may use one that is there
        query = "select 1 from pg_namespace where nspname = %s"
        if connection.execute(query, (self._schema,)).fetchone() is None:
            connection.execute(f'create schema "{self._schema}"')

    def _sweep(self, connection: Any) -> None:
        """Drop what killed runs staged."""
        rows = connection.execute(
            "select tablename from pg_tables where schemaname = %s and starts_with(tablename, %s)",
            (self._schema, sql.STAGE),
        ).fetchall()
        for (name,) in rows:
            connection.execute(f'drop table "{self._schema}"."{name}"')

    def _lock(self, connection: Any) -> None:
        end = time.monotonic() + self._config.lock_wait_s
        query = "select pg_try_advisory_lock(hashtextextended(%s, 0))"
        while not connection.execute(query, (f"ksi publish {self._schema}",)).fetchone()[0]:
            if time.monotonic() >= end:
                raise busy(self.target_id)
            self._sleep(_BETWEEN_S)

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        with self._session() as connection:
            return list(connection.execute(query, values or None).fetchall())

    @contextmanager
    def _session(self) -> Iterator[Any]:
        """Give the connection that has the lock, or one for a question."""
        if self._held is not None:
            with told(self.target_id, self._config.url_env):
                yield self._held
            return
        with self._connected() as connection:
            yield connection

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        config = self._config
        with (
            told(self.target_id, config.url_env),
            driver(self.target_id).connect(
                self._url, autocommit=True, connect_timeout=config.connect_timeout_s
            ) as connection,
        ):
            connection.execute("set timezone = 'UTC'")
            connection.execute(f"set statement_timeout = '{config.step_timeout_s}s'")
            yield connection
