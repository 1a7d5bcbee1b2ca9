"""Which cause each error of Kafka's client has."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from ksi_pipeline.core.errors import ContractError, KsiError
from ksi_pipeline.publishers.refusals import no_driver, refused

# a connection that had one of these has no better luck the next time
AUTH = {"_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED", "UNSUPPORTED_SASL_MECHANISM"}
_CODES = {
    **dict.fromkeys(AUTH, "E_TARGET_AUTH"),
    "TOPIC_AUTHORIZATION_FAILED": "E_TARGET_RIGHTS",
    "GROUP_AUTHORIZATION_FAILED": "E_TARGET_RIGHTS",
    "CLUSTER_AUTHORIZATION_FAILED": "E_TARGET_RIGHTS",
    "POLICY_VIOLATION": "E_TARGET_RIGHTS",
    "_TRANSPORT": "E_TARGET_UNREACHABLE",
    "_RESOLVE": "E_TARGET_UNREACHABLE",
    "_ALL_BROKERS_DOWN": "E_TARGET_UNREACHABLE",
    "_SSL": "E_TARGET_UNREACHABLE",
    "NETWORK_EXCEPTION": "E_TARGET_UNREACHABLE",
    "BROKER_NOT_AVAILABLE": "E_TARGET_UNREACHABLE",
    "LEADER_NOT_AVAILABLE": "E_TARGET_UNREACHABLE",
    "NOT_LEADER_FOR_PARTITION": "E_TARGET_UNREACHABLE",
    "NOT_ENOUGH_REPLICAS": "E_TARGET_UNREACHABLE",
    "NOT_ENOUGH_REPLICAS_AFTER_APPEND": "E_TARGET_UNREACHABLE",
    "_TIMED_OUT": "E_TARGET_TIMEOUT",
    "_MSG_TIMED_OUT": "E_TARGET_TIMEOUT",
    "_TIMED_OUT_QUEUE": "E_TARGET_TIMEOUT",
    "REQUEST_TIMED_OUT": "E_TARGET_TIMEOUT",
    "MSG_SIZE_TOO_LARGE": "E_TARGET_TYPE",
    "RECORD_LIST_TOO_LARGE": "E_TARGET_TYPE",
    "INVALID_RECORD": "E_TARGET_TYPE",
    "INVALID_MSG": "E_TARGET_TYPE",
}
# what waits in vain says only that it waited; the connection's own errors say why
_WAITED = {"E_TARGET_TIMEOUT", "E_TARGET_UNREACHABLE"}


def driver(target: str) -> Any:
    """Import confluent_kafka.

    Raises:
        ConfigError: E_TARGET_DRIVER, it is not installed.
    """
    try:
        import confluent_kafka
        import confluent_kafka.admin
    except ImportError as error:
        raise no_driver(target, "kafka") from error
    return confluent_kafka


def failure(target: str, env: str, name: str, seen: Collection[str] = ()) -> KsiError:
    """Give our error for one of the client's.

    Args:
        target: its id.
        env: names of the environment variables with the credentials.
        name: of the client's error, like _MSG_TIMED_OUT; nothing of its message.
        seen: names of errors that the connections had so far.
    """
    code = _CODES.get(name, "E_TARGET_FAILED")
    if code in _WAITED:
        causes = {_CODES.get(one) for one in seen}
        for cause in ("E_TARGET_AUTH", "E_TARGET_UNREACHABLE"):
            if cause in causes:
                code = cause
                break
    return refused(target, code, what="the cluster", env=env, detail=name)


@contextmanager
def told(target: str, env: str, seen: Collection[str] = ()) -> Iterator[None]:
    """Turn what the client raises in the block into an error of ours.

    Python keeps the client's error as the context of ours, and whoever writes down one writes down
    the other. So its message, which may name hosts and users, is taken from it.

    Raises:
        KsiError: as failure.
    """
    found: KsiError | None = None
    try:
        yield
    except driver(target).KafkaException as error:
        found = failure(target, env, _name(error), seen)
        error.args = (type(error).__name__,)
    if found is not None:
        raise found


def no_topic(target: str, topic: str, what: str, todo: str) -> ContractError:
    """Say that a topic is not as it has to be."""
    return ContractError(
        f"Target {target!r}: topic {topic} {what}. Nothing was sent; readers keep what they had. "
        f"{todo}.",
        code="E_TARGET_TOPIC",
    )


def _name(error: Exception) -> str:
    first = error.args[0] if error.args else None
    name = getattr(first, "name", None)
    return str(name()) if callable(name) else type(error).__name__
