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
import json
import socket
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb

from ksi_pipeline.core.errors import KsiError
from ksi_pipeline.core.publishing import Batch, Column, Figures, Part
from ksi_pipeline.publishers.base import Accept
from ksi_pipeline.publishers.kafka.client import Client, Event
from ksi_pipeline.publishers.kafka.config import KafkaConfig
from ksi_pipeline.publishers.kafka.control import Commit, Control
from ksi_pipeline.publishers.kafka.events import Codec, fastavro
from ksi_pipeline.publishers.kafka.failures import no_topic
from ksi_pipeline.publishers.kafka.fold import Fold, Staged
from ksi_pipeline.publishers.kafka.grants import grants
from ksi_pipeline.publishers.on_disk import only_publisher
from ksi_pipeline.publishers.plan import Change

COMMITS, SCHEMAS = "commits", "schemas"
# an event stays until the commit that makes it old news has surely come
_COMPACT = {"cleanup.policy": "compact", "min.compaction.lag.ms": "86400000"}
_DATE = Column("business_date", "date")


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
        self._session: _Session | None = None

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep other publishers out; see Target."""
        config = self._config
        with only_publisher(self._lock, self.target_id):
            if self._session is not None:
                self._session.close()
            session = _Session(config, self._credentials, self._memory_limit)
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
        if newest and session.is_as_committed(newest):
            return {commit.part: commit.figures for commit in commits if commit.figures.rows}
        return session.fold(mart, sample.columns).figures(sample)

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

    def _send(self, session: "_Session", change: Change) -> tuple[Fold, Staged, Codec]:
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

    def _open(self) -> "_Session":
        """Give the session that holds the target, or one for questions."""
        if self._session is None:
            self._session = _Session(self._config, self._credentials, self._memory_limit)
            self._session.control.refresh()
        return self._session

    def _owner(self) -> str:
        """Name the data home by a word of its own, the same in each of its runs."""
        path = self._lock.with_suffix(".owner")
        if not path.exists():
            path.write_text(uuid.uuid4().hex)
        told = f"{socket.gethostname()} {path.read_text()}"
        return hashlib.sha256(told.encode()).hexdigest()[:16]


class _Session:
    """One run's connections, folds and codecs."""

    def __init__(
        self, config: KafkaConfig, credentials: Mapping[str, str], memory_limit: str
    ) -> None:
        self._config = config
        fastavro(config.id)
        self.client = Client(config, credentials)
        self.control = Control(self.client, config.topic(COMMITS))
        self.waiting: dict[Part, Staged] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="ksi-kafka-")
        self._duckdb = duckdb.connect(
            str(Path(self._folder.name) / "fold.duckdb"), config={"memory_limit": memory_limit}
        )
        self._folds: dict[str, Fold] = {}
        self._codecs: dict[tuple[str, tuple[Column, ...]], Codec] = {}
        self._schemas: dict[str, Any] | None = None

    def close(self) -> None:
        self.client.close()
        self._duckdb.close()
        self._folder.cleanup()

    def ensure(self, topic: str, partitions: int, *, is_one: bool = False) -> None:
        """Make a topic where it is missing and may be made."""
        found = self.client.partitions(topic)
        if not found and not self._config.create_topics:
            raise no_topic(
                self._config.id,
                topic,
                "is not there, and create_topics is false",
                f"Have it made with {partitions} partitions and cleanup.policy=compact",
            )
        if not found:
            self.client.create(topic, partitions, _COMPACT)
        elif is_one and found > 1:
            raise no_topic(
                self._config.id,
                topic,
                f"has {found} partitions and must have one",
                "Delete it, and publish again",
            )

    def staged(self, change: Change) -> tuple[Fold, Staged, Codec]:
        codec = self.codec(change)
        fold = self.fold(change.part.mart, codec.columns)
        commit = self.control.commits.get(change.part)
        sequence = commit.sequence + 1 if commit else 1
        return fold, fold.stage(change.part, change.batch, codec, sequence), codec

    def codec(self, change: Change) -> Codec:
        mart, batch = change.part.mart, change.batch
        latest = self.control.latest(mart)
        columns = batch.columns if batch else latest.columns if latest else (_DATE,)
        if (mart, columns) not in self._codecs:
            self._codecs[mart, columns] = Codec.of(
                self._config.format, self._config.id, mart, columns, batch.about if batch else ""
            )
        return self._codecs[mart, columns]

    def fold(self, mart: str, columns: Sequence[Column]) -> Fold:
        """Give what a topic holds; it is read whole the first time."""
        known = self._folds.get(mart)
        if known and {c.name for c in columns} <= {c.name for c in known.columns}:
            return known
        topic = self._config.topic(mart)
        first = self.client.first_offsets(topic)
        self._require_partitions(mart, topic, len(first))
        # now: its topic is read by the same consumer
        self._known_schemas()
        fold = Fold(self._duckdb, mart, columns, self._schema_of, first)
        for messages in self.client.read(topic, fold.at, {}):
            fold.add(messages)
        self._folds[mart] = fold
        return fold

    def teach(self, codec: Codec) -> None:
        """Let the topic of schemas have the schema of the events that follow."""
        if self._schema_of(codec.version) is None:
            event = Event(codec.version, json.dumps(codec.schema).encode())
            self.client.send(self._config.topic(SCHEMAS), [event])
            self._known_schemas()[codec.version] = codec.parsed

    def _schema_of(self, version: str) -> Any:
        return self._known_schemas().get(version)

    def _known_schemas(self) -> dict[str, Any]:
        if self._schemas is None:
            self._schemas = {}
            topic = self._config.topic(SCHEMAS)
            at = list(self.client.first_offsets(topic))
            for messages in self.client.read(topic, at, {}):
                for message in messages:
                    schema = fastavro(self._config.id).parse_schema(json.loads(message.value()))
                    self._schemas[message.key().decode()] = schema
        return self._schemas

    def is_as_committed(self, commit: Commit) -> bool:
        """Whether nothing came to a topic, and nothing was cut off, since a commit."""
        topic = self._config.topic(commit.part.mart)
        if self.client.first_offsets(topic) != commit.first_offsets:
            return False
        at = list(commit.offsets)
        return not list(self.client.read(topic, at, {})) and tuple(at) == commit.offsets

    def _require_partitions(self, mart: str, topic: str, partitions: int) -> None:
        """Refuse a topic that got more partitions: keys moved, so their order is lost."""
        latest = self.control.latest(mart)
        had = len(latest.offsets) if latest else partitions
        if partitions not in (0, had):
            raise no_topic(
                self._config.id,
                topic,
                f"has {partitions} partitions and had {had}, so keys have moved and the order of "
                "their events is lost",
                f"Delete it and {self._config.topic(COMMITS)}, and publish again, or publish to "
                "another prefix",
            )


def _shown(event: Event) -> str:
    value = event.value
    if value is not None and not value.startswith(b"{"):
        told = f"{len(value)} bytes of Avro, schema {value[2:10][::-1].hex()}"
    else:
        told = value.decode() if value else "null"
    return f"first of them: key {event.key}, value {told}"
