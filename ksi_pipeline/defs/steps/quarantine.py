"""What a run set aside: the quarantine rows that it added."""

from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, func, select

from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.store.tables import QUARANTINE


@dataclass(frozen=True, slots=True)
class SetAside:
    """One thing that cannot be used, and why.

    Attributes:
        source: where it came from, e.g. `chunk:shop/cam-1/20260302T090000Z`.
    """

    source: str
    code: str
    message: str

    def as_dict(self) -> dict[str, str]:
        """Give it by name."""
        return asdict(self)


def newest_quarantine(workspace: Workspace) -> int:
    """Give the number of the newest quarantine row, 0 when there is none."""
    return _newest(workspace)


def newest_refused_tickets(workspace: Workspace) -> int:
    """Give the number of the newest row that fct_ticket_reconciliation_daily counts as refused.

    E_UNKNOWN_CODE is a notice: its rows were loaded and wait for their link.
    """
    return _newest(
        workspace,
        QUARANTINE.c.source.startswith("tickets:"),
        QUARANTINE.c.code != "E_UNKNOWN_CODE",
    )


def _newest(workspace: Workspace, *which: ColumnElement[bool]) -> int:
    newest = func.coalesce(func.max(QUARANTINE.c.quarantine_id), 0).label("newest")
    return int(workspace.store.ledger.rows(select(newest).where(*which))[0]["newest"])


def set_aside_since(workspace: Workspace, newest: int) -> list[SetAside]:
    """Give what was set aside after a quarantine row, in the order in which it was."""
    later = select(QUARANTINE).where(QUARANTINE.c.quarantine_id > newest)
    rows = workspace.store.ledger.rows(later.order_by(QUARANTINE.c.quarantine_id))
    return [SetAside(row["source"], row["code"], row["message"]) for row in rows]
