"""Affected hours that wait for the end of a backfill, so that builds beside it stay small.

An hour is held in the ledger as of a build that never is, from the change on that touches it: only
what a backfill itself brings is held. When it is let go, it is noted anew: a build that works
meanwhile consumes what it has seen, up to a number, and must not consume these.
"""

from collections.abc import Collection, Sequence

from sqlalchemy import delete, insert, literal, null, select

from ksi_pipeline.store.affected import HELD
from ksi_pipeline.store.store import Store
from ksi_pipeline.store.tables import AFFECTED_HOURS, STEPS

_AT_ONCE = 100_000


def release_held(store: Store, *, dropped_steps: Collection[str] = ()) -> int:
    """Let all held hours go, once each; the next build has them.

    Args:
        store: of the data home.
        dropped_steps: that end with the last of them, in the same transaction: a process that is
            killed before leaves steps that say that hours are held, and never the reverse.

    Returns:
        How many unit-hours.
    """
    count = 0
    table = AFFECTED_HOURS
    key = (table.c.site_id, table.c.unit_id, table.c.hour_start_utc)
    names = ["site_id", "unit_id", "hour_start_utc", "cause", "build_id"]
    while True:
        with store.ledger.transaction() as connection:
            first = select(table.c.seq).where(table.c.build_id == HELD).order_by(table.c.seq)
            seqs: Sequence[int] = connection.execute(first.limit(_AT_ONCE)).scalars().all()
            if seqs:
                some = (table.c.build_id == HELD) & (table.c.seq <= seqs[-1])
                distinct = select(*key, literal("backfill"), null()).where(some).distinct()
                count += connection.execute(insert(table).from_select(names, distinct)).rowcount
                connection.execute(delete(table).where(some))
            if len(seqs) < _AT_ONCE:
                connection.execute(delete(STEPS).where(STEPS.c.step.in_(dropped_steps)))
                return count
