"""Reading the kept ticket files into tickets, lines, ticket hours, coverage and quarantine."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select

from ksi_pipeline.connectors.config import find_connector, load_connectors, of_kind
from ksi_pipeline.connectors.sql.config import SqlConfig
from ksi_pipeline.connectors.ticket_files.config import TicketFilesConfig
from ksi_pipeline.connectors.ticket_files.drop import Drop, Gathered
from ksi_pipeline.connectors.ticket_files.gather import Gathering
from ksi_pipeline.connectors.ticket_files.mapping import Mapping, load_mapping
from ksi_pipeline.connectors.ticket_files.personal import personal_columns
from ksi_pipeline.connectors.ticket_files.revise import revise
from ksi_pipeline.connectors.ticket_files.tables import CODED_OF_LINES, STAMPS
from ksi_pipeline.connectors.ticket_files.text import TicketFile
from ksi_pipeline.core.errors import ConfigError, ContractError
from ksi_pipeline.core.instants import from_us
from ksi_pipeline.core.schemas import TICKET_LINES, TICKETS
from ksi_pipeline.defs.steps.connector_state import is_asked, require_asked
from ksi_pipeline.defs.steps.pull_coverage import pulled_window
from ksi_pipeline.defs.steps.ticket_file_coverage import add_coverage, add_pull_coverage, hours_sold
from ksi_pipeline.defs.steps.ticket_file_revision import add_files, add_hours, known_revisions
from ksi_pipeline.defs.steps.ticket_file_rows import (
    COUNTS,
    FilesReport,
    count_rows,
    note_scattered,
    refuse_file,
    set_aside,
)
from ksi_pipeline.defs.steps.ticket_file_source import (
    FileLikeConfig,
    FileSource,
    load_source,
    parse_again_where_rules_changed,
)
from ksi_pipeline.defs.steps.ticket_inbox import take_by_hand
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.store.ledger import Row
from ksi_pipeline.store.staged import StagedParquet, staging_room
from ksi_pipeline.store.store import Change
from ksi_pipeline.store.tables import TICKET_FILES
from ksi_pipeline.store.ticket_files import kept_ticket_files

__all__ = (
    "COUNTS",
    "FilesReport",
    "load_by_hand",
    "parse_ticket_files",
    "reconcile_files",
)


def parse_ticket_files(workspace: Workspace, only: str | None = None) -> FilesReport:
    """Read every kept file that was not read yet, in the order they came.

    Files with rows of a code that was linked since are read again for that code; all files of a
    connector are read again when its mapping, its absent_means or a time zone changed. A connector
    that fails leaves the others alone.
    """
    report = FilesReport()
    spaces = workspace.spaces()
    configs = load_connectors(workspace.home.connectors)
    listed: tuple[FileLikeConfig, ...] = of_kind(configs, TicketFilesConfig)
    for config in (*listed, *of_kind(configs, SqlConfig)):
        if only not in (None, config.id) or not kept_ticket_files(workspace.store, config.id):
            continue
        try:
            if only is None:
                _require_known_rules(workspace, config)
            source = load_source(workspace, config, spaces)
        except ConfigError as error:
            if only is not None:
                raise
            report.failed[config.id] = f"{error.code}: {error}"
            continue
        parse_again_where_rules_changed(workspace, source)
        _parse_connector(workspace, report, source)
    return report


def load_by_hand(workspace: Workspace, connector_id: str, path: Path) -> tuple[bool, FilesReport]:
    """Take one file for a connector, and read what is new of that connector.

    Returns:
        Whether the file was taken; False: it was before, or changed while it was read.

    Raises:
        ConfigError: the connector, its mapping or its absent_means is wrong or not there.
    """
    config = find_connector(workspace.home.connectors, connector_id, TicketFilesConfig)
    config.require_absent_means()
    load_mapping(workspace.home.mapping(config.mapping))
    is_taken = take_by_hand(workspace, config, path)
    return is_taken, parse_ticket_files(workspace, only=connector_id)


def reconcile_files(workspace: Workspace) -> dict[str, int]:
    """Add up what became of every row of every file that was read."""
    sums = [func.coalesce(func.sum(TICKET_FILES.c[name]), 0).label(name) for name in COUNTS]
    (row,) = workspace.store.ledger.rows(select(*sums))
    return {name: int(row[name]) for name in COUNTS}


def _require_known_rules(workspace: Workspace, config: FileLikeConfig) -> None:
    """Refuse to read the past by a mapping that was changed and not tested since."""
    if config.active is None and is_asked(workspace, config):
        require_asked(workspace, config)


def _parse_connector(workspace: Workspace, report: FilesReport, source: FileSource) -> None:
    files = kept_ticket_files(workspace.store, source.config.id)
    for number, row in enumerate(files):
        workspace.progress(f"file {row['name']}", number / len(files))
        if not row["is_parsed"]:
            _parse_file(workspace, report, source, row, None)
            continue
        unmatched = json.loads(row["unmatched_codes"] or "{}")
        linked = frozenset(unmatched) & frozenset(source.spaces)
        if linked:
            _parse_file(workspace, report, source, row, linked)


def _parse_file(
    workspace: Workspace,
    report: FilesReport,
    source: FileSource,
    row: Row,
    only_codes: frozenset[str] | None,
) -> None:
    drop = Drop(
        connector_id=source.config.id,
        name=row["name"],
        raw_sha256=row["raw_sha256"],
        fetched_at_utc=from_us(row["fetched_at_utc"]),
        zones=source.zones,
        only_codes=only_codes,
    )
    change = Change(cause=f"file {drop.name} of {drop.connector_id}")
    report.file_count += 1
    with staging_room(workspace.home.lake, f"{drop.connector_id}-{row['file_id']}") as room:
        try:
            file = TicketFile(workspace.home.root / row["raw_path"], drop.name, source.mapping)
            _refuse_personal(file, drop.name, source.mapping, report)
            found, tickets, lines = _gather(file, source.mapping, drop, room)
        except ContractError as error:
            refuse_file(change, report, drop, row, error)
            workspace.store.commit(change)
            return
        pull = pulled_window(workspace, source.config, row)
        known = known_revisions(workspace, drop.connector_id)
        # a window of a database may hold a part of a day
        is_complete = source.mapping.complete and pull is None
        revised = revise(tickets, lines, drop, found, known, room, is_complete=is_complete)
        note_scattered(found, revised, source.mapping, drop)
        set_aside(change, report, drop, found)
        sold = hours_sold(tickets)
        add_files(workspace, change, drop, revised)
        add_hours(workspace, change, source, drop, revised.hours)
        written = min(drop.fetched_at_utc, _written_at(row))
        if pull is None:
            add_coverage(workspace, change, source, drop, found, sold, written)
        else:
            add_pull_coverage(workspace, change, source, drop, found, sold, pull)
        count_rows(change, report, row, drop, found, revised)
        workspace.store.commit(change)


def _gather(
    file: TicketFile, mapping: Mapping, drop: Drop, room: Path
) -> tuple[Gathered, Path, Path]:
    tickets = StagedParquet(room / "tickets.parquet", TICKETS, STAMPS)
    lines = StagedParquet(room / "lines.parquet", TICKET_LINES, CODED_OF_LINES)
    gathering = Gathering(mapping, drop, tickets, lines)
    try:
        for piece in file.pieces():
            gathering.add(piece)
        found = gathering.finish()
    finally:
        tickets.close()
        lines.close()
    return found, tickets.path, lines.path


def _refuse_personal(file: TicketFile, name: str, mapping: Mapping, report: FilesReport) -> None:
    """Report columns that look personal; one that the mapping reads refuses the file."""
    found = personal_columns(file.sample())
    read = {header: reason for header, reason in found.items() if header in mapping.headers()}
    if read:
        listed = ", ".join(f"{header!r} ({reason})" for header, reason in read.items())
        raise ContractError(
            f"File {name}: the mapping reads columns that look personal: {listed}. Nothing was "
            "loaded. Take them out of the mapping; tickets need no person.",
            code="E_PERSONAL_FIELD",
        )
    if found:
        report.personal[name] = found


def _written_at(row: Row) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=row["mtime_ns"] // 1000)
