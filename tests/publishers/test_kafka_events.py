"""What only topics have: events seen once, tombstones, commits, schemas."""

import json

import pytest

from ksi_pipeline.core.publishing import Column
from ksi_pipeline.publishers.runner import plan_for

from .kafka_place import KafkaAvroPlace, KafkaPlace, commits
from .places import COLUMNS, JANUARY, MART, ROWS, sale
from .test_contract import AFTER_IT, ALL_STEPS, EVERYTHING, RESTATED
from .test_killed import PROGRAM, publish_and_be_killed

LATER = [(*ROWS["2026-02"][0][:4], 8, *ROWS["2026-02"][0][5:])]
LESS = {**ROWS, "2026-01": JANUARY[:1]}


@pytest.fixture
def place(kafka, tmp_path):
    return KafkaPlace(tmp_path, kafka)


def header(message, name="event_id"):
    return dict(message.headers())[name].decode()


def once(messages):
    """The events as a consumer takes them that keeps event ids."""
    seen = {}
    for message in messages:
        seen.setdefault(header(message), message)
    return list(seen.values())


def folded(place, messages):
    """What the last event of each key leaves."""
    last = {message.key(): message.value() for message in messages}
    return sorted(place.row(value) for value in last.values() if value is not None)


@pytest.mark.services
def test_only_rows_that_changed_are_sent(place, marts):
    place.publish(marts.batches())
    place.publish(marts.batches(RESTATED))
    events = place.messages(MART)
    assert len(events) == 4
    (new,) = [m for m in events if header(m, "batch_id") == commits(place)[-1]["batch_id"]]
    assert json.loads(new.key()) == ["mall/0002", "2026-01-31T23:00:00.123000Z"]
    assert commits(place)[-1]["events"] == 1


@pytest.mark.services
def test_a_value_says_what_it_is(place, marts):
    (batch,) = marts.batches({"2026-02": ROWS["2026-02"]})
    place.publish([batch])
    (event,) = place.messages(MART)
    told = json.loads(event.value())
    assert told["net_sales"] == "99999999999.1234"
    assert told["hour_start_utc"] == "2026-02-01T00:00:00.123000Z"
    assert (told["business_month"], told["batch_id"]) == ("2026-02", batch.batch_id)
    names = ("schema_version", "event_id", "batch_id", "business_month")
    assert {name: header(event, name) for name in names} == {name: told[name] for name in names}
    assert header(event, "mart") == MART


@pytest.mark.services
def test_a_row_that_is_gone_gets_a_tombstone_that_names_its_batch(place, marts):
    place.publish(marts.batches())
    batches = marts.batches(LESS)
    place.publish(batches)
    (gone,) = [m for m in place.messages(MART) if m.value() is None]
    assert json.loads(gone.key())[0] == "mall/0002"
    assert header(gone, "batch_id") == batches[0].batch_id


@pytest.mark.services
def test_a_row_that_becomes_again_what_it_was_is_a_new_event(place, marts):
    for rows in (ROWS, RESTATED, ROWS, LESS, ROWS):
        place.publish(marts.batches(rows))
        assert folded(place, once(place.messages(MART))) == place.rows()
    assert place.rows() == EVERYTHING


@pytest.mark.services
def test_a_consumer_sees_each_event_once_and_each_key_in_order_across_kills(place, marts):
    place.publish(marts.batches())
    for step in ALL_STEPS:
        steps = place.publish_until(marts.batches(LESS if step % 2 else RESTATED), step)
        if len(steps) < step:
            break
    place.publish(marts.batches(RESTATED))
    messages = place.messages(MART)
    ids = [header(message) for message in messages]
    assert len(set(ids)) == len(ids)
    assert folded(place, once(messages)) == place.rows() == AFTER_IT


@pytest.mark.services
def test_a_run_killed_between_two_events_sends_the_others_and_none_twice(forks, place, marts):
    rows = [sale(JANUARY[0][2], hour, hour) for hour in range(9)]
    batches = marts.batches({"2026-01": rows})
    kill_after_three_events(forks, place, batches)
    assert len(place.messages(MART)) == 3
    assert place.rows() == []
    place.publish(batches)
    messages = place.messages(MART)
    assert len(messages) == len({header(message) for message in messages}) == 9
    assert place.rows() == sorted(rows)


@pytest.mark.services
def test_an_event_that_a_killed_run_still_delivers_has_the_id_of_the_one_that_is_sent_again(
    place, marts
):
    """What was under way is sent again, because no fold could show it."""
    place.publish(marts.batches())
    planned = first_events(place, marts.batches(RESTATED))
    assert planned == first_events(place, marts.batches(RESTATED))
    place.publish(marts.batches(RESTATED))
    (sent,) = [m for m in place.messages(MART) if header(m) in planned]
    place.say(MART, sent.key(), sent.value(), sent.headers())
    messages = place.messages(MART)
    assert len(messages) == 5
    assert len(once(messages)) == 4
    assert folded(place, once(messages)) == AFTER_IT


def first_events(place, batches):
    target = place.target()
    plan = plan_for(target, batches, place.receipts, lambda _part: True)
    told = [line for c in plan if c.action != "skip" for line in target.statements(c)]
    values = [line.partition("value ")[2] for line in told if "value {" in line]
    return [json.loads(value)["event_id"] for value in values]


