"""Tables in one schema of PostgreSQL: delete and COPY in a transaction, which is what stages rows.

Each partition has a transaction of its own, which stays open while what readers would see is added
up and compared; until it commits they see what they had. Rows are written once: another table to
wait in would be as safe and take twice as long. An advisory lock on the schema keeps a second
publisher waiting.
"""

import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from ksi_pipeline.core.publishing import Batch, Column, Figures, Part
from ksi_pipeline.publishers.base import Accept
from ksi_pipeline.publishers.holders import take_when_free
from ksi_pipeline.publishers.plan import Change
from ksi_pipeline.publishers.postgres.config import PostgresConfig
from ksi_pipeline.publishers.postgres.failures import driver, told
from ksi_pipeline.publishers.postgres.sql import PostgresSql
from ksi_pipeline.publishers.table_target import TableTarget, run_all
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


class PostgresTarget(TableTarget["_Session"]):
    """Publishes to one schema; a connection is made where it is needed."""

    sql: PostgresSql

    def __init__(
        self, config: PostgresConfig, url: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Take the configuration and the URL, with its secrets."""
        super().__init__(config.id)
        self.sql = PostgresSql(config.schema_name, config.publisher, config.reader)
        self._config, self._url, self._sleep = config, url, sleep
        self._schema = config.schema_name
        self._held: Any = None
        self._staged: dict[Part, Figures] = {}

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep other publishers out; see Target."""
        with self._connected() as connection:
            self._lock(connection)
            self._held = connection
            try:
                yield
                # leaving a connection commits what it has begun
                connection.rollback()
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
        """Delete and copy in a transaction that stays open, and add up what it would show."""
        self._staged = {}
        with self.session() as session:
            session.execute("begin")
            self._make_schema(session)
            session.execute(f"set local lock_timeout = '{self._config.step_timeout_s}s'")
            for change in load:
                run_all(session, self._changes(change))
                if change.batch:
                    self._copy(session, change.batch)
                self._staged |= self.of_change(session, change)
        return {c.part: self._staged[c.part] for c in load if c.batch}

    def apply(self, load: Sequence[Change], accept: Accept) -> None:
        """Commit what was staged, once `accept` took what it would show."""
        accept({c.part: self._staged[c.part] for c in load if c.part in self._staged})
        with self.session() as session:
            session.execute("commit")

    def statements(self, change: Change) -> list[str]:
        """Write the SQL of a change; see Target."""
        copied = [self.sql.copy(change.batch)] if change.batch else []
        return ["begin", *self._changes(change), *copied, "commit"]

    def _changes(self, change: Change) -> list[str]:
        held, batch = self.columns(change.part.mart), change.batch
        made = self.sql.make_table(batch, held) if batch else []
        removed = [self.sql.remove_part(change.part)] if held else []
        return [*made, *removed]

    def _copy(self, session: "_Session", batch: Batch) -> None:
        """Copy the rows as CSV, some at a time."""
        names = [column.name for column in batch.columns]
        options = pa_csv.WriteOptions(include_header=False)
        with session.connection.cursor().copy(self.sql.copy(batch)) as copy:
            for rows in pq.ParquetFile(batch.path).iter_batches(_ROWS_AT_ONCE, columns=names):
                text = io.BytesIO()
                named = rows.select(names).append_column(
                    BATCH_ID, pa.repeat(batch.batch_id, rows.num_rows)
                )
                pa_csv.write_csv(named, text, options)
                copy.write(text.getvalue())

    def _make_schema(self, session: "_Session") -> None:
        # who may not make schemas may use one that is there
        query = f"select 1 from pg_namespace where nspname = '{self._schema}'"
        if not session.execute(query):
            session.execute(f'create schema "{self._schema}"')

    def _lock(self, connection: Any) -> None:
        query = "select pg_try_advisory_lock(hashtextextended(%s, 0))"
        name = (f"ksi publish {self._schema}",)

        def is_taken() -> bool:
            return bool(connection.execute(query, name).fetchone()[0])

        take_when_free(self.target_id, is_taken, self._config.lock_wait_s, _BETWEEN_S, self._sleep)

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
            limit = f"'{config.step_timeout_s}s'"
            connection.execute(f"set statement_timeout = {limit}")
            # a publisher that stands still keeps its locks no longer than a statement would
            connection.execute(f"set idle_in_transaction_session_timeout = {limit}")
            # nor does one whose machine vanished in a COPY, which no time-out ends
            connection.execute("set tcp_keepalives_idle = 60")
            connection.execute("set tcp_keepalives_interval = 10")
            yield connection
