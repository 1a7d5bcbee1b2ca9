"""Ticket files as they came: kept byte for byte, compressed, under their hash."""

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
from sqlalchemy import Connection, func, insert, select

from ksi_pipeline.core.instants import from_us, to_us
from ksi_pipeline.store.files import write_atomically
from ksi_pipeline.store.ledger import Row
from ksi_pipeline.store.store import Store
from ksi_pipeline.store.tables import TICKET_FILES

_BLOCK = 4 << 20
_PACKERS = 2
_PACKED = (".gz", ".parquet", ".xlsx", ".zst", ".zip")
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class SeenFile:
    """How a file lay there; one that is sent again has another size or time."""

    name: str
    size: int
    mtime_ns: int

    @classmethod
    def look(cls, path: Path, name: str) -> "SeenFile":
        """Look at a file."""
        stat = path.stat()
        return cls(name, stat.st_size, stat.st_mtime_ns)


def is_known(store: Store, connector_id: str, seen: SeenFile) -> bool:
    """Say whether this very file was taken before."""
    same = (
        (TICKET_FILES.c.connector_id == connector_id)
        & (TICKET_FILES.c.name == seen.name)
        & (TICKET_FILES.c.size == seen.size)
        & (TICKET_FILES.c.mtime_ns == seen.mtime_ns)
    )
    return bool(store.ledger.rows(select(TICKET_FILES.c.file_id).where(same)))


def keep_ticket_file(
    store: Store, connector_id: str, path: Path, seen: SeenFile, now: datetime
) -> bool:
    """Copy a file's bytes and note it for parsing.

    Args:
        store: of the data home.
        connector_id: whose file it is.
        path: where it lies; it is read and left alone.
        seen: how it lay there before.
        now: aware UTC; the file gets this instant, or the next that no other of its connector has.

    Returns:
        False where the file changed while it was read: it is still being written.
    """
    folder = store.home.raw_tickets / connector_id / "files"
    folder.mkdir(parents=True, exist_ok=True)
    is_packed = path.suffix.lower() in _PACKED
    digest = hashlib.sha256()
    waiting = folder / f".{path.name[:60]}.incoming"
    write_atomically(waiting, lambda target: _copy(path, target, digest, is_packed=is_packed))
    if SeenFile.look(path, seen.name) != seen:
        waiting.unlink()
        return False
    sha256 = digest.hexdigest()
    kept = folder / (sha256 if is_packed else f"{sha256}.zst")
    waiting.replace(kept)
    raw_path = str(kept.relative_to(store.home.root))
    with store.ledger.transaction() as connection:
        note_ticket_file(connection, connector_id, seen, sha256, raw_path, now)
    return True


def _copy(path: Path, target: Path, digest: "hashlib._Hash", *, is_packed: bool) -> None:
    """Copy and hash a file; what is not packed is packed block by block, beside the reading.

    Each block is a zstd frame of its own; a row of frames unpacks as one stream (RFC 8878, 3.1).
    """
    codec = None if is_packed else pa.Codec("zstd")
    with (
        path.open("rb") as source,
        target.open("wb") as file,
        ThreadPoolExecutor(_PACKERS) as pool,
    ):
        waiting: deque[Future[bytes]] = deque()
        while block := source.read(_BLOCK):
            if codec is None:
                file.write(block)
            else:
                waiting.append(pool.submit(codec.compress, block, asbytes=True))
            digest.update(block)
            if len(waiting) > _PACKERS:
                file.write(waiting.popleft().result())
        for packed in waiting:
            file.write(packed.result())


def note_ticket_file(
    connection: Connection,
    connector_id: str,
    seen: SeenFile,
    sha256: str,
    raw_path: str,
    now: datetime,
) -> int:
    """Note a kept file for parsing, in the caller's transaction, and give its file_id.

    It gets the instant `now`, or the next that no other file of its connector has.
    """
    mine = TICKET_FILES.c.connector_id == connector_id
    last = connection.execute(select(func.max(TICKET_FILES.c.fetched_at_utc)).where(mine)).scalar()
    at = now if last is None else max(now, from_us(int(last)) + _TICK)
    noted = (
        insert(TICKET_FILES)
        .values(
            connector_id=connector_id,
            name=seen.name,
            size=seen.size,
            mtime_ns=seen.mtime_ns,
            raw_sha256=sha256,
            raw_path=raw_path,
            fetched_at_utc=to_us(at),
            is_parsed=False,
        )
        .returning(TICKET_FILES.c.file_id)
    )
    return int(connection.execute(noted).scalar_one())


def kept_ticket_files(store: Store, connector_id: str) -> list[Row]:
    """Give the files of a connector, in the order they came."""
    query = select(TICKET_FILES).where(TICKET_FILES.c.connector_id == connector_id)
    return store.ledger.rows(query.order_by(TICKET_FILES.c.fetched_at_utc))
