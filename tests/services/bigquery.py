"""What stands in for BigQuery: bqemulator behind a proxy, on 127.0.0.1, gone at the end."""

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from .bigquery_proxy import Proxy
from .stopping import stop

_ENVIRONMENT = Path(__file__).resolve().parents[2] / ".services" / "bigquery"
_PROJECT = "ksi-test"
_START_S = 60
_NUMBERS = count(1)


@dataclass(frozen=True)
class BigqueryServer:
    """A running server; publishers go through the proxy, which knows what they sent."""

    port: int
    proxy: Proxy
    project: str = _PROJECT

    @property
    def endpoint(self):
        """Where publishers connect to."""
        return f"http://127.0.0.1:{self.proxy.port}"

    @contextmanager
    def client(self):
        """A client that goes straight to the server, as readers."""
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import bigquery

        client = bigquery.Client(
            project=self.project,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": f"http://127.0.0.1:{self.port}"},
        )
        try:
            yield client
        finally:
            client.close()

    def ask(self, query):
        """The rows that a query answers."""
        with self.client() as client:
            return [row.values() for row in client.query(query).result(timeout=60)]

    def new_dataset(self):
        """Make a dataset, and give its name."""
        name = f"published_{next(_NUMBERS)}"
        with self.client() as client:
            client.create_dataset(name)
        return name


@contextmanager
def running_bigquery() -> Iterator[BigqueryServer]:
    """Start a server, and stop it by its process id; skip where there is none to start."""
    pytest.importorskip(
        "google.cloud.bigquery",
        reason="google-cloud-bigquery is not installed: pip install -e '.[dev]'",
    )
    program = _ENVIRONMENT / "bin" / "bqemulator"
    if not program.exists():
        pytest.skip("bqemulator is not installed: make .services/bigquery/.done")
    # DuckDB keeps extensions in the home folder
    environment = {**os.environ, "HOME": str(_ENVIRONMENT)}
    _unpack_spatial(environment)
    port, other = _free_ports(2)
    with tempfile.TemporaryDirectory(prefix="ksi-bigquery-") as folder:
        path = Path(folder) / "log"
        with path.open("w") as log:
            server = subprocess.Popen(
                [
                    *(program, "start", "--rest-port", str(port), "--grpc-port", str(other)),
                    *("--project", _PROJECT, "--log-level", "error"),
                ],
                stdout=log,
                stderr=log,
                cwd=folder,
                env=environment,
            )
        try:
            _wait(port, server, path)
            with Proxy(port) as proxy:
                yield BigqueryServer(port, proxy)
        finally:
            stop(server)


def _unpack_spatial(environment):
    if not (_ENVIRONMENT / ".duckdb").exists():
        text = "import duckdb_extensions as e; e.import_extension('spatial')"
        python = _ENVIRONMENT / "bin" / "python"
        subprocess.run([python, "-c", text], check=True, env=environment, capture_output=True)


def _free_ports(number):
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _wait(port, server, log):
    end = time.monotonic() + _START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if server.poll() is not None or time.monotonic() > end:
                pytest.fail(f"bqemulator did not start: {log.read_text()[-2000:]}")
            time.sleep(0.1)
        else:
            return
