"""How long an hour of a connector can still change: set, learned, or the same for all."""

import json
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

from ksi_pipeline.connectors.config import load_connectors
from ksi_pipeline.core.instants import from_us, to_us
from ksi_pipeline.core.lateness import LONGEST, learned_lateness
from ksi_pipeline.core.time import HOUR
from ksi_pipeline.defs.steps.touched import hours_in
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.store.asked import answers_of, revisions_since
from ksi_pipeline.store.store import Change

_SECOND = timedelta(seconds=1)


def final_after_of(workspace: Workspace, connector_id: str) -> timedelta:
    """Give how long after its end an hour of a connector can still change.

    That is `final_after_h` of the connector; else what was learned, where it is longer than
    KSI_FINAL_AFTER_H; else that.
    """
    given = _given(workspace).get(connector_id)
    if given is not None:
        return given * HOUR
    said = workspace.store.ledger.inputs_of(_learned_step(connector_id))
    learned_s = int(said.partition(" ")[2]) if said else 0
    return max(workspace.final_after, learned_s * _SECOND)


def learn_final_after(workspace: Workspace, connector_id: str) -> None:
    """Learn once a day (UTC) from the revisions of the last two months; it never shrinks."""
    step, today = _learned_step(connector_id), workspace.clock().date().isoformat()
    day, _, known_s = (workspace.store.ledger.inputs_of(step) or " 0").partition(" ")
    if day == today:
        return
    since = workspace.clock() - 2 * LONGEST
    answers = [
        answer
        for space in workspace.spaces()
        for answer in answers_of(workspace.store, connector_id, space.site_id)
        if answer.fetched_at_utc >= since
    ]
    found = learned_lateness(revisions_since(workspace.store, connector_id, since), answers)
    learned_s = max(int(known_s), int(found / _SECOND) if found else 0)
    workspace.store.commit(Change(steps={step: f"{today} {learned_s}"}))


def note_final_after(workspace: Workspace) -> None:
    """Note what holds from now on where it is another than before, and touch the hours it is for.

    A new value holds for hours that were not final yet by the old one. Those before it were asked
    as long as was right then, and nobody asks for them again: they stay final.
    """
    for connector_id in sorted(_given(workspace)):
        history = _history(workspace, connector_id)
        before, now = history[-1][1] * _SECOND, final_after_of(workspace, connector_id)
        change = Change(cause=f"final_after of {connector_id} changed")
        if now != before:
            at = workspace.clock()
            history.append((to_us(at - before), now // _SECOND))
            for space in workspace.spaces():
                young = (at - max(before, now) - HOUR, at)
                units = {li.unit for li in space.file.links if li.connector == connector_id}
                change.affect(hours_in(space, sorted(units), [young]))
        said = json.dumps(history)
        if said != workspace.store.ledger.inputs_of(_history_step(connector_id)):
            change.steps[_history_step(connector_id)] = said
            workspace.store.commit(change)


def final_after_by_connector(workspace: Workspace) -> dict[str, list[dict[str, object]]]:
    """Give what dbt needs to know of each connector that is not as KSI_FINAL_AFTER_H says.

    Returns:
        By connector, the newest first: `seconds`, and `from_utc`, the end of the first hour that
        they hold for, null for the first of all.
    """
    usual = [(None, workspace.final_after // _SECOND)]
    found = {name: _history(workspace, name) for name in sorted(_given(workspace))}
    return {
        name: [
            {
                "from_utc": None if at is None else f"{from_us(at):%Y-%m-%d %H:%M:%S}",
                "seconds": seconds,
            }
            for at, seconds in reversed(history)
        ]
        for name, history in found.items()
        if history != usual
    }


def _history(workspace: Workspace, connector_id: str) -> list[tuple[int | None, int]]:
    """Give (end of the first hour it holds for, in microseconds; seconds), the oldest first."""
    ledger = workspace.store.ledger
    said = ledger.inputs_of(_history_step(connector_id))
    if said is not None:
        return [(at, seconds) for at, seconds in json.loads(said)]
    # marts that were built before any of this was noted were built by the setting
    was_built = ledger.inputs_of("marts built up to") is not None
    known = workspace.final_after if was_built else final_after_of(workspace, connector_id)
    return [(None, known // _SECOND)]


def _given(workspace: Workspace) -> dict[str, float | None]:
    path = workspace.home.connectors
    return _read(path, path.stat().st_mtime_ns) if path.exists() else {}


@lru_cache(maxsize=16)
def _read(path: Path, _mtime_ns: int) -> dict[str, float | None]:
    """Read final_after_h of each connector; it is asked for with every answer."""
    return {config.id: config.final_after_h for config in load_connectors(path)}


def _learned_step(connector_id: str) -> str:
    return f"tickets lateness:{connector_id}"


def _history_step(connector_id: str) -> str:
    return f"tickets final after:{connector_id}"
