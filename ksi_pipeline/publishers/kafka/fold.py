"""What a topic holds of a mart, the last event of each key; and which events it lacks.

A fold reads the whole topic once a run, and only where something is to be sent or somebody else
sent something. It lies in a DuckDB of its own, which goes to the disk with what does not fit its
memory.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.publishing import Batch, Column, Figures, Part
from ksi_pipeline.publishers.figures import DUCKDB, figures_query, read_figures
from ksi_pipeline.publishers.kafka.client import Event
from ksi_pipeline.publishers.kafka.events import (
    Codec,
    Row,
    SchemaOf,
    Stamp,
    cells_of,
    content_of,
    decode,
    event_id,
    key_of,
)
from ksi_pipeline.publishers.parquet import duckdb_type
from ksi_pipeline.publishers.tables import of_part

_AT_ONCE = 5_000
# key, row, hash of its content, event id, and the value where it is to be sent
_Came = tuple[str, Row, str, str, bytes | None]
_KEY, _CONTENT, _EVENT, _VALUE = "ksi_key", "ksi_content", "ksi_event_id", "ksi_value"


@dataclass(frozen=True, slots=True)
class Staged:
    """The events that one partition waits for, in a table of the fold's.

    Attributes:
        table: with each row of the batch, whether it changed or not.
        changed: rows to be sent.
        gone: keys that get a tombstone.
    """

    part: Part
    table: str
    batch_id: str
    sequence: int
    changed: int
    gone: int


class Fold:
    """The rows of one mart as the last events of its topic leave them."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        mart: str,
        columns: Sequence[Column],
        schema_of: SchemaOf,
        first_offsets: Sequence[int],
    ) -> None:
        """Make it empty; `connection` is nobody else's but folds of other marts."""
        # behind what was taken in, by partition of the topic
        self.at = list(first_offsets)
        self.mart, self.columns = mart, tuple(columns)
        self._connection, self._schema_of = connection, schema_of
        self._held = f'"held {mart}"'
        self._make(self._held)

    def add(self, messages: Sequence[Any]) -> None:
        """Take events in, in the order of their partitions."""
        last: dict[str, Any] = {}
        for message in messages:
            if (key := _text(message.key())) is not None:
                last[key] = message
        if not last:
            return
        rows = []
        for key, message in last.items():
            if (value := message.value()) is not None:
                row = decode(value, self.columns, self._schema_of)
                content = content_of(cells_of(row, self.columns))
                rows.append((key, row, content, _id_of(message), None))
        keys = pa.table({_KEY: pa.array(list(last), pa.string())})
        self._connection.register("came", keys)
        self._connection.execute(f"delete from {self._held} where {_KEY} in (from came)")
        self._connection.unregister("came")
        self._insert(self._held, rows)

    def figures(
        self, columns: Sequence[Column], key: Sequence[str], *, is_by_month: bool
    ) -> dict[Part, Figures]:
        """Add it up by partition."""
        query = figures_query(self._held, columns, key, DUCKDB, is_by_month=is_by_month)
        return read_figures(self.mart, columns, key, self._all(query))

    def of_part(self, part: Part, batch: Batch | None) -> Figures:
        """Add one partition up; only its rows are counted where it has no batch."""
        where = of_part(part)
        if batch is None:
            ((rows,),) = self._all(f"select count(*) from {self._held} where {where}")
            return Figures(int(rows))
        return self._added_up(f"(from {self._held} where {where})", batch)

    def stage(self, part: Part, batch: Batch | None, codec: Codec, sequence: int) -> Staged:
        """Work out which events a partition lacks; nothing is sent.

        Raises:
            ContractError: E_TARGET_KEY, the mart names no grain.
        """
        table = f'"staged {part}"'
        self._make(table)
        batch_id = batch.batch_id if batch else ""
        if batch:
            _require_grain(batch)
            names = [column.name for column in batch.columns]
            for read in pq.ParquetFile(batch.path).iter_batches(_AT_ONCE, columns=names):
                self._stage_rows(table, read.select(names).to_pylist(), batch, codec, sequence)
        count = f"select count({_VALUE}) from {table}"
        ((changed,),) = self._all(count)
        ((gone,),) = self._all(f"select count(*) from ({self._gone(part, table)})")
        return Staged(part, table, batch_id, sequence, int(changed), int(gone))

    def staged_figures(self, staged: Staged, batch: Batch) -> Figures:
        """Add up what the partition will be; rows of one key are one row, as in the topic."""
        one = f"(select distinct on ({_KEY}) * from {staged.table})"
        return self._added_up(one, batch)

    def events(self, staged: Staged, schema_version: str) -> Iterator[list[Event]]:
        """Give the events to be sent in the order of their keys, tombstones last."""
        part, batch_id = staged.part, staged.batch_id
        changed = (
            f"select {_KEY}, {_EVENT}, {_VALUE} from {staged.table} "
            f"where {_VALUE} is not null order by 1"
        )
        for rows in self._chunks(changed):
            yield [
                Event(
                    key,
                    value,
                    Stamp(found, batch_id, part.month).headers(part.mart, schema_version),
                )
                for key, found, value in rows
            ]
        for rows in self._chunks(f"{self._gone(part, staged.table)} order by 1"):
            yield [self._tombstone(staged, key, before, schema_version) for key, before in rows]

    def drop(self, staged: Staged) -> None:
        """Forget a staged partition."""
        self._connection.execute(f"drop table if exists {staged.table}")

    def _tombstone(self, staged: Staged, key: str, before: str, schema_version: str) -> Event:
        part = staged.part
        found = event_id(part.mart, part.month, key, "", staged.sequence, before)
        stamp = Stamp(found, staged.batch_id, part.month)
        return Event(key, None, stamp.headers(part.mart, schema_version))

    def _gone(self, part: Part, table: str) -> str:
        return (
            f"select {_KEY}, {_EVENT} from {self._held} where {of_part(part)} "
            f"and {_KEY} not in (select {_KEY} from {table})"
        )

    def _stage_rows(
        self,
        table: str,
        rows: Sequence[Row],
        batch: Batch,
        codec: Codec,
        sequence: int,
    ) -> None:
        part, cells = batch.part, [cells_of(row, codec.columns) for row in rows]
        keys = [key_of(one, batch.key) for one in cells]
        held = self._held_of(keys)
        staged: list[_Came] = []
        for name, row, one in zip(keys, rows, cells, strict=True):
            content = content_of(one)
            had, before = held.get(name, ("", ""))
            if had == content:
                staged.append((name, row, content, before, None))
                continue
            found = event_id(part.mart, part.month, name, content, sequence, before)
            value = codec.encode(row, one, Stamp(found, batch.batch_id, part.month))
            # what is added up is what readers will decode
            told = decode(value, self.columns, lambda _version: codec.parsed)
            staged.append((name, told, content, found, value))
        self._insert(table, staged)

    def _held_of(self, keys: Sequence[str]) -> dict[str, tuple[str, str]]:
        self._connection.register("asked", pa.table({_KEY: pa.array(keys, pa.string())}))
        query = (
            f"select {_KEY}, {_CONTENT}, {_EVENT} from {self._held} semi join asked using ({_KEY})"
        )
        found = {key: (content, event) for key, content, event in self._all(query)}
        self._connection.unregister("asked")
        return found

    def _make(self, table: str) -> None:
        typed = ", ".join(f'"{column.name}" {duckdb_type(column)}' for column in self.columns)
        self._connection.execute(
            f"create or replace table {table} ({_KEY} varchar, {_CONTENT} varchar, "
            f"{_EVENT} varchar, {_VALUE} blob, {typed})"
        )

    def _insert(self, table: str, rows: Sequence["_Came"]) -> None:
        if not rows:
            return
        made = {
            _KEY: pa.array([row[0] for row in rows], pa.string()),
            _CONTENT: pa.array([row[2] for row in rows], pa.string()),
            _EVENT: pa.array([row[3] for row in rows], pa.string()),
            _VALUE: pa.array([row[4] for row in rows], pa.binary()),
        }
        for column in self.columns:
            made[column.name] = pa.array([row[1].get(column.name) for row in rows], _arrow(column))
        self._connection.register("came", pa.table(made))
        self._connection.execute(f"insert into {table} from came")
        self._connection.unregister("came")

    def _added_up(self, relation: str, batch: Batch) -> Figures:
        query = figures_query(relation, batch.columns, batch.key, DUCKDB, is_by_month=False)
        rows = self._all(query)
        (figures,) = read_figures(self.mart, batch.columns, batch.key, rows).values()
        return figures

    def _all(self, query: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(query).fetchall()

    def _chunks(self, query: str) -> Iterator[list[tuple[Any, ...]]]:
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            while rows := cursor.fetchmany(_AT_ONCE):
                yield rows


def _require_grain(batch: Batch) -> None:
    if not batch.key:
        raise ContractError(
            f"{batch.part.mart}: the mart names no grain, so its events have no key. Nothing of it "
            "was sent. Give the model the test `grain`, or leave it out with marts: in "
            "targets.yaml.",
            code="E_TARGET_KEY",
        )


def _id_of(message: Any) -> str:
    """Give the event id; the place in the log where somebody else wrote none."""
    found = _text(dict(message.headers() or ()).get("event_id"))
    return found or f"{message.partition()}/{message.offset()}"


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _arrow(column: Column) -> pa.DataType:
    if column.type.startswith("decimal"):
        precision = int(column.type.partition("(")[2].partition(",")[0])
        return pa.decimal128(precision, column.scale)
    return {
        "text": pa.string(),
        "bigint": pa.int64(),
        "double": pa.float64(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us"),
    }[column.type]
