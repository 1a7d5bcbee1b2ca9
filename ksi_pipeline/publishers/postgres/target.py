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
from ksi_pipeline.publishers.plan import Change
from ksi_pipeline.publishers.postgres.config import PostgresConfig
from ksi_pipeline.publishers.postgres.failures import driver, told
from ksi_pipeline.publishers.postgres.sql import PostgresSql
from ksi_pipeline.publishers.refusals import busy
from ksi_pipeline.publishers.table_target import TransactionTarget
from ksi_pipeline.publishers.tables import BATCH_ID, type_named

_BETWEEN_S = 0.2
_ROWS_AT_ONCE = 65_536


class _Session:
    """A connection whose answers are read at once."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def execute(self, statement: str) -> Sequence[Sequence[Any]]:
        cursor = self.connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


class PostgresTarget(TransactionTarget["_Session"]):
    """Publishes to one schema; a connection is made where it is needed."""

    def __init__(
        self, config: PostgresConfig, url: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Take the configuration and the URL, with its secrets."""
        sql = PostgresSql(config.schema_name, config.publisher_role, config.reader_role)
        super().__init__(config.id, sql)
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
        query = (
            "select a.attname, format_type(a.atttypid, a.atttypmod) from pg_attribute a "
            "join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace "
            "where n.nspname = %s and c.relname = %s and a.attnum > 0 and not a.attisdropped "
            "order by a.attnum"
        )
        with self.session() as session:
            rows = session.connection.execute(query, (self._schema, mart)).fetchall()
        named = [Column(name, type_named(kind)) for name, kind in rows if name != BATCH_ID]
        return tuple(named) or None

    def stage(self, load: Sequence[Change]) -> dict[Part, Figures]:
        """Copy the rows into tables beside those that readers know."""
        with self.session() as session:
            self._make_schema(session.connection)
        return super().stage(load)

    @contextmanager
    def transaction(self, session: "_Session") -> Iterator[None]:
        """Commit what the block does, or nothing of it."""
        with session.connection.transaction():
            session.execute(f"set local lock_timeout = '{self._config.step_timeout_s}s'")
            yield

    def fill(self, session: "_Session", batch: Batch) -> None:
        """Copy the rows as CSV, some at a time."""
        names = [column.name for column in batch.columns]
        options = pa_csv.WriteOptions(include_header=False)
        (statement,) = self.sql.fill_stage(batch)
        with session.connection.cursor().copy(statement) as copy:
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
            (self._schema, self.sql.stage_prefix),
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

    @contextmanager
    def session(self) -> Iterator["_Session"]:
        """Give the connection that has the lock, or one for a question."""
        if self._held is not None:
            with told(self.target_id, self._config.url_env):
                yield _Session(self._held)
            return
        with self._connected() as connection:
            yield _Session(connection)

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
