"""Which cause each error of Snowflake's driver has."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from ksi_pipeline.core.errors import ConfigError, KsiError
from ksi_pipeline.publishers.refusals import answered, no_driver, refused

# Snowflake says of what a role may not see that it does not exist.
_NOT_THERE = {2003, 2043}
_RIGHTS = {*_NOT_THERE, 3001, 606, 390189, 390201}
_TIMEOUT = {604, 625, 630}
_SESSION_ENDED = {390104, 390111, 390112, 390114}
# numbers of the service at login, and of the driver: it counts HTTP states from 290000 on, twice
_LOGIN, _DRIVER = range(390_000, 400_000), {*range(250_000, 300_000), *range(580_000, 581_000)}


T = TypeVar("T")


def driver(target: str) -> Any:
    """Import Snowflake's driver.

    Raises:
        ConfigError: E_TARGET_DRIVER, it is not installed.
    """
    try:
        import snowflake.connector
    except ImportError as error:
        raise no_driver(target, "snowflake") from error
    # it writes addresses with their signatures into its log, each of which opens a file
    logging.getLogger("snowflake.connector").setLevel(logging.CRITICAL)
    return snowflake.connector


def is_not_there(error: Exception) -> bool:
    """Whether an object does not exist, or the role may not see it."""
    return getattr(error, "errno", None) in _NOT_THERE


def told(target: str, env: str, call: Callable[[], T]) -> T:
    """Call the driver, and turn what it raises into an error of ours; see answered.

    Raises:
        KsiError: as refused.
    """
    # what breaks off while a file is sent is an OSError of the driver's copy of requests
    known = (driver(target).errors.Error, OSError)
    return answered(call, known, lambda error: _failure(error, target, env))


def no_key(target: str, env: str) -> ConfigError:
    """Say that a private key cannot be read."""
    return ConfigError(
        f"Target {target!r}: what {env} holds is no private key that can be read. Nothing was "
        "published. Put the whole PEM there, from -----BEGIN to -----END, and its passphrase into "
        "the variable that passphrase_env names where it has one.",
        code="E_TARGET_SECRET",
    )


def _failure(error: Exception, target: str, env: str) -> KsiError:
    if isinstance(error, OSError):
        number, state = -1, ""
    else:
        number, state = error.errno, error.sqlstate or ""  # type: ignore[attr-defined]
    code = _code(number, state)
    named = [type(error).__name__] if code == "E_TARGET_FAILED" else []
    if number > 0:
        named.append(f"error {number}")
    if state not in ("", "n/a"):
        named.append(f"SQLSTATE {state}")
    return refused(target, code, what="Snowflake", env=env, detail=", ".join(named))


def _code(number: int, state: str) -> str:
    if number in _RIGHTS or state == "42501":
        return "E_TARGET_RIGHTS"
    if number in _TIMEOUT or state == "57014":
        return "E_TARGET_TIMEOUT"
    if number < 0 or number in _SESSION_ENDED or number in _DRIVER:
        return "E_TARGET_UNREACHABLE"
    if number in _LOGIN or state == "28000":
        return "E_TARGET_AUTH"
    return "E_TARGET_TYPE" if state[:2] == "22" else "E_TARGET_FAILED"
