"""Reading the kept answers into revisions, coverage and quarantine.

The answers of one feed are read in the order in which they hold, many in one change, which holds no
more than its share of memory. Feeds do not meet: each has its codes and hours to itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import pyarrow as pa
from sqlalchemy import func, select

from ksi_pipeline.connectors.config import load_connectors, of_kind
from ksi_pipeline.connectors.hourly_config import HourlyApiConfig
from ksi_pipeline.defs.steps.answers import (
    ANSWERS_AT_ONCE,
    ROWS_AT_ONCE,
    AnswerBatch,
    ParseReport,
)
from ksi_pipeline.defs.steps.coverage import units_by_code
from ksi_pipeline.defs.steps.feed_history import FeedHistory
from ksi_pipeline.defs.steps.holding import Holding
from ksi_pipeline.defs.steps.late_answers import with_later_ones
from ksi_pipeline.defs.steps.touched import hours_in, spans_of, units_of
from ksi_pipeline.defs.workspace import Workspace, digest
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.ledger import Row
from ksi_pipeline.store.raw import read_mended
from ksi_pipeline.store.store import AffectedHour, Change
from ksi_pipeline.store.tables import FETCHES

__all__ = ["ParseReport", "Totals", "parse_answers", "reconcile"]


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


def parse_answers(
    workspace: Workspace, *, rows_at_once: int = ROWS_AT_ONCE, holding: Holding | None = None
) -> ParseReport:
    """Read every stored answer that was not read yet, each feed's in the order they came.

    Args:
        workspace: the data home.
        rows_at_once: answers are read together until they have so many rows.
        holding: what a backfill asked for just now; null where none asks.
    """
    report = ParseReport()
    configs = {
        config.id: config
        for config in of_kind(load_connectors(workspace.home.connectors), HourlyApiConfig)
    }
    spaces = {space.site_id: space for space in workspace.spaces()}
    _parse_again_where_rules_changed(workspace, configs, spaces)
    read_mended(workspace.store)
    fetches = sorted(workspace.store.ledger.unparsed_fetches(), key=_feed_of)
    done = 0
    for (connector_id, site_id), rows in groupby(fetches, key=_feed_of):
        waiting = list(rows)
        config, space = configs.get(connector_id), spaces.get(site_id)
        if config is None or space is None or config.absent_means is None:
            report.messages += [
                f"An answer of connector {connector_id!r} for site {site_id!r} waits unread: the "
                "connector, its absent_means or the site is not configured any more. Put it back; "
                "the answer is read by the next run."
            ] * len(waiting)
            done += len(waiting)
            continue
        FeedHistory(workspace.store, connector_id, space).part()
        waiting = with_later_ones(workspace, space, waiting)
        batch = AnswerBatch(workspace, config, space, report)
        for number, fetch in enumerate(waiting):
            workspace.progress(f"tickets {connector_id}", (done + number) / len(fetches))
            hold_before = holding.hold_before(fetch) if holding else None
            is_full = batch.row_count >= rows_at_once or batch.answer_count >= ANSWERS_AT_ONCE
            if is_full or hold_before != batch.hold_before:
                batch.commit()
                batch = AnswerBatch(workspace, config, space, report, hold_before)
            batch.add(fetch)
        batch.commit()
        FeedHistory(workspace.store, connector_id, space).compact()
        done += len(waiting)
    files = workspace.store.ledger.live_files("ticket_hours")
    report.total_rows = sum(int(row["row_count"]) for row in files)
    return report


def _feed_of(fetch: Row) -> tuple[str, str]:
    return fetch["connector_id"], fetch["site_id"]


def _parse_again_where_rules_changed(
    workspace: Workspace, configs: dict[str, HourlyApiConfig], spaces: dict[str, Space]
) -> None:
    """Take back what was read by other rules, so that the kept answers are read anew.

    Hours were cut by the site's time zone, absence was read by the connector's absent_means, and
    amounts by its currency and tax_included; a correction of any has to reach the past as well.
    """
    store = workspace.store
    for config in configs.values():
        for space in spaces.values():
            step = f"parse:{config.id}/{space.site_id}"
            if config.absent_means is None or config.id not in _connectors_of(space):
                continue
            rules = _rules(config, space)
            known = store.ledger.inputs_of(step)
            if known == rules:
                continue
            change = Change(cause=f"rules of {config.id} changed", steps={step: rules})
            if known is not None:
                prefix = f"answer:{config.id}/{space.site_id}/"
                rows = store.retire(change, "ticket_hours", prefix=prefix)
                change.affect(_linked_hours(space, config.id, rows))
                covered = store.retire(change, "coverage", prefix=prefix)
                units = units_of(space)
                change.affect(hours_in(space, units, sorted(set(spans_of(covered)))))
                change.fetches_to_parse_again.append((config.id, space.site_id))
            store.commit(change)


def _rules(config: HourlyApiConfig, space: Space) -> str:
    amounts = (config.currency, config.tax_included)
    # homes from before there were defaults are not read anew for it
    said = () if amounts == (None, None) else amounts
    return digest(space.file.site.timezone, config.absent_means, *said)


def _connectors_of(space: Space) -> set[str]:
    return {link.connector for link in space.file.links}


def reconcile(workspace: Workspace) -> Totals:
    """Add up what became of every row of every answer."""
    sums = {name: func.coalesce(func.sum(FETCHES.c[name]), 0) for name in Totals.__slots__}
    (row,) = workspace.store.ledger.rows(select(*(s.label(n) for n, s in sums.items())))
    return Totals(**{name: int(row[name]) for name in Totals.__slots__})


def _linked_hours(space: Space, connector_id: str, rows: pa.Table) -> Iterator[AffectedHour]:
    units = units_by_code(space, connector_id)
    pairs = rows.group_by(["ext_ref_code", "hour_start_utc"]).aggregate([]).to_pylist()
    for row in pairs:
        for unit in units.get(row["ext_ref_code"], ()):
            yield space.site_id, unit, row["hour_start_utc"]
