"""Topics of Kafka: events of the rows that changed, then a commit that says the partition is whole.

    <prefix>.<mart>     an event for each row, keyed by its grain; the last of a key is what holds
    <prefix>.commits    which partitions are whole, up to which offsets; see control
    <prefix>.schemas    the Avro schema of each schema_version

A log without transactions shows events as they come. So a partition that is being restated is
whole for those readers who wait for its commit, as docs/how-to/publish-to-kafka.md tells them. What
is compared is the topic as it stands, committed or not: a run that was killed left some of its
events, the next sends the others.
"""

import hashlib
import socket
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ksi_pipeline.core.errors import KsiError
from ksi_pipeline.core.publishing import WHOLE, Batch, Column, Figures, Part
from ksi_pipeline.publishers.base import Accept
from ksi_pipeline.publishers.kafka.client import Event
from ksi_pipeline.publishers.kafka.config import KafkaConfig
from ksi_pipeline.publishers.kafka.control import Commit
from ksi_pipeline.publishers.kafka.events import Codec
from ksi_pipeline.publishers.kafka.fold import Fold, Staged
from ksi_pipeline.publishers.kafka.grants import grants
from ksi_pipeline.publishers.kafka.session import COMMITS, SCHEMAS, Session
from ksi_pipeline.publishers.on_disk import only_publisher
from ksi_pipeline.publishers.plan import Change


class KafkaTarget:
    """Publishes to the topics of one prefix; connections are made where they are needed."""

    def __init__(
        self,
        config: KafkaConfig,
        credentials: Mapping[str, str],
        below: Path,
        memory_limit: str = "1GB",
    ) -> None:
        """Take the configuration, what logs in, and the folder that the lock lies below."""
        self.target_id = config.id
        if config.ca_file:
            config = config.model_copy(update={"ca_file": below / config.ca_file})
        self._config, self._credentials = config, credentials
        self._lock = below / "targets" / f"{config.id}.lock"
        self._memory_limit = memory_limit
        self._session: Session | None = None

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep other publishers out; see Target."""
        config = self._config
        with only_publisher(self._lock, self.target_id):
            if self._session is not None:
                self._session.close()
            session = Session(config, self._credentials, self._memory_limit)
            try:
                session.ensure(config.topic(COMMITS), 1, is_one=True)
                session.ensure(config.topic(SCHEMAS), 1, is_one=True)
                session.control.claim(
                    self.target_id, self._owner(), config.lease_s, config.lock_wait_s
                )
                self._session = session
                try:
                    yield
                finally:
                    self._session = None
                    # a lease that cannot be given back runs out
                    with suppress(KsiError):
                        session.control.release()
            finally:
                session.close()

    def columns(self, mart: str) -> tuple[Column, ...] | None:
        """Give the columns that the newest commit names; see Target."""
        commit = self._open().control.latest(mart)
        return commit.columns if commit else None

    def figures(self, mart: str, sample: Batch) -> dict[Part, Figures]:
        """Add a topic up by partition, or give what its commits say where nothing came since.

        What stands in the topic counts, committed or not.
        """
        session = self._open()
        commits = session.control.of_mart(mart)
        newest = session.control.latest(mart)
        if newest and newest.is_settled and session.is_as_committed(newest):
            return {commit.part: commit.figures for commit in commits if commit.figures.rows}
        is_by_month = sample.part.month != WHOLE
        fold = session.fold(mart, sample.columns)
        return fold.figures(sample.columns, sample.key, is_by_month=is_by_month)

    def loads(self, changes: Sequence[Change]) -> list[list[Change]]:
        """Commit each partition by itself."""
        return [[change] for change in changes]

    def stage(self, load: Sequence[Change]) -> dict[Part, Figures]:
        """Work out the events that are to be sent, and add up what they decode to."""
        session = self._open()
        found = {}
        for change in load:
            fold, staged, _ = session.staged(change)
            if change.batch:
                found[change.part] = fold.staged_figures(staged, change.batch)
            session.waiting[change.part] = staged
        return found

    def apply(self, load: Sequence[Change], accept: Accept) -> None:
        """Send, read back from where the sending began, and commit once `accept` took it."""
        session, found = self._open(), {}
        applied: list[Commit] = []
        for change in load:
            fold, staged, codec = self._send(session, change)
            found[change.part] = fold.of_part(change.part, change.batch)
            applied.append(
                Commit(
                    change.part,
                    staged.sequence,
                    staged.batch_id,
                    staged.changed + staged.gone,
                    found[change.part],
                    codec.columns,
                    session.client.first_offsets(self._config.topic(change.part.mart)),
                    tuple(fold.at),
                    codec.version,
                    session.is_settled(change, fold, found[change.part]),
                )
            )
        accept(found)
        session.control.renew(self.target_id, self._config.lease_s)
        session.control.write(applied)

    def statements(self, change: Change) -> list[str]:
        """Name topic, number of events and the first of them; see Target."""
        session, topic = self._open(), self._config.topic(change.part.mart)
        fold, staged, codec = session.staged(change)
        told = [
            f"send {staged.changed} events and {staged.gone} tombstones to {topic}",
            *(
                [_shown(first[0])]
                if (first := next(fold.events(staged, codec.version), []))
                else []
            ),
            f"commit {change.part} to {self._config.topic(COMMITS)}",
        ]
        fold.drop(staged)
        if not session.client.partitions(topic):
            told.insert(0, f"create {topic}, {self._config.partitions} partitions, compacted")
        return told

    def grants(self) -> list[str]:
        """Write the least rights that publishing and reading need."""
        return grants(self._config)

    def _send(self, session: Session, change: Change) -> tuple[Fold, Staged, Codec]:
        mart, client = change.part.mart, session.client
        topic, codec = self._config.topic(mart), session.codec(change)
        staged = session.waiting.pop(change.part)
        session.ensure(topic, self._config.partitions)
        session.teach(codec)
        fold = session.fold(mart, codec.columns)
        fold.at = fold.at or [0] * client.partitions(topic)
        sent: dict[int, int] = {}
        for events in fold.events(staged, codec.version):
            session.control.renew(self.target_id, self._config.lease_s)
            sent |= client.send(topic, events)
        for messages in client.read(topic, fold.at, sent):
            fold.add(messages)
        fold.drop(staged)
        return fold, staged, codec

    def _open(self) -> Session:
        """Give the session that holds the target, or one for questions."""
        if self._session is None:
            self._session = Session(self._config, self._credentials, self._memory_limit)
            self._session.control.refresh()
        return self._session

    def _owner(self) -> str:
        """Name the data home by a word of its own, the same in each of its runs."""
        path = self._lock.with_suffix(".owner")
        if not path.exists():
            path.write_text(uuid.uuid4().hex)
        told = f"{socket.gethostname()} {path.read_text()}"
        return hashlib.sha256(told.encode()).hexdigest()[:16]


def _shown(event: Event) -> str:
    value = event.value
    if value is not None and not value.startswith(b"{"):
        told = f"{len(value)} bytes of Avro, schema {value[2:10][::-1].hex()}"
    else:
        told = value.decode() if value else "null"
    return f"first of them: key {event.key}, value {told}"
