"""The topic <prefix>.commits: which partitions are whole, and who publishes.

A commit says that a partition of a mart is whole: its rows are what the events of its month before
the commit's offsets leave, the last of each key. It has one partition, so all read it in one order.

A lease keeps publishers of other data homes out, on whatever machine. The log decides who has it: a
claim counts where no other claim holds at that place. A publisher that died is followed at once by
the next of the same data home, whose lock file says that nobody else is there; others wait until
its lease runs out. Nothing fences a publisher that slept longer than its lease and then goes on
sending: it asks before every few thousand events and before each commit, no more can be done
without transactions.
"""

import json
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ksi_pipeline.core.publishing import Column, Figures, Part
from ksi_pipeline.publishers.kafka.client import Client, Event
from ksi_pipeline.publishers.refusals import busy

_BETWEEN_S = 0.5


@dataclass(frozen=True, slots=True)
class Commit:
    """A partition that is whole.

    Attributes:
        sequence: counts the commits of the partition, from 1.
        batch_id: empty where the partition was removed.
        events: how many were sent for it.
        first_offsets: that the partitions of the mart's topic began with.
        offsets: behind the events that it counts, by partition of the topic.
        is_settled: whether all else before these offsets is as its commits say.
    """

    part: Part
    sequence: int
    batch_id: str
    events: int
    figures: Figures
    columns: tuple[Column, ...]
    first_offsets: tuple[int, ...]
    offsets: tuple[int, ...]
    schema_version: str = ""
    is_settled: bool = False

    def event(self) -> Event:
        """Write it as a message."""
        told = {
            "mart": self.part.mart,
            "business_month": self.part.month,
            "sequence": self.sequence,
            "batch_id": self.batch_id,
            "rows": self.figures.rows,
            "events": self.events,
            "offsets": list(self.offsets),
            "first_offsets": list(self.first_offsets),
            "schema_version": self.schema_version,
            "is_settled": self.is_settled,
            "committed_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "figures": json.loads(self.figures.to_json()),
            "columns": [_told(column) for column in self.columns],
        }
        key = json.dumps(["commit", self.part.mart, self.part.month])
        return Event(key, json.dumps(told).encode())

    @classmethod
    def read(cls, told: dict[str, Any]) -> "Commit":
        """Read what event wrote."""
        return cls(
            Part(told["mart"], told["business_month"]),
            told["sequence"],
            told["batch_id"],
            told["events"],
            Figures.from_json(json.dumps(told["figures"])),
            tuple(Column(**column) for column in told["columns"]),
            tuple(told["first_offsets"]),
            tuple(told["offsets"]),
            told["schema_version"],
            told["is_settled"],
        )


@dataclass(frozen=True, slots=True)
class _Lease:
    run: str
    owner: str
    until: float


class Control:
    """What the topic of commits says so far."""

    def __init__(
        self,
        client: Client,
        topic: str,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the topic, which need not be there; nothing is read yet."""
        self._client, self._topic = client, topic
        self._now, self._sleep = now, sleep
        self._at: list[int] = []
        self._said: dict[int, int] = {}
        self._holder: _Lease | None = None
        self._mine: _Lease | None = None
        self.commits: dict[Part, Commit] = {}
        self._latest: dict[str, Commit] = {}

    def refresh(self) -> None:
        """Read what came since."""
        self._at = self._at or list(self._client.first_offsets(self._topic))
        for messages in self._client.read(self._topic, self._at, self._said):
            for message in messages:
                self._take(message)

    def latest(self, mart: str) -> Commit | None:
        """Give the newest commit of any partition of a mart."""
        return self._latest.get(mart)

    def of_mart(self, mart: str) -> list[Commit]:
        """Give the newest commit of each partition of a mart."""
        return [commit for part, commit in self.commits.items() if part.mart == mart]

    def write(self, commits: Sequence[Commit]) -> None:
        """Write commits, and know that they are there."""
        self._said = self._client.send(self._topic, [commit.event() for commit in commits])
        for commit in commits:
            self._keep(commit)

    def claim(self, target: str, owner: str, lease_s: float, wait_s: float) -> None:
        """Get the lease.

        Args:
            target: its id, for messages.
            owner: the same for every publisher that one lock file keeps apart.
            lease_s: how long it holds without a word.
            wait_s: how long another's is waited for.

        Raises:
            TransientError: E_TARGET_BUSY.
        """
        run, end = uuid.uuid4().hex, self._now() + wait_s
        while True:
            self.refresh()
            if not self._is_held_by_another(owner):
                self._say(_Lease(run, owner, self._now() + lease_s))
                self.refresh()
                if self._mine and self._holds(self._mine):
                    return
                self._withdraw(run)
            if self._now() >= end:
                raise busy(target)
            self._sleep(_BETWEEN_S)

    def renew(self, target: str, lease_s: float) -> None:
        """Make sure that the lease is still ours, and make it longer where half of it is over.

        One that ran out while a long step was under way is ours as long as nobody else took it.

        Raises:
            TransientError: E_TARGET_BUSY, somebody else has it.
        """
        self.refresh()
        mine = self._mine
        if mine and self._holds(mine) and mine.until - self._now() < lease_s / 2:
            self._say(_Lease(mine.run, mine.owner, self._now() + lease_s))
            self.refresh()
        if mine is None or not self._holds(mine):
            raise busy(target)

    def release(self) -> None:
        """Give the lease back."""
        if self._mine is not None:
            self._withdraw(self._mine.run)

    def _holds(self, lease: _Lease) -> bool:
        return self._holder is not None and self._holder.run == lease.run

    def _is_held_by_another(self, owner: str) -> bool:
        holder = self._holder
        return holder is not None and holder.owner != owner and holder.until > self._now()

    def _say(self, lease: _Lease) -> None:
        key = json.dumps(["lease", lease.run])
        told = {"owner": lease.owner, "at": self._now(), "until": lease.until}
        self._mine = lease
        self._said = self._client.send(self._topic, [Event(key, json.dumps(told).encode())])

    def _withdraw(self, run: str) -> None:
        self._mine = None
        self._said = self._client.send(self._topic, [Event(json.dumps(["lease", run]), None)])

    def _take(self, message: Any) -> None:
        try:
            kind, *named = json.loads(message.key() or b"")
            told = json.loads(message.value()) if message.value() else None
            if kind == "commit" and told:
                self._keep(Commit.read(told))
            elif kind == "lease":
                self._take_lease(str(named[0]), told)
        except (ValueError, TypeError, KeyError):
            # somebody else's words
            return

    def _keep(self, commit: Commit) -> None:
        self.commits[commit.part] = commit
        self._latest[commit.part.mart] = commit

    def _take_lease(self, run: str, told: dict[str, Any] | None) -> None:
        holder = self._holder
        if told is None:
            self._holder = None if holder and holder.run == run else holder
            return
        claimed = _Lease(run, str(told["owner"]), float(told["until"]))
        is_free = holder is None or holder.until < float(told["at"])
        if holder is None or is_free or claimed.owner == holder.owner:
            self._holder = claimed


def _told(column: Column) -> dict[str, object]:
    # what columns mean is in the schema
    return {"name": column.name, "type": column.type, "is_nullable": column.is_nullable}
