"""What PostgreSQL says no to, in our words: a code for each cause, and never a secret.

Drivers write addresses, users and values of rows into their messages. So no word of theirs is
told: a cause that is known gets words of our own, and of one that is not only the name of the error
and its SQLSTATE are shown.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ksi_pipeline.core.errors import ConfigError, KsiError, PermanentError, TransientError

_KEPT = "Readers keep what they had."
_SAID = {
    "E_TARGET_AUTH": (
        "the database refused the user or the password",
        "Correct the URL in {env}",
    ),
    "E_TARGET_RIGHTS": (
        "the user may not do what publishing needs",
        "Have the rights granted that ksi publish {target} --grants prints",
    ),
    "E_TARGET_UNREACHABLE": (
        "no connection to the database could be made, or it broke off",
        "Check host, port, database name and network of the URL in {env}; the next run goes on "
        "where this one ended",
    ),
    "E_TARGET_TIMEOUT": (
        "a statement took longer than step_timeout_s, or waited for a lock",
        "Set a larger step_timeout_s, or end what holds the table; the next run goes on where this "
        "one ended",
    ),
    "E_TARGET_TYPE": (
        "the database refused a value or a type",
        "Compare the table's columns with docs/reference/marts.md",
    ),
}
_PASSING = {"E_TARGET_UNREACHABLE", "E_TARGET_TIMEOUT"}
_STATES = {
    "28000": "E_TARGET_AUTH",
    "28P01": "E_TARGET_AUTH",
    "3D000": "E_TARGET_UNREACHABLE",
    "42501": "E_TARGET_RIGHTS",
    "57014": "E_TARGET_TIMEOUT",
    "55P03": "E_TARGET_TIMEOUT",
}
_CLASSES = {
    "08": "E_TARGET_UNREACHABLE",
    "57": "E_TARGET_UNREACHABLE",
    "53": "E_TARGET_UNREACHABLE",
    "40": "E_TARGET_TIMEOUT",
    "22": "E_TARGET_TYPE",
}


def driver(target: str) -> Any:
    """Import psycopg.

    Raises:
        ConfigError: E_TARGET_DRIVER, it is not installed.
    """
    try:
        import psycopg
    except ImportError as error:
        raise ConfigError(
            f"Target {target!r}: its driver is not installed; nothing was published. "
            "Run: pip install -e '.[postgres]'.",
            code="E_TARGET_DRIVER",
        ) from error
    return psycopg


@contextmanager
def told(target: str, env: str) -> Iterator[None]:
    """Turn what psycopg raises in the block into an error of ours.

    The error has no cause and no context: whoever writes down both would write down the URL.

    Raises:
        ConfigError: E_TARGET_SECRET, the URL cannot be read.
        PermanentError: E_TARGET_AUTH, E_TARGET_RIGHTS, E_TARGET_TYPE, E_TARGET_FAILED.
        TransientError: E_TARGET_UNREACHABLE, E_TARGET_TIMEOUT.
    """
    failure: KsiError | None = None
    try:
        yield
    except driver(target).Error as error:
        is_no_url = isinstance(error, driver(target).ProgrammingError) and not error.sqlstate
        failure = _no_url(target, env) if is_no_url else _failure(error, target, env)
    if failure is not None:
        raise failure


def _no_url(target: str, env: str) -> ConfigError:
    return ConfigError(
        f"Target {target!r}: what {env} holds is no URL that PostgreSQL's driver can read. Nothing "
        "was published. Write it like postgresql://user:password@host/database.",
        code="E_TARGET_SECRET",
    )


def _failure(error: Exception, target: str, env: str) -> KsiError:
    state = getattr(error, "sqlstate", None) or ""
    code = _STATES.get(state) or _CLASSES.get(state[:2])
    if code is None and not state:
        # a connection that was never made has no state
        is_auth = "password" in str(error) or "authentication" in str(error)
        code = "E_TARGET_AUTH" if is_auth else "E_TARGET_UNREACHABLE"
    if code is None:
        said = f"the database failed with {type(error).__name__}"
        todo = "Look into the log of the database"
    else:
        said, todo = (part.format(env=env, target=target) for part in _SAID[code])
    kind = TransientError if code in _PASSING else PermanentError
    named = f" (SQLSTATE {state})" if state else ""
    return kind(
        f"Target {target!r}: {said}{named}. {_KEPT} {todo}.", code=code or "E_TARGET_FAILED"
    )
