"""Targets of kind `kafka` in targets.yaml."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from ksi_pipeline.publishers.base_config import ENV, ServerBase

_SERVERS = r"^[A-Za-z0-9._\[\]:-]+:\d+(,[A-Za-z0-9._\[\]:-]+:\d+)*$"
_PRINCIPAL = r"^[A-Za-z]+:[A-Za-z0-9=.,_ -]+$"
Format = Literal["json", "avro"]
Security = Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]


class KafkaConfig(ServerBase):
    """Topics whose names have one prefix.

    Attributes:
        bootstrap_servers: host:port, several with commas between them.
        prefix: of the topics: <prefix>.<mart>, <prefix>.commits, <prefix>.schemas.
        format: of the values.
        security: protocol of the listener.
        sasl_mechanism: how user and password are told.
        user_env: name of the environment variable that holds the user.
        password_env: name of the environment variable that holds the password.
        ca_file: PEM of who signed the brokers; null for those that the machine trusts.
        create_topics: whether topics that are missing are made.
        partitions: of a topic that is made.
        replication: of a topic that is made.
        publisher: principal that publishes; only named in grants.
        reader: principal that reads; only named in grants.
        socket_timeout_s: after which a request is given up.
        delivery_timeout_s: after which an event that no broker took is given up.
        step_timeout_s: after which reading a topic, or sending some thousand events, is given up.
        lease_s: how long a publisher that stopped without a word keeps those of other data homes
            out.
    """

    paths: ClassVar = ("ca_file",)

    kind: Literal["kafka"]
    bootstrap_servers: str = Field(pattern=_SERVERS)
    prefix: str = Field(default="ksi", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,80}$")
    format: Format = "json"
    security: Security = "sasl_ssl"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    user_env: str | None = Field(default=None, pattern=ENV)
    password_env: str | None = Field(default=None, pattern=ENV)
    ca_file: Path | None = Field(default=None, strict=False)
    create_topics: bool = True
    partitions: int = Field(default=3, ge=1, le=1000)
    replication: int = Field(default=3, ge=1, le=15)
    publisher: str = Field(default="User:ksi_publisher", pattern=_PRINCIPAL)
    reader: str = Field(default="User:ksi_reader", pattern=_PRINCIPAL)
    socket_timeout_s: int = Field(default=60, ge=1, le=300)
    delivery_timeout_s: int = Field(default=120, ge=1, le=3600)
    lease_s: int = Field(default=300, ge=10, le=86_400)

    @model_validator(mode="after")
    def _names_credentials(self) -> "KafkaConfig":
        if self.has_sasl and not (self.user_env and self.password_env):
            raise ValueError(f"security {self.security} needs user_env and password_env")
        return self

    @property
    def has_sasl(self) -> bool:
        """Whether a user and a password are told."""
        return self.security.startswith("sasl")

    @property
    def env(self) -> str:
        """The environment variables with the credentials, for messages."""
        return f"{self.user_env} and {self.password_env}" if self.has_sasl else "security"

    def topic(self, name: str) -> str:
        """Give the topic of a mart, or `commits` or `schemas`."""
        return f"{self.prefix}.{name}"

    def credentials(self, secrets: Callable[[str], str | None]) -> dict[str, str]:
        """Resolve user and password into settings of the client; none where none are needed.

        Raises:
            ConfigError: E_TARGET_SECRET, naming the variable.
        """
        if not self.has_sasl:
            return {}
        found = {}
        named = (
            ("sasl.username", self.user_env, "the user of the cluster"),
            ("sasl.password", self.password_env, "the user's password"),
        )
        for setting, env, example in named:
            found[setting] = self.secret(secrets, str(env), example)
        return {"sasl.mechanism": self.sasl_mechanism, **found}
