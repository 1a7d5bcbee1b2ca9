"""The store: reads of what counts, and changes that become visible all at once.

A change writes its Parquet files first (immutable, invisible) and then one ledger transaction that
makes them count, retires what they replace, and names the hours they touch. A process killed at
any point leaves either nothing or the whole change; files nobody refers to are harmless.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import IntegrityError

from ksi_pipeline.core.errors import TransientError
from ksi_pipeline.core.instants import to_us
from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.store.affected import write_affected
from ksi_pipeline.store.count_versions import CountedDay, write_counted
from ksi_pipeline.store.files import WrittenFile, read_columns, write_parquet
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.ledger import Ledger, Row
from ksi_pipeline.store.tables import (
    CHUNKS,
    FETCHES,
    FILES,
    QUARANTINE,
    STEPS,
    TICKET_FILES,
)

AffectedHour = tuple[str, str, datetime]
_NOT_PARSED = dict.fromkeys(
    ("rows_in", "rows_loaded", "rows_unchanged", "rows_quarantined", "rows_unmatched")
)


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """Something that cannot be used, kept with the reason.

    Attributes:
        source: where it came from, e.g. `tickets:pos-main` or `chunks`.
        raw_sha256: hash of the raw input; empty where there is none.
        row_number: position in the raw input, from 0; -1 for the input as a whole.
    """

    source: str
    code: str
    message: str
    raw_sha256: str
    row_number: int
    raw_value: str | None
    first_seen_utc: datetime


@dataclass(slots=True)
class Change:
    """Everything one step wants to make true together; nothing counts before `Store.commit`.

    Attributes:
        hold_before: affected hours before it wait for the end of a backfill; null where none does.
    """

    adds: list[tuple[str, str, str, WrittenFile]] = field(default_factory=list)
    retires: list[int] = field(default_factory=list)
    affected: set[tuple[str, str, int]] = field(default_factory=set)
    cause: str = ""
    hold_before: datetime | None = None
    quarantine: list[QuarantineRow] = field(default_factory=list)
    chunks: list[dict[str, Any]] = field(default_factory=list)
    fetches_parsed: list[tuple[int, dict[str, int]]] = field(default_factory=list)
    fetches_to_parse_again: list[tuple[str, str]] = field(default_factory=list)
    fetches_to_apply_again: list[int] = field(default_factory=list)
    ticket_files_parsed: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    ticket_files_to_parse_again: list[str] = field(default_factory=list)
    withdrawn_chunks: list[str] = field(default_factory=list)
    steps: dict[str, str] = field(default_factory=dict)
    dropped_steps: list[str] = field(default_factory=list)
    counted: list[CountedDay] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether no row appears or vanishes."""
        return not self.adds and not self.retires

    def affect(self, hours: Iterable[AffectedHour]) -> None:
        """Name unit-hours whose marts have to be computed again."""
        self.affected |= {(site, unit, to_us(hour)) for site, unit, hour in hours}


