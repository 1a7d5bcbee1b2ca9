"""What only topics have: events seen once, tombstones, commits, leases, schemas, refusals."""

import json
import sys
import traceback

import pytest

from ksi_pipeline.core.errors import (
    ConfigError,
    ContractError,
    KsiError,
    PermanentError,
    TransientError,
)
from ksi_pipeline.core.publishing import Batch, Column
from ksi_pipeline.publishers.kafka.client import Client
from ksi_pipeline.publishers.kafka.control import Control
from ksi_pipeline.publishers.kafka.failures import failure, told
from ksi_pipeline.publishers.runner import plan_for

from ..services.kafka import running_kafka
from .kafka_place import KafkaAvroPlace, KafkaPlace
from .places import COLUMNS, JANUARY, MART, ROWS, SECRET, Place, sale
from .test_contract import AFTER_IT, ALL_STEPS, EVERYTHING, RESTATED
from .test_killed import PROGRAM, publish_and_be_killed

LATER = [(*ROWS["2026-02"][0][:4], 8, *ROWS["2026-02"][0][5:])]
LESS = {**ROWS, "2026-01": JANUARY[:1]}


@pytest.fixture
def place(kafka, tmp_path):
    return KafkaPlace(tmp_path, kafka)


def header(message, name="event_id"):
    return dict(message.headers())[name].decode()


def commits(place):
    found = [(json.loads(m.key()), m.value()) for m in place.messages("commits") if m.value()]
    return [json.loads(value) for key, value in found if key[0] == "commit"]


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
def test_two_rows_of_one_grain_are_refused_before_anything_is_sent(place, marts):
    with pytest.raises(ContractError) as caught:
        place.publish(marts.batches({"2026-01": [JANUARY[0], JANUARY[0]]}))
    assert caught.value.code == "E_RECONCILE"
    assert place.messages(MART) == []


@pytest.mark.services
def test_a_mart_without_a_grain_is_refused(place, marts):
    (batch,) = marts.batches({"2026-01": JANUARY})
    told = (batch.part, batch.path, batch.content, batch.rows, batch.columns)
    with pytest.raises(ContractError, match="names no grain") as caught:
        place.publish([Batch(*told)])
    assert caught.value.code == "E_TARGET_KEY"


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
def test_topics_are_compacted_and_not_made_where_they_may_not(kafka, tmp_path, marts):
    place = KafkaPlace(tmp_path, kafka, create_topics=False)
    with pytest.raises(
        ContractError, match=r"commits is not there.*cleanup\.policy=compact"
    ) as caught:
        place.publish(marts.batches())
    assert caught.value.code == "E_TARGET_TOPIC"


@pytest.mark.services
def test_a_topic_with_other_partitions_than_it_had_is_refused(place, marts):
    place.publish(marts.batches())
    last = commits(place)[-1]
    told = {**last, "offsets": [*last["offsets"], 0], "first_offsets": [*last["first_offsets"], 0]}
    place.say("commits", json.dumps(["commit", MART, "2026-02"]), json.dumps(told).encode())
    with pytest.raises(ContractError, match="has 3 partitions and had 4") as caught:
        place.publish(marts.batches(RESTATED))
    assert caught.value.code == "E_TARGET_TOPIC"


@pytest.mark.services
def test_another_data_home_waits_for_the_lease(kafka, tmp_path, marts):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first, second = KafkaPlace(tmp_path / "a", kafka), KafkaPlace(tmp_path / "b", kafka)
    second.config = second.config.model_copy(update={"prefix": first.prefix})
    with first.target().hold(), pytest.raises(TransientError) as caught:
        second.publish(marts.batches())
    assert caught.value.code == "E_TARGET_BUSY"
    assert second.publish(marts.batches()).count("publish") == 2


@pytest.mark.services
def test_a_publisher_whose_lease_another_has_commits_nothing(place, marts):
    def told(what, _share):
        if what.startswith("reconcile"):
            lost = {"owner": "another", "at": 1e11, "until": 2e11}
            place.say("commits", json.dumps(["lease", "another"]), json.dumps(lost).encode())

    with pytest.raises(TransientError) as caught:
        place.publish(marts.batches(), told=told)
    assert caught.value.code == "E_TARGET_BUSY"
    assert commits(place) == []


@pytest.fixture
def control(place):
    """Give what reads and writes the commits of a place, by a clock that stands."""
    clients = []

    def made(now):
        clients.append(Client(place.config, {}))
        clients[0].create(place.config.topic("commits"), 1, {})
        return Control(clients[-1], place.config.topic("commits"), lambda: now[0], pytest.fail)

    yield made
    for client in clients:
        client.close()


