"""How far a connector has come: draft, tested, active. The ledger knows it by its configuration.

A configuration is known by the hash of what was set in connectors.yaml and in its mapping. Any
change to it therefore makes a draft of the connector, which has to be tested and activated again;
changing it back brings the state back. `owner`, `active`, `every`, `since` and `final_after_h` are
left out: they change nothing about how it is asked.

`active: true` in the file asks a connector untested, and `active: false` never asks it; without
`active` the ledger decides.
"""

import hashlib
import json
from typing import Literal

from sqlalchemy import delete, insert, select

from ksi_pipeline.connectors.base_config import ConnectorBase
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.instants import to_us
from ksi_pipeline.core.tickets import AbsentMeans
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.store.ledger import Row
from ksi_pipeline.store.tables import CONNECTOR_STATES

State = Literal["draft", "tested", "active"]

_NOT_HOW = {"active", "owner", "every", "since", "final_after_h"}


def config_hash(workspace: Workspace, config: ConnectorBase) -> str:
    """Hash what was set; defaults are left out, so that a new setting changes no hash."""
    said = config.model_dump(mode="json", exclude_defaults=True, exclude=_NOT_HOW)
    if config.mapping_name is not None:
        path = workspace.home.mapping(config.mapping_name)
        content = path.read_bytes() if path.is_file() else b""
        said["mapping_sha256"] = hashlib.sha256(content).hexdigest()
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]


def state_of(workspace: Workspace, config: ConnectorBase) -> State:
    """Give the state that the ledger has for this configuration, whatever `active` says."""
    row = _row(workspace, config.id)
    if row is None or row["config_hash"] != config_hash(workspace, config):
        return "draft"
    return "active" if row["state"] == "active" else "tested"


def is_asked(workspace: Workspace, config: ConnectorBase) -> bool:
    """Say whether the schedule has to ask a connector, or to say why it can't."""
    if config.active is not None:
        return config.active
    row = _row(workspace, config.id)
    return row is not None and row["has_been_active"]


def require_asked(workspace: Workspace, config: ConnectorBase) -> AbsentMeans:
    """Give what absence means, once the connector may run.

    Raises:
        ConfigError: E_CONNECTOR_CHANGED, it was active and is a draft now; E_ABSENT_MEANS_UNSET;
            E_CONNECTOR_INACTIVE.
    """
    if config.active is not None or not is_asked(workspace, config):
        return config.require_active()
    if state_of(workspace, config) != "active":
        raise ConfigError(
            f"Connector {config.id!r} was active, and its configuration has changed since; it was "
            f"asked nothing. Run: ksi connector test {config.id}, then ksi connector activate "
            f"{config.id}.",
            code="E_CONNECTOR_CHANGED",
        )
    return config.require_absent_means()


def note_tested(workspace: Workspace, config: ConnectorBase) -> State:
    """Note that a test passed, and give the state: an active connector stays active."""
    now_us = to_us(workspace.clock())
    before = _row(workspace, config.id)
    if state_of(workspace, config) == "active" and before is not None:
        _write(workspace, {**before, "tested_at_utc": now_us})
        return "active"
    _write(
        workspace,
        {
            "connector_id": config.id,
            "config_hash": config_hash(workspace, config),
            "state": "tested",
            "has_been_active": before is not None and before["has_been_active"],
            "tested_at_utc": now_us,
            "activated_at_utc": None,
        },
    )
    return "tested"


def activate(workspace: Workspace, config: ConnectorBase) -> None:
    """Let the schedule ask a connector from now on.

    Raises:
        ConfigError: E_ABSENT_MEANS_UNSET; E_NOT_TESTED, this configuration has passed no test;
            E_CONNECTOR_INACTIVE, the file says `active: false`.
    """
    config.require_absent_means()
    if config.active is False:
        raise ConfigError(
            f"Connector {config.id!r} says active: false in {workspace.home.connectors}, which "
            "keeps it off whatever its state; nothing was activated. Remove that line.",
            code="E_CONNECTOR_INACTIVE",
        )
    row = _row(workspace, config.id)
    if row is None or state_of(workspace, config) == "draft":
        raise ConfigError(
            f"Connector {config.id!r} is a draft: this configuration has passed no test. It was "
            f"not activated. Run: ksi connector test {config.id}.",
            code="E_NOT_TESTED",
        )
    now_us = to_us(workspace.clock())
    _write(
        workspace, {**row, "state": "active", "has_been_active": True, "activated_at_utc": now_us}
    )


def forget(workspace: Workspace, connector_id: str) -> None:
    """Forget the state of a connector that was removed."""
    with workspace.store.ledger.transaction() as connection:
        connection.execute(
            delete(CONNECTOR_STATES).where(CONNECTOR_STATES.c.connector_id == connector_id)
        )


def _row(workspace: Workspace, connector_id: str) -> Row | None:
    mine = CONNECTOR_STATES.c.connector_id == connector_id
    rows = workspace.store.ledger.rows(select(CONNECTOR_STATES).where(mine))
    return rows[0] if rows else None


def _write(workspace: Workspace, row: Row) -> None:
    with workspace.store.ledger.transaction() as connection:
        mine = CONNECTOR_STATES.c.connector_id == row["connector_id"]
        connection.execute(delete(CONNECTOR_STATES).where(mine))
        connection.execute(insert(CONNECTOR_STATES).values(**row))
