"""What became of every ticket row that ever came, by connector; each is in one place only."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Table, func, select

from ksi_pipeline.core.instants import from_us
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.store.tables import FETCHES, QUARANTINE, TICKET_FILES

_OF_ROWS = ("rows_in", "rows_loaded", "rows_unchanged", "rows_quarantined", "rows_unmatched")


@dataclass(frozen=True, slots=True)
class Reason:
    """Rows or whole answers that cannot be used, for one reason.

    Attributes:
        count: quarantine rows; of files, at most 1,000 for each code and file.
    """

    code: str
    count: int
    first_seen_utc: datetime
    last_seen_utc: datetime


@dataclass(slots=True)
class ConnectorTotals:
    """All that one connector ever sent.

    Attributes:
        rows_unmatched: of a code that no unit is linked to. An hourly feed's are loaded as well,
            and wait in the lake for their link; those of files wait in the kept file.
        unread: answers and files that wait to be read; their rows are in no figure.
        unmatched_codes: code -> rows, of files.
    """

    connector_id: str
    rows_in: int = 0
    rows_loaded: int = 0
    rows_unchanged: int = 0
    rows_quarantined: int = 0
    rows_unmatched: int = 0
    rows_skipped: int = 0
    of_files_unmatched: int = 0
    unread: int = 0
    unmatched_codes: dict[str, int] = field(default_factory=dict)
    reasons: list[Reason] = field(default_factory=list)

    @property
    def is_balanced(self) -> bool:
        """Whether every row is accounted for, once."""
        known = self.rows_loaded + self.rows_unchanged + self.rows_quarantined + self.rows_skipped
        return self.rows_in == known + self.of_files_unmatched

    def as_dict(self) -> dict[str, Any]:
        """Give the figures by name."""
        told = asdict(self)
        del told["of_files_unmatched"]
        return {**told, "is_balanced": self.is_balanced}


def ticket_totals(workspace: Workspace) -> list[ConnectorTotals]:
    """Add up what became of every row, by connector, ordered by its id."""
    found: dict[str, ConnectorTotals] = {}

    def of(connector_id: str) -> ConnectorTotals:
        return found.setdefault(connector_id, ConnectorTotals(connector_id))

    for row in _sums(workspace, FETCHES, _OF_ROWS):
        _add(of(row["connector_id"]), row)
    for row in _sums(workspace, TICKET_FILES, (*_OF_ROWS, "rows_skipped")):
        totals = of(row["connector_id"])
        _add(totals, row)
        totals.of_files_unmatched = row["rows_unmatched"]
    for connector_id, codes in _unmatched(workspace).items():
        of(connector_id).unmatched_codes = codes
    for source, reason in _reasons(workspace):
        of(source.removeprefix("tickets:")).reasons.append(reason)
    return [found[name] for name in sorted(found)]


def _add(totals: ConnectorTotals, row: Mapping[str, Any]) -> None:
    for name in (*_OF_ROWS, "rows_skipped", "unread"):
        setattr(totals, name, getattr(totals, name) + row.get(name, 0))


def _sums(workspace: Workspace, table: Table, names: tuple[str, ...]) -> list[dict[str, Any]]:
    figures = [func.coalesce(func.sum(table.c[name]), 0).label(name) for name in names]
    unread = func.count().filter(~table.c.is_parsed).label("unread")
    query = select(table.c.connector_id, unread, *figures).group_by(table.c.connector_id)
    return [
        {name: value if name == "connector_id" else int(value) for name, value in row.items()}
        for row in workspace.store.ledger.rows(query)
    ]


def _unmatched(workspace: Workspace) -> dict[str, dict[str, int]]:
    query = select(TICKET_FILES.c.connector_id, TICKET_FILES.c.unmatched_codes)
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for row in workspace.store.ledger.rows(query.where(TICKET_FILES.c.is_parsed)):
        codes = found[row["connector_id"]]
        for code, count in json.loads(row["unmatched_codes"] or "{}").items():
            codes[code] = codes.get(code, 0) + count
    return found


def _reasons(workspace: Workspace) -> list[tuple[str, Reason]]:
    seen = QUARANTINE.c.first_seen_utc
    query = (
        select(
            QUARANTINE.c.source,
            QUARANTINE.c.code,
            func.count().label("count"),
            func.min(seen).label("first_us"),
            func.max(seen).label("last_us"),
        )
        .where(QUARANTINE.c.source.startswith("tickets:"))
        .group_by(QUARANTINE.c.source, QUARANTINE.c.code)
        .order_by(QUARANTINE.c.source, QUARANTINE.c.code)
    )
    return [
        (
            row["source"],
            Reason(
                row["code"], int(row["count"]), from_us(row["first_us"]), from_us(row["last_us"])
            ),
        )
        for row in workspace.store.ledger.rows(query)
    ]
