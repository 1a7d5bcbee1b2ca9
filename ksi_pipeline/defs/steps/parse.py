"""Reading the kept answers into revisions, coverage and quarantine."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa
from sqlalchemy import func, select

from ksi_pipeline.connectors.config import load_connectors, of_kind
from ksi_pipeline.connectors.hourly_config import HourlyApiConfig
from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.feed_coverage import feed_coverage, refused_coverage
from ksi_pipeline.core.ticket_revisions import new_revisions
from ksi_pipeline.core.tickets import AbsentMeans, Fetch, ParsedAnswer, parse_hourly_answer
from ksi_pipeline.core.time import Window
from ksi_pipeline.defs.steps.coverage import add_coverage
from ksi_pipeline.defs.steps.touched import hours_in, spans_of, units_of
from ksi_pipeline.defs.workspace import Workspace, digest
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.ledger import Row
from ksi_pipeline.store.raw import read_raw
from ksi_pipeline.store.store import AffectedHour, Change, QuarantineRow, from_us, to_us
from ksi_pipeline.store.tables import FETCHES


@dataclass(slots=True)
class ParseReport:
    """What reading the answers gave; rows_in = loaded + unchanged + quarantined.

    Attributes:
        codes: how many rows, or whole answers, were set aside for which reason.
    """

    total_rows: int = 0
    rows_in: int = 0
    rows_loaded: int = 0
    rows_unchanged: int = 0
    rows_quarantined: int = 0
    rows_unmatched: int = 0
    messages: list[str] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Totals:
    """All rows of all answers ever parsed, and what became of them."""

    rows_in: int
    rows_loaded: int
    rows_unchanged: int
    rows_quarantined: int

    @property
    def is_balanced(self) -> bool:
        """Whether every row is accounted for."""
        return self.rows_in == self.rows_loaded + self.rows_unchanged + self.rows_quarantined

    def as_metadata(self) -> dict[str, int]:
        """Give the figures by name."""
        return {name: getattr(self, name) for name in self.__slots__}


def parse_answers(workspace: Workspace) -> ParseReport:
    """Read every stored answer that was not read yet, in the order they came."""
    report = ParseReport()
    listed = of_kind(load_connectors(workspace.home.connectors), HourlyApiConfig)
    configs = {config.id: config for config in listed}
    spaces = {space.site_id: space for space in workspace.spaces()}
    _parse_again_where_rules_changed(workspace, configs, spaces)
    fetches = workspace.store.ledger.unparsed_fetches()
    for number, fetch in enumerate(fetches):
        workspace.progress(f"tickets {fetch['connector_id']}", number / len(fetches))
        config, space = configs.get(fetch["connector_id"]), spaces.get(fetch["site_id"])
        if config is None or space is None or config.absent_means is None:
            report.messages.append(
                f"An answer of connector {fetch['connector_id']!r} for site {fetch['site_id']!r} "
                "waits unread: the connector, its absent_means or the site is not configured any "
                "more. Put it back; the answer is read by the next run."
            )
            continue
        _parse_one(workspace, report, fetch, space, config.absent_means)
    files = workspace.store.ledger.live_files("ticket_hours")
    report.total_rows = sum(int(row["row_count"]) for row in files)
    return report


def _parse_again_where_rules_changed(
    workspace: Workspace, configs: dict[str, HourlyApiConfig], spaces: dict[str, Space]
) -> None:
    """Take back what was read by other rules, so that the kept answers are read anew.

    Hours were cut by the site's time zone, and absence was read by the connector's absent_means;
    a correction of either has to reach the past as well.
    """
    store = workspace.store
    for config in configs.values():
        for space in spaces.values():
            step = f"parse:{config.id}/{space.site_id}"
            if config.absent_means is None or config.id not in _connectors_of(space):
                continue
            rules = digest(space.file.site.timezone, config.absent_means)
            known = store.ledger.inputs_of(step)
            if known == rules:
                continue
            change = Change(cause=f"rules of {config.id} changed", steps={step: rules})
            if known is not None:
                prefix = f"answer:{config.id}/{space.site_id}/"
                rows = store.retire(change, "ticket_hours", prefix=prefix)
                change.affect(_linked_hours(space, rows))
                covered = store.retire(change, "coverage", prefix=prefix)
                units = units_of(space)
                change.affect(hours_in(space, units, sorted(set(spans_of(covered)))))
                change.fetches_to_parse_again.append((config.id, space.site_id))
            store.commit(change)


def _connectors_of(space: Space) -> set[str]:
    return {link.connector for link in space.file.links}


def reconcile(workspace: Workspace) -> Totals:
    """Add up what became of every row of every answer."""
    sums = {name: func.coalesce(func.sum(FETCHES.c[name]), 0) for name in Totals.__slots__}
    (row,) = workspace.store.ledger.rows(select(*(s.label(n) for n, s in sums.items())))
    return Totals(**{name: int(row[name]) for name in Totals.__slots__})


def _parse_one(
    workspace: Workspace,
    report: ParseReport,
    fetch: Row,
    space: Space,
    absent_means: AbsentMeans,
) -> None:
    question = Fetch(
        connector_id=fetch["connector_id"],
        raw_sha256=fetch["raw_sha256"],
        fetched_at_utc=from_us(fetch["fetched_at_utc"]),
        window=Window(from_us(fetch["from_utc"]), from_us(fetch["to_utc"])),
        zone=space.file.site.zone_info,
        asked_codes=tuple(json.loads(fetch["codes"])),
    )
    change = Change(cause=f"answer {fetch['raw_sha256'][:12]} of {question.connector_id}")
    known_codes = {
        link.ext_ref_code for link in space.file.links if link.connector == question.connector_id
    }
    counts = dict.fromkeys(("rows_in", "rows_loaded", "rows_unchanged", "rows_quarantined"), 0)
    counts["rows_unmatched"] = 0
    try:
        answer = parse_hourly_answer(
            read_raw(workspace.store, fetch), question, known_codes=known_codes
        )
    except ContractError as error:
        _refuse_answer(workspace, change, space, question, error)
        report.messages.append(f"{error.code}: {error}")
        report.codes[error.code] += 1
    else:
        counts = _load_answer(workspace, change, space, answer, absent_means)
        report.messages += [f"{r.code}: {r.message}" for r in answer.rejected[:5]]
        report.codes.update(rejected.code for rejected in answer.rejected)
    change.fetches_parsed.append((fetch["fetch_id"], counts))
    workspace.store.commit(change)
    for name, count in counts.items():
        setattr(report, name, getattr(report, name) + count)


def _load_answer(
    workspace: Workspace,
    change: Change,
    space: Space,
    answer: ParsedAnswer,
    absent_means: AbsentMeans,
) -> dict[str, int]:
    store, question = workspace.store, answer.fetch
    known = store.read("ticket_hours", prefix=f"answer:{question.connector_id}/{space.site_id}/")
    added = new_revisions(answer, known, absent_means=absent_means)
    source = f"answer:{question.connector_id}/{space.site_id}/{_answer_name(question)}"
    if added.num_rows:
        store.replace(change, "ticket_hours", added, source=source)
        change.affect(_linked_hours(space, added))
    covered = feed_coverage(answer, absent_means=absent_means)
    add_coverage(workspace, change, space, covered, source)
    for rejected in answer.rejected:
        change.quarantine.append(
            QuarantineRow(
                source=f"tickets:{question.connector_id}",
                code=rejected.code,
                message=rejected.message,
                raw_sha256=question.raw_sha256,
                row_number=rejected.row_number,
                raw_value=rejected.raw_value,
                first_seen_utc=question.fetched_at_utc,
            )
        )
    loaded = sum(number >= 0 for number in added["row_number"].to_pylist())
    # E_UNKNOWN_CODE is a notice: its row was loaded and counts once the code is linked.
    refused = sum(rejected.code != "E_UNKNOWN_CODE" for rejected in answer.rejected)
    return {
        "rows_in": answer.rows.num_rows + refused,
        "rows_loaded": loaded,
        "rows_unchanged": answer.rows.num_rows - loaded,
        "rows_quarantined": refused,
        "rows_unmatched": answer.unmatched_count,
    }


def _refuse_answer(
    workspace: Workspace, change: Change, space: Space, question: Fetch, error: ContractError
) -> None:
    change.quarantine.append(
        QuarantineRow(
            source=f"tickets:{question.connector_id}",
            code=error.code,
            message=str(error),
            raw_sha256=question.raw_sha256,
            row_number=-1,
            raw_value=None,
            first_seen_utc=question.fetched_at_utc,
        )
    )
    refused = refused_coverage(
        question.connector_id,
        question.asked_codes,
        question.window,
        reason_code=error.code,
        fetched_at_utc=question.fetched_at_utc,
    )
    source = f"answer:{question.connector_id}/{space.site_id}/{_answer_name(question)}"
    add_coverage(workspace, change, space, refused, source, is_answer=False)


def _answer_name(question: Fetch) -> str:
    instants = (question.window.start, question.fetched_at_utc)
    return "-".join([*(str(to_us(at)) for at in instants), question.raw_sha256[:16]])


def _linked_hours(space: Space, rows: pa.Table) -> Iterator[AffectedHour]:
    for row in rows.select(["ext_ref_code", "connector_id", "hour_start_utc"]).to_pylist():
        for link in space.file.links:
            if (link.connector, link.ext_ref_code) == (row["connector_id"], row["ext_ref_code"]):
                yield space.site_id, link.unit, row["hour_start_utc"]
