"""Targets of kind `postgres` in targets.yaml."""

from collections.abc import Callable
from typing import Literal

from pydantic import Field

from ksi_pipeline.publishers.base_config import ENV, ServerBase

_NAME = r"^[a-z_][a-z0-9_]{0,40}$"


class PostgresConfig(ServerBase):
    """Tables in one schema of a PostgreSQL database.

    Attributes:
        url_env: name of the environment variable that holds the URL, postgresql://user@host/db.
        schema_name: of the tables; `schema` in the file.
        publisher: role that publishes; only named in grants.
        reader: role that reads; only named in grants.
    """

    kind: Literal["postgres"]
    url_env: str = Field(pattern=ENV)
    schema_name: str = Field(default="ksi", alias="schema", pattern=_NAME)
    publisher: str = Field(default="ksi_publisher", pattern=_NAME)
    reader: str = Field(default="ksi_reader", pattern=_NAME)

    def url(self, secrets: Callable[[str], str | None]) -> str:
        """Resolve the URL.

        Raises:
            ConfigError: E_TARGET_SECRET, naming the variable.
        """
        example = "a URL like postgresql://user:password@host/database"
        value = self.secret(secrets, self.url_env, example)
        return value.replace("postgresql+psycopg://", "postgresql://", 1)
