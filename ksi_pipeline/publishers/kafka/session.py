"""One run's connections to a cluster, what its topics hold, and how values are written."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import duckdb

from ksi_pipeline.core.publishing import WHOLE, Column, Figures, Part
from ksi_pipeline.publishers.kafka.client import Client, Event
from ksi_pipeline.publishers.kafka.config import KafkaConfig
from ksi_pipeline.publishers.kafka.control import Commit, Control
from ksi_pipeline.publishers.kafka.events import Codec, fastavro
from ksi_pipeline.publishers.kafka.failures import no_topic
from ksi_pipeline.publishers.kafka.fold import Fold, Staged
from ksi_pipeline.publishers.plan import Change

COMMITS, SCHEMAS = "commits", "schemas"
# an event stays until the commit that makes it old news has surely come
_COMPACT = {"cleanup.policy": "compact", "min.compaction.lag.ms": "86400000"}
_DATE = Column("business_date", "date")


class Session:
    """Everything that one run has open."""

    def __init__(
        self, config: KafkaConfig, credentials: Mapping[str, str], memory_limit: str
    ) -> None:
        """Take the configuration, what logs in, and how much memory folds may take."""
        self._config = config
        fastavro(config.id)
        self.client = Client(config, credentials)
        self.control = Control(self.client, config.topic(COMMITS))
        self.waiting: dict[Part, Staged] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="ksi-kafka-")
        # in memory, and in the folder what does not fit
        self._duckdb = duckdb.connect(
            config={"memory_limit": memory_limit, "temp_directory": self._folder.name}
        )
        self._folds: dict[str, Fold] = {}
        self._codecs: dict[tuple[str, tuple[Column, ...]], Codec] = {}
        self._schemas: dict[str, Any] | None = None

    def close(self) -> None:
        """End the connections, and forget the folds."""
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
        """Work out the events that a partition lacks."""
        codec = self.codec(change)
        fold = self.fold(change.part.mart, codec.columns)
        commit = self.control.commits.get(change.part)
        sequence = commit.sequence + 1 if commit else 1
        return fold, fold.stage(change.part, change.batch, codec, sequence), codec

    def codec(self, change: Change) -> Codec:
        """Give what writes the values of a mart; one that is removed has the columns it had."""
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
            self._schemas, avro = {}, fastavro(self._config.id)
            wrong = (
                ValueError,
                TypeError,
                LookupError,
                AttributeError,
                avro.schema.SchemaParseException,
            )
            topic = self._config.topic(SCHEMAS)
            at = list(self.client.first_offsets(topic))
            for messages in self.client.read(topic, at, {}):
                for message in messages:
                    # what others wrote is no schema of ours
                    with suppress(*wrong):
                        schema = avro.parse_schema(json.loads(message.value()))
                        self._schemas[message.key().decode()] = schema
        return self._schemas

    def is_as_committed(self, commit: Commit) -> bool:
        """Whether nothing came to a topic, and nothing was cut off, since a commit.

        A topic that was deleted and made anew ends before the commit.
        """
        bounds = self.client.bounds(self._config.topic(commit.part.mart))
        return bounds == tuple(zip(commit.first_offsets, commit.offsets, strict=True))

    def is_settled(self, change: Change, fold: Fold, figures: Figures) -> bool:
        """Whether all else in a topic is as its commits say, once a change is committed.

        Where it is not, the commit must not keep the next run from reading the topic.
        """
        part, batch = change.part, change.batch
        others = self.control.of_mart(part.mart)
        told = {one.part: one.figures for one in others if one.figures.rows and one.part != part}
        if figures.rows:
            told[part] = figures
        key = batch.key if batch else next((tuple(one.keys) for one in told.values()), ())
        shown = fold.figures(fold.columns, key, is_by_month=part.month != WHOLE)
        return {one: found for one, found in shown.items() if found.rows} == told

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
