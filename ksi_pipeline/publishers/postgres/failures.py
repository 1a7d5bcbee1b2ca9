"""Which cause each error of PostgreSQL's driver has."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ksi_pipeline.core.errors import ConfigError, KsiError
from ksi_pipeline.publishers.refusals import code_of_state, no_driver, refused


def driver(target: str) -> Any:
    """Import psycopg.

    Raises:
        ConfigError: E_TARGET_DRIVER, it is not installed.
    """
    try:
        import psycopg
    except ImportError as error:
        raise no_driver(target, "postgres") from error
    return psycopg


@contextmanager
def told(target: str, env: str) -> Iterator[None]:
    """Turn what psycopg raises in the block into an error of ours.

    Python keeps psycopg's error as the context of ours, and whoever writes down one writes down the
    other. So its message, which may hold the URL or values of rows, is taken from it.

    Raises:
        ConfigError: E_TARGET_SECRET, the URL cannot be read.
        KsiError: as refused.
    """
    failure: KsiError | None = None
    try:
        yield
    except driver(target).Error as error:
        is_no_url = isinstance(error, driver(target).ProgrammingError) and not error.sqlstate
        failure = _no_url(target, env) if is_no_url else _failure(error, target, env)
        error.args = (type(error).__name__,)
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
    code = code_of_state(state)
    if code is None and not state:
        # a connection that was never made has no state
        is_auth = "password" in str(error) or "authentication" in str(error)
        code = "E_TARGET_AUTH" if is_auth else "E_TARGET_UNREACHABLE"
    detail = f"SQLSTATE {state}" if state else ""
    if code is None:
        code, detail = "E_TARGET_FAILED", f"{type(error).__name__}, {detail}"
    return refused(target, code, what="the database", env=env, detail=detail)
