"""The file connectors.yaml: which ticket sources there are and how each is asked.

Secrets are never in the file: it names an environment variable, and whoever holds the secrets
resolves the name. No error repeats a value of the file, because a token may have been pasted there
by mistake.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ksi_pipeline.connectors.base_config import ConnectorBase
from ksi_pipeline.connectors.hourly_config import HourlyApiConfig
from ksi_pipeline.connectors.sql.config import SqlConfig
from ksi_pipeline.connectors.ticket_files.config import TicketFilesConfig
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.plain_words import plain

KINDS: dict[str, type[ConnectorBase]] = {
    "hourly_api": HourlyApiConfig,
    "ticket_files": TicketFilesConfig,
    "sql": SqlConfig,
}
_Config = TypeVar("_Config", bound=ConnectorBase)


def load_connectors(path: Path) -> tuple[ConnectorBase, ...]:
    """Read connectors.yaml; a missing file means that there are none.

    Raises:
        ConfigError: the file is no YAML, or a connector is wrong; the message names the file, the
            connector and every setting that is wrong.
    """
    return parse_connectors(_read_text(path), path) if path.exists() else ()


def parse_connectors(text: str, path: Path) -> tuple[ConnectorBase, ...]:
    """Read the text of a connectors.yaml; see load_connectors. Errors name `path`."""
    connectors: list[ConnectorBase] = []
    problems: list[tuple[str, str]] = []
    for number, entry in enumerate(_entries(_read_yaml(text, path), path)):
        try:
            connectors.append(_class_of(entry).model_validate(entry))
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_context=False, include_input=False)
            name = _name_of(entry, number)
            problems += [(str(one["type"]), _problem(one, name)) for one in wrong]
    if problems:
        codes = [code for code, _ in problems if code.startswith("E_")]
        raise ConfigError(
            f"{path}: {'; '.join(said for _, said in problems)}. No connector was loaded.",
            code=codes[0] if codes else "E_CONNECTORS_FILE",
        )
    seen: set[str] = set()
    for connector in connectors:
        if connector.id in seen:
            raise ConfigError(
                f"{path}: two connectors have the id {connector.id!r}. No connector was loaded. "
                "Rename one; the id names its rows and its folder.",
                code="E_DUP_CONNECTOR",
            )
        seen.add(connector.id)
    return tuple(connectors)


def of_kind(configs: Sequence[ConnectorBase], kind: type[_Config]) -> tuple[_Config, ...]:
    """Keep the connectors of one kind."""
    return tuple(config for config in configs if isinstance(config, kind))


def find_connector(path: Path, connector_id: str, kind: type[_Config]) -> _Config:
    """Give the connector of an id; `kind` is ConnectorBase where any will do.

    Raises:
        ConfigError: E_UNKNOWN_CONNECTOR, naming those that there are; E_CONNECTOR_KIND, it is of
            another kind; as load_connectors.
    """
    configs = load_connectors(path)
    for config in configs:
        if config.id != connector_id:
            continue
        if isinstance(config, kind):
            return config
        (wanted,) = (name for name, of_kind in KINDS.items() if of_kind is kind)
        raise ConfigError(
            f"Connector {connector_id!r} is of kind {config.kind}, and only one of kind {wanted} "
            "can do this; nothing was done. ksi connector list shows the kinds.",
            code="E_CONNECTOR_KIND",
        )
    known = ", ".join(config.id for config in configs) or "none"
    has = f"it has: {known}" if path.exists() else "there is no such file"
    raise ConfigError(
        f"There is no connector {connector_id!r} in {path} ({has}). Correct the name, or add the "
        "connector; docs/how-to/connect-a-till.md says how.",
        code="E_UNKNOWN_CONNECTOR",
    )


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: cannot be read as UTF-8 text ({type(error).__name__}).",
            code="E_CONNECTORS_FILE",
        ) from error


class _Loader(yaml.SafeLoader):
    """Gives the line of a value that is none, like 30 February, and never its text: a token may be.

    PyYAML takes such a value apart unchecked, which ends in an error without a line.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, ValueError):
            said = "a value is no date or number that there is"
            raise yaml.constructor.ConstructorError(None, None, said, node.start_mark) from None


def _read_yaml(text: str, path: Path) -> object:
    try:
        raw = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise ConfigError(
            f"{path}{where}: this is no YAML ({getattr(error, 'problem', None) or 'unreadable'}). "
            "Indentation and brackets are the usual cause.",
            code="E_CONNECTORS_FILE",
        ) from None
    except RecursionError:
        raise ConfigError(
            f"{path}: this is no YAML of connectors: brackets lie hundreds deep in each other.",
            code="E_CONNECTORS_FILE",
        ) from None
    return {} if raw is None else raw


def _entries(raw: object, path: Path) -> list[object]:
    """Give what stands under `connectors:`; null where every connector is commented out."""
    listed = raw.get("connectors") if isinstance(raw, dict) else None
    is_known = isinstance(raw, dict) and not set(raw) - {"connectors"}
    if not is_known or not isinstance(listed, list | None):
        raise ConfigError(
            f"{path}: the file should hold one key, connectors:, with a list of connectors below "
            "it. No connector was loaded.",
            code="E_CONNECTORS_FILE",
        )
    return listed or []


def _class_of(entry: object) -> type[ConnectorBase]:
    """Choose the class by `kind`; one that is unknown is named by the class's own refusal."""
    kind = entry.get("kind") if isinstance(entry, dict) else None
    return KINDS.get(kind, HourlyApiConfig) if isinstance(kind, str) else HourlyApiConfig


def _problem(problem: ErrorDetails, name: str) -> str:
    """Write one problem without its value: 'connector 'pos-main', url: Field required'."""
    where = ".".join(str(part) for part in problem["loc"])
    text = plain(problem["type"], problem["msg"])
    if problem["type"].startswith("E_"):
        text = problem["msg"]
    if problem["type"] == "extra_forbidden":
        text = "unknown setting; check the spelling"
    if where == "kind" and problem["type"] == "literal_error":
        text = f"it should be one of {', '.join(KINDS)}"
    return f"{name}{', ' if where else ''}{where}: {text}"


def _name_of(entry: Any, number: int) -> str:
    given = entry.get("id") if isinstance(entry, dict) else None
    return f"connector {given!r}" if isinstance(given, str) else f"connector number {number + 1}"
