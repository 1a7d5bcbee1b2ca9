"""Tables in one dataset of BigQuery: a load job into a stage, then a script that replaces.

The transaction is a script, and so one job. A transaction of a session would outlive a killed run
by a day, and keep the table from everybody; a script ends by itself, whoever started it. What
readers would see is accepted by the figures of the stage, and the script commits only if the table
adds up to the very same ones.
"""

import json
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ksi_pipeline.core.publishing import Batch, Column, Figures
from ksi_pipeline.publishers.base import Accept
from ksi_pipeline.publishers.bigquery.config import BigqueryConfig
from ksi_pipeline.publishers.bigquery.lease import Lease
from ksi_pipeline.publishers.bigquery.loads import load
from ksi_pipeline.publishers.bigquery.session import BigquerySession, connected
from ksi_pipeline.publishers.bigquery.sql import LEASE, BigquerySql, text
from ksi_pipeline.publishers.figures import read_figures
from ksi_pipeline.publishers.plan import Change
from ksi_pipeline.publishers.refusals import busy, refused
from ksi_pipeline.publishers.table_target import StagedTarget, Steps
from ksi_pipeline.publishers.tables import of_part

_NO_ROWS = '["0"]'


class BigqueryTarget(StagedTarget[BigquerySession]):
    """Publishes to one dataset; a client is made where it is needed."""

    makes_tables_in_transaction = False

    def __init__(
        self, config: BigqueryConfig, key: str | None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Take the configuration, and the key of a service account where one is named."""
        self._bigquery = BigquerySql(config)
        super().__init__(config.id, self._bigquery)
        self._config, self._key, self._sleep = config, key, sleep
        # names each hold to others, and its jobs to itself
        self._run = secrets.token_hex(8)
        self._held: BigquerySession | None = None
        # of each stage, what it adds up to, as BigQuery wrote it
        self._staged: dict[str, str] = {}

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep other publishers out; see Target."""
        self._run = secrets.token_hex(8)
        with connected(self._config, self._key) as session:
            if session.columns(LEASE) is None:
                session.execute(self._lease.table)
            with self._lease.held(session, self._config.lock_wait_s, self._sleep):
                self._held = session
                try:
                    for name in session.tables(self.sql.stage_prefix):
                        session.drop(name)
                    yield
                finally:
                    self._held = None

    def columns(self, mart: str) -> tuple[Column, ...] | None:
        """Give the columns of a table; see Target."""
        with self.session() as session:
            return session.columns(mart)

    @property
    def _lease(self) -> Lease:
        table = self._bigquery.table(LEASE)
        return Lease(self.target_id, table, self._run, self._config.lease_s)

    @contextmanager
    def session(self) -> Iterator[BigquerySession]:
        """Give the client that holds the target, or one for a question."""
        if self._held is not None:
            yield self._held
            return
        with connected(self._config, self._key) as session:
            yield session

    def fill(self, session: BigquerySession, batch: Batch) -> None:
        """Load the rows by a job."""
        load(
            session,
            self._bigquery,
            batch,
            dataset=self._config.dataset,
            target=self.target_id,
            run=self._run,
            sleep=self._sleep,
        )

    def add_up(self, session: BigquerySession, relation: str, batch: Batch, where: str) -> Figures:
        """Add a stage up, and keep the answer: the table has to give the very same one."""
        ((answer,),) = session.execute(self._bigquery.added_up(relation, batch, where))
        self._staged[batch.batch_id] = answer
        return _figures(batch, answer)

    def replace(
        self,
        session: BigquerySession,
        steps: Sequence[tuple[Change, Steps]],
        accept: Accept,
    ) -> None:
        """Replace the one partition of a load by a script, which commits what was accepted."""
        ((change, each),) = steps
        batch, staged = change.batch, _NO_ROWS
        if batch is not None:
            staged = self._staged[batch.batch_id]
        accept({change.part: _figures(batch, staged)})
        if not each.inside:
            return
        labels = self._bigquery.labels(batch) if batch else None
        script = self._script(change, each.inside, text(staged))
        ((seen, is_mine),) = session.execute(script, labels)
        if not is_mine:
            raise busy(self.target_id)
        if seen != staged:
            accept({change.part: _figures(batch, seen)})
            detail = "figures that it writes in two ways"
            raise refused(self.target_id, "E_TARGET_FAILED", what="BigQuery", env="", detail=detail)

    def statements(self, change: Change) -> list[str]:
        """Write the SQL of a change; see Target."""
        batch, steps = change.batch, self._steps(change)
        staged = [*self.sql.create_stage(batch), *self.sql.fill_stage(batch)] if batch else []
        figures = "'<the figures of the stage>'" if batch else text(_NO_ROWS)
        script = [self._script(change, steps.inside, figures)] if steps.inside else []
        return [*staged, *steps.before, *script, *steps.after]

    def _script(self, change: Change, inside: Sequence[str], staged: str) -> str:
        table = self._bigquery.table(change.part.mart)
        query = self._bigquery.added_up(table, change.batch, of_part(change.part))
        lines = [
            "declare seen string",
            "declare is_mine bool",
            "begin transaction",
            self._lease.renewal,
            *inside,
            f"set seen = ({query})",
            f"set is_mine = {self._lease.is_mine}",
            f"if is_mine and seen = {staged} then commit transaction",
            "else rollback transaction",
            "end if",
            "select seen, is_mine",
        ]
        return ";\n".join(lines) + ";"


def _figures(batch: Batch | None, answer: str) -> Figures:
    """Read what a query of added_up answered."""
    count, *rest = json.loads(answer)
    if batch is None:
        return Figures(int(count))
    row = ["whole", count, *rest]
    (figures,) = read_figures(batch.part.mart, batch.columns, batch.key, [row]).values()
    return figures
