"""A data home with one connector of files, and what tests do with it."""

import os
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ksi_pipeline.defs.steps.space import load_spaces
from ksi_pipeline.defs.steps.ticket_files import FilesReport, load_by_hand
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.store import Store

REPO = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 4, 20, 6, 0, tzinfo=UTC)
# long after the tickets of the tests: every hour of theirs is over
WRITTEN = NOW - timedelta(hours=1)

SPACE = """\
schema: 1
site: {id: shop, name: Shop, timezone: Europe/Madrid, currency: EUR}
units: [{id: u1}, {id: u2}]
links:
  - {connector: till, ext_ref_code: "0001", unit: u1}
"""
CONNECTORS = """\
connectors:
  - {id: till, kind: ticket_files, mapping: till, absent_means: zero, active: true}
"""
MAPPING = """\
grain: line
columns:
  ext_ref_code: store
  ticket_id: no
  at: {column: time, zone: site}
  net: net
  quantity: qty
  sku: sku
"""
HEADER = "store,no,time,sku,qty,net\n"


def make_home(
    folder: Path, mapping: str = MAPPING, space: str = SPACE, connectors: str = CONNECTORS
) -> Workspace:
    """A home whose clock stands still."""
    for name, file, text in (
        ("spaces", "shop.yaml", space),
        ("mappings", "till.yaml", mapping),
        ("drops", "README", ""),
    ):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / file).write_text(text)
    (folder / "connectors.yaml").write_text(connectors)
    workspace = Workspace(
        store=Store(DataHome(folder.resolve())),
        dbt_project_dir=REPO / "dbt_project",
        secrets={}.get,
        clock=lambda: NOW,
    )
    load_spaces(workspace)
    return workspace


def load(
    workspace: Workspace, content: str | bytes, name: str = "sales.csv", header: str = HEADER
) -> FilesReport:
    """Load one file, as new however often it came."""
    path = workspace.home.root / "incoming" / name
    path.parent.mkdir(exist_ok=True)
    given = content if isinstance(content, bytes) else (header + textwrap.dedent(content)).encode()
    path.write_bytes(given)
    load.count += 1
    written = int(WRITTEN.timestamp()) + load.count
    os.utime(path, (written, written))
    is_taken, report = load_by_hand(workspace, "till", path)
    assert is_taken
    return report


load.count = 0


def balanced(report: FilesReport) -> bool:
    """Whether every row is accounted for."""
    return report.rows_in == sum(
        (
            report.rows_loaded,
            report.rows_unchanged,
            report.rows_quarantined,
            report.rows_unmatched,
            report.rows_skipped,
        )
    )


def tickets(workspace: Workspace) -> list[dict]:
    """Every revision of every ticket, in the order they came."""
    return workspace.store.read("tickets").to_pylist()


def lines(workspace: Workspace) -> list[dict]:
    """Every revision of every line."""
    return workspace.store.read("ticket_lines").to_pylist()


def hours(workspace: Workspace) -> dict[tuple[str, datetime], dict]:
    """The ticket hours that hold now."""
    from ksi_pipeline.core.ticket_revisions import current_revisions

    rows = current_revisions(workspace.store.read("ticket_hours")).to_pylist()
    return {(row["ext_ref_code"], row["hour_start_utc"]): row for row in rows}


def coverage(workspace: Workspace) -> list[tuple[datetime, datetime, str, str | None]]:
    """What the files cover of code 0001, in order of time."""
    rows = workspace.store.read("coverage").to_pylist()
    return sorted(
        (row["from_utc"], row["to_utc"], row["status"], row["reason"])
        for row in rows
        if row["key"] == "0001"
    )


def at(text: str) -> datetime:
    """An instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


H09, H10, H11 = at("2026-03-27 09:00"), at("2026-03-27 10:00"), at("2026-03-27 11:00")
KINDS = MAPPING + "  kind: {column: kind, values: {S: sale, R: return, V: void, X: exchange}}\n"
KIND_HEADER = "store,no,time,sku,qty,net,kind\n"


def row(no, time="10:15:00", sku="tea", qty="1", net="2.5", store="0001", day="2026-03-27"):
    """A line of a file with that header, or with one that begins so."""
    return f"{store},{no},{day} {time},{sku},{qty},{net}\n"
