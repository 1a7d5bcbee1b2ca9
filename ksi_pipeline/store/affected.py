"""Writing down which unit-hours a change touched."""

from collections.abc import Collection

from sqlalchemy import Connection, insert

from ksi_pipeline.store.tables import AFFECTED_HOURS

# The build of hours that are held (see held.py): there never is one.
HELD = -1
_NAMES = ("site_id", "unit_id", "hour_start_utc", "cause", "build_id")


def write_affected(
    connection: Connection,
    affected: Collection[tuple[str, str, int]],
    cause: str,
    *,
    hold_before_us: int | None = None,
) -> None:
    """Append unit-hours, in order, to the ledger.

    Args:
        connection: of the change's transaction.
        affected: site, unit and start of the hour, in microseconds.
        cause: what touched them.
        hold_before_us: hours before it are held; null where none is.
    """
    rows = [
        (*hour, cause, HELD if hold_before_us is not None and hour[2] < hold_before_us else None)
        for hour in sorted(affected)
    ]
    if connection.dialect.name == "sqlite":
        # a backfill touches millions; building a statement's parameters costs more than writing
        places = ", ".join("?" * len(_NAMES))
        connection.exec_driver_sql(
            f"insert into {AFFECTED_HOURS.name} ({', '.join(_NAMES)}) values ({places})", rows
        )
    else:
        connection.execute(
            insert(AFFECTED_HOURS), [dict(zip(_NAMES, row, strict=True)) for row in rows]
        )
