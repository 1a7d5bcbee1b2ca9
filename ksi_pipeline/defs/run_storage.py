"""Dagster's SQLite files, written through connections that stay open.

Dagster's own storage opens a file anew for each event of a run and waits for the disk at each.
A run has hundreds of events, so that takes longer than a run that finds nothing new. The files
are the same, and other processes read and write them meanwhile as before.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as db
from dagster._core.events.log import EventLogEntry
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy.engine import Connection, Engine

# as long as Dagster's own storage of events waits
_BUSY_TIMEOUT_S = 20


def with_open_connections(ref: InstanceRef) -> InstanceRef:
    """Give the instance this storage where it has Dagster's SQLite files; leave any other."""
    data = ref.storage_data
    if data is None or data.class_name != DagsterSqliteStorage.__name__:
        return ref
    kept = ConfigurableClassData(__name__, OpenSqliteStorage.__name__, data.config_yaml)
    return ref._replace(storage_data=kept)


class OpenSqliteStorage(DagsterSqliteStorage):
    """Dagster's SQLite files for the one process that runs a job."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        runs, events = self._run_storage, self._event_log_storage
        self._run_storage = _OpenRuns(runs._conn_string)
        self._event_log_storage = _OpenEvents(events._base_dir)

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> "OpenSqliteStorage":
        """Make it of what dagster.yaml says."""
        return cls.from_local(inst_data=inst_data, **config_value)


class _OpenRuns(SqliteRunStorage):
    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(conn_string, inst_data)
        self._engine = _engine(conn_string)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            yield connection

    def dispose(self) -> None:
        self._engine.dispose()


class _OpenEvents(SqliteEventLogStorage):
    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, Engine] = {}
        super().__init__(base_dir, inst_data)

    def store_event(self, event: EventLogEntry) -> None:
        super().store_event(event)
        # The Dagster UI waits for a change of the file itself. In WAL mode events lie beside it
        # until a connection is closed.
        os.utime(self.path_for_shard(event.run_id))

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engines.get(shard)
            if engine is None:
                engine = _engine(self.conn_string_for_shard(shard))
                self._initdb(engine)
                # not before: what is kept has its tables
                self._engines[shard] = engine
            with engine.begin() as connection:
                yield connection

    def dispose(self) -> None:
        super().dispose()
        for engine in self._engines.values():
            engine.dispose()


def _engine(conn_string: str) -> Engine:
    engine = db.create_engine(conn_string, connect_args={"timeout": _BUSY_TIMEOUT_S})

    @db.event.listens_for(engine, "connect")
    def _do_not_wait_for_the_disk(connection: Any, _: Any) -> None:
        # In WAL mode, a machine that dies loses the last events and breaks nothing.
        connection.execute("pragma synchronous=normal")

    return engine
