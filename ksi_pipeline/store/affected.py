"""Writing down which unit-hours a change touched."""

from collections.abc import Collection

from sqlalchemy import Connection, insert

from ksi_pipeline.store.tables import AFFECTED_HOURS

# The build of hours that are held (see held.py): there never is one.
HELD = -1
_NAMES = ("site_id", "unit_id", "hour_start_utc", "cause")


def write_affected(
    connection: Connection, affected: Collection[tuple[str, str, int]], cause: str
) -> None:
    """Append unit-hours, in order, to the ledger."""
    rows = [(*hour, cause) for hour in sorted(affected)]
    if connection.dialect.name == "sqlite":
        # a backfill touches millions; building a statement's parameters costs more than writing
        connection.exec_driver_sql(
            f"insert into {AFFECTED_HOURS.name} ({', '.join(_NAMES)}) values (?, ?, ?, ?)", rows
        )
    else:
        connection.execute(
            insert(AFFECTED_HOURS), [dict(zip(_NAMES, row, strict=True)) for row in rows]
        )
