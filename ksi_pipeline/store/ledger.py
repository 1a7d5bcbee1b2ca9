"""The ledger: what was seen and done, in one database transaction per change.

SQLite in WAL mode by default; any SQLAlchemy URL works where several machines share the work.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Select,
    create_engine,
    event,
    func,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.store.tables import CHUNKS, FETCHES, FILES, METADATA, STEPS

Row = Mapping[str, Any]
# Of two answers, the later one holds; on a tie the one whose hash sorts last.
_AS_THEY_HOLD = (FETCHES.c.fetched_at_utc, FETCHES.c.raw_sha256, FETCHES.c.fetch_id)


class Ledger:
    """A thin face on the ledger's tables: read rows, or write inside `transaction()`."""

    def __init__(self, url: str | URL) -> None:
        """Connect to the ledger and create its tables where they are missing.

        Raises:
            ConfigError: E_LEDGER, the URL cannot be read, its driver is not installed, or nothing
                can be opened there. No password is repeated.
        """
        try:
            self.engine = _engine(url)
            with self.transaction() as connection:
                METADATA.create_all(connection)
        except (SQLAlchemyError, ImportError) as error:
            said = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise ConfigError(
                f"Opening the ledger {_shown(url)} failed: {said}. Nothing was done. Correct "
                "KSI_LEDGER_URL or what lies there; unset, the ledger is SQLite in the data home.",
                code="E_LEDGER",
            ) from error

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a write transaction; it commits when the block ends without an error."""
        with self.engine.execution_options(ledger_writes=True).begin() as connection:
            yield connection

    def rows(self, query: Select[Any]) -> list[Row]:
        """Run a query and give its rows as mappings, in order."""
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def live_files(
        self,
        dataset: str,
        *,
        source: str | None = None,
        prefix: str | None = None,
        partition: str | None = None,
        partitions: Collection[str] | None = None,
    ) -> list[Row]:
        """Give the files of a dataset that count, oldest first; null leaves all in."""
        query = select(FILES).where(FILES.c.dataset == dataset, FILES.c.is_live)
        if source is not None:
            query = query.where(FILES.c.source == source)
        if prefix is not None:
            query = query.where(FILES.c.source.startswith(prefix, autoescape=True))
        if partition is not None:
            query = query.where(FILES.c.partition == partition)
        if partitions is not None:
            query = query.where(FILES.c.partition.in_(partitions))
        return self.rows(query.order_by(FILES.c.file_id))

    def newest_file(self) -> int:
        """Give the file_id of the file added last, whether it counts or not; 0 where none was."""
        (row,) = self.rows(select(func.max(FILES.c.file_id).label("newest")))
        return int(row["newest"] or 0)

    def chunk(self, chunk_id: str) -> Row | None:
        """Give the ledger row of a chunk, or None when it was never seen."""
        rows = self.rows(select(CHUNKS).where(CHUNKS.c.chunk_id == chunk_id))
        return rows[0] if rows else None

    def chunks_of(self, site_id: str, camera_id: str) -> list[Row]:
        """Give the ledger rows of a camera's chunks, in order of their start."""
        query = select(CHUNKS).where(CHUNKS.c.site_id == site_id, CHUNKS.c.camera_id == camera_id)
        return self.rows(query.order_by(CHUNKS.c.start_utc))

    def inputs_of(self, step: str) -> str | None:
        """Give the hash of the inputs that a step was last done with, or None."""
        rows = self.rows(select(STEPS).where(STEPS.c.step == step))
        return rows[0]["inputs_hash"] if rows else None

    def steps(self, prefix: str) -> list[str]:
        """Give the names of the steps done that begin with a prefix."""
        rows = self.rows(
            select(STEPS.c.step).where(STEPS.c.step.startswith(prefix, autoescape=True))
        )
        return [row["step"] for row in rows]

    def inputs_by_step(self, prefix: str) -> dict[str, str]:
        """Give the hash of the inputs of every step done whose name begins with a prefix."""
        begins = STEPS.c.step.startswith(prefix, autoescape=True)
        return {row["step"]: row["inputs_hash"] for row in self.rows(select(STEPS).where(begins))}

    def unparsed_fetches(self) -> list[Row]:
        """Give the answers that are stored and not yet parsed, in the order in which they hold."""
        return self.rows(select(FETCHES).where(~FETCHES.c.is_parsed).order_by(*_AS_THEY_HOLD))

    def parsed_fetches(self, connector_id: str, site_id: str, since_us: int) -> list[Row]:
        """Give the answers of a feed that came since then and are parsed, in the same order."""
        query = select(FETCHES).where(
            FETCHES.c.connector_id == connector_id,
            FETCHES.c.site_id == site_id,
            FETCHES.c.is_parsed,
            FETCHES.c.fetched_at_utc >= since_us,
        )
        return self.rows(query.order_by(*_AS_THEY_HOLD))


def _shown(url: str | URL) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "named by KSI_LEDGER_URL"


def _engine(url: str | URL) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url)
    engine = create_engine(url, connect_args={"timeout": 60})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        # The driver's own BEGIN comes too late: two writers that first read would deadlock.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("ledger_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
