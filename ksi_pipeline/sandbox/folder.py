"""The folder of a simulation: is it ours to write to, and how its files are written."""

import json
from collections.abc import Mapping
from pathlib import Path

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.sandbox.mall import SITE_ID
from ksi_pipeline.store.files import write_atomically
from ksi_pipeline.store.layout import DataHome


def require_own_folder(home: Path) -> None:
    """Refuse a folder in which somebody else's data lies, before anything is written to it.

    Raises:
        ConfigError: E_SANDBOX, naming what lies there; E_DATA_HOME, it is no usable folder.
    """
    DataHome(home.resolve()).require_usable()
    theirs = _foreign(home)
    if theirs is not None:
        raise ConfigError(
            f"Simulating a mall into {home} would mix it into data that is not simulated: "
            f"{theirs} lies there. Nothing was written. Choose another folder with --dir.",
            code="E_SANDBOX",
        )


def _foreign(home: Path) -> Path | None:
    """Give something in a folder that no simulation has put there, or None."""
    data = DataHome(home)
    for spaces in sorted(data.spaces.glob("*.y*ml")):
        if spaces.name != f"{SITE_ID}.yaml" or not _note(home).exists():
            return spaces
    if _note(home).exists():
        return None
    for path in (data.connectors, Path(str(data.ledger_url.database))):
        if path.exists():
            return path
    inboxes = (data.chunks, data.deliveries, data.raw_tickets, data.lake, data.published)
    own = (home / "truth", home / "sandbox")
    files = (path for folder in (*inboxes, *own) for path in folder.rglob("*"))
    return next((path for path in files if path.is_file()), None)


def _note(home: Path) -> Path:
    return home / "truth" / "simulation.json"


def claim(home: Path, arguments: Mapping[str, str | int]) -> None:
    """Note the arguments in the folder, or refuse it when it holds another simulation."""
    require_own_folder(home)
    path = _note(home)
    if path.exists():
        earlier = path.read_text(encoding="utf-8")
        if earlier != _as_json(arguments):
            raise ConfigError(
                f"Simulating {dict(arguments)} into {home} would mix two malls: the folder holds "
                f"one made with {' '.join(earlier.split())}. Nothing was written. Choose another "
                "folder, or remove it.",
                code="E_SANDBOX",
            )
    for folder in ("truth", "spaces", "sandbox"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    write_json(path, arguments)


def write_where_missing(path: Path, text: str) -> None:
    """Write a file that people may edit; one that is there is theirs."""
    if not path.exists():
        write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON."""
    text = _as_json(value)
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _as_json(value: object) -> str:
    return json.dumps(value, indent=1) + "\n"
