"""A file tried with a mapping: what it holds, before and after; nothing is written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from ksi_pipeline.connectors.ticket_files.drop import Drop, Gathered
from ksi_pipeline.connectors.ticket_files.gather import Gathering
from ksi_pipeline.connectors.ticket_files.mapping import SITE_ZONE
from ksi_pipeline.connectors.ticket_files.mapping import Mapping as FileMapping
from ksi_pipeline.connectors.ticket_files.personal import personal_columns
from ksi_pipeline.connectors.ticket_files.text import TicketFile

SHOWN = 5
_STAMPS = {"connector_id", "fetched_at_utc", "raw_sha256"}


@dataclass(slots=True)
class Preview:
    """What a file would give.

    Attributes:
        before: first rows of the file as text, all columns but the personal ones.
        personal: columns that look personal, with the reason; no value of theirs is shown.
        unread: columns that the mapping does not name.
        tickets: first tickets, as they would be loaded.
        lines: first lines, likewise.
        found: counts and refusals of the whole file.
    """

    before: list[dict[str, str]]
    personal: dict[str, str]
    unread: list[str]
    found: Gathered
    tickets: list[dict[str, Any]] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)


class _First:
    """Keeps the first rows, and forgets the rest."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def write(self, rows: pa.Table) -> None:
        """Look at rows."""
        if len(self.rows) < SHOWN:
            columns = [name for name in rows.column_names if name not in _STAMPS]
            self.rows += rows.select(columns).slice(0, SHOWN - len(self.rows)).to_pylist()


class _OneZone(Mapping[str, str]):
    """Takes every code as linked, at a site of one zone."""

    def __init__(self, zone: str) -> None:
        self._zone = zone

    def __getitem__(self, code: str) -> str:
        return self._zone

    def __contains__(self, code: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def preview_file(
    path: Path, mapping: FileMapping, now: datetime, zones: Mapping[str, str] | None = None
) -> Preview:
    """Read a whole file as it would be loaded.

    Args:
        path: the file.
        mapping: to try.
        now: aware UTC; tickets long after it are refused.
        zones: code -> zone of its site; None takes every code as linked, in the mapping's zone.

    Raises:
        ContractError: the file as a whole cannot be used.
        OSError: there is no such file.
    """
    path.stat()
    file = TicketFile(path, path.name, mapping)
    sample = file.sample()
    personal = personal_columns(sample)
    declared = mapping.columns.at.zone
    zone = declared if declared and declared != SITE_ZONE else "UTC"
    drop = Drop("preview", path.name, "", now, _OneZone(zone) if zones is None else zones)
    tickets, lines = _First(), _First()
    gathering = Gathering(mapping, drop, tickets, lines)
    for piece in file.pieces():
        gathering.add(piece)
    shown = [name for name in file.header if name not in personal]
    count = min(SHOWN, max((len(texts) for texts in sample.values()), default=0))
    return Preview(
        before=[{name: sample[name][row] for name in shown} for row in range(count)],
        personal=personal,
        unread=[name for name in file.header if name not in mapping.headers()],
        found=gathering.finish(),
        tickets=tickets.rows,
        lines=lines.rows,
    )