class Store:
    """Lake files and ledger of one data home."""

    def __init__(self, home: DataHome, ledger_url: str | None = None) -> None:
        """Open (and where needed create) the ledger of a data home."""
        home.root.mkdir(parents=True, exist_ok=True)
        self.home = home
        self.ledger = Ledger(ledger_url or home.ledger_url)

    def read(
        self,
        dataset: str,
        *,
        source: str | None = None,
        prefix: str | None = None,
        partition: str | None = None,
        partitions: Collection[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Read the rows of a dataset that count, in the order their files were added.

        Args:
            dataset: its name in core.schemas.DATASETS.
            source: only what this source says.
            prefix: only what sources say whose name begins so.
            partition: only this partition.
            partitions: only these partitions.
            columns: only these columns, in this order.
        """
        files = self.ledger.live_files(
            dataset, source=source, prefix=prefix, partition=partition, partitions=partitions
        )
        return self._read(dataset, files, columns)

    def read_files(self, dataset: str, files: list[Row]) -> pa.Table:
        """Read the rows of some files of the ledger, in their order."""
        return self._read(dataset, files, None)

    def read_retired(self, dataset: str, file_id: int | None) -> pa.Table | None:
        """Read the rows of one file of the ledger, whether it counts or not.

        Returns:
            No rows where no file is named; None where somebody deleted the file.
        """
        if file_id is None:
            return DATASETS[dataset].empty_table()
        files = self.ledger.rows(select(FILES).where(FILES.c.file_id == file_id))
        if not files or not self.absolute(files[0]).exists():
            return None
        return self._read(dataset, files, None)

    def replace(
        self, change: Change, dataset: str, table: pa.Table, *, source: str, partition: str = "all"
    ) -> bool:
        """Let `table` be all rows that a source has in a dataset and partition.

        Returns:
            Whether anything changes; equal content keeps the file that is there.
        """
        live = self.ledger.live_files(dataset, source=source, partition=partition)
        written = self._write(dataset, table, source, partition) if table.num_rows else None
        if written and [row["sha256"] for row in live] == [written.sha256]:
            return False
        change.retires += [row["file_id"] for row in live]
        if written:
            change.adds.append((dataset, source, partition, written))
        return bool(live) or written is not None

    def append(
        self, change: Change, dataset: str, table: pa.Table, *, source: str, partition: str
    ) -> None:
        """Let a source that has no rows in a dataset and partition yet have these.

        Where it has some, the change ends in E_LEDGER_CONFLICT when it is committed.
        """
        written = self._write(dataset, table, source, partition)
        change.adds.append((dataset, source, partition, written))

    def retire(self, change: Change, dataset: str, *, prefix: str) -> pa.Table:
        """Let every source whose name begins with a prefix have no rows in a dataset any more.

        Returns:
            The rows that will no longer count.
        """
        files = self.ledger.live_files(dataset, prefix=prefix)
        change.retires += [row["file_id"] for row in files]
        return self._read(dataset, files, None)

    def merge(
        self, change: Change, dataset: str, files: list[Row], table: pa.Table, *, source: str
    ) -> None:
        """Let one file of a source hold the rows of several files of one partition."""
        (partition,) = {row["partition"] for row in files}
        change.retires += [row["file_id"] for row in files]
        written = self._write(dataset, table, source, partition)
        change.adds.append((dataset, source, partition, written))

    def commit(self, change: Change) -> None:
        """Make a change visible in one transaction.

        Raises:
            TransientError: E_LEDGER_CONFLICT, another process changed the same rows since they
                were read; nothing of this change counts.
        """
        try:
            with self.ledger.transaction() as connection:
                _write_files(connection, change, self.home.root)
                _write_ledger(connection, change)
        except IntegrityError as error:
            raise _conflict(change) from error

    def absolute(self, row: Row) -> Path:
        """Give where a file of the ledger lies."""
        return self.home.root / str(row["path"])

    def _write(self, dataset: str, table: pa.Table, source: str, partition: str) -> WrittenFile:
        table = table.select(DATASETS[dataset].names).cast(DATASETS[dataset])
        stem = "".join(c if c.isalnum() else "-" for c in source.rpartition("/")[2])[:40]
        return write_parquet(table, self.home.lake / dataset / partition, stem)

    def _read(self, dataset: str, files: list[Row], columns: Sequence[str] | None) -> pa.Table:
        schema = DATASETS[dataset]
        if columns is not None:
            schema = pa.schema([schema.field(name) for name in columns])
        tables = [read_columns(self.absolute(row), schema) for row in files]
        return pa.concat_tables([schema.empty_table(), *tables])


def _conflict(change: Change) -> TransientError:
    return TransientError(
        f"Writing {change.cause or 'a change'} failed: another process changed the same rows since "
        "they were read. Nothing of it was written. It is done again by the next run.",
        code="E_LEDGER_CONFLICT",
    )


def _write_files(connection: Connection, change: Change, root: Path) -> None:
    if change.retires:
        alive = FILES.c.file_id.in_(change.retires) & FILES.c.is_live
        done = connection.execute(update(FILES).where(alive).values(is_live=False))
        if done.rowcount != len(set(change.retires)):
            raise _conflict(change)
    for dataset, source, partition, written in change.adds:
        connection.execute(
            insert(FILES).values(
                dataset=dataset,
                source=source,
                partition=partition,
                path=str(written.path.relative_to(root)),
                row_count=written.row_count,
                sha256=written.sha256,
                is_live=True,
            )
        )


def _write_ledger(connection: Connection, change: Change) -> None:
    if change.affected:
        held_until = None if change.hold_before is None else to_us(change.hold_before)
        write_affected(connection, change.affected, change.cause, hold_before_us=held_until)
    upsert = sqlite_insert if connection.dialect.name == "sqlite" else postgres_insert
    if change.quarantine:
        rows = [
            {name: getattr(row, name) for name in QuarantineRow.__slots__}
            | {"first_seen_utc": to_us(row.first_seen_utc)}
            for row in change.quarantine
        ]
        connection.execute(upsert(QUARANTINE).on_conflict_do_nothing(), rows)
    for chunk_id in change.withdrawn_chunks:
        connection.execute(delete(CHUNKS).where(CHUNKS.c.chunk_id == chunk_id))
    for chunk in change.chunks:
        connection.execute(delete(CHUNKS).where(CHUNKS.c.chunk_id == chunk["chunk_id"]))
        connection.execute(insert(CHUNKS).values(**chunk))
    for fetch_id, counts in change.fetches_parsed:
        unread = (FETCHES.c.fetch_id == fetch_id) & ~FETCHES.c.is_parsed
        done = connection.execute(update(FETCHES).where(unread).values(is_parsed=True, **counts))
        if done.rowcount != 1:
            raise _conflict(change)
    for connector_id, site_id in change.fetches_to_parse_again:
        of_feed = (FETCHES.c.connector_id == connector_id) & (FETCHES.c.site_id == site_id)
        connection.execute(update(FETCHES).where(of_feed).values(is_parsed=False, **_NOT_PARSED))
    if change.fetches_to_apply_again:
        chosen = FETCHES.c.fetch_id.in_(change.fetches_to_apply_again)
        connection.execute(update(FETCHES).where(chosen).values(is_parsed=False, **_NOT_PARSED))
    for file_id, values in change.ticket_files_parsed:
        of_file = TICKET_FILES.c.file_id == file_id
        connection.execute(update(TICKET_FILES).where(of_file).values(is_parsed=True, **values))
    for connector_id in change.ticket_files_to_parse_again:
        of_connector = TICKET_FILES.c.connector_id == connector_id
        connection.execute(update(TICKET_FILES).where(of_connector).values(is_parsed=False))
    for step, inputs_hash in change.steps.items():
        connection.execute(
            upsert(STEPS)
            .values(step=step, inputs_hash=inputs_hash)
            .on_conflict_do_update(index_elements=["step"], set_={"inputs_hash": inputs_hash})
        )
    if change.dropped_steps:
        connection.execute(delete(STEPS).where(STEPS.c.step.in_(change.dropped_steps)))
    for counted in change.counted:
        write_counted(connection, counted)
