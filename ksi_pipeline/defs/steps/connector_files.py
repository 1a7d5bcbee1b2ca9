"""Changing connectors.yaml and the links of space files: one entry, checked before it counts."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

from ksi_pipeline.connectors.base_config import ConnectorBase
from ksi_pipeline.connectors.config import find_connector, load_connectors, parse_connectors
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.defs.steps import connector_state
from ksi_pipeline.defs.steps.yaml_entries import Entry, with_entry, with_values, without_entry
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.space.load import Space, check_together, parse_space
from ksi_pipeline.space.model import Link
from ksi_pipeline.store.files import write_atomically


def add_connector(workspace: Workspace, entry: Entry) -> Path:
    """Add a connector to connectors.yaml, which is made where it is missing.

    Raises:
        ConfigError: the connector is wrong, or its id is taken; nothing was written.
    """
    path = workspace.home.connectors
    text = path.read_text(encoding="utf-8") if load_connectors(path) or path.exists() else ""
    return _write_connectors(path, with_entry(text, "connectors", entry))


def edit_connector(workspace: Workspace, connector_id: str, values: Entry) -> Path:
    """Set some settings of a connector; the others and all comments stay.

    Raises:
        ConfigError: there is no such connector, or a setting is wrong; nothing was written.
    """
    path, index = _place(workspace, connector_id)
    text = path.read_text(encoding="utf-8")
    return _write_connectors(path, with_values(text, "connectors", index, values))


def remove_connector(workspace: Workspace, connector_id: str) -> Path:
    """Take a connector out of connectors.yaml; what it brought stays.

    Raises:
        ConfigError: E_CONNECTOR_LINKED, a code of it is linked today or later; E_UNKNOWN_CONNECTOR.
    """
    path, index = _place(workspace, connector_id)
    today = workspace.clock().date()
    held = [
        f"{link.ext_ref_code} to {space.site_id}/{link.unit} ({space.name})"
        for space in workspace.spaces()
        for link in space.file.links
        if link.connector == connector_id and (link.valid_to is None or link.valid_to > today)
    ]
    if held:
        raise ConfigError(
            f"Connector {connector_id!r} is still linked: {'; '.join(held[:5])}"
            f"{' and more' if len(held) > 5 else ''}. It was not removed. End each link first: ksi "
            f"connector unlink {connector_id} CODE.",
            code="E_CONNECTOR_LINKED",
        )
    text = path.read_text(encoding="utf-8")
    _write_connectors(path, without_entry(text, "connectors", index))
    connector_state.forget(workspace, connector_id)
    return path


def add_link(workspace: Workspace, link: Link, site_id: str | None = None) -> Path:
    """Link a code of a connector to a unit, in the space file of the unit's site.

    Raises:
        ConfigError: E_UNKNOWN_CONNECTOR; E_SITE, no site or several have that unit; E_SPACE, the
            code is linked already for that time. Nothing was written.
    """
    _place(workspace, link.connector)
    spaces = workspace.spaces()
    found = [s for s in spaces if any(unit.id == link.unit for unit in s.file.units)]
    found = [s for s in found if site_id in (None, s.site_id)]
    if len(found) != 1:
        has = "Several sites have" if found else "No site has"
        units = ", ".join(f"{s.site_id}/{u.id}" for s in spaces for u in s.file.units) or "none"
        raise ConfigError(
            f"{has} a unit {link.unit!r}{f' under {site_id!r}' if site_id else ''} (there are: "
            f"{units}). Nothing was linked. Correct --unit, or name its site with --site.",
            code="E_SITE",
        )
    entry: Entry = {
        "connector": link.connector,
        "ext_ref_code": link.ext_ref_code,
        "unit": link.unit,
    }
    if link.valid_from is not None:
        entry["from"] = link.valid_from
    if link.valid_to is not None:
        entry["to"] = link.valid_to
    return _write_space(workspace, found[0], lambda text: with_entry(text, "links", entry))


def end_link(workspace: Workspace, connector_id: str, code: str, last: date | None) -> Path:
    """End the link of a code on a day, the first on which it no longer holds; None removes it.

    Raises:
        ConfigError: E_NO_LINK, no link of the code holds on that day; E_SPACE, it begins later.
    """
    for space in workspace.spaces():
        for index, link in enumerate(space.file.links):
            if (link.connector, link.ext_ref_code) != (connector_id, code):
                continue
            if last is None:
                return _write_space(workspace, space, _without_link(index))
            if link.valid_to is None or link.valid_to > last:
                return _write_space(workspace, space, _link_until(index, last))
    raise ConfigError(
        f"Code {code!r} of connector {connector_id!r} is linked to no unit"
        f"{f' from {last} on' if last else ''}. Nothing was changed. ksi connector show "
        f"{connector_id} lists the links.",
        code="E_NO_LINK",
    )


def _without_link(index: int) -> Callable[[str], str]:
    return lambda text: without_entry(text, "links", index)


def _link_until(index: int, last: date) -> Callable[[str], str]:
    return lambda text: with_values(text, "links", index, {"to": last})


def _place(workspace: Workspace, connector_id: str) -> tuple[Path, int]:
    path = workspace.home.connectors
    found = find_connector(path, connector_id, ConnectorBase)
    return path, load_connectors(path).index(found)


def _write_connectors(path: Path, text: str) -> Path:
    parse_connectors(text, path)
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return path


def _write_space(workspace: Workspace, space: Space, change: Callable[[str], str]) -> Path:
    text = change(space.content.decode())
    others = [other for other in workspace.spaces() if other.name != space.name]
    check_together([*others, parse_space(text, space.name)])
    path = workspace.home.spaces / space.name
    write_atomically(path, lambda temporary: temporary.write_bytes(text.encode()))
    return path
