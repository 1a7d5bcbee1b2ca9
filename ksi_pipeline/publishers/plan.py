"""What a target lacks: the partitions wanted against its receipts and what it shows. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ksi_pipeline.core.publishing import NO_MONTH, Batch, Figures, Part, Receipt

Action = Literal["publish", "replace", "skip", "remove"]


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one partition.

    Attributes:
        batch: its rows from now on; null where it is removed.
        reason: in words.
    """

    action: Action
    part: Part
    batch: Batch | None
    reason: str


def make_plan(
    wanted: Sequence[Batch],
    receipts: Mapping[Part, Receipt],
    found: Mapping[Part, Figures],
    is_in_scope: Callable[[Part], bool] = lambda _part: True,
) -> list[Change]:
    """Decide for each partition; the order of what is given changes nothing.

    Args:
        wanted: at most one batch for each partition.
        receipts: of the target.
        found: what the target shows now; a partition that is not there has no figures.
        is_in_scope: whether a partition that is not wanted may be removed.

    Returns:
        One change for each partition wanted, and one for each to be removed, in order.
    """
    by_part = {batch.part: batch for batch in wanted if is_in_scope(batch.part)}
    changes = [
        _change(batch, receipts.get(part), found.get(part)) for part, batch in by_part.items()
    ]
    shown = {part for part, figures in found.items() if figures.rows}
    changes += [
        Change("remove", part, None, "is no longer in the mart")
        for part in shown | set(receipts)
        if part not in by_part and is_in_scope(part)
    ]
    return sorted(changes, key=lambda change: change.part)


def _change(batch: Batch, receipt: Receipt | None, shown: Figures | None) -> Change:
    if receipt is None:
        if shown is not None and shown.rows:
            return Change("replace", batch.part, batch, "is there without a receipt")
        return Change("publish", batch.part, batch, "was never published")
    if not receipt.is_done or receipt.figures is None:
        return Change("replace", batch.part, batch, "an earlier run ended before its receipt")
    if receipt.batch_id != batch.batch_id:
        return Change("replace", batch.part, batch, "has other rows or columns than before")
    if _is_altered(receipt.figures, shown, batch.part):
        return Change("replace", batch.part, batch, "was altered in the target")
    return Change("skip", batch.part, batch, "is there already")


def _is_altered(published: Figures, shown: Figures | None, part: Part) -> bool:
    if shown is None:
        # a table without a row shows no month
        return published.rows > 0 and part.month != NO_MONTH
    return bool(published.differences(shown)) if published.rows or shown.rows else False
