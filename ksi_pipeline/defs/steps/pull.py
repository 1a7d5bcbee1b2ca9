"""Asking the ticket feeds: which connectors, for which sites and hours."""

from collections.abc import Collection, Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from ksi_pipeline.connectors.config import find_connector, load_connectors, of_kind
from ksi_pipeline.connectors.hourly_api import hourly_windows
from ksi_pipeline.connectors.hourly_config import HourlyApiConfig
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.gaps import Question, linked_in
from ksi_pipeline.core.time import Window, hour_start_utc
from ksi_pipeline.defs.steps.asking import (
    links_of,
    next_due,
    note_asked,
    note_swept,
    plan_for,
)
from ksi_pipeline.defs.steps.connector_state import is_asked
from ksi_pipeline.defs.steps.final_after import learn_final_after
from ksi_pipeline.defs.steps.pull_site import GIVES_UP_AFTER, PullReport, SitePull
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.http import Hosts
from ksi_pipeline.space.load import Space


def pull_answers(workspace: Workspace, window: Window, only: str | None = None) -> PullReport:
    """Ask every active connector for a window, cut to the hours that are over.

    A connector that fails leaves its hours refused and the others alone. So does one that answers
    with something else than a list of rows; that answer is kept, and refused when it is read.

    Args:
        workspace: the data home.
        window: any window; each site asks for the local hours that start in it.
        only: ask only this connector.

    Raises:
        ConfigError: connectors.yaml is wrong, has no connector `only`, or that one has no token or
            no absent_means.
    """
    report = PullReport()
    spaces, hosts = workspace.spaces(), Hosts()
    for config in _asked(workspace, only):
        for space in spaces:
            questions = _questions_in(config, space, window, workspace.clock())
            site = SitePull(workspace, report, config, space, hosts)
            if not site.pull(questions, is_alone=only is not None):
                break
    if only is not None and not report.answer_count and not report.failed:
        report.unasked = _why_unasked(spaces, only, window, workspace.clock())
    return report


def pull_due(
    workspace: Workspace,
    *,
    only: Collection[str] | None = None,
    also: Window | None = None,
    is_by_hand: bool = False,
) -> PullReport:
    """Ask the connectors for what core.asking says: what can still change, and what was missed.

    Args:
        workspace: the data home.
        only: ids of connectors to ask; null is all that are active.
        also: a window to ask for whatever is known of it.
        is_by_hand: ask those with an interval of their own too, due or not.

    Raises:
        ConfigError: connectors.yaml or a space file is wrong.
    """
    report = PullReport()
    spaces, hosts = workspace.spaces(), Hosts()
    for config in _asked(workspace, None):
        if only is not None and config.id not in only:
            continue
        began = workspace.clock()
        try:
            if not is_by_hand and began < next_due(workspace, config, spaces):
                continue
        except ConfigError as error:
            report.failed[config.id] = f"{error.code}: {error}"
            continue
        note_asked(workspace, config.id, began)
        for space in spaces:
            planned = plan_for(workspace, config, space, also)
            site = SitePull(workspace, report, config, space, hosts)
            due = [q for q in planned.questions if not q.is_catch_up]
            if not site.pull(due, gives_up_after=GIVES_UP_AFTER):
                break
            note_swept(workspace, config.id, space.site_id, planned.noted(site.failed))
            # where nothing that is due was answered, the past has no better chance
            if not due or len(site.failed) < len(due):
                site.catch_up([q for q in planned.questions if q.is_catch_up])
        learn_final_after(workspace, config.id)
    return report


def _why_unasked(spaces: list[Space], connector_id: str, window: Window, now: datetime) -> str:
    linked = [s for s in spaces if any(li.connector == connector_id for li in s.file.links)]
    asked = f"Connector {connector_id!r} was asked nothing: "
    if not linked:
        return f"{asked}no space file links a code of it. Add its codes to links:."
    if all(_over(window, now, space.file.site.zone_info) is None for space in linked):
        return f"{asked}no whole local hour of the window is over yet. Ask for an earlier one."
    return (
        f"{asked}no hour starts in the window, or no code is linked then. Widen the window, or "
        "correct 'from' and 'to' of links:."
    )


def _asked(workspace: Workspace, only: str | None) -> Iterator[HourlyApiConfig]:
    path = workspace.home.connectors
    if only is not None:
        # asked by name, a connector may be tried before the schedule takes it
        config = find_connector(path, only, HourlyApiConfig)
        yield config.model_copy(update={"active": True})
        return
    for config in of_kind(load_connectors(path), HourlyApiConfig):
        if is_asked(workspace, config):
            yield config


def _questions_in(
    config: HourlyApiConfig, space: Space, window: Window, now: datetime
) -> list[Question]:
    """Give requests for a window, cut to the hours that are over."""
    zone = space.file.site.zone_info
    asked = _over(window, now, zone)
    return [
        Question(part, codes)
        for part in (hourly_windows(asked, zone, config.longest_window) if asked else ())
        if (codes := linked_in(links_of(space, config.id), part))
    ]


def _over(window: Window, now: datetime, zone: ZoneInfo) -> Window | None:
    """Cut a window to the local hours that are over: an hour still running is nobody's total."""
    end = min(window.end, hour_start_utc(now, zone))
    return Window(window.start, end) if window.start < end else None
