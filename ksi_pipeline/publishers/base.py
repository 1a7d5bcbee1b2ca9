"""What every target does: stage, check, apply in one step, and show what it holds."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from ksi_pipeline.core.publishing import Batch, Column, Figures, Part, Receipt
from ksi_pipeline.publishers.plan import Change

# Raises where what the target shows is not what it was sent.
Accept = Callable[[Mapping[Part, Figures]], None]


class Target(Protocol):
    """A place that marts are published to.

    Every method raises TransientError where trying again may help, else a PermanentError, with a
    code E_TARGET_* and without any secret.
    """

    @property
    def target_id(self) -> str:
        """The id in targets.yaml."""
        ...

    def hold(self) -> AbstractContextManager[None]:
        """Keep other publishers out for the block, and sweep up what a killed run left.

        Raises:
            TransientError: E_TARGET_BUSY, another publisher works on the target.
        """
        ...

    def columns(self, mart: str) -> tuple[Column, ...] | None:
        """Give the columns of a mart as the target has it; None where it has none."""
        ...

    def figures(self, mart: str, sample: Batch) -> dict[Part, Figures]:
        """Add up what readers see of a mart now, by partition.

        Args:
            mart: that the target has.
            sample: a batch of the mart, for its columns; those that the target has are added up.
        """
        ...

    def loads(self, changes: Sequence[Change]) -> list[list[Change]]:
        """Group changes that become visible in one step."""
        ...

    def stage(self, load: Sequence[Change]) -> dict[Part, Figures]:
        """Bring the rows of a load to where no reader looks, and add up what arrived."""
        ...

    def apply(self, load: Sequence[Change], accept: Accept) -> None:
        """Make a staged load visible in one step, once `accept` took what readers will see.

        Where accept raises, or the process dies, readers keep what they had.
        """
        ...

    def statements(self, change: Change) -> list[str]:
        """Write what a change would do, for people."""
        ...

    def grants(self) -> list[str]:
        """Write the least rights that publishing and reading need."""
        ...


class Receipts(Protocol):
    """Where a target's receipts are kept."""

    def known(self) -> dict[Part, Receipt]:
        """Give the receipts of the target."""
        ...

    def begin(self, batch_ids: Mapping[Part, str]) -> None:
        """Note, before it becomes visible, that these partitions are being changed.

        Args:
            batch_ids: of what comes; empty where a partition is removed.
        """
        ...

    def finish(self, done: Mapping[Part, tuple[str, Figures]], removed: Collection[Part]) -> None:
        """Note what the target holds now; a partition that was removed has no receipt any more."""
        ...
