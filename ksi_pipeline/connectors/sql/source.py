"""One connection to a database of tickets: read-only, with its limits, and its rows in batches."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pyarrow as pa
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError

from ksi_pipeline.connectors.sql.config import SqlConfig
from ksi_pipeline.connectors.sql.failures import Teller
from ksi_pipeline.connectors.sql.guard import require_harmless
from ksi_pipeline.connectors.sql.statement import Question
from ksi_pipeline.connectors.sql.values import to_table
from ksi_pipeline.connectors.sql.windows import Span, bounds
from ksi_pipeline.core.errors import ConfigError

BATCH_ROWS = 20_000
_STEPS = 10_000
_TOO_LARGE = 2**63


class SqlSource:
    """Asks one database; nothing is opened before the first question, and `close` ends it.

    Every method raises ConfigError, FeedRefused or FeedUnavailable with a code E_SQL_*, without
    any part of the URL.
    """

    def __init__(
        self, config: SqlConfig, url: str, question: Question, zones: Sequence[ZoneInfo] = ()
    ) -> None:
        """Prepare.

        Args:
            config: of the connector.
            url: SQLAlchemy's, with its secrets.
            question: what to ask.
            zones: of the watermark, where its times have no offset.

        Raises:
            ConfigError: E_SQL_URL, E_SQL_DRIVER, E_SQL_QUERY.
        """
        self._config, self._zones = config, tuple(zones)
        self._tell = Teller(
            config.id,
            config.url_env,
            question.asked,
            config.watermark,
            config.statement_timeout_s,
        )
        read = self._read(url)
        self.backend = read.get_backend_name()
        if question.query is not None:
            require_harmless(
                config.id, question.query, config.tables, config.functions, self.backend
            )
        self._engine = self._tell.attempt(lambda: self._make_engine(read))
        is_quoted = not self._engine.dialect.requires_name_normalize
        self._question = replace(question, is_quoted=is_quoted)
        self._connection: Connection | None = None

    def sample(self) -> object:
        """Give some value of the watermark; None where no row has one."""
        return self._one(self._question.some_value())

    def largest(self) -> object:
        """Give the largest value of the watermark; None where no row has one."""
        return self._one(self._question.largest_value())

    def largest_number(self) -> int:
        """Give the largest value of a watermark of kind integer.

        Raises:
            ConfigError: E_SQL_WATERMARK, it is no whole number.
        """
        return self.number(self.largest())

    def number(self, value: object) -> int:
        """Give a value of a watermark of kind integer.

        Raises:
            ConfigError: E_SQL_WATERMARK, it is no whole number, or one of more than 64 bits.
        """
        # SQL's bigger numbers come as Decimal, and NaN is one too
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            read = Decimal(value)
            if read.is_finite() and abs(read) < _TOO_LARGE and int(read) == read:
                return int(read)
        raise self._wrong_watermark("is no whole number below 2^63")

    def count_without_watermark(self) -> int:
        """Count the rows that are never asked for."""
        return int(str(self._one(self._question.without_watermark()) or 0))

    def batches(self, span: Span, sample: object) -> Iterator[pa.Table]:
        """Yield the rows of a window, as the columns of the question.

        Args:
            span: of watermarks.
            sample: some value of the watermark, which says how it is compared.

        Raises:
            ConfigError: E_SQL_WATERMARK, the watermark is of another kind than was said.
            ContractError: E_SQL_TYPE.
        """
        statement = self._question.window(*self._ends(span, sample))
        with self._transaction() as connection:
            result = self._tell.attempt(
                lambda: connection.execute(statement, execution_options={"yield_per": BATCH_ROWS})
            )
            parts = result.partitions(BATCH_ROWS)
            while rows := self._tell.attempt(lambda: next(parts, None)):
                yield to_table(self._question.columns, rows)

    def no_rows(self) -> pa.Table:
        """Give the columns without a row."""
        return to_table(self._question.columns, [])

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            # what is broken already cannot be closed any better
            with suppress(Exception):
                self._connection.close()
        self._connection = None
        self._engine.dispose()

    def __enter__(self) -> "SqlSource":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ends(self, span: Span, sample: object) -> tuple[object, object]:
        if self._config.is_by_number:
            self.number(sample)
            return span.start, span.end
        found = bounds(span, sample, self._zones)
        if found is None:
            raise self._wrong_watermark(
                f"is of type {type(sample).__name__}, which is no time that can be compared; one "
                "without offset needs watermark_zone:, and text has to be ISO 8601 in one "
                "form, in UTC or without offset"
            )
        return found

    def _wrong_watermark(self, why: str) -> ConfigError:
        config = self._config
        return ConfigError(
            f"Connector {config.id!r}: the watermark {config.watermark!r} of kind "
            f"{config.watermark_kind} {why}. Nothing was kept. Correct watermark:.",
            code="E_SQL_WATERMARK",
        )

    def _one(self, statement: Any) -> object:
        with self._transaction() as connection:
            return self._tell.attempt(lambda: connection.execute(statement).scalar())

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._tell, self._connect, self._config.statement_timeout_s)

    def _connect(self) -> Connection:
        if self._connection is None or self._connection.invalidated:
            self._connection = self._engine.connect()
        return self._connection

    def _read(self, url: str) -> URL:
        try:
            read = make_url(url)
        except (ArgumentError, ValueError):
            read = None
        if read is None:
            raise self._wrong_url("holds no SQLAlchemy URL, such as postgresql+psycopg://...")
        if read.get_backend_name() != "sqlite":
            return read
        path = (read.database or "").removeprefix("file:").partition("?")[0]
        if not path or path == ":memory:":
            raise self._wrong_url("names no SQLite file")
        name = f"file:{quote(str(Path(path).absolute()))}"
        return URL.create("sqlite", database=name, query={"mode": "ro", "uri": "true"})

    def _wrong_url(self, why: str) -> ConfigError:
        return ConfigError(
            f"Connector {self._config.id!r}: the environment variable {self._config.url_env} "
            f"{why}. Nothing was asked. docs/how-to/connect-a-database.md shows some.",
            code="E_SQL_URL",
        )

    def _make_engine(self, url: URL) -> Engine:
        arguments: dict[str, Any] = {}
        options: dict[str, Any] = {}
        if self.backend == "postgresql":
            arguments["connect_timeout"] = int(self._config.connect_timeout_s)
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        elif self.backend == "sqlite":
            arguments["timeout"] = self._config.connect_timeout_s
        engine = create_engine(
            url,
            poolclass=NullPool,
            hide_parameters=True,
            connect_args=arguments,
            execution_options=options,
        )
        if url.drivername == "postgresql+psycopg" or (
            self.backend == "postgresql" and engine.driver == "psycopg"
        ):
            event.listen(engine, "connect", _let_odd_times_through)
        elif self.backend == "sqlite":
            event.listen(engine, "connect", _only_read)
        return engine


class _Transaction:
    """A read-only transaction that ends with the block, whatever happened in it."""

    def __init__(self, tell: Teller, connect: Callable[[], Connection], timeout_s: float) -> None:
        self._tell, self._connect, self._timeout_s = tell, connect, timeout_s
        self._connection: Connection | None = None

    def __enter__(self) -> Connection:
        self._connection = connection = self._tell.attempt(self._connect)
        self._tell.attempt(lambda: self._begin(connection))
        return connection

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            # only read was anything; what is broken is opened anew by the next question
            with suppress(Exception):
                self._connection.rollback()

    def _begin(self, connection: Connection) -> None:
        backend = connection.dialect.name
        if backend == "postgresql":
            limit = text("select set_config('statement_timeout', :ms, true)")
            connection.execute(limit, {"ms": str(int(self._timeout_s * 1000))})
        elif backend == "sqlite":
            end = time.monotonic() + self._timeout_s
            driver: Any = connection.connection.driver_connection
            driver.set_progress_handler(lambda: int(time.monotonic() > end), _STEPS)


def _only_read(connection: Any, _record: object) -> None:
    connection.execute("pragma query_only = on")


def _let_odd_times_through(connection: Any, _record: object) -> None:
    """Let times that Python cannot hold, such as infinity, come as text instead of an error."""
    from psycopg import DataError
    from psycopg.types import datetime as of_psycopg

    def lenient(kind: Any) -> type:
        class Lenient(kind):  # type: ignore[misc]
            def load(self, data: Any) -> Any:
                try:
                    return super().load(data)
                except DataError:
                    return bytes(data).decode()

        return Lenient

    for name in ("date", "timestamp", "timestamptz"):
        loader = getattr(of_psycopg, f"{name.capitalize()}Loader")
        connection.adapters.register_loader(name, lenient(loader))
