"""Tables in one schema of Redshift: COPY from S3 into a stage, then delete and insert at once.

Each partition becomes visible in a transaction of its own, in which what readers would see is added
up before it commits. Redshift has no advisory locks: a second connection holds a lock on an empty
table in an open transaction for as long as the run takes, so it goes with the process.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from ksi_pipeline.core.errors import KsiError
from ksi_pipeline.core.publishing import Batch, Column
from ksi_pipeline.publishers.redshift.bucket import Bucket
from ksi_pipeline.publishers.redshift.config import Address, RedshiftConfig
from ksi_pipeline.publishers.redshift.connection import Session, connected
from ksi_pipeline.publishers.redshift.sql import LOCK, RedshiftSql
from ksi_pipeline.publishers.refusals import busy
from ksi_pipeline.publishers.table_target import TransactionTarget
from ksi_pipeline.publishers.tables import BATCH_ID, type_named


class RedshiftTarget(TransactionTarget[Session]):
    """Publishes to one schema; a connection is made where it is needed."""

    def __init__(self, config: RedshiftConfig, address: Address) -> None:
        """Take the configuration and where the database is, with its secrets."""
        self._statements = RedshiftSql(config)
        super().__init__(config.id, self._statements)
        self._config, self._address = config, address
        self._bucket = Bucket(config)
        self._held: tuple[Session, Session] | None = None

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep other publishers out; see Target."""
        with self._connected() as session, self._connected() as lock:
            self._make(session)
            self._lock(lock)
            self._held = (session, lock)
            try:
                self._sweep(session)
                yield
            finally:
                self._held = None

    def columns(self, mart: str) -> tuple[Column, ...] | None:
        """Give the columns of a table; see Target."""
        query = (
            "select column_name, data_type, numeric_precision, numeric_scale "
            f"from information_schema.columns where table_schema = '{self._config.schema_name}' "
            f"and table_name = '{mart}' order by ordinal_position"
        )
        with self.session() as session:
            rows = session.execute(query)
        named = [Column(str(row[0]), _type(*row[1:])) for row in rows if row[0] != BATCH_ID]
        return tuple(named) or None

    @contextmanager
    def transaction(self, session: Session) -> Iterator[None]:
        """Commit what the block does, or nothing of it, and only while nobody else may publish."""
        if self._held:
            # a lock that is gone shows as a broken connection
            self._held[1].execute("select 1")
        session.execute("begin")
        try:
            yield
        except BaseException:
            session.roll_back()
            raise
        session.execute("commit")

    def fill(self, session: Session, batch: Batch) -> None:
        """Upload the rows, copy them, and remove the files: the stage has them now."""
        for statement in self._statements.fill_stage(batch):
            keys = self._bucket.upload(batch, self._statements.manifest_key(batch))
            session.execute(statement)
            self._bucket.remove(keys)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Give the connection of the run, or one for a question."""
        if self._held:
            yield self._held[0]
            return
        with self._connected() as session:
            yield session

    @contextmanager
    def _connected(self) -> Iterator[Session]:
        with connected(self._config, self._address) as session:
            yield session

    def _make(self, session: Session) -> None:
        """Make the schema and the table to be locked; who may not make schemas may use one."""
        schema = self._config.schema_name
        if not session.execute(f"select 1 from pg_namespace where nspname = '{schema}'"):
            session.execute(f'create schema "{schema}"')
        if not self._tables(session, LOCK):
            session.execute(f"create table if not exists {self.sql.table(LOCK)} (held integer)")

    def _lock(self, lock: Session) -> None:
        """Wait for the lock; Redshift waits without end, unless the statement has a limit."""
        is_busy = False
        lock.limit(self._config.lock_wait_s)
        lock.execute("begin")
        try:
            lock.execute(f"lock table {self.sql.table(LOCK)}")
        except KsiError as error:
            if error.code != "E_TARGET_TIMEOUT":
                raise
            is_busy = True
        if is_busy:
            raise busy(self.target_id)
        lock.limit(self._config.step_timeout_s)

    def _sweep(self, session: Session) -> None:
        """Drop what killed runs staged, and remove their files."""
        for name in self._tables(session, self.sql.stage_prefix):
            session.execute(f"drop table {self.sql.table(name)}")
        self._bucket.sweep()

    def _tables(self, session: Session, prefix: str) -> list[str]:
        rows = session.execute(
            "select table_name from information_schema.tables "
            f"where table_schema = '{self._config.schema_name}' "
            f"and substring(table_name, 1, {len(prefix)}) = '{prefix}'"
        )
        return [str(row[0]) for row in rows]


def _type(kind: object, precision: object, scale: object) -> str:
    named = f"numeric({precision},{scale})" if kind == "numeric" else str(kind)
    return type_named(named)
