"""A stand-in for Snowflake: fakesnow in an environment of its own, on 127.0.0.1, gone at the end.

What it is not: it has no rights, no time-outs, no clustering, and locks of DuckDB.
"""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from .stopping import stop

_PYTHON = Path(__file__).resolve().parents[2] / ".services" / "snowflake" / "bin" / "python"
_PROGRAM = Path(__file__).with_name("snowflake_server.py")
_START_S = 60


@dataclass(frozen=True)
class SnowflakeServer:
    """A running server; who may log in is told by the tests."""

    port: int

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def control(self, **told):
        """See the server; gives its statements and the files in its stages."""
        answer = requests.post(f"{self.url}/tests", json=told, timeout=30)
        answer.raise_for_status()
        return answer.json()

    @contextmanager
    def connection(self, database, user, password):
        """A connection of the driver; every statement counts at once."""
        from snowflake import connector

        connection = connector.connect(
            account="ksi",
            user=user,
            password=password,
            host="127.0.0.1",
            port=self.port,
            protocol="http",
            database=database,
            schema="KSI",
            login_timeout=20,
            network_timeout=20,
            platform_detection_timeout_seconds=0,
        )
        try:
            yield connection
        finally:
            connection.close()


@contextmanager
def running_snowflake() -> Iterator[SnowflakeServer]:
    """Start a server, and stop it by its process id; skip where it was not installed."""
    pytest.importorskip("snowflake.connector", reason="pip install -e '.[dev]'")
    if not _PYTHON.exists():
        pytest.skip("The stand-in for Snowflake is not installed: make services")
    folder = Path(tempfile.mkdtemp(prefix="ksi-snowflake-"))
    server = SnowflakeServer(_free_port())
    try:
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                # -P: this file has the name of a package that fakesnow imports
                [_PYTHON, "-P", _PROGRAM, str(server.port), folder],
                stdout=log,
                stderr=log,
            )
        try:
            _wait(server, process, folder / "log")
            yield server
        finally:
            stop(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _wait(server, process, log):
    end = time.monotonic() + _START_S
    while True:
        try:
            server.control()
        except requests.ConnectionError:
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"fakesnow did not start: {log.read_text()[-2000:]}")
            time.sleep(0.2)
        else:
            return
