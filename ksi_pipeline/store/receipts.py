"""Receipts of targets in the ledger: which batch of each partition a target holds."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime

from sqlalchemy import delete, insert, select

from ksi_pipeline.core.instants import to_us
from ksi_pipeline.core.publishing import Figures, Part, Receipt
from ksi_pipeline.store.ledger import Ledger, Row
from ksi_pipeline.store.tables import PUBLISH_RECEIPTS


class TargetReceipts:
    """The receipts of one target."""

    def __init__(self, ledger: Ledger, target_id: str, clock: Callable[[], datetime]) -> None:
        """Take the ledger, the target's id, and aware UTC now."""
        self._ledger, self._target_id, self._clock = ledger, target_id, clock

    def rows(self) -> list[Row]:
        """Give the rows of the ledger, in order."""
        of_target = PUBLISH_RECEIPTS.c.target_id == self._target_id
        query = select(PUBLISH_RECEIPTS).where(of_target)
        return self._ledger.rows(query.order_by(PUBLISH_RECEIPTS.c.mart, PUBLISH_RECEIPTS.c.month))

    def known(self) -> dict[Part, Receipt]:
        """Give the receipts by partition."""
        found = {}
        for row in self.rows():
            part = Part(row["mart"], row["month"])
            figures = Figures.from_json(row["figures"]) if row["figures"] else None
            found[part] = Receipt(part, row["batch_id"], row["is_done"], figures)
        return found

    def begin(self, batch_ids: Mapping[Part, str]) -> None:
        """Note that these partitions are being changed; an empty id where one is removed."""
        self._write({part: (batch_id, None) for part, batch_id in batch_ids.items()})

    def finish(self, done: Mapping[Part, tuple[str, Figures]], removed: Collection[Part]) -> None:
        """Note what the target holds now."""
        self._write(done, removed)

    def _write(
        self,
        receipts: Mapping[Part, tuple[str, Figures | None]],
        removed: Collection[Part] = (),
    ) -> None:
        now = to_us(self._clock())
        with self._ledger.transaction() as connection:
            for part in {*receipts, *removed}:
                connection.execute(
                    delete(PUBLISH_RECEIPTS).where(
                        PUBLISH_RECEIPTS.c.target_id == self._target_id,
                        PUBLISH_RECEIPTS.c.mart == part.mart,
                        PUBLISH_RECEIPTS.c.month == part.month,
                    )
                )
            for part, (batch_id, figures) in receipts.items():
                connection.execute(
                    insert(PUBLISH_RECEIPTS).values(
                        target_id=self._target_id,
                        mart=part.mart,
                        month=part.month,
                        batch_id=batch_id,
                        is_done=figures is not None,
                        row_count=figures.rows if figures else 0,
                        figures=figures.to_json() if figures else None,
                        published_at_utc=now,
                    )
                )
