"""The past of a ticket feed, asked for beside the live runs: oldest first, batch by batch.

A batch is asked for, read and committed before the next, so memory does not grow with the past, and
a process that is killed loses at most one batch. What was answered is in the ledger; started
again, a backfill asks for what is missing then.

While one works, the hours it brings wait (store/held.py) and the calendar does not grow into the
past, so that a live run builds what is live. Its end lets both go, and the next build has them all.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime

from ksi_pipeline.connectors.config import find_connector
from ksi_pipeline.connectors.hourly_config import HourlyApiConfig
from ksi_pipeline.core.asking import AskingRules
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.gaps import answered_by_code, missing
from ksi_pipeline.core.time import DAY, Window, hour_start_utc, local_midnight_utc
from ksi_pipeline.defs.steps.asking import links_of
from ksi_pipeline.defs.steps.backfill_steps import backfill_step, let_go
from ksi_pipeline.defs.steps.holding import Holding
from ksi_pipeline.defs.steps.parse import parse_answers
from ksi_pipeline.defs.steps.pull_site import PullReport, SitePull
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.http import Hosts
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.asked import answers_of
from ksi_pipeline.store.lock import one_reader_of_answers, only_backfill
from ksi_pipeline.store.store import Change

_BATCH = 16


@dataclass(slots=True)
class BackfillReport:
    """What a backfill did.

    Attributes:
        requests_left: that were not answered; started again, it asks for them.
        unit_hours: that the next build has to compute.
        codes: how many rows, or whole answers, were set aside for which reason.
    """

    requests: int = 0
    requests_left: int = 0
    rows_in: int = 0
    rows_loaded: int = 0
    rows_quarantined: int = 0
    unit_hours: int = 0
    failed: str | None = None
    codes: Counter[str] = field(default_factory=Counter)


def backfill(
    workspace: Workspace,
    connector_id: str,
    first: date | None = None,
    last: date | None = None,
) -> BackfillReport:
    """Ask a connector for all hours of its past that were never answered, and read the answers.

    Hours of the last seven days are left to the live runs.

    Args:
        workspace: the data home.
        connector_id: active or not.
        first: local day to begin with; null is the connector's `since`.
        last: local day to end with, included; null is the day before the live hours.

    Raises:
        ConfigError: E_UNKNOWN_CONNECTOR, E_CONNECTOR_KIND, E_ABSENT_MEANS_UNSET; E_DAYS, there is
            no first day.
        TransientError: E_RUN_LOCKED, another backfill works.
    """
    config = find_connector(workspace.home.connectors, connector_id, HourlyApiConfig)
    config = config.model_copy(update={"active": True})
    config.require_absent_means()
    first = first or config.first_day
    if first is None or (last is not None and last < first):
        raise ConfigError(
            f"A backfill of {connector_id!r} from {first or 'no day'} to {last or 'now'} cannot "
            "be. Nothing was asked. Give --from and --to, or set since: of the connector.",
            code="E_DAYS",
        )
    report = BackfillReport()
    with only_backfill(workspace.home):
        spaces = [s for s in workspace.spaces() if links_of(s, config.id)]
        _read(workspace, report)  # what was kept when an earlier one was killed
        for space in spaces:
            past = _past(space, first, last, workspace.clock())
            if past is not None:
                _one_site(workspace, report, config, space, past)
        report.unit_hours = let_go(workspace)
    return report


def _past(space: Space, first: date, last: date | None, now: datetime) -> Window | None:
    zone = space.file.site.zone_info
    start = local_midnight_utc(first, zone)
    end = hour_start_utc(now, zone) - AskingRules().recent
    if last is not None:
        end = min(end, local_midnight_utc(last + DAY, zone))
    return Window(start, end) if start < end else None


def _one_site(
    workspace: Workspace,
    report: BackfillReport,
    config: HourlyApiConfig,
    space: Space,
    past: Window,
) -> None:
    answered = answered_by_code(answers_of(workspace.store, config.id, space.site_id))
    questions = missing(
        links_of(space, config.id),
        answered,
        past,
        zone=space.file.site.zone_info,
        longest=config.longest_window,
    )
    if not questions:
        return
    workspace.store.commit(
        Change(steps={backfill_step(space.site_id, config.id): past.end.isoformat()})
    )
    pulled = PullReport()
    site = SitePull(workspace, pulled, config, space, Hosts(), hold_before=past.end)
    for done in range(0, len(questions), _BATCH):
        share = done / len(questions)
        what = f"backfill {config.id} {questions[done].window.start:%Y-%m-%d}"
        workspace.progress(what, share)
        batch = questions[done : done + _BATCH]
        is_answered = site.pull(batch)
        _read(workspace, report, Holding(config.id, space.site_id, batch, past.end))
        if not is_answered:
            report.requests_left += len(questions) - done
            break
        report.requests += len(batch)
    report.failed = report.failed or next(iter(pulled.failed.values()), None)


def _read(workspace: Workspace, report: BackfillReport, holding: Holding | None = None) -> None:
    with one_reader_of_answers(workspace.home):
        parsed = parse_answers(workspace, holding=holding)
    for name in ("rows_in", "rows_loaded", "rows_quarantined"):
        setattr(report, name, getattr(report, name) + getattr(parsed, name))
    report.codes.update(parsed.codes)
