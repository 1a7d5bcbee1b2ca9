"""Targets of kind `snowflake` in targets.yaml."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from ksi_pipeline.publishers.base_config import ENV, ServerBase

# written without quotes, so that Snowflake and its users read it in upper case
_NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,80}$"
_LOCAL = {"127.0.0.1", "localhost"}


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a user logs in with; a key where there is no password.

    Attributes:
        env: names of the environment variables that hold it, for messages.
    """

    env: str
    password: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)


class SnowflakeConfig(ServerBase):
    """Tables in one schema of a Snowflake account.

    Attributes:
        account: identifier of the account, like myorg-myaccount.
        url: of the account where it is not https://ACCOUNT.snowflakecomputing.com, as with a
            private link; http only on this machine.
        user: that logs in.
        private_key_env: name of the environment variable with the private key in PEM.
        passphrase_env: name of the one with its passphrase; null where it has none.
        password_env: name of the one with a password, in the place of a key.
        publisher: role that publishes; the session takes it, and grants name it.
        reader: role that reads; only named in grants.
        warehouse: that loads and adds up.
        database: of the schema.
        schema_name: of the tables; `schema` in the file.
        step_timeout_s: after which Snowflake gives a statement up, and the driver a connection
            that does not answer.
        lock_wait_s: how long another publisher, or a lock on a table, is waited for.
        lease_s: how long a publisher that died keeps others out; longer than a file takes to load.
    """

    kind: Literal["snowflake"]
    account: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,120}$")
    url: str | None = None
    user: str = Field(pattern=r"^[A-Za-z0-9_.@-]{1,120}$")
    private_key_env: str | None = Field(default=None, pattern=ENV)
    passphrase_env: str | None = Field(default=None, pattern=ENV)
    password_env: str | None = Field(default=None, pattern=ENV)
    publisher: str = Field(default="KSI_PUBLISHER", pattern=_NAME)
    reader: str = Field(default="KSI_READER", pattern=_NAME)
    warehouse: str = Field(pattern=_NAME)
    database: str = Field(pattern=_NAME)
    schema_name: str = Field(default="KSI", alias="schema", pattern=_NAME)
    lease_s: int = Field(default=900, ge=1, le=86_400)

    @field_validator("url")
    @classmethod
    def _is_safe(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        # asks for a port that is none, and raises ValueError
        _ = parts.port
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL)
        if not is_safe or not parts.hostname or "@" in parts.netloc or parts.path.strip("/"):
            raise ValueError("it should be like https://myaccount.privatelink.example.com")
        return url

    @model_validator(mode="after")
    def _has_one_secret(self) -> Self:
        if (self.private_key_env is None) == (self.password_env is None):
            raise ValueError("it needs either private_key_env or password_env")
        if self.passphrase_env and not self.private_key_env:
            raise ValueError("passphrase_env goes with private_key_env only")
        return self

    @property
    def schema_path(self) -> str:
        """The schema with its database."""
        return f"{self.database}.{self.schema_name}"

    def credentials(self, secrets: Callable[[str], str | None]) -> Credentials:
        """Resolve what the user logs in with.

        Raises:
            ConfigError: E_TARGET_SECRET, naming the variable.
        """
        if self.password_env:
            found = self.secret(secrets, self.password_env, "the user's password")
            return Credentials(self.password_env, password=found)
        key = self.private_key_env or ""
        pem = self.secret(secrets, key, "the user's private key in PEM")
        if self.passphrase_env is None:
            return Credentials(key, private_key=pem)
        phrase = self.secret(secrets, self.passphrase_env, "the passphrase of the private key")
        return Credentials(f"{key} and {self.passphrase_env}", private_key=pem, passphrase=phrase)
