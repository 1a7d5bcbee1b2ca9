"""One publisher at a time: a row that is leased, and that every transaction renews.

BigQuery has no lock that goes with its holder. So the holder's name and an end stand in a row,
which single updates take and give back; BigQuery lets them run one after the other. An end alone
would not do: whoever slept past it would go on. So each transaction that shows rows also renews
the row. Where another publisher has taken it meanwhile, BigQuery cancels one of both transactions,
because they change the same row; or the transaction finds another name and rolls back.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ksi_pipeline.core.errors import KsiError
from ksi_pipeline.publishers.bigquery.sql import text
from ksi_pipeline.publishers.holders import holder, is_dead, take_when_free
from ksi_pipeline.publishers.table_target import Session

_BETWEEN_S = 2.0


class Lease:
    """The row of one dataset, for one run."""

    def __init__(self, target: str, table: str, run: str, lease_s: int) -> None:
        """Take the table that stands behind `from`, and what names the run and nobody else."""
        self._target, self._table = target, table
        self._holder = text(holder(run))
        self._end = f"timestamp_add(current_timestamp(), interval {lease_s} second)"

    @property
    def is_mine(self) -> str:
        """A condition: the run has the row."""
        return f"exists (select 1 from {self._table} where holder = {self._holder})"

    @property
    def renewal(self) -> str:
        """A statement: the run keeps the row."""
        return f"update {self._table} set ends = {self._end} where holder = {self._holder}"

    @property
    def table(self) -> str:
        """The statement that makes the table with its one row."""
        return (
            f"create table if not exists {self._table} as "
            "select cast(null as string) as holder, timestamp '1970-01-01' as ends"
        )

    @contextmanager
    def held(
        self, session: Session, wait_s: float, sleep: Callable[[float], None]
    ) -> Iterator[None]:
        """Have the row for the block.

        Raises:
            TransientError: E_TARGET_BUSY, another publisher had it for wait_s seconds.
        """
        take_when_free(self._target, lambda: self._is_taken(session), wait_s, _BETWEEN_S, sleep)
        try:
            yield
        finally:
            # where this fails, the row is free once it ends
            with suppress(KsiError):
                session.execute(
                    f"update {self._table} set holder = null where holder = {self._holder}"
                )

    def _is_taken(self, session: Session) -> bool:
        free = "holder is null or ends < current_timestamp()"
        if (found := self._take(session, free)) and is_dead(found):
            found = self._take(session, f"{free} or holder = {text(found)}")
        return text(found) == self._holder

    def _take(self, session: Session, where: str) -> str:
        """Take the row where it may be taken, and say who has it."""
        ((found,),) = session.execute(
            f"update {self._table} set holder = {self._holder}, ends = {self._end} where {where};\n"
            f"select coalesce(holder, '') from {self._table};"
        )
        return str(found)
