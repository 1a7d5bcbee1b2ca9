"""Steps of the ledger that keep a site's calendar out of the past while a backfill works.

There is one for each connector and site. It outlives a process that is killed, so that the same
backfill, started again, goes on beside small builds. Where none can be started any more, because
the connector was renamed or removed, or its site is gone, the step counts for nothing.
"""

from datetime import datetime

from ksi_pipeline.connectors.config import load_connectors, of_kind
from ksi_pipeline.connectors.hourly_config import HourlyApiConfig
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.store.held import release_held
from ksi_pipeline.store.store import Change

_PREFIX = "tickets backfill:"


def backfill_step(site_id: str, connector_id: str) -> str:
    """Name the step that says from when on a site's calendar grows while a backfill works."""
    return f"{_PREFIX}{site_id}/{connector_id}"


def live_from_of(workspace: Workspace, site_id: str) -> list[datetime]:
    """Give from when on a site is live, for each backfill that brings its past."""
    steps = workspace.store.ledger.inputs_by_step(f"{_PREFIX}{site_id}/")
    return [datetime.fromisoformat(live_from) for live_from in steps.values()]


def drop_orphans(workspace: Workspace) -> None:
    """Drop the steps of backfills that nobody can start again, and let their hours go.

    Held hours do not say whose they are: while another backfill is under way they wait for its end.
    """
    known = set(workspace.store.ledger.steps(_PREFIX))
    if not known:
        return
    connectors = of_kind(load_connectors(workspace.home.connectors), HourlyApiConfig)
    kept = {
        backfill_step(space.site_id, config.id)
        for space in workspace.spaces()
        for config in connectors
    }
    orphans = sorted(known - kept)
    if not known & kept:
        release_held(workspace.store, dropped_steps=orphans)
    elif orphans:
        workspace.store.commit(Change(dropped_steps=orphans))


def let_go(workspace: Workspace) -> int:
    """End a backfill: its hours go, and so do all steps, for no other backfill works beside it.

    Returns:
        How many unit-hours the next build has to compute.
    """
    return release_held(workspace.store, dropped_steps=workspace.store.ledger.steps(_PREFIX))
