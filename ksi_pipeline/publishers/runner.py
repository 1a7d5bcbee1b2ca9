"""Drives any target from the plan to the receipts; it may be killed anywhere and run again.

    plan -> for each load: stage -> check -> begin -> apply -> reconcile -> finish

Apply and reconcile are one step for readers: what they would see is added up before they see it.
The receipt is begun before and finished after, so that a run killed between finds it unfinished.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import duckdb

from ksi_pipeline.core.errors import TransientError
from ksi_pipeline.core.publishing import (
    Batch,
    Figures,
    Part,
    added_columns,
    marts_of,
    require_equal,
)
from ksi_pipeline.publishers.base import Receipts, Target
from ksi_pipeline.publishers.parquet import parquet_figures
from ksi_pipeline.publishers.plan import Change, make_plan
from ksi_pipeline.publishers.refusals import snapshot_gone

_FIRST_WAIT_S = 2.0
_LONGEST_WAIT_S = 60.0
# Whoever found a target busy has waited already, and files that are gone do not come back.
_NOT_AGAIN = {"E_TARGET_BUSY", "E_SNAPSHOT_GONE"}
Told = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run did to a target.

    Attributes:
        changes: every partition looked at, with what became of it.
        figures: of each partition wanted, as the target shows it now.
    """

    changes: Sequence[Change]
    figures: Mapping[Part, Figures] = field(default_factory=dict)

    def count(self, action: str, mart: str | None = None) -> int:
        """Count the partitions with that action."""
        return sum(c.action == action and mart in (None, c.part.mart) for c in self.changes)


def plan_for(
    target: Target, wanted: Sequence[Batch], receipts: Receipts, scope: Callable[[Part], bool]
) -> list[Change]:
    """Compare what is wanted with what the target has; changes nothing.

    Raises:
        PublishRefused: E_PUBLISH_SCHEMA.
    """
    samples = {batch.part.mart: batch for batch in wanted}
    found: dict[Part, Figures] = {}
    for mart, sample in samples.items():
        held = target.columns(mart)
        if held is not None:
            added_columns(target.target_id, mart, sample.columns, held)
            found |= target.figures(mart, sample)
    return make_plan(wanted, receipts.known(), found, scope)


def publish(
    target: Target,
    wanted: Sequence[Batch],
    receipts: Receipts,
    *,
    scope: Callable[[Part], bool] = lambda _part: True,
    attempts: int = 1,
    sleep: Callable[[float], None] = time.sleep,
    told: Told = lambda _what, _share: None,
) -> Outcome:
    """Let a target have what is wanted, and nothing else in scope.

    Args:
        target: where to.
        wanted: at most one batch for each partition.
        receipts: of the target.
        scope: which partitions this run may touch.
        attempts: in all, where something fails that passes; each goes on where the one before
            ended.
        sleep: waits that many seconds.
        told: before each step, what it is and which share of the run is done.

    Raises:
        PublishRefused: E_PUBLISH_SCHEMA, E_RECONCILE: readers keep what they had of what is named.
        KsiError: E_TARGET_*.
    """
    for attempt in range(attempts):
        try:
            return _publish(target, wanted, receipts, scope, told)
        except TransientError as error:
            if attempt == attempts - 1 or error.code in _NOT_AGAIN:
                raise
        sleep(min(_FIRST_WAIT_S * 2**attempt, _LONGEST_WAIT_S))
    raise AssertionError("at least one attempt returns or raises")


def _publish(
    target: Target,
    wanted: Sequence[Batch],
    receipts: Receipts,
    scope: Callable[[Part], bool],
    told: Told,
) -> Outcome:
    with target.hold():
        told("plan", 0.0)
        plan = plan_for(target, wanted, receipts, scope)
        held = {part: receipt.figures for part, receipt in receipts.known().items()}
        figures = {c.part: held.get(c.part) for c in plan if c.action == "skip"}
        done = {part: found for part, found in figures.items() if found is not None}
        loads = target.loads([change for change in plan if change.action != "skip"])
        for number, load in enumerate(loads):
            with _snapshot_is_there(target.target_id, load):
                done |= _load(target, load, receipts, partial(_tell, told, number / len(loads)))
    return Outcome(plan, done)


@contextmanager
def _snapshot_is_there(target: str, load: Sequence[Change]) -> Iterator[None]:
    """Say it where files that were to be published are gone; targets may tell it as their own."""
    try:
        yield
    except (OSError, duckdb.IOException, TransientError) as error:
        gone = [str(c.part) for c in load if c.batch and not c.batch.path.exists()]
        if not gone:
            raise
        raise snapshot_gone(target, f"the files of {', '.join(gone[:3])}") from error


def _tell(told: Told, share: float, what: str) -> None:
    told(what, share)


def _load(
    target: Target, load: Sequence[Change], receipts: Receipts, told: Callable[[str], None]
) -> dict[Part, Figures]:
    name = ", ".join(marts_of([change.part for change in load])[:3])
    if len(load) == 1:
        name = str(load[0].part)
    expected = _expected(load)
    told(f"stage {name}")
    staged = target.stage(load)
    told(f"check {name}")
    sent = {part: figures for part, figures in expected.items() if figures.rows}
    require_equal(target.target_id, sent, staged, "what was staged")
    told(f"begin {name}")
    receipts.begin({c.part: c.batch.batch_id if c.batch else "" for c in load})
    told(f"apply {name}")
    seen: dict[Part, Figures] = {}

    def accept(figures: Mapping[Part, Figures]) -> None:
        require_equal(target.target_id, expected, figures, "what readers would see")
        seen.update(figures)
        told(f"reconcile {name}")

    target.apply(load, accept)
    told(f"receipt {name}")
    shown = {c.part: seen.get(c.part, Figures(0)) for c in load if c.batch}
    done = {c.part: (c.batch.batch_id, shown[c.part]) for c in load if c.batch}
    receipts.finish(done, [change.part for change in load if not change.batch])
    return shown


def _expected(load: Collection[Change]) -> dict[Part, Figures]:
    """Add the Parquet up; nothing for what is to be gone."""
    with duckdb.connect() as connection:
        return {
            change.part: parquet_figures(connection, change.batch) if change.batch else Figures(0)
            for change in load
        }
