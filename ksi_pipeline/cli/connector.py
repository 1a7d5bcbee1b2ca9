"""`ksi connector`: ticket sources, from their description to the schedule."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ksi_pipeline.cli.console import (
    AsJson,
    errors_as_messages,
    out,
    print_json,
)
from ksi_pipeline.cli.run import require_home
from ksi_pipeline.connectors.base_config import ConnectorBase
from ksi_pipeline.connectors.config import find_connector, load_connectors
from ksi_pipeline.defs.steps import connector_state
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.settings import load_settings, secret
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.store import Store

connector = typer.Typer(no_args_is_help=True)

ConnectorId = Annotated[str, typer.Argument(help="Id of a connector in connectors.yaml.")]
DataDir = Annotated[Path | None, typer.Option("--dir", help="Data home; default: KSI_DATA_DIR.")]


def open_home(data_dir: Path | None) -> Workspace:
    """Open a data home without Dagster, which takes seconds to import and is not needed here."""
    settings = load_settings(data_dir)
    require_home(settings)
    home = DataHome(settings.data_dir.resolve())
    return Workspace(Store(home, settings.ledger_url), settings.dbt_project_dir, secret)


def config_of(workspace: Workspace, connector_id: str) -> ConnectorBase:
    """Give the connector of an id, as the file has it now."""
    return find_connector(workspace.home.connectors, connector_id, ConnectorBase)


@connector.command("list")
def list_connectors(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the connectors with their state and the number of codes that are linked."""
    with errors_as_messages():
        workspace = open_home(data_dir)
        configs = load_connectors(workspace.home.connectors)
        listed = [_summary(workspace, config) for config in configs]
    if as_json:
        print_json({"connectors": listed})
        return
    if not listed:
        out.print(f"{workspace.home.connectors} has no connector.", markup=False)
    for one in listed:
        links = f"{len(one['links'])} codes linked"
        out.print(f"{one['id']} ({one['kind']}): {one['state']}, {links}", markup=False)


@connector.command()
def show(connector_id: ConnectorId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show one connector: its settings, its state, and the units its codes are linked to."""
    with errors_as_messages():
        workspace = open_home(data_dir)
        config = config_of(workspace, connector_id)
        summary = _summary(workspace, config)
    if as_json:
        print_json({**summary, "settings": config.model_dump(mode="json")})
        return
    for name, value in config.model_dump(mode="json").items():
        if value is not None:
            out.print(f"{name}: {value}", markup=False)
    out.print(f"state: {summary['state']}", markup=False)
    for name, is_set in summary["secrets"].items():
        out.print(f"{name}: {'set' if is_set else 'not set'}")
    for link in summary["links"]:
        span = f"from {link['from'] or 'ever'} to {link['to'] or 'now on'}"
        out.print(
            f"link: {link['ext_ref_code']} -> {link['site']}/{link['unit']} {span}", markup=False
        )


@connector.command()
def activate(connector_id: ConnectorId, data_dir: DataDir = None) -> None:
    """Let the schedule ask a connector that passed its test."""
    with errors_as_messages():
        workspace = open_home(data_dir)
        config = config_of(workspace, connector_id)
        connector_state.activate(workspace, config)
        links = _links(workspace, config.id)
    out.print(f"{config.id} is active: the schedule and `ksi run` ask it.", markup=False)
    if not links:
        out.print(
            "No code is linked to it yet, so there is nothing to ask for; see links: in the "
            "space file."
        )


def _summary(workspace: Workspace, config: ConnectorBase) -> dict[str, Any]:
    state = connector_state.state_of(workspace, config)
    by_file = {True: "active (by the file)", False: "off (by the file)", None: state}
    if config.active is None and state != "active" and connector_state.is_asked(workspace, config):
        by_file[None] = f"{state} (changed since it was active; not asked)"
    return {
        "id": config.id,
        "kind": config.kind,
        "state": by_file[config.active],
        "secrets": {name: bool(workspace.secrets(name)) for name in config.secret_names},
        "links": _links(workspace, config.id),
    }


def _links(workspace: Workspace, connector_id: str) -> list[dict[str, Any]]:
    return [
        {
            "site": space.site_id,
            "ext_ref_code": link.ext_ref_code,
            "unit": link.unit,
            "from": link.valid_from,
            "to": link.valid_to,
        }
        for space in workspace.spaces()
        for link in space.file.links
        if link.connector == connector_id
    ]
