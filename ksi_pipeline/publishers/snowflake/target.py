"""Tables in one schema of Snowflake: PUT and COPY into a stage, then delete and insert.

Each partition becomes visible in a transaction of its own, in which what readers would see is added
up before it commits. Snowflake commits at each `create`, `alter` and `drop`, so those run before
and after it.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from ksi_pipeline.core.errors import KsiError
from ksi_pipeline.core.publishing import Batch, Column, Figures, Part
from ksi_pipeline.publishers.plan import Change
from ksi_pipeline.publishers.snowflake.config import Credentials, SnowflakeConfig
from ksi_pipeline.publishers.snowflake.lease import Lease
from ksi_pipeline.publishers.snowflake.session import Session, connected
from ksi_pipeline.publishers.snowflake.sql import LEASE, SnowflakeSql
from ksi_pipeline.publishers.table_target import TransactionTarget
from ksi_pipeline.publishers.tables import BATCH_ID, type_named

_TYPES = {"float": "double", "number(38,0)": "bigint"}


class SnowflakeTarget(TransactionTarget[Session]):
    """Publishes to one schema; a connection is made where it is needed."""

    makes_tables_in_transaction = False

    def __init__(
        self,
        config: SnowflakeConfig,
        credentials: Credentials,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the configuration and what the user logs in with."""
        self._sql = SnowflakeSql(config)
        super().__init__(config.id, self._sql)
        self._config, self._credentials, self._sleep = config, credentials, sleep
        self._lease = Lease(config.id, self._sql.table(LEASE), config.lease_s)
        self._held: Session | None = None

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep other publishers out; see Target."""
        with connected(self._config, self._credentials) as session:
            for statement in self._sql.prepare():
                session.execute(statement)
            self._lease.take(session, self._config.lock_wait_s, self._sleep)
            self._held = session
            try:
                self._sweep(session)
                yield
            finally:
                self._held = None
                # a connection that broke off cannot; then it ends by itself
                with suppress(KsiError):
                    self._lease.give_back(session)

    def columns(self, mart: str) -> tuple[Column, ...] | None:
        """Give the columns of a table; see Target."""
        with self.session() as session:
            rows = session.ask(f"describe table {self.sql.table(mart)}") or ()
        named = [Column(str(row[0]).lower(), _type(str(row[1]))) for row in rows]
        return tuple(column for column in named if column.name != BATCH_ID) or None

    def stage(self, load: Sequence[Change]) -> dict[Part, Figures]:
        """Load the files into tables beside those that readers know."""
        with self.session() as session:
            self._tag(session, load)
            self._lease.renew(session)
            return super().stage(load)

    @contextmanager
    def transaction(self, session: Session) -> Iterator[None]:
        """Commit what the block does, or nothing of it, unless the lease was lost."""
        session.execute("begin")
        try:
            self._lease.renew(session)
            yield
        except BaseException:
            # a connection that broke off cannot; then Snowflake does it by itself
            with suppress(KsiError):
                session.execute("rollback")
            raise
        session.execute("commit")

    def fill(self, session: Session, batch: Batch) -> None:
        """Send the file of a batch, and load it."""
        put, copy = self._sql.fill_stage(batch)
        session.put(put, batch.path)
        session.execute(copy)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Give the connection that has the lease, or one for a question."""
        if self._held is not None:
            yield self._held
            return
        with connected(self._config, self._credentials) as session:
            yield session

    def _tag(self, session: Session, load: Sequence[Change]) -> None:
        """Name target, partition and batch; a load is one change."""
        (change,) = load
        batch_id = change.batch.batch_id if change.batch else "removed"
        session.tag(f"ksi publish {self.target_id} {change.part} {batch_id}")

    def _sweep(self, session: Session) -> None:
        """Drop what killed runs staged, and remove the files that they sent."""
        schema, prefix = self._config.schema_path, self._sql.stage_prefix
        for row in session.execute(f"show tables like '{prefix}%' in schema {schema}"):
            # in a pattern, _ stands for any character
            if str(row[1]).startswith(prefix):
                session.execute(f"drop table if exists {schema}.{row[1]}")
        session.execute(f"remove {self._sql.files()}")


def _type(told: str) -> str:
    """Give our name of a type that `describe table` told, like VARCHAR(16777216)."""
    low = told.lower()
    if low.startswith("number"):
        return _TYPES.get(low) or type_named(low.replace("number", "decimal"))
    bare = re.sub(r"\(.*", "", low)
    return _TYPES.get(bare) or type_named(bare.replace("timestamp_ntz", "timestamp"))
