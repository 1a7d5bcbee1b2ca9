"""Which answers a backfill asked for, so that the hours that they bring, and no others, wait."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ksi_pipeline.core.gaps import Question
from ksi_pipeline.core.instants import from_us
from ksi_pipeline.store.ledger import Row


@dataclass(frozen=True, slots=True)
class Holding:
    """A batch of a backfill.

    Attributes:
        connector_id: that is asked.
        site_id: whose codes it is asked for.
        questions: of the batch.
        before: hours before it wait; aware.
    """

    connector_id: str
    site_id: str
    questions: Sequence[Question]
    before: datetime

    def hold_before(self, fetch: Row) -> datetime | None:
        """Give `before` where an answer is to a question of the batch."""
        if (fetch["connector_id"], fetch["site_id"]) != (self.connector_id, self.site_id):
            return None
        start, end = from_us(fetch["from_utc"]), from_us(fetch["to_utc"])
        codes = set(json.loads(fetch["codes"]))
        is_own = any(
            asked.window.start <= start and end <= asked.window.end and codes <= set(asked.codes)
            for asked in self.questions
        )
        return self.before if is_own else None