def kill_after_three_events(forks, place, batches):
    patched = PROGRAM.replace(
        "def told(",
        """
from ksi_pipeline.publishers.kafka.client import Client
send = Client.send
def send_three(self, topic, events):
    behind = send(self, topic, list(events)[:3])
    if topic.endswith("fct_sales"):
        os.kill(os.getpid(), signal.SIGKILL)
    return behind
Client.send = send_three
def told(""",
    )
    publish_and_be_killed(forks, place, batches, "never", patched)


@pytest.mark.services
def test_a_commit_comes_behind_the_events_that_it_counts(place, marts):
    place.publish(marts.batches())
    (commit,) = [c for c in commits(place) if c["business_month"] == "2026-01"]
    events = [m for m in place.messages(MART) if place.month(m) == "2026-01"]
    assert commit["rows"] == commit["events"] == len(events) == 2
    assert all(m.offset() < commit["offsets"][m.partition()] for m in events)


@pytest.mark.services
def test_a_topic_to_which_nothing_came_is_not_read_again(place, marts, monkeypatch):
    place.publish(marts.batches())
    monkeypatch.setattr("ksi_pipeline.publishers.kafka.fold.Fold.add", pytest.fail)
    assert place.publish(marts.batches()).count("skip") == 2


@pytest.mark.services
def test_a_topic_that_was_deleted_and_made_anew_is_filled_again(place, marts):
    from confluent_kafka.admin import AdminClient, NewTopic

    place.publish(marts.batches())
    topic, admin = (
        f"{place.prefix}.{MART}",
        AdminClient({"bootstrap.servers": place.server.servers}),
    )
    admin.delete_topics([topic])[topic].result(10)
    admin.create_topics([NewTopic(topic, 3, 1)])[topic].result(10)
    assert place.rows() == []
    assert place.publish(marts.batches()).count("replace") == 2
    assert place.rows() == EVERYTHING


@pytest.mark.services
@pytest.mark.parametrize(
    "value",
    [
        b"\xff",
        b"[]",
        b'{"tickets": "many"}',
        b"\xc3\x01" + b"0" * 9,
        pytest.param(b'{"conversion_rate": NaN}', id="no number"),
        pytest.param(b'{"tickets": 1%s, "net_sales": "1e20"}' % (b"0" * 30), id="too large"),
        pytest.param(b'{"code": "\\ud800"}', id="no text"),
        pytest.param(b"[" * 100_000, id="too deep"),
    ],
)
def test_what_others_send_is_taken_back(place, marts, value):
    place.publish(marts.batches())
    place.say(MART, b"mine", value)
    place.publish(marts.batches())
    assert folded(place, place.messages(MART)) == EVERYTHING
    assert place.publish(marts.batches()).count("skip") == 2


@pytest.mark.services
@pytest.mark.parametrize("value", [None, b"\xff", b"{}", b'{"type": "enigma"}'])
def test_what_others_write_among_the_schemas_is_none(place, marts, value):
    place.publish(marts.batches())
    place.say("schemas", b"mine", value)
    place.publish(marts.batches(RESTATED))
    assert place.rows() == AFTER_IT


@pytest.mark.services
def test_what_was_altered_is_found_even_where_another_month_was_published_since(place, marts):
    place.publish(marts.batches())
    place.alter("")
    restated = marts.batches({**ROWS, "2026-02": LATER})
    done = place.publish(restated, scope=lambda part: part.month == "2026-02")
    assert done.count("replace") == 1
    reasons = [c.reason for c in place.publish(restated).changes if c.action == "replace"]
    assert reasons == ["was altered in the target"]
    assert folded(place, place.messages(MART)) == sorted([*JANUARY, *LATER])


@pytest.mark.services
def test_a_new_column_that_is_null_sends_no_row_again(place, marts):
    place.publish(marts.batches())
    wider = (*COLUMNS, Column("note", "text"))
    rows = {month: [(*row, None) for row in given] for month, given in ROWS.items()}
    place.publish(marts.batches(rows, columns=wider))
    assert len(place.messages(MART)) == 3
    assert place.target().columns(MART) == tuple(
        Column(c.name, c.type, c.is_nullable) for c in wider
    )


@pytest.mark.services
def test_avro_events_name_a_schema_that_is_in_the_topic_of_schemas(kafka, tmp_path, marts):
    place = KafkaAvroPlace(tmp_path, kafka)
    place.publish(marts.batches())
    (version,) = {header(message, "schema_version") for message in place.messages(MART)}
    (schema,) = place.schemas().values()
    assert list(place.schemas()) == [version]
    described = {field["name"]: field.get("doc") for field in schema["fields"]}
    assert described["unit_key"] == "The unit; it's text."
    sales = next(field for field in schema["fields"] if field["name"] == "net_sales")
    assert sales["type"][1] == {
        "type": "bytes",
        "logicalType": "decimal",
        "precision": 18,
        "scale": 4,
    }


@pytest.mark.services
def test_a_dry_run_counts_the_events_and_shows_the_first(place, marts):
    place.publish(marts.batches())
    target = place.target()
    plan = plan_for(target, marts.batches(LESS), place.receipts, lambda _part: True)
    told = target.statements(plan[0])
    topic = f"{place.prefix}.{MART}"
    assert told[0] == f"send 0 events and 1 tombstones to {topic}"
    assert told[1] == 'first of them: key ["mall/0002","2026-01-31T23:00:00.123000Z"], value null'
    assert len(place.messages(MART)) == 3
