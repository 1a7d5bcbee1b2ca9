"""Raw answers of ticket feeds: kept byte for byte, compressed, under their hash."""

import gzip
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, insert, select, update

from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.instants import to_us
from ksi_pipeline.core.time import Window
from ksi_pipeline.store.files import write_atomically
from ksi_pipeline.store.ledger import Row
from ksi_pipeline.store.store import Store
from ksi_pipeline.store.tables import FETCHES, QUARANTINE

_DAMAGED = (OSError, EOFError, zlib.error)


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """One answer as the feed sent it; `url` carries no token."""

    connector_id: str
    site_id: str
    window: Window
    codes: Sequence[str]
    url: str
    body: bytes
    sha256: str
    fetched_at_utc: datetime


def keep_raw(store: Store, answer: RawAnswer, final_after: timedelta) -> bool:
    """Store an answer, and note it for parsing when it says something new.

    An answer is new when the last answer to the same question had other bytes, or when that one
    came while the hours could still change and this one came after (`final_after` past the end of
    the window), so that the hours stop being provisional.

    Returns:
        Whether the answer was noted.
    """
    folder = store.home.raw_tickets / answer.connector_id / f"{answer.window.start:%Y-%m-%d}"
    path = folder / f"{answer.sha256}.json.gz"
    if not _is_whole(path):
        # the default, 9, takes six times as long for 6 % less (700 kB of rows)
        content = gzip.compress(answer.body, compresslevel=6, mtime=0)
        write_atomically(path, lambda temporary: temporary.write_bytes(content))
    question = {
        "connector_id": answer.connector_id,
        "site_id": answer.site_id,
        "from_utc": to_us(answer.window.start),
        "to_utc": to_us(answer.window.end),
        "codes": json.dumps(list(answer.codes)),
    }
    fetched_us = to_us(answer.fetched_at_utc)
    final_us = to_us(answer.window.end + final_after)
    same = [FETCHES.c[name] == value for name, value in question.items()]
    last = select(FETCHES).where(*same).order_by(FETCHES.c.fetch_id.desc()).limit(1)
    with store.ledger.transaction() as connection:
        known = connection.execute(last).mappings().first()
        if known is not None and known["raw_sha256"] == answer.sha256:
            becomes_final = known["fetched_at_utc"] < final_us <= fetched_us
            if not becomes_final:
                return False
        connection.execute(
            insert(FETCHES).values(
                **question,
                url=answer.url,
                raw_sha256=answer.sha256,
                raw_path=str(path.relative_to(store.home.root)),
                fetched_at_utc=fetched_us,
                is_parsed=False,
            )
        )
    return True


def read_raw(store: Store, fetch: Row) -> bytes:
    """Give the bytes of a stored answer.

    Raises:
        ContractError: E_RAW_DAMAGED, the file is gone, cut short or overwritten.
    """
    path = store.home.root / str(fetch["raw_path"])
    try:
        return gzip.decompress(path.read_bytes())
    except _DAMAGED as error:
        raise ContractError(
            f"Reading the kept answer {fetch['raw_path']} failed: {type(error).__name__}. Its "
            "hours stay open and are asked again. Bring the file back from a backup; "
            "the next run reads it.",
            code="E_RAW_DAMAGED",
        ) from error


def read_mended(store: Store) -> None:
    """Note for reading the answers that were found damaged and are whole again."""
    damaged = (QUARANTINE.c.code == "E_RAW_DAMAGED") & (QUARANTINE.c.row_number == -1)
    hashes = select(QUARANTINE.c.raw_sha256).where(damaged)
    chosen = select(FETCHES).where(FETCHES.c.raw_sha256.in_(hashes), FETCHES.c.is_parsed)
    for fetch in store.ledger.rows(chosen):
        if _is_whole(store.home.root / str(fetch["raw_path"])):
            with store.ledger.transaction() as connection:
                own = FETCHES.c.fetch_id == fetch["fetch_id"]
                connection.execute(update(FETCHES).where(own).values(is_parsed=False))
                same = damaged & (QUARANTINE.c.raw_sha256 == fetch["raw_sha256"])
                same &= QUARANTINE.c.source == f"tickets:{fetch['connector_id']}"
                connection.execute(delete(QUARANTINE).where(same))


def _is_whole(path: Path) -> bool:
    try:
        gzip.decompress(path.read_bytes())
    except _DAMAGED:
        return False
    return True
