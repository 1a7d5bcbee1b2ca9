"""A PostgreSQL of the tests' own: in a temporary folder, on 127.0.0.1, gone at the end."""

import os
import pwd
import secrets
import shutil
import signal
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


@dataclass(frozen=True)
class PostgresServer:
    """A running server; `admin` may do everything, other roles are made by the tests."""

    port: int
    password: str

    def url(self, database="postgres", user="admin", password=None):
        """The SQLAlchemy URL."""
        secret = self.password if password is None else password
        return f"postgresql+psycopg://{user}:{secret}@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def connection(self, database="postgres"):
        """A connection of psycopg, as admin; every statement counts at once."""
        import psycopg

        url = self.url(database).replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as connection:
            yield connection

    def new_database(self, name):
        """Make a database, and give its name."""
        with self.connection() as connection:
            connection.execute(f'drop database if exists "{name}" with (force)')
            connection.execute(f'create database "{name}"')
        return name

    def new_role(self, name, password):
        """Make a role that may log in and nothing else."""
        with self.connection() as connection:
            found = connection.execute("select 1 from pg_roles where rolname = %s", [name])
            verb = "alter" if found.fetchone() else "create"
            connection.execute(f"{verb} role \"{name}\" login password '{password}'")


def programs():
    """The folder of the newest PostgreSQL that is installed, or None."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    if folders:
        return folders[-1]
    found = shutil.which("initdb")
    return Path(found).parent if found else None


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Start a server, and stop it by its process id; skip where there is none to start."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install -e '.[dev]'")
    found = programs()
    if found is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql).")
    folder = Path(tempfile.mkdtemp(prefix="ksi-postgres-"))
    as_user = _other_user()
    password = secrets.token_hex(16)
    try:
        secret = folder / "secret"
        secret.write_text(password)
        if as_user:
            for path in (folder, secret):
                shutil.chown(path, as_user["user"], as_user["group"])
        data = folder / "data"
        subprocess.run(
            [
                *(found / "initdb", "-D", data, "-U", "admin", "--pwfile", secret),
                *("--auth", "scram-sha-256", "-E", "UTF8", "--locale", "C", "--no-sync"),
            ],
            check=True,
            capture_output=True,
            **as_user,
        )
        port = _free_port()
        with (folder / "log").open("w") as log:
            server = subprocess.Popen(
                [
                    *(found / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port)),
                    *("-k", folder, "-F", "-c", "max_connections=40"),
                ],
                stdout=log,
                stderr=log,
                **as_user,
            )
        try:
            started = PostgresServer(port, password)
            _wait(started, server, folder / "log")
            yield started
        finally:
            # a fast shutdown: it waits for nobody
            stop(server, signal.SIGINT)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _other_user():
    """PostgreSQL refuses root: give somebody else, where the tests are run by root."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = known.get("postgres") or known["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "cwd": "/"}


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _wait(started, server, log):
    import psycopg

    end = time.monotonic() + _START_S
    while True:
        try:
            with started.connection():
                return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > end:
                pytest.fail(f"PostgreSQL did not start: {log.read_text()[-2000:]}")
            time.sleep(0.1)
