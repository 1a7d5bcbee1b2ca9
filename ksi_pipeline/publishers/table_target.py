"""Targets made of tables; most have a stage per batch, then delete and insert in one transaction.

Each partition becomes visible in a transaction of its own, in which what readers would see is added
up before it commits. What engines say differently is their `TableSql`; how they connect,
lock and load is their subclass.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from ksi_pipeline.core.publishing import Batch, Column, Figures, Part
from ksi_pipeline.publishers.base import Accept
from ksi_pipeline.publishers.figures import figures_query, read_figures
from ksi_pipeline.publishers.plan import Change
from ksi_pipeline.publishers.table_sql import StagedSql, TableSql
from ksi_pipeline.publishers.tables import of_part


class Session(Protocol):
    """A connection, as far as it is used here."""

    def execute(self, statement: str, /) -> Sequence[Sequence[Any]]:
        """Run one statement and give its rows; none where it answers nothing."""
        ...


S = TypeVar("S", bound=Session)


class TableTarget(ABC, Generic[S]):
    """Publishes to tables, a partition at a time."""

    sql: TableSql

    def __init__(self, target_id: str) -> None:
        """Take the id in targets.yaml."""
        self.target_id = target_id

    @abstractmethod
    def hold(self) -> AbstractContextManager[None]:
        """Keep other publishers out; see Target."""

    @abstractmethod
    def columns(self, mart: str) -> tuple[Column, ...] | None:
        """Give the columns of a table; see Target."""

    @abstractmethod
    def session(self) -> AbstractContextManager[S]:
        """Give the connection that holds the target, or one for a question."""

    def figures(self, mart: str, sample: Batch) -> dict[Part, Figures]:
        """Add a table up by partition; see Target."""
        held = {column.name for column in self.columns(mart) or ()}
        columns = [column for column in sample.columns if column.name in held]
        key = [name for name in sample.key if name in held]
        query = figures_query(
            self.sql.table(mart),
            columns,
            key,
            self.sql.words,
            is_by_month=sample.part.month != "whole",
        )
        with self.session() as session:
            return read_figures(mart, columns, key, session.execute(query))

    def loads(self, changes: Sequence[Change]) -> list[list[Change]]:
        """Make each partition visible by itself."""
        return [[change] for change in changes]

    def grants(self) -> list[str]:
        """Write the least rights that publishing and reading need."""
        return self.sql.grants()

    def add_up(self, session: S, relation: str, batch: Batch, where: str) -> Figures:
        """Add up the rows of a relation that are a batch's."""
        query = figures_query(
            relation, batch.columns, batch.key, self.sql.words, is_by_month=False, where=where
        )
        rows = session.execute(query)
        (figures,) = read_figures(batch.part.mart, batch.columns, batch.key, rows).values()
        return figures

    def of_change(self, session: S, change: Change) -> dict[Part, Figures]:
        """Add up what a change left of its partition; nothing where there is no table."""
        table, where = self.sql.table(change.part.mart), of_part(change.part)
        if change.batch:
            return {change.part: self.add_up(session, table, change.batch, where)}
        if not self.columns(change.part.mart):
            return {}
        (row,) = session.execute(f"select count(*) from {table} where {where}")
        return {change.part: Figures(int(row[0]))}


class StagedTarget(TableTarget[S]):
    """Publishes to an engine in which a batch waits in a table of its own."""

    sql: StagedSql
    # Whether tables are made and dropped in the transaction. Where an engine commits at each of
    # those statements, they run before and after it: readers may find an empty table or column.
    makes_tables_in_transaction = True

    def __init__(self, target_id: str, sql: StagedSql) -> None:
        """Take the id in targets.yaml, and the statements of the engine."""
        super().__init__(target_id)
        self.sql = sql

    @abstractmethod
    def fill(self, session: S, batch: Batch) -> None:
        """Bring the rows of a batch into its empty stage."""

    def stage(self, load: Sequence[Change]) -> dict[Part, Figures]:
        """Bring the rows into tables beside those that readers know."""
        staged: dict[Part, Figures] = {}
        with self.session() as session:
            for batch in [change.batch for change in load if change.batch]:
                for statement in self.sql.create_stage(batch):
                    session.execute(statement)
                self.fill(session, batch)
                staged[batch.part] = self.add_up(session, self.sql.stage(batch), batch, "true")
        return staged

    def apply(self, load: Sequence[Change], accept: Accept) -> None:
        """Delete and insert in one transaction, which commits once `accept` took the figures."""
        with self.session() as session:
            steps = [(change, self._steps(change)) for change in load]
            run_all(session, [statement for _, each in steps for statement in each.before])
            self.replace(session, steps, accept)
            run_all(session, [statement for _, each in steps for statement in each.after])

    @abstractmethod
    def replace(self, session: S, steps: "Sequence[tuple[Change, Steps]]", accept: Accept) -> None:
        """Do what is inside in one transaction, which commits once `accept` took the figures."""

    def statements(self, change: Change) -> list[str]:
        """Write the SQL of a change; see Target."""
        batch, steps = change.batch, self._steps(change)
        staged = [*self.sql.create_stage(batch), *self.sql.fill_stage(batch)] if batch else []
        return [*staged, *steps.before, "begin", *steps.inside, "commit", *steps.after]

    def _steps(self, change: Change) -> "Steps":
        held, batch = self.columns(change.part.mart), change.batch
        if batch is None:
            return Steps([], [self.sql.remove_part(change.part)] if held else [], [])
        made, replaced = self.sql.make_table(batch, held), self.sql.replace_part(batch)
        dropped = self.sql.drop_stage(batch)
        if self.makes_tables_in_transaction:
            return Steps([], [*made, *replaced, *dropped], [])
        return Steps(made, replaced, dropped)


class TransactionTarget(StagedTarget[S]):
    """Publishes to an engine whose transaction is a matter of its connection."""

    @abstractmethod
    def transaction(self, session: S) -> AbstractContextManager[None]:
        """Commit what the block does, or nothing of it where it raises."""

    def replace(self, session: S, steps: "Sequence[tuple[Change, Steps]]", accept: Accept) -> None:
        """Do what is inside in one transaction; see TableTarget."""
        with self.transaction(session):
            found: dict[Part, Figures] = {}
            for change, each in steps:
                run_all(session, each.inside)
                found |= self.of_change(session, change)
            accept(found)


@dataclass(frozen=True, slots=True)
class Steps:
    """The statements of a change: what comes before its transaction, in it and after it."""

    before: Sequence[str]
    inside: Sequence[str]
    after: Sequence[str]


def run_all(session: Session, statements: Sequence[str]) -> None:
    """Run statements in order."""
    for statement in statements:
        session.execute(statement)
