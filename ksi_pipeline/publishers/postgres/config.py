"""Targets of kind `postgres` in targets.yaml."""

from collections.abc import Callable
from typing import Literal

from pydantic import Field

from ksi_pipeline.publishers.base_config import TargetBase
from ksi_pipeline.publishers.refusals import no_secret

_NAME = r"^[a-z_][a-z0-9_]{0,40}$"


class PostgresConfig(TargetBase):
    """Tables in one schema of a PostgreSQL database.

    Attributes:
        url_env: name of the environment variable that holds the URL, postgresql://user@host/db.
        schema_name: of the tables; `schema` in the file.
        publisher_role: that publishes; only named in grants.
        reader_role: that reads; only named in grants.
        connect_timeout_s: after which no connection is made.
        step_timeout_s: after which the database gives a statement up.
        lock_wait_s: how long another publisher is waited for.
    """

    kind: Literal["postgres"]
    url_env: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    schema_name: str = Field(default="ksi", alias="schema", pattern=_NAME)
    publisher_role: str = Field(default="ksi_publisher", pattern=_NAME)
    reader_role: str = Field(default="ksi_reader", pattern=_NAME)
    connect_timeout_s: int = Field(default=10, ge=1, le=600)
    step_timeout_s: int = Field(default=600, ge=1, le=86_400)
    lock_wait_s: float = Field(default=60, ge=0, le=3600)

    def url(self, secrets: Callable[[str], str | None]) -> str:
        """Resolve the URL.

        Raises:
            ConfigError: E_TARGET_SECRET, naming the variable.
        """
        value = (secrets(self.url_env) or "").strip()
        if not value:
            example = "a URL like postgresql://user:password@host/database"
            raise no_secret(self.id, self.url_env, example)
        return value.replace("postgresql+psycopg://", "postgresql://", 1)