@pytest.mark.services
def test_a_lease_that_ran_out_in_a_long_step_goes_on_where_nobody_took_it(control):
    now = [1000.0]
    slow, other = control(now), control(now)
    slow.claim("t", "slow", 10, 0)
    now[0] = 1011.0
    slow.renew("t", 10)
    with pytest.raises(TransientError):
        other.claim("t", "other", 10, 0)


@pytest.mark.services
def test_a_lease_that_ran_out_and_that_another_took_is_lost(control):
    now = [1000.0]
    slow, other = control(now), control(now)
    slow.claim("t", "slow", 10, 0)
    now[0] = 1011.0
    other.claim("t", "other", 10, 0)
    with pytest.raises(TransientError):
        slow.renew("t", 10)
    other.renew("t", 10)


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


@pytest.mark.services
def test_a_broker_that_is_gone_is_told_as_unreachable(place, marts):
    update = {"bootstrap_servers": "127.0.0.1:1", "connect_timeout_s": 1}
    place.config = place.config.model_copy(update=update)
    with pytest.raises(TransientError) as caught:
        place.publish(marts.batches())
    assert caught.value.code == "E_TARGET_UNREACHABLE"


@pytest.mark.services
def test_who_is_refused_is_told_so_and_the_password_is_nowhere(tmp_path, marts):
    with running_kafka(asks_who=True) as server:
        told = {"bootstrap_servers": server.servers, "security": "sasl_plaintext"}
        place = Place(tmp_path, SASL | told, {"KAFKA_USER": "ksi", "KAFKA_PASSWORD": SECRET})
        with pytest.raises(PermanentError) as caught:
            place.publish(marts.batches())
    assert caught.value.code == "E_TARGET_AUTH"
    assert "KAFKA_USER and KAFKA_PASSWORD" in str(caught.value)
    assert SECRET not in f"{caught.value}{caught.value.__cause__}{caught.value.__context__}"
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    assert [path for path in written if SECRET.encode() in path.read_bytes()] == []


@pytest.mark.parametrize(
    ("name", "seen", "code"),
    [
        ("TOPIC_AUTHORIZATION_FAILED", (), "E_TARGET_RIGHTS"),
        ("CLUSTER_AUTHORIZATION_FAILED", (), "E_TARGET_RIGHTS"),
        ("_MSG_TIMED_OUT", (), "E_TARGET_TIMEOUT"),
        ("_TRANSPORT", ("_ALL_BROKERS_DOWN",), "E_TARGET_UNREACHABLE"),
        ("_TRANSPORT", ("_AUTHENTICATION", "_ALL_BROKERS_DOWN"), "E_TARGET_AUTH"),
        ("MSG_SIZE_TOO_LARGE", (), "E_TARGET_TYPE"),
        ("_FATAL", (), "E_TARGET_FAILED"),
    ],
)
def test_each_cause_has_its_code(name, seen, code):
    assert failure("t", "USER and PASSWORD", name, seen).code == code


def test_the_words_of_the_client_go_with_no_error():
    from confluent_kafka import KafkaError, KafkaException

    with pytest.raises(KsiError) as caught, told("t", "USER and PASSWORD"):
        raise KafkaException(KafkaError(KafkaError._TRANSPORT, f"ksi:{SECRET}@broker is gone"))
    assert caught.value.code == "E_TARGET_UNREACHABLE"
    assert SECRET not in "".join(traceback.format_exception(caught.value))


SASL = {
    "id": "t",
    "kind": "kafka",
    "bootstrap_servers": "kafka.example.com:9093",
    "user_env": "KAFKA_USER",
    "password_env": "KAFKA_PASSWORD",
}


def test_a_password_that_is_not_set_names_its_variable(tmp_path):
    with pytest.raises(ConfigError, match=r"KAFKA_PASSWORD.* the user's password") as caught:
        Place(tmp_path, SASL, {"KAFKA_USER": "ksi"}).target()
    assert caught.value.code == "E_TARGET_SECRET"


def test_the_rights_are_those_of_the_prefix_and_name_no_secret(tmp_path):
    secrets = {"KAFKA_USER": "ksi", "KAFKA_PASSWORD": SECRET}
    told = Place(tmp_path, SASL, secrets).target().grants()
    publishing = "--operation Write --operation Read --operation Describe --operation Create"
    assert f"{publishing} --resource-pattern-type prefixed --topic 'ksi.'" in told[0]
    assert not any(SECRET in line or "--operation All" in line for line in told)
    may_not_make = Place(tmp_path, SASL | {"create_topics": False}, secrets).target().grants()
    assert "Create" not in may_not_make[0]


@pytest.mark.parametrize("module", ["confluent_kafka", "fastavro"])
def test_a_target_without_its_client_says_what_to_install(tmp_path, marts, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    place = Place(tmp_path, SASL | {"security": "plaintext", "bootstrap_servers": "127.0.0.1:1"})
    with pytest.raises(KsiError, match=r"\.\[kafka\]"):
        place.publish(marts.batches())
