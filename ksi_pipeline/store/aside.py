"""A second ledger over the same files, to try what another space file or a replay would give.

What is written through it stays in its own folder; the data home and its ledger stay as they are.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, insert, select

from ksi_pipeline.store.count_versions import is_kept
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.store import Store
from ksi_pipeline.store.tables import (
    COUNT_RECIPES,
    COUNT_VERSIONS,
    FETCHES,
    FILES,
    QUARANTINE,
    SQL_PULLS,
    STEPS,
    TICKET_FILES,
)

# Columns that name a file of the data home.
_PATHS = ("path", "raw_path")
_BATCH = 10_000


def open_aside(store: Store, root: Path) -> Store:
    """Open a store in an empty folder that shows what counts in another store now."""
    aside = Store(DataHome(root))
    queries = {
        FILES: select(FILES).where(FILES.c.is_live | is_kept()),
        **{t: select(t) for t in (FETCHES, QUARANTINE, STEPS, COUNT_VERSIONS, COUNT_RECIPES)},
    }
    with _steady(store.ledger.engine) as source, aside.ledger.transaction() as target:
        for table, query in queries.items():
            for rows in source.execute(query).mappings().partitions(_BATCH):
                target.execute(
                    insert(table), [_elsewhere(dict(row), store.home.root) for row in rows]
                )
    return aside


def open_unread(store: Store, root: Path) -> Store:
    """Open a store in an empty folder that has another store's raw tickets, none of them read.

    What the other store has not read itself is left out.
    """
    aside = Store(DataHome(root))
    with _steady(store.ledger.engine) as source, aside.ledger.transaction() as target:
        for table in (FETCHES, TICKET_FILES):
            of_reading = ("rows_", "unmatched_")
            blank: dict[str, Any] = {c.name: None for c in table.c if c.name.startswith(of_reading)}
            for rows in (
                source.execute(select(table).where(table.c.is_parsed)).mappings().partitions(_BATCH)
            ):
                unread = [{**row, **blank, "is_parsed": False} for row in rows]
                target.execute(insert(table), [_elsewhere(r, store.home.root) for r in unread])
        for rows in source.execute(select(SQL_PULLS)).mappings().partitions(_BATCH):
            target.execute(insert(SQL_PULLS), [dict(row) for row in rows])
    return aside


def _steady(engine: Engine) -> Connection:
    """Connect so that all tables are read as they were at one moment; SQLite always does."""
    connection = engine.connect()
    if engine.dialect.name != "sqlite":
        connection = connection.execution_options(isolation_level="REPEATABLE READ")
    return connection


def _elsewhere(row: dict[str, Any], root: Path) -> dict[str, Any]:
    """Give a row of the ledger with its paths made absolute."""
    paths = {name: str((root / row[name]).resolve()) for name in _PATHS if name in row}
    return {**row, **paths}
