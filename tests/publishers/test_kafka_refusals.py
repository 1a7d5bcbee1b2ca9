"""When nothing is sent to Kafka: what is refused, and whose lease it is."""

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
from ksi_pipeline.core.publishing import Batch
from ksi_pipeline.publishers.kafka.client import Client
from ksi_pipeline.publishers.kafka.control import Control
from ksi_pipeline.publishers.kafka.failures import failure, told

from ..services.kafka import running_kafka
from .kafka_place import KafkaPlace, commits
from .places import JANUARY, MART, SECRET, Place
from .test_contract import RESTATED


@pytest.fixture
def place(kafka, tmp_path):
    return KafkaPlace(tmp_path, kafka)


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
