"""One publisher at a time: a row that says who publishes, and until when.

Snowflake has no advisory locks. A lock that an open transaction held would end at the first
`create table`, which commits it, and would outlive a killed publisher by minutes or hours. So a
publisher takes a lease that ends by itself. That alone would let one that was slow go on after its
lease was taken by another; so each transaction that readers see begins by renewing the lease, in
the transaction: who has lost it changes nothing, and who has it keeps the row locked until it
commits.
"""

import secrets
from collections.abc import Callable

from ksi_pipeline.core.errors import KsiError
from ksi_pipeline.publishers.holders import holder, is_dead, take_when_free
from ksi_pipeline.publishers.refusals import busy
from ksi_pipeline.publishers.snowflake.session import Session

_BETWEEN_S = 0.5
_NOW = "date_part(epoch_second, current_timestamp())"


class Lease:
    """The lease of a target, as one publisher sees it; seconds of Snowflake's clock."""

    def __init__(self, target: str, table: str, lasts_s: int) -> None:
        """Take the table with its one row, and how long a lease lasts."""
        self._target, self._table, self._lasts_s = target, table, lasts_s
        # the same for every attempt of a run, so that it need not wait for itself
        self._holder = holder(secrets.token_hex(4))

    def take(self, session: Session, wait_s: float, sleep: Callable[[float], None]) -> None:
        """Take it, once it is free.

        Raises:
            TransientError: E_TARGET_BUSY, another publisher had it for wait_s seconds.
        """
        take_when_free(self._target, lambda: self._is_taken(session), wait_s, _BETWEEN_S, sleep)

    def renew(self, session: Session) -> None:
        """Let it last again.

        Raises:
            TransientError: E_TARGET_BUSY, it had ended and another publisher took it.
        """
        if not self._update(session, self._lasts_s, self._is_ours):
            raise busy(self._target)

    def give_back(self, session: Session) -> None:
        """Let it end now."""
        self._update(session, -1, self._is_ours)

    def _is_taken(self, session: Session) -> bool:
        free = f"ends < {_NOW} or {self._is_ours}"
        if self._update(session, self._lasts_s, free):
            return True
        ((found,),) = session.execute(f"select holder from {self._table}")
        if not is_dead(str(found)):
            return False
        dead = str(found).replace("'", "''")
        return self._update(session, self._lasts_s, f"holder = '{dead}'")

    @property
    def _is_ours(self) -> str:
        return f"holder = '{self._holder}'"

    def _update(self, session: Session, lasts_s: int, where: str) -> bool:
        statement = (
            f"update {self._table} set holder = '{self._holder}', ends = {_NOW} + {lasts_s} "
            f"where {where}"
        )
        locked = False
        try:
            (row,) = session.execute(statement)
        except KsiError as error:
            # another publisher's transaction kept the row locked
            locked = error.code == "E_TARGET_TIMEOUT"
            if not locked:
                raise
        return not locked and int(row[0]) > 0
