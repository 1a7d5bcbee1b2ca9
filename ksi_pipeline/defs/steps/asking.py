"""What a connector is asked for now, and when next: core's rules on the ledger's facts."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from ksi_pipeline.connectors.base_config import ConnectorBase
from ksi_pipeline.connectors.config import load_connectors
from ksi_pipeline.core.asking import (
    AskingRules,
    Plan,
    Swept,
    first_hour,
    plan,
)
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.gaps import Linked, answered_by_code
from ksi_pipeline.core.schedule import read_rule
from ksi_pipeline.core.time import Window
from ksi_pipeline.defs.steps.connector_state import is_asked
from ksi_pipeline.defs.steps.final_after import final_after_of
from ksi_pipeline.defs.steps.ticks import next_tick
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.asked import answers_of
from ksi_pipeline.store.store import Change


@dataclass(slots=True)
class Due:
    """Connectors with an interval of their own that are to be asked now.

    Attributes:
        problems: for each connector whose interval cannot be read, its code and message.
    """

    ids: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)


def due_connectors(workspace: Workspace) -> Due:
    """Give the active connectors whose `every` has come round since they were last asked."""
    due = Due()
    spaces, now = workspace.spaces(), workspace.clock()
    for config in load_connectors(workspace.home.connectors):
        if config.every is None or not is_asked(workspace, config):
            continue
        try:
            if next_due(workspace, config, spaces) <= now:
                due.ids.append(config.id)
        except ConfigError as error:
            due.problems[config.id] = f"{error.code}: {error}"
    return due


def links_of(space: Space, connector_id: str) -> list[Linked]:
    """Give the codes of a connector that are linked to units of a site, and while they are."""
    return [
        Linked(link.ext_ref_code, space.instant(link.valid_from), space.instant(link.valid_to))
        for link in space.file.links
        if link.connector == connector_id
    ]


def plan_for(
    workspace: Workspace, config: ConnectorBase, space: Space, also: Window | None = None
) -> Plan:
    """Say what to ask a connector for one site now; `also` is asked whatever is known of it."""
    now, zone = workspace.clock(), space.file.site.zone_info
    answered = answered_by_code(answers_of(workspace.store, config.id, space.site_id))
    return plan(
        links_of(space, config.id),
        answered,
        _swept(workspace, config.id, space.site_id),
        start=first_hour(config.first_day, answered, now, zone),
        now=now,
        zone=zone,
        rules=_rules(workspace, config),
        also=also,
    )


def _rules(workspace: Workspace, config: ConnectorBase) -> AskingRules:
    """Let hours count as young for as long as they can still change, and three days at least."""
    usual = AskingRules(longest=config.longest_window)
    young = max(usual.young, final_after_of(workspace, config.id))
    return replace(usual, young=young, recent=max(usual.recent, young))


def note_swept(workspace: Workspace, connector_id: str, site_id: str, swept: Swept) -> None:
    """Note what was asked whole."""
    if swept == _swept(workspace, connector_id, site_id):
        return
    said = f"{swept.day or ''} {swept.month or ''}"
    workspace.store.commit(Change(steps={_swept_step(connector_id, site_id): said}))


def note_asked(workspace: Workspace, connector_id: str, at: datetime) -> None:
    """Note when a connector was last asked, whatever came of it."""
    workspace.store.commit(Change(steps={_asked_step(connector_id): at.isoformat()}))


def next_due(workspace: Workspace, config: ConnectorBase, spaces: Iterable[Space]) -> datetime:
    """Give when a connector is to be asked next, on the clock of the site where that is first.

    One without an interval is always due, and one without a link never.

    Raises:
        ConfigError: E_EVERY.
    """
    zones = {s.file.site.zone_info for s in spaces if links_of(s, config.id)}
    if not zones:
        return datetime.max.replace(tzinfo=UTC)
    last = workspace.store.ledger.inputs_of(_asked_step(config.id))
    if config.every is None or last is None:
        return datetime.min.replace(tzinfo=UTC)
    rule, asked_at = read_rule(config.every, config.first_day), datetime.fromisoformat(last)
    return min(next_tick(rule, asked_at, zone) for zone in zones)


def _swept(workspace: Workspace, connector_id: str, site_id: str) -> Swept:
    said = workspace.store.ledger.inputs_of(_swept_step(connector_id, site_id))
    if said is None:
        return Swept()
    day, _, month = said.partition(" ")
    return Swept(*(date.fromisoformat(text) if text else None for text in (day, month)))


def _swept_step(connector_id: str, site_id: str) -> str:
    return f"tickets swept:{connector_id}/{site_id}"


def _asked_step(connector_id: str) -> str:
    return f"tickets asked:{connector_id}"
