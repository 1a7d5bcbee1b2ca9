"""One connection to Snowflake: how it is made, and what it is told once."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ksi_pipeline.core.errors import KsiError
from ksi_pipeline.publishers.snowflake.config import Credentials, SnowflakeConfig
from ksi_pipeline.publishers.snowflake.failures import driver, is_not_there, no_key, told


class Session:
    """A connection whose answers are read at once, and whose errors are ours."""

    def __init__(self, connection: Any, target: str, env: str) -> None:
        """Take an open connection, and what messages name."""
        self._connection, self._target, self._env = connection, target, env

    def execute(self, statement: str) -> Sequence[Sequence[Any]]:
        """Run one statement and give its rows."""
        return told(self._target, self._env, lambda: self._rows(statement))

    def ask(self, statement: str) -> Sequence[Sequence[Any]] | None:
        """Run one statement about an object; None where it is not there, or not to be seen."""

        def rows() -> Sequence[Sequence[Any]] | None:
            try:
                return self._rows(statement)
            except driver(self._target).errors.ProgrammingError as error:
                if not is_not_there(error):
                    raise
            return None

        return told(self._target, self._env, rows)

    def put(self, statement: str, path: Path) -> None:
        """Send a file to a stage, whatever characters its path has."""
        with path.open("rb") as file:
            told(self._target, self._env, lambda: self._rows(statement, file_stream=file))

    def tag(self, text: str) -> None:
        """Let Snowflake's history of queries name what the next statements are for."""
        self.execute(f"alter session set query_tag = '{text}'")

    def _rows(self, statement: str, **given: Any) -> Sequence[Sequence[Any]]:
        with self._connection.cursor() as cursor:
            rows: Sequence[Sequence[Any]] = cursor.execute(statement, **given).fetchall()
            return rows


@contextmanager
def connected(config: SnowflakeConfig, credentials: Credentials) -> Iterator[Session]:
    """Log in, and log out at the end.

    Raises:
        ConfigError: E_TARGET_DRIVER; E_TARGET_SECRET, the private key cannot be read.
        KsiError: E_TARGET_AUTH, E_TARGET_RIGHTS, E_TARGET_UNREACHABLE.
    """
    given = {**_settings(config), **_secret(config, credentials)}
    connection = told(config.id, credentials.env, lambda: driver(config.id).connect(**given))
    try:
        yield Session(connection, config.id, credentials.env)
    finally:
        # whether it ends well decides nothing any more
        with suppress(KsiError):
            told(config.id, credentials.env, lambda: connection.close(retry=False))


def _settings(config: SnowflakeConfig) -> dict[str, Any]:
    at = urlsplit(config.url or f"https://{config.account}.snowflakecomputing.com")
    return {
        "account": config.account,
        "user": config.user,
        "role": config.publisher,
        "warehouse": config.warehouse,
        "database": config.database,
        "schema": config.schema_name,
        "protocol": at.scheme,
        "host": at.hostname,
        "port": at.port or (443 if at.scheme == "https" else 80),
        "application": "ksi_pipeline",
        "autocommit": True,
        "login_timeout": config.connect_timeout_s,
        "network_timeout": config.step_timeout_s,
        # looks for the cloud that the machine runs in, which is nobody's concern
        "platform_detection_timeout_seconds": 0,
        "session_parameters": {
            "CLIENT_TELEMETRY_ENABLED": False,
            "QUERY_TAG": f"ksi publish {config.id}",
            "TIMEZONE": "UTC",
            "STATEMENT_TIMEOUT_IN_SECONDS": config.step_timeout_s,
            "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS": config.step_timeout_s,
            # whole seconds
            "LOCK_TIMEOUT": math.ceil(config.lock_wait_s),
        },
    }


def _secret(config: SnowflakeConfig, credentials: Credentials) -> dict[str, Any]:
    if credentials.password is not None:
        return {"password": credentials.password}
    driver(config.id)
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    # some places that keep secrets keep them in one line
    pem = (credentials.private_key or "").replace("\\n", "\n").encode()
    phrase = credentials.passphrase.encode() if credentials.passphrase else None
    key = None
    with suppress(ValueError, TypeError, UnsupportedAlgorithm):
        key = serialization.load_pem_private_key(pem, phrase)
    if key is None:
        raise no_key(config.id, credentials.env)
    der = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {"private_key": der, "authenticator": "SNOWFLAKE_JWT"}
