"""What servers say no to, in our words: a code for each cause, and never a secret.

Drivers write addresses, users and values of rows into their messages. So no word of theirs is
told: a cause that is known gets words of our own, and of one that is not only the name of the error
and its state are shown.
"""

from collections.abc import Callable
from typing import TypeVar

from ksi_pipeline.core.errors import ConfigError, KsiError, PermanentError, TransientError

T = TypeVar("T")

_KEPT = "Readers keep what they had."
_SAID = {
    "E_TARGET_AUTH": (
        "{what} refused the user or the credentials",
        "Correct what {env} holds",
    ),
    "E_TARGET_RIGHTS": (
        "the user may not do what publishing needs",
        "Have the rights granted that ksi publish {target} --grants prints",
    ),
    "E_TARGET_UNREACHABLE": (
        "no connection to {what} could be made, or it broke off",
        "Check its address and the network; the next run goes on where this one ended",
    ),
    "E_TARGET_TIMEOUT": (
        "a step took longer than step_timeout_s, or waited for a lock",
        "Set a larger step_timeout_s, or end what holds the table; the next run goes on where this "
        "one ended",
    ),
    "E_TARGET_QUOTA": (
        "{what} takes no more for now: there are too many requests, or a quota is used up",
        "Run this again later, or have the quota raised",
    ),
    "E_TARGET_TYPE": (
        "{what} refused a value or a type",
        "Compare the table's columns with docs/reference/marts.md",
    ),
    "E_TARGET_FAILED": (
        "{what} failed with {detail}",
        "Look into its log",
    ),
}
_PASSING = {"E_TARGET_UNREACHABLE", "E_TARGET_TIMEOUT", "E_TARGET_QUOTA"}

# SQLSTATEs of PostgreSQL and what comes from it, whole and by class.
_STATES = {
    # of a transaction that was open too long, whether somebody worked in it or not
    "25P03": "E_TARGET_TIMEOUT",
    "25P04": "E_TARGET_TIMEOUT",
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


def code_of_state(state: str) -> str | None:
    """Give the code of a SQLSTATE as PostgreSQL and Redshift tell it; none where none is known."""
    return _STATES.get(state) or _CLASSES.get(state[:2])


def refused(target: str, code: str, *, what: str, env: str, detail: str) -> KsiError:
    """Say what a server refused.

    Args:
        target: its id.
        code: one of E_TARGET_AUTH, _RIGHTS, _UNREACHABLE, _TIMEOUT, _QUOTA, _TYPE, _FAILED.
        what: refused it, like `the database`.
        env: name of the environment variable with the credentials.
        detail: name of the driver's error and its state or number; nothing of its message.

    Returns:
        A TransientError where trying again may help, else a PermanentError.
    """
    said, todo = (
        part.format(what=what, env=env, target=target, detail=detail) for part in _SAID[code]
    )
    kind = TransientError if code in _PASSING else PermanentError
    named = f" ({detail})" if detail and detail not in said else ""
    return kind(f"Target {target!r}: {said}{named}. {_KEPT} {todo}.", code=code)


def answered(
    call: Callable[[], T],
    known: tuple[type[Exception], ...],
    failure: Callable[[Exception], KsiError],
) -> T:
    """Call a driver, and turn what it raises into an error of ours.

    The error has no cause and no context: whoever writes down both would write down secrets. A
    context manager could not do that, because what one raises has what was raised in its block as
    context.
    """
    try:
        return call()
    except known as error:
        found = failure(error)
    raise found


def no_driver(target: str, extra: str) -> ConfigError:
    """Say that what a kind of target needs is not installed."""
    return ConfigError(
        f"Target {target!r}: its driver is not installed; nothing was published. "
        f"Run: pip install -e '.[{extra}]'.",
        code="E_TARGET_DRIVER",
    )


def no_secret(target: str, env: str, example: str) -> ConfigError:
    """Say that the environment variable with the credentials is not set."""
    return ConfigError(
        f"Target {target!r}: the environment variable {env} is not set or empty, so there is "
        f"nothing to log in with; nothing was published. Set it to {example} where the pipeline "
        "runs.",
        code="E_TARGET_SECRET",
    )


def busy(target: str) -> TransientError:
    """Say that somebody else publishes there."""
    return TransientError(
        f"Target {target!r}: another publisher works on it. Nothing was published. Wait until it "
        "ends, and run this again; it finds what is left to do.",
        code="E_TARGET_BUSY",
    )


def snapshot_gone(target: str, what: str) -> TransientError:
    """Say that the snapshot that was to be published is no more.

    Args:
        target: its id.
        what: of the snapshot is gone, like `the files of fct_sales_daily/2026-03`.
    """
    return TransientError(
        f"Target {target!r}: {what} are gone, because newer builds have removed the snapshot that "
        "was being published. Readers keep what they had of what was not published yet. Publish "
        "again, which takes the newest snapshot; if it stays, build less often than publishing "
        "takes.",
        code="E_SNAPSHOT_GONE",
    )
