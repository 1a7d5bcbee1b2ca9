"""Many answers of one feed in one change, so that they count together or not at all."""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import repeat

import numpy as np
import pyarrow as pa

from ksi_pipeline.connectors.hourly_config import HourlyApiConfig
from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.feed_coverage import feed_coverage, refused_coverage
from ksi_pipeline.core.instants import from_us, to_us
from ksi_pipeline.core.ticket_defaults import with_defaults
from ksi_pipeline.core.ticket_revisions import new_revisions
from ksi_pipeline.core.tickets import Fetch, ParsedAnswer, parse_hourly_answer
from ksi_pipeline.core.time import HOUR, Window
from ksi_pipeline.defs.steps.asked_before import AskedBefore
from ksi_pipeline.defs.steps.coverage import note_coverage, units_by_code
from ksi_pipeline.defs.steps.feed_history import FeedHistory
from ksi_pipeline.defs.workspace import Workspace, digest
from ksi_pipeline.space.load import Space
from ksi_pipeline.space.model import COMMON
from ksi_pipeline.store.ledger import Row
from ksi_pipeline.store.raw import read_raw
from ksi_pipeline.store.store import Change, QuarantineRow

# One change holds about so many rows, or answers, at once: some 200 MB.
ROWS_AT_ONCE = 250_000
ANSWERS_AT_ONCE = 400


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

    def add(self, counts: dict[str, int]) -> None:
        """Add what became of the rows of one answer."""
        for name, count in counts.items():
            setattr(self, name, getattr(self, name) + count)


class AnswerBatch:
    """Reads answers of one feed one after the other, each against those before it.

    Attributes:
        hold_before: hours before it that they touch wait for the end of a backfill; or null.
    """

    def __init__(
        self,
        workspace: Workspace,
        config: HourlyApiConfig,
        space: Space,
        report: ParseReport,
        hold_before: datetime | None = None,
    ) -> None:
        self._workspace, self._config, self._space = workspace, config, space
        self._report = report
        self._history = FeedHistory(workspace.store, config.id, space)
        self._asked = AskedBefore(workspace.store, config.id, space.site_id)
        self._units = units_by_code(space, config.id)
        self._change = Change(hold_before=hold_before)
        self.hold_before = hold_before
        self._hashes: list[str] = []
        self._first_us = 0
        self.row_count = 0

    @property
    def answer_count(self) -> int:
        """How many answers were read."""
        return len(self._hashes)

    def add(self, fetch: Row) -> None:
        """Read one answer; it came after those read before it."""
        question = _question(fetch, self._space)
        self._first_us = self._first_us or to_us(question.fetched_at_utc)
        self._hashes.append(f"{fetch['fetch_id']}-{question.raw_sha256}")
        counts = dict.fromkeys(("rows_in", "rows_loaded", "rows_unchanged", "rows_quarantined"), 0)
        counts["rows_unmatched"] = 0
        try:
            body = read_raw(self._workspace.store, fetch)
            answer = parse_hourly_answer(
                body,
                question,
                known_codes=set(self._units),
                asked_before=partial(self._asked.windows, fetch),
            )
            answer = with_defaults(answer, self._config.currency, self._config.tax_included)
        except ContractError as error:
            self._refuse(question, error)
        else:
            counts = self._load(answer)
        self._change.fetches_parsed.append((fetch["fetch_id"], counts))
        self.row_count += counts["rows_in"]
        self._report.add(counts)

    def commit(self) -> None:
        """Let everything read count."""
        if not self._hashes:
            return
        first = self._hashes[0].partition("-")[2][:12]
        more = f" and {len(self._hashes) - 1} more" if len(self._hashes) > 1 else ""
        self._change.cause = f"answer {first}{more} of {self._config.id}"
        name = f"{self._first_us}-{digest(self._hashes)[:16]}"
        self._history.write(self._change, "answer", name)
        self._workspace.store.commit(self._change)

    def _load(self, answer: ParsedAnswer) -> dict[str, int]:
        question, absent_means = answer.fetch, self._config.require_absent_means()
        # the key of an hour that a clock change cuts lies before its first instant
        first, end = to_us(question.window.start - HOUR), to_us(question.window.end)
        known = self._history.near("ticket_hours", first, end)
        added = new_revisions(answer, known, absent_means=absent_means)
        if added.num_rows:
            self._history.add("ticket_hours", added)
            self._touch(added)
        covered = feed_coverage(answer, absent_means=absent_means)
        self._cover(covered)
        for rejected in answer.rejected:
            self._change.quarantine.append(
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
        codes = Counter(rejected.code for rejected in answer.rejected)
        self._report.messages += [f"{r.code}: {r.message}" for r in answer.rejected[:5]]
        self._report.codes.update(codes)
        loaded = _row_count(added)
        # E_UNKNOWN_CODE is a notice: its row was loaded and counts once the code is linked.
        refused = codes.total() - codes["E_UNKNOWN_CODE"]
        return {
            "rows_in": answer.rows.num_rows + refused,
            "rows_loaded": loaded,
            "rows_unchanged": answer.rows.num_rows - loaded,
            "rows_quarantined": refused,
            "rows_unmatched": answer.unmatched_count,
        }

    def _refuse(self, question: Fetch, error: ContractError) -> None:
        """Set the whole answer aside."""
        self._change.quarantine.append(
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
        self._report.messages.append(f"{error.code}: {error}")
        self._report.codes[error.code] += 1
        refused = refused_coverage(
            question.connector_id,
            question.asked_codes,
            question.window,
            reason_code=error.code,
            fetched_at_utc=question.fetched_at_utc,
        )
        self._cover(refused, is_answer=False)

    def _cover(self, covered: pa.Table, *, is_answer: bool = True) -> None:
        note_coverage(
            self._workspace,
            self._history,
            self._change,
            self._space,
            covered,
            is_answer=is_answer,
        )

    def _touch(self, added: pa.Table) -> None:
        """Name the unit-hours of new rows."""
        encoded = added["ext_ref_code"].combine_chunks().dictionary_encode()
        codes = encoded.indices.to_numpy()
        hours = added["hour_start_utc"].cast(pa.int64()).to_numpy()
        for number, code in enumerate(encoded.dictionary.to_pylist()):
            # a code that nobody linked has no unit, but fct_ticket_reconciliation_daily shows it,
            # which is built whenever anything is
            units = self._units.get(code, {COMMON})
            starts = np.unique(hours[codes == number]).tolist()
            for unit in units:
                touched = zip(repeat(self._space.site_id), repeat(unit), starts)
                self._change.affected.update(touched)


def _question(fetch: Row, space: Space) -> Fetch:
    return Fetch(
        connector_id=fetch["connector_id"],
        raw_sha256=fetch["raw_sha256"],
        fetched_at_utc=from_us(fetch["fetched_at_utc"]),
        window=Window(from_us(fetch["from_utc"]), from_us(fetch["to_utc"])),
        zone=space.file.site.zone_info,
        asked_codes=tuple(json.loads(fetch["codes"])),
    )


def _row_count(rows: pa.Table) -> int:
    """Count the rows that an answer sent, without zeros that follow from absence."""
    return int(np.count_nonzero(rows["row_number"].to_numpy() >= 0))
