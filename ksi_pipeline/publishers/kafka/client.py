"""The cluster as far as it is used here: topics and their ends, reading a span, sending."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ksi_pipeline.core.errors import KsiError
from ksi_pipeline.publishers.kafka.config import KafkaConfig
from ksi_pipeline.publishers.kafka.failures import AUTH, driver, failure, told

_AT_ONCE = 5_000
_POLL_S = 0.05
_ASK_S = 1.0
# the client's own words name hosts and users: they go nowhere
_SILENT = logging.Logger("ksi_pipeline.kafka")
_SILENT.addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class Event:
    """One message to be sent; a value of None is a tombstone."""

    key: str
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class Client:
    """Connections to one cluster; made where they are needed."""

    def __init__(self, config: KafkaConfig, credentials: Mapping[str, str]) -> None:
        """Take the configuration, and what logs in."""
        self._config = config
        self._kafka = driver(config.id)
        # names of errors that connections had; what waits in vain does not know why
        self._seen: set[str] = set()
        self._settings = {
            "bootstrap.servers": config.bootstrap_servers,
            "security.protocol": config.security,
            "client.id": "ksi-publish",
            "socket.timeout.ms": config.socket_timeout_s * 1000,
            "socket.connection.setup.timeout.ms": config.connect_timeout_s * 1000,
            "error_cb": lambda error: self._seen.add(error.name()),
            "logger": _SILENT,
            **_tls(config.ca_file),
            **credentials,
        }
        self._partitions: dict[str, int] = {}
        self._reader: Any = None
        self._writer: Any = None

    def close(self) -> None:
        """End the connections; what was not delivered is not sent any more."""
        if self._reader is not None:
            self._reader.close()
        if self._writer is not None:
            self._writer.purge()
            self._writer.flush(1)
        self._reader = self._writer = None

    def partitions(self, topic: str) -> int:
        """Count the partitions of a topic; 0 where there is no such topic."""
        if topic in self._partitions:
            return self._partitions[topic]
        with self._told():
            known = self._listed().topics.get(topic)
        if known:
            self._partitions[topic] = len(known.partitions)
        return len(known.partitions) if known else 0

    def create(self, topic: str, partitions: int, settings: Mapping[str, str]) -> None:
        """Make a topic, where it is not there."""
        kafka, config = self._kafka, self._config
        made = kafka.admin.NewTopic(topic, partitions, config.replication, config=dict(settings))
        with self._told():
            admin = kafka.admin.AdminClient(self._settings)
            (done,) = admin.create_topics([made], request_timeout=config.socket_timeout_s).values()
            try:
                done.result(config.socket_timeout_s)
            except kafka.KafkaException as error:
                if error.args[0].code() != kafka.KafkaError.TOPIC_ALREADY_EXISTS:
                    raise
        end = time.monotonic() + config.socket_timeout_s
        while not self.partitions(topic):
            if time.monotonic() > end:
                raise self._failure("_TIMED_OUT")
            time.sleep(_POLL_S)

    def first_offsets(self, topic: str) -> tuple[int, ...]:
        """Give the offset that each partition begins with; none where there is no such topic."""
        return tuple(first for first, _ in self.bounds(topic))

    def bounds(self, topic: str) -> tuple[tuple[int, int], ...]:
        """Give the offset that each partition begins with, and the one behind its last event."""
        with self._told():
            return tuple(
                self._reading().get_watermark_offsets(
                    self._kafka.TopicPartition(topic, number),
                    timeout=self._config.socket_timeout_s,
                    cached=False,
                )
                for number in range(self.partitions(topic))
            )

    def read(self, topic: str, at: list[int], least: Mapping[int, int]) -> Iterator[list[Any]]:
        """Give the messages from some offsets on up to the end of each partition.

        Messages of a partition come in their order. One topic is read after the other: what the
        block does with messages must not read.

        Args:
            topic: to be read.
            at: by partition, the offset to begin with; moves on behind what was read.
            least: offsets that the end has reached for sure, by partition.
        """
        kafka, left = self._kafka, set(range(len(at)))
        if not left:
            return
        with self._told():
            reader = self._reading()
            reader.assign([kafka.TopicPartition(topic, n, at[n]) for n in left])
        until = time.monotonic() + self._config.step_timeout_s
        while left:
            if time.monotonic() > until:
                raise self._failure("_TIMED_OUT")
            with self._told():
                first = reader.poll(_POLL_S)
                got = [first, *reader.consume(_AT_ONCE, 0)] if first is not None else []
            read = []
            for message in got:
                error = message.error()
                if error is None:
                    read.append(message)
                    at[message.partition()] = message.offset() + 1
                elif error.code() != kafka.KafkaError._PARTITION_EOF:
                    raise self._failure(error.name())
                else:
                    number = message.partition()
                    at[number] = max(at[number], message.offset())
                    if at[number] >= least.get(number, 0):
                        left.discard(number)
            if read:
                yield read
        with self._told():
            reader.unassign()

    def send(self, topic: str, events: Iterable[Event]) -> dict[int, int]:
        """Send events, and return once the brokers have every one of them.

        Returns:
            The offset behind the last of them, by partition.

        Raises:
            KsiError: E_TARGET_*, an event was not taken; those before it may have been.
        """
        behind: dict[int, int] = {}
        refused: set[str] = set()
        writer, sent, taken = self._writing(), 0, 0

        def reported(error: Any, message: Any) -> None:
            nonlocal taken
            if error is None:
                taken += 1
                number = message.partition()
                behind[number] = max(behind.get(number, 0), message.offset() + 1)
            else:
                refused.add(error.name())

        with self._told():
            for event in events:
                self._produce(writer, topic, event, reported)
                sent += 1
                if refused:
                    break
            writer.flush(self._config.step_timeout_s)
        if refused:
            raise self._failure(min(refused))
        if taken != sent:
            raise self._failure("_MSG_TIMED_OUT")
        return behind

    def _listed(self) -> Any:
        """Ask for all topics, which makes none; asking for one may."""
        until = time.monotonic() + self._config.connect_timeout_s
        while True:
            try:
                return self._writing().list_topics(timeout=_ASK_S)
            except self._kafka.KafkaException:
                if time.monotonic() > until or AUTH & self.seen():
                    raise

    def _produce(self, writer: Any, topic: str, event: Event, reported: Any) -> None:
        given = {"key": event.key.encode(), "value": event.value, "headers": list(event.headers)}
        while True:
            try:
                writer.produce(topic, **given, on_delivery=reported)
            except BufferError:
                writer.poll(_POLL_S)
            else:
                writer.poll(0)
                return

    def _writing(self) -> Any:
        if self._writer is None:
            self._writer = self._kafka.Producer(
                {
                    **self._settings,
                    "enable.idempotence": True,
                    "acks": "all",
                    "compression.type": "zstd",
                    "linger.ms": 5,
                    "delivery.timeout.ms": self._config.delivery_timeout_s * 1000,
                }
            )
        return self._writer

    def _reading(self) -> Any:
        if self._reader is None:
            self._reader = self._kafka.Consumer(
                {
                    **self._settings,
                    # partitions are assigned by hand: the group is never joined
                    "group.id": f"{self._config.prefix}.publisher",
                    "enable.auto.commit": False,
                    "auto.offset.reset": "earliest",
                    "enable.partition.eof": True,
                    "allow.auto.create.topics": False,
                    "fetch.wait.max.ms": 10,
                }
            )
        return self._reader

    def _told(self) -> Any:
        return told(self._config.id, self._config.env, _Polled(self))

    def _failure(self, name: str) -> KsiError:
        return failure(self._config.id, self._config.env, name, self.seen())

    def seen(self) -> set[str]:
        """Name the errors that the connections had so far."""
        if self._writer is not None:
            self._writer.poll(_POLL_S)
        return self._seen


class _Polled:
    """Errors of connections, asked for only where they are needed."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __iter__(self) -> Iterator[str]:
        return iter(self._client.seen())

    def __len__(self) -> int:
        return len(self._client.seen())

    def __contains__(self, name: object) -> bool:
        return name in self._client.seen()


def _tls(ca_file: Path | None) -> dict[str, str]:
    return {"ssl.ca.location": str(ca_file)} if ca_file else {}
