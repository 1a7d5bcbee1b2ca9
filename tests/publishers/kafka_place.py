"""Topics of Kafka, read as docs/how-to/publish-to-kafka.md tells consumers to."""

import io
import json
import uuid
from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal

from .places import COLUMNS, MART, NAMES, Place


class KafkaPlace(Place):
    format = "json"

    def __init__(self, folder, server, **settings):
        self.server = server
        self.prefix = f"ksi-{uuid.uuid4().hex[:8]}"
        told = {
            "id": "t",
            "kind": "kafka",
            "bootstrap_servers": server.servers,
            "security": "plaintext",
            "prefix": self.prefix,
            "format": self.format,
            "replication": 1,
            "lock_wait_s": 0,
        }
        super().__init__(folder, told | settings)

    def rows(self):
        """Rows of the partitions that have a commit, as of that commit."""
        commits = {}
        for message in self.messages("commits"):
            kind, *part = json.loads(message.key())
            if kind == "commit":
                commits[tuple(part)] = json.loads(message.value())
        held = {}
        for message in self.messages(MART):
            commit = commits.get((MART, self.month(message)))
            if commit and message.offset() < commit["offsets"][message.partition()]:
                held[message.key()] = message.value()
        return sorted(self.row(value) for value in held.values() if value is not None)

    def messages(self, name):
        """Every message of a topic, those of a key in their order."""
        from confluent_kafka import KafkaError, TopicPartition

        client = self.server.client(
            "Consumer",
            **{"group.id": "reader", "enable.partition.eof": True, "fetch.wait.max.ms": 20},
        )
        try:
            topic = client.list_topics(timeout=10).topics.get(f"{self.prefix}.{name}")
            left = set(topic.partitions) if topic else set()
            if left:
                client.assign([TopicPartition(topic.topic, number, 0) for number in left])
            found = []
            while left:
                message = client.poll(10)
                assert message is not None, "the broker gave nothing"
                if message.error() is None:
                    found.append(message)
                else:
                    assert message.error().code() == KafkaError._PARTITION_EOF
                    left.discard(message.partition())
            return found
        finally:
            client.close()

    def month(self, message):
        """The partition of an event; what was sent by hand has no headers."""
        told = dict(message.headers() or ())
        if "business_month" in told:
            return told["business_month"].decode()
        return self.told(message.value())["business_month"]

    def told(self, value):
        """A value as a reader decodes it."""
        return json.loads(value)

    def row(self, value):
        told = self.told(value)
        read = {"date": date.fromisoformat, "timestamp": _instant}
        read |= {column.type: Decimal for column in COLUMNS if column.scale}
        cells = [(told[column.name], read.get(column.type)) for column in COLUMNS]
        return tuple(cell if how is None or cell is None else how(cell) for cell, how in cells)

    def alter(self, _statement):
        """Send a row with another count of tickets, with nothing but its key and value."""
        (message,) = [m for m in self.messages(MART) if m.value() and self.row(m.value())[4] == 25]
        self.say(MART, message.key(), self.altered(message.value()))

    def altered(self, value):
        return json.dumps(json.loads(value) | {"tickets": 26}).encode()

    def say(self, name, key, value, headers=()):
        """Send a message by hand."""
        client = self.server.client("Producer")
        client.list_topics(timeout=10)
        client.produce(f"{self.prefix}.{name}", key=key, value=value, headers=list(headers))
        assert client.flush(10) == 0


class KafkaAvroPlace(KafkaPlace):
    format = "avro"

    def schemas(self):
        return {m.key().decode(): json.loads(m.value()) for m in self.messages("schemas")}

    def told(self, value):
        return self._read(value)[0]

    def _read(self, value):
        from fastavro import parse_schema, schemaless_reader

        assert value[:2] == b"\xc3\x01"
        schema = parse_schema(self.schemas()[value[2:10][::-1].hex()])
        return schemaless_reader(io.BytesIO(value[10:]), schema, None), schema

    def row(self, value):
        told = self.told(value)
        told["hour_start_utc"] = told["hour_start_utc"].astimezone(UTC).replace(tzinfo=None)
        return tuple(told[name] for name in NAMES)

    def altered(self, value):
        from fastavro import schemaless_writer

        told, schema = self._read(value)
        out = io.BytesIO()
        schemaless_writer(out, schema, told | {"tickets": 26})
        return value[:10] + out.getvalue()


def commits(place):
    """What the commits of a place say, in order."""
    found = [(json.loads(m.key()), m.value()) for m in place.messages("commits") if m.value()]
    return [json.loads(value) for key, value in found if key[0] == "commit"]


def by_key(messages):
    """Messages of each key, in order."""
    found = defaultdict(list)
    for message in messages:
        found[message.key()].append(message)
    return found


def _instant(text):
    assert text.endswith("Z")
    return datetime.fromisoformat(text).replace(tzinfo=None)
