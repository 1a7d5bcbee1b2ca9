"""The inboxes of ticket files: which files are whole and new, and keeping their bytes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ksi_pipeline.connectors.config import load_connectors, of_kind
from ksi_pipeline.connectors.ticket_files.config import TicketFilesConfig
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.defs.steps.connector_state import is_asked, require_asked
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.store.ticket_files import SeenFile, is_known, keep_ticket_file

_UNFINISHED = {".part", ".tmp", ".partial", ".filepart", ".crdownload", ".done"}


@dataclass(slots=True)
class InboxReport:
    """What lies in the inboxes.

    Attributes:
        waiting: files that are not whole yet, as far as one can tell.
        failed: for each connector whose inbox was left alone, its code and message.
    """

    file_count: int = 0
    new_count: int = 0
    waiting: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def take_ticket_files(workspace: Workspace) -> InboxReport:
    """Keep every whole new file of the active connectors of kind ticket_files.

    Raises:
        ConfigError: connectors.yaml is wrong.
    """
    report = InboxReport()
    for config in of_kind(load_connectors(workspace.home.connectors), TicketFilesConfig):
        if not is_asked(workspace, config):
            continue
        try:
            require_asked(workspace, config)
        except ConfigError as error:
            report.failed[config.id] = f"{error.code}: {error}"
            continue
        for path, name in _files(workspace.home.drops / config.id, config.pattern):
            _take(workspace, report, config, path, name)
    return report


def newest_file(workspace: Workspace, config: TicketFilesConfig) -> Path | None:
    """Give the file of a connector's inbox that was written last, whole or not."""
    found = [path for path, _ in _files(workspace.home.drops / config.id, config.pattern)]
    return found[-1] if found else None


def take_by_hand(workspace: Workspace, config: TicketFilesConfig, path: Path) -> bool:
    """Keep one file, wherever it lies; False where it was taken before, or is being written."""
    seen = SeenFile.look(path, path.name)
    if is_known(workspace.store, config.id, seen):
        return False
    return keep_ticket_file(workspace.store, config.id, path, seen, workspace.clock())


def _take(
    workspace: Workspace, report: InboxReport, config: TicketFilesConfig, path: Path, name: str
) -> None:
    report.file_count += 1
    seen = SeenFile.look(path, name)
    if is_known(workspace.store, config.id, seen):
        return
    workspace.progress(f"files {config.id} {name}", 0.0)
    now = workspace.clock()
    if _is_whole(path, seen, config, now) and keep_ticket_file(
        workspace.store, config.id, path, seen, now
    ):
        report.new_count += 1
    else:
        report.waiting.append(f"{config.id}/{name}")


def _is_whole(path: Path, seen: SeenFile, config: TicketFilesConfig, now: datetime) -> bool:
    if path.with_name(f"{path.name}.done").exists():
        return True
    return not config.done_marker and now.timestamp() - seen.mtime_ns / 1e9 >= config.stable_s


def _files(folder: Path, pattern: str) -> Iterator[tuple[Path, str]]:
    """Yield the files of an inbox, oldest first: of two that say different, the later holds."""
    if not folder.is_dir():
        return
    found = [
        path
        for path in folder.rglob(pattern)
        if path.is_file()
        and path.suffix.lower() not in _UNFINISHED
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    for path in sorted(found, key=lambda path: (path.stat().st_mtime_ns, path)):
        yield path, path.relative_to(folder).as_posix()
