"""What a database says no to, in our words: a code for each cause, and never a secret.

SQLAlchemy and drivers write addresses, users, parameters and values of rows into their messages, in
parts and in spellings of their own. So no word of theirs is shown: a cause that is known gets words
of our own, and of one that is not only the name of the error and its SQLSTATE are told.
"""

import re
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

from ksi_pipeline.core.errors import ConfigError, FeedRefused, FeedUnavailable, KsiError

_T = TypeVar("_T")
_STATE = r"[0-9A-Z]{5}"
_STATES = {
    "28000": "E_SQL_AUTH",
    "28P01": "E_SQL_AUTH",
    "3D000": "E_SQL_UNREACHABLE",
    "3F000": "E_SQL_TABLE",
    "42P01": "E_SQL_TABLE",
    "42S02": "E_SQL_TABLE",
    "42703": "E_SQL_COLUMN",
    "42S22": "E_SQL_COLUMN",
    "42501": "E_SQL_RIGHTS",
    "57014": "E_SQL_TIMEOUT",
    "55P03": "E_SQL_TIMEOUT",
    "HYT00": "E_SQL_TIMEOUT",
    "42883": "E_SQL_WATERMARK",
    "25006": "E_SQL_RIGHTS",
}
# By words, where a driver gives no state; in this order.
_WORDS = (
    ("E_SQL_AUTH", r"password|authentication|login failed|ORA-01017|role .* does not exist"),
    ("E_SQL_TABLE", r"no such table|invalid object name|invalid table name|ORA-00942"),
    ("E_SQL_COLUMN", r"no such column|invalid column name|ORA-00904"),
    ("E_SQL_RIGHTS", r"permission denied|insufficient privilege|not authorized|readonly|ORA-01031"),
    ("E_SQL_TIMEOUT", r"^interrupted|statement timeout|cancel(?:l?ed|ing)|lock(?:ed| timeout)"),
    (
        "E_SQL_UNREACHABLE",
        r"unable to open|connection|could not connect|connect to|could not translate|no route|"
        r"network|server closed|timed? ?out|not a database|ORA-12\d\d\d",
    ),
)
_SAID = {
    "E_SQL_AUTH": (
        "the database refused the user or the password",
        "Correct the URL in {env}, or ask the database's owner",
    ),
    "E_SQL_UNREACHABLE": (
        "no connection to the database could be made, or it broke off",
        "Check host, port, database name and network of the URL in {env}; the next run asks again",
    ),
    "E_SQL_TABLE": (
        "the database has no {asked}, or does not show it to this user",
        "Correct table: or query:, or have the user granted SELECT",
    ),
    "E_SQL_COLUMN": (
        "a column is not there: of the watermark, of columns:, of the mapping or of query:",
        "Correct the name; upper and lower case may differ",
    ),
    "E_SQL_RIGHTS": (
        "the user may not read {asked}, or something in it would write",
        "Have the user granted SELECT, and nothing else",
    ),
    "E_SQL_TIMEOUT": (
        "the query took longer than {timeout:g} s, or waited for a lock",
        "Index the watermark, or set a smaller longest_window_days or a larger "
        "statement_timeout_s; the next run asks again",
    ),
    "E_SQL_WATERMARK": (
        "the watermark {watermark!r} cannot be compared with a time or number",
        "Choose another column, or another kind: of the watermark",
    ),
}
_PASSING = {"E_SQL_UNREACHABLE", "E_SQL_TIMEOUT", "E_SQL_FAILED"}


class Teller:
    """Turns errors of one connector's database into ours."""

    def __init__(
        self, connector_id: str, env: str, asked: str, watermark: str, timeout_s: float
    ) -> None:
        """Take what messages name."""
        self._who = f"Connector {connector_id!r}"
        self._named = {"env": env, "asked": asked, "watermark": watermark, "timeout": timeout_s}

    def attempt(self, call: Callable[[], _T]) -> _T:
        """Call, and turn what SQLAlchemy raises into an error of ours.

        The error has no cause and no context: whoever writes down both would write down the URL.

        Raises:
            ConfigError: E_SQL_URL, E_SQL_DRIVER.
            FeedRefused: the database said no, and asking again cannot help.
            FeedUnavailable: it cannot be asked for now.
        """
        failure: KsiError | None = None
        try:
            return call()
        except (SQLAlchemyError, ImportError, OverflowError, UnicodeError) as error:
            failure = self._told(error)
        raise failure

    def _told(self, error: Exception) -> KsiError:
        if isinstance(error, ImportError | NoSuchModuleError):
            return ConfigError(
                f"{self._who}: the driver that the URL in {self._named['env']} names is not "
                "installed; nothing was asked. For PostgreSQL: pip install -e '.[postgres]'; "
                "docs/how-to/connect-a-database.md names others.",
                code="E_SQL_DRIVER",
            )
        original = getattr(error, "orig", None) or error
        text = str(original)
        state = _state_of(original)
        code = _STATES.get(state)
        if code is None:
            code = next((c for c, words in _WORDS if re.search(words, text, re.I)), "E_SQL_FAILED")
        if code == "E_SQL_WATERMARK" and "operator" not in text:
            code = "E_SQL_FAILED"  # a function of query: that is not there
        kind = FeedUnavailable if code in _PASSING else FeedRefused
        if code == "E_SQL_FAILED":
            said = f"the database failed with {type(original).__name__}"
            todo = "Try the query with the same user in another tool"
        else:
            said, todo = (part.format(**self._named) for part in _SAID[code])
        named = f" (SQLSTATE {state})" if state else ""
        return kind(
            f"{self._who}: {said}{named}. Of this window nothing was kept; what was kept before "
            f"stays. {todo}.",
            code=code,
        )


def _state_of(error: object) -> str:
    """Give the SQLSTATE of a driver's error; empty where it has none."""
    # pyodbc gives it as the first of its arguments
    for state in (getattr(error, "sqlstate", None), *getattr(error, "args", ())[:1]):
        if isinstance(state, str) and re.fullmatch(_STATE, state):
            return state
    return ""
