"""What was pulled from databases: each window's rows kept as a ticket file, with a note.

File and note count by one transaction. How far a connector has come is read from the notes, so it
is never ahead of what is kept: a process that is killed asks for the same window again.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, func, insert, select

from ksi_pipeline.core.instants import from_us, to_us
from ksi_pipeline.core.time import Window
from ksi_pipeline.durable import sync
from ksi_pipeline.store.ledger import Row
from ksi_pipeline.store.store import Store
from ksi_pipeline.store.tables import SQL_PULLS, TICKET_FILES
from ksi_pipeline.store.ticket_files import SeenFile, note_ticket_file

_BLOCK = 4 << 20
_QUARTER_US = 900_000_000


@dataclass(frozen=True, slots=True)
class Pull:
    """One window that was asked for.

    Attributes:
        question: hash of what was asked but for the window.
        from_mark: first watermark.
        to_mark: first watermark that was not asked for.
        last_mark: largest watermark of its rows, at most to_mark; None: it has none.
        rows_hash: equal for equal rows, whatever their order.
        covers: hours that it speaks for.
        name: how messages name it; ends in .parquet.
    """

    connector_id: str
    question: str
    from_mark: int
    to_mark: int
    last_mark: int | None
    is_by_hand: bool
    row_count: int
    rows_hash: str
    covers: Window | None
    asked_at_utc: datetime
    name: str


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a question has come.

    Attributes:
        last_mark: largest watermark of all rows that are kept; None: none is.
        covered_to: end of what was covered last; None: nothing was.
    """

    last_mark: int | None
    covered_to: datetime | None


def reached(store: Store, connector_id: str, question: str) -> Reached:
    """Give how far a question has come by pulls that were not made by hand."""
    of_question = (
        (SQL_PULLS.c.connector_id == connector_id)
        & (SQL_PULLS.c.question == question)
        & ~SQL_PULLS.c.is_by_hand
    )
    largest = (func.max(SQL_PULLS.c[name]) for name in ("last_mark", "covers_to_utc"))
    query = select(*(one.label(name) for one, name in zip(largest, ("mark", "to"), strict=True)))
    (row,) = store.ledger.rows(query.where(of_question))
    covered_to = None if row["to"] is None else from_us(int(row["to"]))
    return Reached(None if row["mark"] is None else int(row["mark"]), covered_to)


def keep_pull(store: Store, pull: Pull, landed: Path, now: datetime, final: timedelta) -> bool:
    """Keep what a window gave, and note it for reading where it says something new.

    Rows that are those of the last pull of the same window are not kept again, and nothing is
    noted, unless it says more than that one did: it covers later time, or that one was made by
    hand, or the hours of the window can no longer change now (`final` past its end) and could then:
    they stop being provisional.

    Args:
        store: of the data home.
        pull: the window.
        landed: its rows as Parquet; it is moved away or left to the caller.
        now: aware UTC.
        final: after the end of an hour its tickets no longer change.

    Returns:
        Whether there is something new to read.
    """
    with store.ledger.transaction() as connection:
        last = _last_like(connection, pull)
        is_same = last is not None and last["rows_hash"] == pull.rows_hash
        if last is not None and is_same and not _says_more(pull, last, final):
            return False
        file_id = None
        if pull.covers is not None or (pull.row_count and not is_same):
            known = _file_of(connection, last) if last is not None and is_same else None
            sha256, raw_path, size = known or _into_raw(store, pull.connector_id, landed)
            asked_ns = to_us(pull.asked_at_utc) * 1000
            seen = SeenFile(pull.name, size, asked_ns)
            file_id = note_ticket_file(connection, pull.connector_id, seen, sha256, raw_path, now)
        connection.execute(insert(SQL_PULLS).values(**_values(pull, file_id)))
    return file_id is not None


def covered_by(store: Store, file_id: int) -> Row | None:
    """Give the pull that a ticket file is of; None where it is of none."""
    rows = store.ledger.rows(select(SQL_PULLS).where(SQL_PULLS.c.file_id == file_id))
    return rows[0] if rows else None


def _values(pull: Pull, file_id: int | None) -> dict[str, object]:
    covers = pull.covers
    return {
        "connector_id": pull.connector_id,
        "question": pull.question,
        "from_mark": pull.from_mark,
        "to_mark": pull.to_mark,
        "last_mark": pull.last_mark,
        "is_by_hand": pull.is_by_hand,
        "row_count": pull.row_count,
        "rows_hash": pull.rows_hash,
        "file_id": file_id,
        "covers_from_utc": to_us(covers.start) if covers else None,
        "covers_to_utc": to_us(covers.end) if covers else None,
        "asked_at_utc": to_us(pull.asked_at_utc),
    }


def _last_like(connection: Connection, pull: Pull) -> Row | None:
    same = (
        (SQL_PULLS.c.connector_id == pull.connector_id)
        & (SQL_PULLS.c.question == pull.question)
        & (SQL_PULLS.c.from_mark == pull.from_mark)
    )
    last = select(SQL_PULLS).where(same).order_by(SQL_PULLS.c.pull_id.desc()).limit(1)
    found = connection.execute(last).mappings().first()
    return dict(found) if found else None


def _says_more(pull: Pull, last: Row, final: timedelta) -> bool:
    """Say whether a pull says more than the last one of the same window with the same rows."""
    if last["to_mark"] != pull.to_mark or (last["is_by_hand"] and not pull.is_by_hand):
        return True
    if pull.covers is None:
        return False
    # no hour of any zone ends between two quarters
    covered = -1 if last["covers_to_utc"] is None else int(last["covers_to_utc"]) // _QUARTER_US
    if to_us(pull.covers.end) // _QUARTER_US > covered:
        return True
    ends = pull.covers.end + final
    return from_us(int(last["asked_at_utc"])) < ends <= pull.asked_at_utc


def _file_of(connection: Connection, pull: Row) -> tuple[str, str, int] | None:
    """Give hash, path and size of the newest file that holds the same rows of the same window."""
    same = [SQL_PULLS.c[n] == pull[n] for n in ("connector_id", "question", "rows_hash")]
    query = (
        select(TICKET_FILES.c.raw_sha256, TICKET_FILES.c.raw_path, TICKET_FILES.c.size)
        .join(SQL_PULLS, SQL_PULLS.c.file_id == TICKET_FILES.c.file_id)
        .where(*same)
        .order_by(SQL_PULLS.c.pull_id.desc())
        .limit(1)
    )
    found = connection.execute(query).first()
    return (str(found[0]), str(found[1]), int(found[2])) if found else None


def _into_raw(store: Store, connector_id: str, landed: Path) -> tuple[str, str, int]:
    digest, size = hashlib.sha256(), landed.stat().st_size
    with landed.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    folder = store.home.raw_tickets / connector_id / "files"
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / digest.hexdigest()
    sync(landed)
    landed.replace(kept)
    sync(folder)
    return digest.hexdigest(), str(kept.relative_to(store.home.root)), size
