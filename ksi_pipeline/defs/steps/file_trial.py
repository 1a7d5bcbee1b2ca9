"""Trying ticket files: one file read as it would be loaded; no ticket is written."""

from pathlib import Path

from ksi_pipeline.connectors.ticket_files.config import TicketFilesConfig
from ksi_pipeline.connectors.ticket_files.drop import Gathered
from ksi_pipeline.connectors.ticket_files.mapping import Mapping, load_mapping
from ksi_pipeline.core.errors import ConfigError, ContractError
from ksi_pipeline.defs.steps.ticket_inbox import newest_file
from ksi_pipeline.defs.steps.ticket_preview import Preview, preview_file
from ksi_pipeline.defs.steps.trial import Trial
from ksi_pipeline.defs.workspace import Workspace


def try_files(
    workspace: Workspace,
    config: TicketFilesConfig,
    file: Path | None = None,
    *,
    is_empty_allowed: bool = False,
) -> Trial:
    """Read one file with the connector's mapping.

    Args:
        workspace: the data home.
        config: the connector.
        file: to read; the newest of its inbox where none is given.
        is_empty_allowed: whether a file without rows passes.

    Raises:
        ConfigError: E_NOTHING_TO_ASK, no file is given and the inbox has none.
        OSError: there is no such file.
    """
    path = file or newest_file(workspace, config)
    if path is None:
        raise ConfigError(
            f"Testing connector {config.id!r} needs a file to read, and "
            f"{workspace.home.drops / config.id} has none. Nothing was read. Put a file there, or "
            "give one with --file.",
            code="E_NOTHING_TO_ASK",
        )
    trial = Trial(config.id, f"for {path.name}", {"file": str(path), "mapping": config.mapping})
    try:
        mapping = load_mapping(workspace.home.mapping(config.mapping))
    except ConfigError as error:
        trial.failed("mapping", error.code, str(error))
        return trial
    trial.passed("mapping", f"{config.mapping}.yaml can be used")
    look_at_file(workspace, trial, path, mapping, is_empty_allowed=is_empty_allowed)
    return trial


def look_at_file(
    workspace: Workspace, trial: Trial, path: Path, mapping: Mapping, *, is_empty_allowed: bool
) -> None:
    """Read a file as it would be loaded, and add what it shows to a trial."""
    zones = {
        link.ext_ref_code: space.file.site.timezone
        for space in workspace.spaces()
        for link in space.file.links
        if link.connector == trial.connector_id
    }
    try:
        # without a link there is nothing to compare codes with
        preview = preview_file(path, mapping, workspace.clock(), zones or None)
    except ContractError as error:
        trial.failed("file", error.code, str(error))
        return
    trial.row_count = preview.found.rows_in
    trial.passed("file", f"{path.name} has every column that the mapping names")
    if trial.row_count == preview.found.rows_skipped:
        elsewhere = "Try one with tickets"
        trial.about_empty(is_empty_allowed=is_empty_allowed, look_elsewhere=elsewhere)
        return
    _about_rows(trial, preview.found)
    _about_codes(trial, preview.found, is_linked=bool(zones))
    _note(trial, preview)


def _about_rows(trial: Trial, found: Gathered) -> None:
    for code, count in found.refused_codes.items():
        first = next((row.message for row in found.refused if row.code == code), "")
        trial.failed("rows", code, f"{first} ({count} rows of {trial.row_count})")
    if not found.refused_codes:
        trial.passed("rows", f"all {trial.row_count} rows can be read")


def _about_codes(trial: Trial, found: Gathered, *, is_linked: bool) -> None:
    if not is_linked:
        trial.notes.append("No code of it is linked yet, so codes were not compared.")
        return
    unknown = ", ".join(list(found.unmatched)[:10])
    if found.unmatched and not found.rows_good:
        trial.failed(
            "codes",
            "E_UNKNOWN_CODE",
            f"No row has a code that is linked; the file has {unknown}. Link the code exactly as "
            "the file writes it, leading zeros included.",
        )
        return
    trial.passed("codes", "rows carry codes that are linked")
    if found.unmatched:
        trial.notes.append(f"Codes that are linked to nothing: {unknown}. Their rows wait.")


def _note(trial: Trial, preview: Preview) -> None:
    if preview.personal:
        listed = ", ".join(f"{name} ({why})" for name, why in preview.personal.items())
        trial.notes.append(f"Columns that look personal are not read: {listed}.")
    if preview.unread:
        trial.notes.append(f"Columns that the mapping does not name: {', '.join(preview.unread)}.")
