"""Asking one connector for the codes of one site, and keeping its answers as they were sent."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from ksi_pipeline.connectors.base import Answer, Connector
from ksi_pipeline.connectors.hourly_config import HourlyApiConfig
from ksi_pipeline.connectors.in_order import answered_in_order
from ksi_pipeline.connectors.registry import make_connector
from ksi_pipeline.core.errors import ConfigError, ContractError, KsiError
from ksi_pipeline.core.feed_coverage import refused_coverage
from ksi_pipeline.core.gaps import Question
from ksi_pipeline.core.instants import to_us
from ksi_pipeline.core.json_list import require_list
from ksi_pipeline.core.time import Window
from ksi_pipeline.defs.steps.connector_state import require_asked
from ksi_pipeline.defs.steps.coverage import add_coverage
from ksi_pipeline.defs.steps.final_after import final_after_of
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.http import Hosts
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.raw import RawAnswer, keep_raw
from ksi_pipeline.store.store import Change

# What keeps failing may be the hours, not the feed.
GIVES_UP_AFTER = 3


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


class SitePull:
    """Asks one connector for the codes of one site.

    Attributes:
        failed: windows of which a request failed, was given up, or gave no list of rows.
        hold_before: hours before it of requests that fail wait for the end of a backfill; or null.
    """

    def __init__(
        self,
        workspace: Workspace,
        report: PullReport,
        config: HourlyApiConfig,
        space: Space,
        hosts: Hosts,
        *,
        hold_before: datetime | None = None,
    ) -> None:
        self.hold_before = hold_before
        self.failed: list[Window] = []
        self._workspace, self._report, self._config = workspace, report, config
        self._space = space
        self._asking = _Asking(workspace, config, space.file.site.zone_info, hosts)

    def pull(
        self, questions: Sequence[Question], *, is_alone: bool = False, gives_up_after: int = 1
    ) -> bool:
        """Ask each in order; False where the connector as a whole cannot be asked.

        A question that fails keeps the others from nothing: it may be its hours, not the feed.
        Once `gives_up_after` failed one after the other, the rest is refused unasked; by 1, the
        first that fails speaks for the connector.

        Raises:
            ConfigError: the connector is asked alone, by name, and cannot be.
        """
        failed_in_a_row = 0
        for number, outcome in self._outcomes(questions):
            if not isinstance(outcome, KsiError):
                failed_in_a_row = 0
                self._keep(questions[number], outcome)
                continue
            if is_alone and isinstance(outcome, ConfigError):
                raise outcome
            failed_in_a_row += 1
            cannot_be_asked = _is_of_the_connector(outcome)
            if cannot_be_asked or failed_in_a_row == gives_up_after:
                self._refuse(outcome, questions[number:])
                return not cannot_be_asked and gives_up_after > 1
            self._refuse(outcome, questions[number : number + 1])
        return True

    def catch_up(self, questions: Sequence[Question]) -> None:
        """Ask each, and leave out the rest once several failed one after the other."""
        failed_in_a_row = 0
        for number, outcome in self._outcomes(questions):
            if not isinstance(outcome, KsiError):
                failed_in_a_row = 0
                self._keep(questions[number], outcome)
                continue
            failed_in_a_row += 1
            self._refuse(outcome, questions[number : number + 1])
            if failed_in_a_row == GIVES_UP_AFTER or _is_of_the_connector(outcome):
                return

    def _outcomes(
        self, questions: Sequence[Question]
    ) -> Iterator[tuple[int, list[Answer] | KsiError]]:
        config, total = self._config, len(questions)
        asked = [(q.window, q.codes) for q in questions]
        answers = answered_in_order(self._asking.ask, asked, config.parallel_requests)
        for number, ((window, _), outcome) in enumerate(answers):
            self._asking.share = number / total
            what = f"tickets {config.id} {window.start:%Y-%m-%d}"
            self._workspace.progress(what, self._asking.share)
            yield number, outcome

    def _keep(self, question: Question, answers: Sequence[Answer]) -> None:
        for answer in answers:
            self._report.answer_count += 1
            if not _is_list(self._report, answer) and question.window not in self.failed:
                self.failed.append(question.window)
            self._report.new_count += keep_raw(
                self._workspace.store,
                _raw(answer, self._space.site_id),
                final_after_of(self._workspace, self._config.id),
            )

    def _refuse(self, error: KsiError, questions: Sequence[Question]) -> None:
        self.failed += [question.window for question in questions]
        self._report.failed.setdefault(self._config.id, f"{error.code}: {error}")
        for question in _joined(questions):
            change = Change(cause=f"feed {self._config.id} failed", hold_before=self.hold_before)
            _cover_refused(self._workspace, change, self._space, self._config.id, question, error)


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


def _is_of_the_connector(error: KsiError) -> bool:
    """Say whether no other question can do better: its configuration is wrong, its host rests."""
    return isinstance(error, ConfigError) or error.code == "E_FEED_RESTS"


def _is_list(report: PullReport, answer: Answer) -> bool:
    """Say each time that an answer holds no rows; read are only the answers that are new."""
    try:
        require_list(answer.body, answer.fetch.label)
    except ContractError as error:
        report.failed.setdefault(answer.connector_id, f"{error.code}: {error}")
        return False
    return True


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


def _joined(questions: Sequence[Question]) -> list[Question]:
    """Join those that follow each other: what failed together is one gap."""
    joined: list[Question] = []
    for question in questions:
        last = joined[-1] if joined else None
        if last and last.codes == question.codes and last.window.end == question.window.start:
            joined[-1] = Question(Window(last.window.start, question.window.end), last.codes)
        else:
            joined.append(question)
    return joined


def _cover_refused(
    workspace: Workspace,
    change: Change,
    space: Space,
    connector_id: str,
    question: Question,
    error: KsiError,
) -> None:
    refused = refused_coverage(
        connector_id,
        question.codes,
        question.window,
        reason_code=error.code,
        fetched_at_utc=workspace.clock(),
    )
    instants = f"{to_us(question.window.start)}-{to_us(workspace.clock())}"
    source = f"refused:{connector_id}/{space.site_id}/{instants}"
    add_coverage(workspace, change, space, refused, source, is_answer=False)
    if change.adds:
        workspace.store.commit(change)
