"""Connectors of kind `sql` in connectors.yaml."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import ClassVar, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from ksi_pipeline.connectors.base_config import ConnectorBase
from ksi_pipeline.core.errors import ConfigError

# Zone of times without offset that each site's own zone stands for.
SITE_ZONE = "site"
_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"


class SqlConfig(ConnectorBase):
    """One table, view or query of a database.

    Attributes:
        mapping: name of the file in mappings/, without .yaml.
        url_env: name of the environment variable that holds the SQLAlchemy URL.
        table: a table or view, with its schema before a point.
        columns: to be fetched beside those that the mapping reads.
        query: one SELECT, in place of table.
        tables: every table that the query may read, as the query writes it.
        functions: that the query may call and that are not of the SQL standard.
        watermark: column by which a pull finds what is new; rows in which it is null are never
            asked for.
        watermark_kind: what that column is: `ticket_time`, when the ticket was made; `updated_at`,
            when the row was last written; `integer`, a number that only grows.
        watermark_zone: of times without offset: an IANA name, or `site` for each site's own.
        since: first watermark to ask for: a day (UTC), or a number.
        complete_from: first day (UTC) of which the source holds every ticket; default: since.
        overlap_h: rows up to so long before the last known watermark are asked for again.
        overlap_ids: the same for numbers.
        longest_window_days: of one query where years are asked for.
        longest_window_ids: the same for numbers.
        connect_timeout_s: after which no connection is made (PostgreSQL, SQLite).
        statement_timeout_s: after which the database gives a query up.
        max_rows: of one window.
        max_mb: of one window, as it is kept.
    """

    absent_question: ClassVar = "an hour without a ticket in the database"
    absent_choices: ClassVar = (
        "'zero' if the database holds every ticket of the time it was asked for; 'missing' if "
        "tickets may be left out or late"
    )

    questions: ClassVar = {
        "mapping": "Name of its file in mappings/, without .yaml",
        "url_env": "NAME of the environment variable that holds the SQLAlchemy URL",
        "table": "Table or view, with its schema before a point",
        "watermark": "Column by which what is new is found",
        "watermark_kind": "That column is: ticket_time, updated_at, integer",
        "since": "First value of it to ask for: a day like 2026-01-31, or a number",
    }

    examples: ClassVar = {
        "table": "pos.ticket_lines",
        "watermark": "updated_at",
        "watermark_kind": "updated_at",
        "since": date(2026, 1, 31),
    }

    kind: Literal["sql"]
    mapping: str = Field(pattern=_NAME)
    # upper case only: a pasted URL is rarely all upper case
    url_env: str = Field(pattern=r"^[A-Z_][A-Z0-9_]*$")
    table: str | None = Field(default=None, min_length=1)
    columns: list[str] = Field(default_factory=list)
    query: str | None = Field(default=None, min_length=1)
    tables: list[str] = Field(default_factory=list)
    functions: list[str] = Field(default_factory=list)
    watermark: str = Field(min_length=1)
    watermark_kind: Literal["ticket_time", "updated_at", "integer"]
    watermark_zone: str | None = None
    since: date | int
    complete_from: date | None = None
    overlap_h: float = Field(default=72.0, ge=0, le=8784)
    overlap_ids: int = Field(default=10_000, ge=0)
    longest_window_days: int = Field(default=7, ge=1, le=3660)
    longest_window_ids: int = Field(default=1_000_000, ge=1)
    connect_timeout_s: float = Field(default=10.0, ge=1, le=300)
    statement_timeout_s: float = Field(default=300.0, gt=0, le=86_400)
    max_rows: int = Field(default=20_000_000, ge=1)
    max_mb: int = Field(default=2_048, ge=1)

    @property
    def secret_names(self) -> tuple[str, ...]:
        """The variable that holds the URL."""
        return (self.url_env,)

    @property
    def mapping_name(self) -> str:
        """Name of its file in mappings/, without .yaml."""
        return self.mapping

    @property
    def first_day(self) -> date | None:
        """First day (UTC) of the past that it is asked for; None where that is a number."""
        return self.since if isinstance(self.since, date) else None

    @property
    def is_by_number(self) -> bool:
        """Whether windows are numbers and not instants, in microseconds."""
        return self.watermark_kind == "integer"

    @property
    def complete_from_utc(self) -> datetime:
        """First instant of which the source holds every ticket."""
        day = self.complete_from or self.since
        return midnight_utc(day) if isinstance(day, date) else datetime.max.replace(tzinfo=UTC)

    @field_validator("since", "complete_from", mode="before")
    @classmethod
    def _as_typed(cls, given: object) -> object:
        """Read what was typed where a person was asked."""
        if not isinstance(given, str):
            return given
        if given.isdecimal():
            return int(given)
        try:
            return date.fromisoformat(given)
        except ValueError as error:
            raise ValueError("it should be a day like 2026-01-31, or a number") from error

    @field_validator("watermark_zone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        if zone not in (None, SITE_ZONE):
            try:
                ZoneInfo(str(zone))
            except (KeyError, ValueError, OSError) as error:
                raise ValueError("it is no IANA zone like Europe/Madrid") from error
        return zone

    @model_validator(mode="after")
    def _fits(self) -> "SqlConfig":
        if (self.table is None) == (self.query is None):
            raise ValueError("give either table: or query:")
        if self.table is not None and (self.tables or self.functions):
            raise ValueError("tables: and functions: belong to query:")
        if self.query is not None and not self.tables:
            raise ValueError("query: needs tables:, every table that it may read")
        if self.is_by_number != isinstance(self.since, int):
            wanted = "a number" if self.is_by_number else "a day like 2026-01-31"
            raise ValueError(f"since: should be {wanted}, as the watermark is")
        if self.is_by_number and self.complete_from is None:
            raise ValueError(
                "complete_from: is needed with a watermark of kind integer: the first day of which "
                "the rows from since: on hold every ticket"
            )
        return self

    def url(self, secrets: Callable[[str], str | None]) -> str:
        """Resolve the URL.

        Raises:
            ConfigError: E_SQL_URL, naming the variable.
        """
        value = (secrets(self.url_env) or "").strip()
        if not value:
            raise ConfigError(
                f"Connector {self.id!r}: the environment variable {self.url_env} is not set or "
                "empty, so there is no database to ask; nothing was asked. Set it to a SQLAlchemy "
                "URL where the pipeline runs; docs/how-to/connect-a-database.md shows some.",
                code="E_SQL_URL",
            )
        return value


def midnight_utc(day: date) -> datetime:
    """Give the first instant of a UTC day."""
    return datetime.combine(day, time(), UTC)
