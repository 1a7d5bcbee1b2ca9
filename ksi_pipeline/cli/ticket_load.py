"""`ksi tickets load`: a ticket file by hand, or tried without writing anything."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from ksi_pipeline.cli.console import (
    DATA_SAYS_NO,
    AsJson,
    counted,
    err,
    errors_as_messages,
    out,
    print_json,
    progress_bar,
)
from ksi_pipeline.cli.run import require_home
from ksi_pipeline.connectors.config import find_connector
from ksi_pipeline.connectors.ticket_files.config import TicketFilesConfig
from ksi_pipeline.connectors.ticket_files.mapping import load_mapping
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.defs.steps.space import load_spaces
from ksi_pipeline.defs.steps.ticket_files import COUNTS, load_by_hand
from ksi_pipeline.defs.steps.ticket_preview import Preview, preview_file
from ksi_pipeline.defs.workspace import now_utc
from ksi_pipeline.settings import load_settings
from ksi_pipeline.store.lock import only_run

if TYPE_CHECKING:
    from ksi_pipeline.defs.steps.ticket_files import FilesReport


def load(
    file: Annotated[Path, typer.Argument(help="CSV, TSV, JSON lines, Parquet or XLSX; or .gz.")],
    connector: Annotated[
        str | None,
        typer.Option("--connector", help="Id of a connector of kind ticket_files."),
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option("--mapping", help="Mapping to preview with; default: the connector's."),
    ] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Show what would be loaded; write nothing.")
    ] = False,
    data_dir: Annotated[
        Path | None, typer.Option("--dir", help="Data home; default: KSI_DATA_DIR.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Load a ticket file, or preview it before and after its mapping."""
    with errors_as_messages():
        if preview:
            shown = _preview(file, connector, mapping, data_dir)
            _show_preview(file, shown, as_json=as_json)
            is_good = not shown.found.refused_codes
        elif connector is None or mapping is not None:
            raise ConfigError(
                "Loading takes --connector ID, and the mapping that the connector names; "
                "--mapping is for --preview. Nothing was loaded. "
                "docs/how-to/load-ticket-files.md shows both.",
                code="E_LOAD_CALL",
            )
        else:
            is_good = _load(file, connector, data_dir, as_json=as_json)
    if not is_good:
        raise typer.Exit(DATA_SAYS_NO)


def _preview(
    file: Path, connector: str | None, mapping: Path | None, data_dir: Path | None
) -> Preview:
    if mapping is not None:
        return preview_file(file, load_mapping(mapping), now_utc())
    if connector is None:
        raise ConfigError(
            "A preview takes --mapping FILE, or --connector ID of which it takes the mapping. "
            "Nothing was read.",
            code="E_LOAD_CALL",
        )
    from ksi_pipeline.definitions import make_workspace

    settings = load_settings(data_dir)
    require_home(settings)
    workspace = make_workspace(settings)
    config = find_connector(workspace.home.connectors, connector, TicketFilesConfig)
    path = workspace.home.mapping(config.mapping)
    zones = {
        link.ext_ref_code: space.file.site.timezone
        for space in workspace.spaces()
        for link in space.file.links
        if link.connector == connector
    }
    return preview_file(file, load_mapping(path), now_utc(), zones)


def _load(file: Path, connector: str, data_dir: Path | None, *, as_json: bool) -> bool:
    from ksi_pipeline.definitions import make_workspace

    with progress_bar("tickets") as progress:
        settings = load_settings(data_dir)
        require_home(settings)
        workspace = make_workspace(settings, progress)
        with only_run(workspace.home):
            load_spaces(workspace)
            is_taken, report = load_by_hand(workspace, connector, file)
    _show_load(file, report, is_taken=is_taken, as_json=as_json)
    return not report.failed


def _show_load(file: Path, report: "FilesReport", *, is_taken: bool, as_json: bool) -> None:
    figures = {name: getattr(report, name) for name in ("tickets", *COUNTS)}
    if as_json:
        told = {"codes": report.codes, "failed": report.failed, "personal": report.personal}
        print_json({"is_taken": is_taken, **figures, **told})
        return
    for message in dict.fromkeys((*report.failed.values(), *report.messages)):
        err.print(message, markup=False)
    for columns in report.personal.values():
        err.print(_about_personal(columns), markup=False)
    if not is_taken:
        err.print(f"{file.name} was loaded before; it has not changed since.", markup=False)
    out.print(", ".join(f"{name.replace('_', ' ')} {n}" for name, n in figures.items()) + ".")
    if report.codes:
        out.print(f"Set aside: {counted(report.codes)}.")


def _show_preview(file: Path, preview: Preview, *, as_json: bool) -> None:
    found = preview.found
    figures: dict[str, Any] = {
        "rows_in": found.rows_in,
        "rows_good": found.rows_good,
        "rows_quarantined": found.refused_codes.total(),
        "rows_unmatched": found.unmatched.total(),
        "rows_skipped": found.rows_skipped,
    }
    if as_json:
        print_json(
            {
                **figures,
                "codes": found.refused_codes,
                "unmatched": found.unmatched,
                "personal": preview.personal,
                "unread": preview.unread,
                "before": preview.before,
                "tickets": preview.tickets,
                "lines": preview.lines,
                "refused": [asdict(row) for row in found.refused],
            }
        )
        return
    _table(f"{file.name}: before", preview.before)
    _table("after: tickets", preview.tickets)
    _table("after: lines", preview.lines)
    for row in found.refused[:10]:
        err.print(f"{row.code}: {row.message}", markup=False)
    if preview.personal:
        err.print(_about_personal(preview.personal), markup=False)
    if preview.unread:
        out.print(f"Not read: {', '.join(preview.unread)}.", markup=False)
    for code, count in found.unmatched.items():
        out.print(f"Not linked: {code} ({count} rows).", markup=False)
    out.print(", ".join(f"{name.replace('_', ' ')} {n}" for name, n in figures.items()) + ".")
    if found.refused_codes:
        out.print(f"Would be set aside: {counted(found.refused_codes)}.")
    out.print("Nothing was written.")


def _about_personal(columns: dict[str, str]) -> str:
    listed = ", ".join(f"{header} ({reason})" for header, reason in columns.items())
    return (
        f"These columns look personal and are not read: {listed}. They stay in the kept file; ask "
        "the sender to leave them out."
    )


def _table(title: str, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        return
    names = [name for name in rows[0] if any(row[name] is not None for row in rows)]
    table = Table(title=title, title_justify="left")
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*("" if row[name] is None else str(row[name]) for name in names))
    out.print(table)
