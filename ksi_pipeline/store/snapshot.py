"""Publishing: a finished build becomes a new numbered snapshot that readers switch to in one step.

`published/ksi-<n>.duckdb` behind `published/current.duckdb`, and the same tables as Parquet under
`published/marts-<n>/` behind `published/marts` (mart_files.py). A reader never blocks a build, and
a build never blocks a reader. Snapshots are written in DuckDB's 1.2 format, so that older clients
open them, with the views and macros of analyst_views.sql.
"""

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import duckdb
from sqlalchemy import Update, insert, select, update

from ksi_pipeline.durable import point_symlink
from ksi_pipeline.store.files import write_atomically
from ksi_pipeline.store.lake_views import open_duckdb
from ksi_pipeline.store.ledger import Row
from ksi_pipeline.store.mart_files import (
    Marts,
    content_hash,
    is_whole,
    write_manifest,
    write_marts,
)
from ksi_pipeline.store.store import Store
from ksi_pipeline.store.tables import AFFECTED_HOURS, BUILDS

STORAGE_VERSION = "v1.2.0"
KEPT = 3
_ANALYST_VIEWS = Path(__file__).with_name("analyst_views.sql")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What readers see now.

    Attributes:
        row_counts: rows of each mart, by name.
        is_new: false when the build gave exactly what was already published.
    """

    number: int
    row_counts: dict[str, int]
    is_new: bool


def publish(store: Store, *, up_to_seq: int, memory_limit: str) -> Snapshot:
    """Publish the marts of the build database, then mark the hours they used as consumed.

    Killed before the end, the next run repeats it: hours stay pending until readers can see them.
    """
    published = store.home.published
    published.mkdir(parents=True, exist_ok=True)
    latest = _latest(store)
    number = _next_number(published, latest)
    folder, database = published / f"marts-{number}", published / f"ksi-{number}.duckdb"
    before = store.home.current_marts.resolve() if store.home.current_marts.exists() else None
    with open_duckdb(store.home.build_db, memory_limit) as connection:
        marts = write_marts(connection, folder, before)
    counts, content = _row_counts(marts), content_hash(marts)
    is_same = latest is not None and latest["content_sha256"] == content
    if latest and is_same and _readers_see(store, latest, marts):
        shutil.rmtree(folder)
        _consume(store, int(latest["build_id"]), up_to_seq)
        return Snapshot(int(latest["build_id"]), counts, is_new=False)
    write_manifest(folder, number, marts)
    write_atomically(database, lambda temporary: _write_database(temporary, folder, marts))
    point_symlink(store.home.current_marts, folder.name)
    point_symlink(store.home.current_db, database.name)
    _record(store, number, up_to_seq, content)
    _forget_old(published, number)
    return Snapshot(number, counts, is_new=True)


def write_marts_database(build_db: Path, database: Path, memory_limit: str) -> dict[str, int]:
    """Write the marts of a build database to a DuckDB file as readers open it, unpublished.

    Returns:
        Rows of each mart, by name.
    """
    with tempfile.TemporaryDirectory(dir=build_db.parent) as work:
        folder = Path(work) / "marts"
        with open_duckdb(build_db, memory_limit) as connection:
            marts = write_marts(connection, folder, None)
        write_atomically(database, lambda temporary: _write_database(temporary, folder, marts))
    return _row_counts(marts)


def _latest(store: Store) -> Row | None:
    rows = store.ledger.rows(select(BUILDS).order_by(BUILDS.c.build_id.desc()).limit(1))
    return rows[0] if rows else None


def _readers_see(store: Store, latest: Row, marts: Marts) -> bool:
    """Whether both links lead to the build of the ledger, and no file of it is damaged.

    A killed publish may have moved the links.
    """
    number, home = latest["build_id"], store.home
    return (
        home.current_db.exists()
        and home.current_db.resolve().name == f"ksi-{number}.duckdb"
        and home.current_marts.resolve().name == f"marts-{number}"
        and is_whole(home.current_marts, marts)
    )


def _next_number(published: Path, latest: Row | None) -> int:
    """Number after everything on disk: a killed publish may have left a snapshot readers use."""
    taken = [int(path.stem.rpartition("-")[2]) for path in published.glob("ksi-*.duckdb")]
    taken += [int(path.name.rpartition("-")[2]) for path in published.glob("marts-*")]
    return max([int(latest["build_id"]) if latest else 0, *taken]) + 1


def _row_counts(marts: Marts) -> dict[str, int]:
    return {mart: sum(file.rows for file in files) for mart, files in marts.items()}


def _write_database(temporary: Path, folder: Path, marts: Marts) -> None:
    temporary.unlink(missing_ok=True)
    quoted = str(temporary).replace("'", "''")
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"attach '{quoted}' as snapshot (storage_version '{STORAGE_VERSION}')")
        for mart, files in marts.items():
            paths = [str(folder / file.path).replace("'", "''") for file in files]
            listed = ", ".join(f"'{path}'" for path in paths)
            connection.execute(
                f"create table snapshot.{mart} as "
                f"from read_parquet([{listed}], hive_partitioning = false)"
            )
        connection.execute("use snapshot")
        for statement in analyst_statements():
            if _reads(statement) <= set(marts):
                connection.execute(statement)
        connection.execute("use memory")
        connection.execute("detach snapshot")


def analyst_statements() -> list[str]:
    """Give the statements of analyst_views.sql, each a view or a macro, in their order."""
    text = _ANALYST_VIEWS.read_text(encoding="utf-8")
    code = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return [statement.strip() for statement in code.split(";") if statement.strip()]


def _reads(statement: str) -> set[str]:
    return set(re.findall(r"^(?:from|inner join) (\w+)", statement, re.MULTILINE))


def _record(store: Store, number: int, up_to_seq: int, content: str) -> None:
    with store.ledger.transaction() as connection:
        connection.execute(
            insert(BUILDS).values(build_id=number, last_seq=up_to_seq, content_sha256=content)
        )
        connection.execute(_consumption(number, up_to_seq))


def _consume(store: Store, number: int, up_to_seq: int) -> None:
    with store.ledger.transaction() as connection:
        connection.execute(_consumption(number, up_to_seq))


def _consumption(number: int, up_to_seq: int) -> Update:
    pending = AFFECTED_HOURS.c.build_id.is_(None) & (AFFECTED_HOURS.c.seq <= up_to_seq)
    return update(AFFECTED_HOURS).where(pending).values(build_id=number)


def _forget_old(published: Path, number: int) -> None:
    """Delete snapshots older than the last few; a reader that holds one open keeps reading it."""
    for path in published.glob("ksi-*.duckdb"):
        if int(path.stem.removeprefix("ksi-")) <= number - KEPT:
            path.unlink()
    for path in published.glob("marts-*"):
        if int(path.name.removeprefix("marts-")) <= number - KEPT:
            shutil.rmtree(path)
