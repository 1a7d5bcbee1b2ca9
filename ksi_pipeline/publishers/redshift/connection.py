"""Connections to Redshift: who logs in, time limits, and statements of the driver."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from ksi_pipeline.core.errors import KsiError
from ksi_pipeline.publishers.redshift.bucket import client
from ksi_pipeline.publishers.redshift.config import Address, RedshiftConfig
from ksi_pipeline.publishers.redshift.failures import ask, ask_aws, driver

# The server gives up first; this is for a network that says nothing any more.
_GRACE_S = 30


class Session:
    """A connection whose statements count at once, and whose answers are read at once."""

    def __init__(self, connection: Any, config: RedshiftConfig) -> None:
        """Take a connection of the driver."""
        self._connection, self._config = connection, config
        self.limit(config.step_timeout_s)

    def execute(self, statement: str) -> Sequence[Sequence[Any]]:
        """Run one statement and give its rows.

        Raises:
            KsiError: E_TARGET_*.
        """
        return ask(self._config.id, self._config.url_env, lambda: self._rows(statement))

    def limit(self, seconds: float) -> None:
        """Let statements take so long."""
        # the driver keeps the time limit of connecting for every answer
        self._connection._usock.settimeout(seconds + _GRACE_S)
        self.execute(f"set statement_timeout to {max(1, int(seconds * 1000))}")

    def roll_back(self) -> None:
        """Undo what is not committed; a connection that is gone has undone it."""
        with suppress(KsiError):
            self.execute("rollback")

    def _rows(self, statement: str) -> Sequence[Sequence[Any]]:
        cursor = self._connection.cursor()
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def connected(config: RedshiftConfig, address: Address) -> Iterator[Session]:
    """Connect for the block.

    Raises:
        KsiError: E_TARGET_*.
    """
    connection = ask(
        config.id, config.url_env, partial(_connect, config, _with_password(config, address))
    )
    try:
        yield Session(connection, config)
    finally:
        with suppress(driver(config.id).Error, OSError):
            connection.close()


def _connect(config: RedshiftConfig, address: Address) -> Any:
    connection = driver(config.id).connect(
        host=address.host,
        port=address.port,
        database=address.database,
        user=address.user,
        password=address.password,
        ssl=address.sslmode != "disable",
        sslmode=address.sslmode,
        timeout=config.connect_timeout_s,
        application_name="ksi publish",
        # networks forget connections that wait for a long COPY
        tcp_keepalive_idle=60,
        tcp_keepalive_interval=15,
        tcp_keepalive_count=4,
        # it would keep each text in memory, and what it prepared before a DDL
        max_prepared_statements=0,
    )
    connection.autocommit = True
    return connection


def _with_password(config: RedshiftConfig, address: Address) -> Address:
    """Ask AWS for credentials that last an hour, where the target says so."""
    if config.cluster:
        return _temporary(
            config,
            address,
            "redshift",
            lambda api: api.get_cluster_credentials(
                DbUser=address.user,
                DbName=address.database,
                ClusterIdentifier=config.cluster,
                DurationSeconds=3600,
                AutoCreate=False,
            ),
        )
    if config.workgroup:
        return _temporary(
            config,
            address,
            "redshift-serverless",
            lambda api: api.get_credentials(
                dbName=address.database, workgroupName=config.workgroup, durationSeconds=3600
            ),
        )
    return address


def _temporary(
    config: RedshiftConfig, address: Address, service: str, get: Callable[[Any], dict[str, Any]]
) -> Address:
    answer = ask_aws(config.id, service, lambda: get(client(config, service)))
    given = {key.lower(): value for key, value in answer.items()}
    return replace(address, user=given["dbuser"], password=given["dbpassword"])
