"""Reading all raw tickets once more, beside what counts, to see that both say the same.

Only what is configured now can be read: rows of a connector that was removed are named, not
compared. Nothing of the data home changes.
"""

import hashlib
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
import pyarrow as pa
from sqlalchemy import select

from ksi_pipeline.connectors.config import load_connectors
from ksi_pipeline.defs.steps.parse import parse_answers
from ksi_pipeline.defs.steps.space import load_spaces
from ksi_pipeline.defs.steps.ticket_files import parse_ticket_files
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.store.aside import open_unread
from ksi_pipeline.store.ledger import Row
from ksi_pipeline.store.lock import one_reader_of_answers
from ksi_pipeline.store.store import Store
from ksi_pipeline.store.tables import FETCHES, TICKET_FILES

DATASETS = ("ticket_hours", "tickets", "ticket_lines")
_RAW = (FETCHES, TICKET_FILES)
_BLOCK = 4 << 20
_SUFFIX_CODECS = {".gz": "gzip", ".zst": "zstd"}


@dataclass(slots=True)
class Replay:
    """What reading everything again showed.

    Attributes:
        rows: of each dataset, every revision, as they count now.
        missing: rows that count now and were not read again.
        extra: rows that were read again and do not count now.
        damaged: raw files whose bytes are gone, or are not those that came.
        waiting: answers and files that nobody has read yet; they are not compared.
        left_out: connectors whose rows nobody can read again: they are not configured any more.
    """

    rows: dict[str, int] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)
    extra: dict[str, int] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)
    waiting: int = 0
    left_out: list[str] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        """Whether the raw bytes are those that came, and say what counts."""
        return not (self.damaged or any(self.missing.values()) or any(self.extra.values()))


def replay_tickets(workspace: Workspace) -> Replay:
    """Read every kept answer and file anew, in a folder of its own, and compare all revisions.

    Raises:
        ConfigError: connectors.yaml, a mapping or a space file is wrong.
    """
    replay = Replay()
    raw = _raw_files(workspace.store)
    configured = {config.id for config in load_connectors(workspace.home.connectors)}
    replay.left_out = sorted({str(row["connector_id"]) for row in raw} - configured)
    for number, row in enumerate(raw):
        workspace.progress("checking raw bytes", number / len(raw))
        path = workspace.home.root / str(row["raw_path"])
        if not path.exists() or _hash(path, str(row["raw_sha256"])) != row["raw_sha256"]:
            replay.damaged.append(str(row["raw_path"]))
    if replay.damaged:
        return replay
    home = workspace.home
    build = home.build_db.parent
    build.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="replay-", dir=build) as folder:
        # what counts and what was read belong together: nobody reads in between
        with one_reader_of_answers(home):
            again = open_unread(workspace.store, Path(folder).resolve())
            replay.waiting = _waiting(workspace.store)
            live = {name: workspace.store.ledger.live_files(name) for name in DATASETS}
        _read_again(workspace, again)
        for dataset in DATASETS:
            _compare(workspace.store, live[dataset], again, dataset, replay)
    return replay


def _waiting(store: Store) -> int:
    queries = (select(table.c.connector_id).where(~table.c.is_parsed) for table in _RAW)
    return sum(len(store.ledger.rows(query)) for query in queries)


def _read_again(workspace: Workspace, store: Store) -> None:
    home = workspace.home
    if home.connectors.exists():
        shutil.copy(home.connectors, store.home.connectors)
    for source, target in ((home.spaces, store.home.spaces), (home.mappings, store.home.mappings)):
        if source.exists():
            shutil.copytree(source, target)
    aside = replace(workspace, store=store)
    load_spaces(aside)
    parse_answers(aside)
    parse_ticket_files(aside)


def _raw_files(store: Store) -> list[Row]:
    """Give each raw file once, with the connector it came from."""
    found: dict[str, Row] = {}
    for table in _RAW:
        named = select(table.c.connector_id, table.c.raw_path, table.c.raw_sha256)
        found |= {str(row["raw_path"]): row for row in store.ledger.rows(named)}
    return list(found.values())


def _hash(path: Path, expected: str) -> str:
    """Hash the bytes that came: a file that was packed when it came is kept as it was."""
    packed = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            packed.update(block)
    codec = _SUFFIX_CODECS.get(path.suffix)
    if packed.hexdigest() == expected or codec is None:
        return packed.hexdigest()
    unpacked = hashlib.sha256()
    try:
        with pa.input_stream(str(path), codec) as stream:
            while block := stream.read(_BLOCK):
                unpacked.update(block)
    except OSError:  # cut short or overwritten
        return ""
    return unpacked.hexdigest()


def _compare(live: Store, files: list[Row], again: Store, dataset: str, replay: Replay) -> None:
    with duckdb.connect() as connection:
        connection.execute("set memory_limit = '2GB'")
        connection.execute("set TimeZone = 'UTC'")
        read = again.ledger.live_files(dataset)
        for name, store, listed in (("live", live, files), ("again", again, read)):
            paths = [str(store.absolute(row)) for row in listed]
            rows = (
                connection.read_parquet(paths)
                if paths
                else connection.from_arrow(live.read(dataset, source="none at all"))
            )
            rows.create_view(name)
        left_out = "', '".join(name.replace("'", "''") for name in replay.left_out)
        known = f"from live where connector_id not in ('{left_out}')"

        def count(query: str) -> int:
            found = connection.execute(f"select count(*) from ({query})").fetchone()
            return int(found[0]) if found else 0

        replay.rows[dataset] = count(f"select 1 {known}")
        replay.missing[dataset] = count(f"select * {known} except all select * from again")
        replay.extra[dataset] = count(f"select * from again except all select * {known}")
