"""Asking the ticket feeds, and keeping their answers as they were sent."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from ksi_pipeline.connectors.base import Answer, Connector
from ksi_pipeline.connectors.config import find_connector, load_connectors, of_kind
from ksi_pipeline.connectors.hourly_api import hourly_windows
from ksi_pipeline.connectors.hourly_config import HourlyApiConfig
from ksi_pipeline.connectors.in_order import answered_in_order
from ksi_pipeline.connectors.registry import make_connector
from ksi_pipeline.core.errors import ConfigError, ContractError, KsiError
from ksi_pipeline.core.feed_coverage import refused_coverage
from ksi_pipeline.core.json_list import require_list
from ksi_pipeline.core.time import Window, hour_start_utc
from ksi_pipeline.defs.steps.connector_state import is_asked, require_asked
from ksi_pipeline.defs.steps.coverage import add_coverage
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.http import Hosts
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.raw import RawAnswer, keep_raw
from ksi_pipeline.store.store import Change, to_us


@dataclass(slots=True)
class PullReport:
    """What asking the connectors gave.

    Attributes:
        failed: for each connector that failed, its code and message.
        unasked: why a connector that was named was asked nothing; null where it was asked.
    """

    answer_count: int = 0
    new_count: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    unasked: str | None = None


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
            if not _pull_site(workspace, report, config, space, window, hosts, is_alone=bool(only)):
                break
    if only is not None and not report.answer_count and not report.failed:
        report.unasked = _why_unasked(spaces, only, window, workspace.clock())
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


def _pull_site(
    workspace: Workspace,
    report: PullReport,
    config: HourlyApiConfig,
    space: Space,
    window: Window,
    hosts: Hosts,
    *,
    is_alone: bool,
) -> bool:
    """Ask for one site; False when the connector cannot be asked and the next site need not try."""
    zone = space.file.site.zone_info
    asked = _over(window, workspace.clock(), zone)
    if asked is None:
        return True
    questions = [
        (part, codes)
        for part in hourly_windows(asked, zone, timedelta(days=config.longest_window_days))
        if (codes := _codes(space, config.id, part))
    ]
    if questions:
        workspace.progress(f"tickets {config.id} {asked.start:%Y-%m-%d}", 0.0)
    asking = _Asking(workspace, config, zone, hosts)
    for (part, codes), outcome in answered_in_order(
        asking.ask, questions, config.parallel_requests
    ):
        if isinstance(outcome, KsiError):
            if is_alone and isinstance(outcome, ConfigError):
                raise outcome
            report.failed[config.id] = f"{outcome.code}: {outcome}"
            rest = Window(part.start, asked.end)
            _cover_refused(workspace, space, config.id, codes, rest, outcome)
            return False
        asking.share = (part.end - asked.start) / (asked.end - asked.start)
        workspace.progress(f"tickets {config.id} {part.start:%Y-%m-%d}", asking.share)
        for answer in outcome:
            report.answer_count += 1
            _note_if_no_list(report, answer)
            report.new_count += keep_raw(
                workspace.store, _raw(answer, space.site_id), workspace.final_after
            )
    return True


class _Asking:
    """Asks one connector from several threads; each thread keeps its own connection.

    Attributes:
        share: of the span, done so far.
    """

    def __init__(
        self, workspace: Workspace, config: HourlyApiConfig, zone: ZoneInfo, hosts: Hosts
    ) -> None:
        self.share = 0.0
        self._workspace, self._config, self._zone, self._hosts = workspace, config, zone, hosts
        self._of_thread = threading.local()

    def ask(self, question: tuple[Window, tuple[str, ...]]) -> list[Answer] | KsiError:
        """Give the answers to one window, or why there is none."""
        window, codes = question
        try:
            require_asked(self._workspace, self._config)
            return self._connector().fetch(window, codes, self._zone)
        except KsiError as error:
            return error

    def _connector(self) -> Connector:
        known: Connector | None = getattr(self._of_thread, "connector", None)
        if known is None:
            known = make_connector(
                self._config,
                self._workspace.secrets,
                self._workspace.clock,
                hosts=self._hosts,
                on_wait=lambda what: self._workspace.progress(f"waiting {what}", self.share),
            )
            self._of_thread.connector = known
        return known


def _note_if_no_list(report: PullReport, answer: Answer) -> None:
    """Say each time that an answer holds no rows; read are only the answers that are new."""
    try:
        require_list(answer.body, answer.fetch.label)
    except ContractError as error:
        report.failed.setdefault(answer.connector_id, f"{error.code}: {error}")


def _raw(answer: Answer, site_id: str) -> RawAnswer:
    return RawAnswer(
        connector_id=answer.connector_id,
        site_id=site_id,
        window=answer.window,
        codes=answer.codes,
        url=answer.url,
        body=answer.body,
        sha256=answer.sha256,
        fetched_at_utc=answer.fetched_at_utc,
    )


def _over(window: Window, now: datetime, zone: ZoneInfo) -> Window | None:
    """Cut a window to the local hours that are over: an hour still running is nobody's total."""
    end = min(window.end, hour_start_utc(now, zone))
    return Window(window.start, end) if window.start < end else None


def _codes(space: Space, connector_id: str, window: Window) -> tuple[str, ...]:
    """Give the codes of a connector that are linked to units at some time in a window."""
    codes = set()
    for link in space.file.links:
        start, end = space.instant(link.valid_from), space.instant(link.valid_to)
        begins = start is None or start < window.end
        if link.connector == connector_id and begins and (end is None or end > window.start):
            codes.add(link.ext_ref_code)
    return tuple(sorted(codes))


def _cover_refused(
    workspace: Workspace,
    space: Space,
    connector_id: str,
    codes: tuple[str, ...],
    window: Window,
    error: KsiError,
) -> None:
    change = Change(cause=f"feed {connector_id} failed")
    refused = refused_coverage(
        connector_id,
        codes,
        window,
        reason_code=error.code,
        fetched_at_utc=workspace.clock(),
    )
    instants = f"{to_us(window.start)}-{to_us(workspace.clock())}"
    source = f"refused:{connector_id}/{space.site_id}/{instants}"
    add_coverage(workspace, change, space, refused, source, is_answer=False)
    if change.adds:
        workspace.store.commit(change)
