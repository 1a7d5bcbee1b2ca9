"""Which cause each error of BigQuery and of its client has."""

import concurrent.futures
from collections.abc import Callable
from typing import Any, TypeVar

from ksi_pipeline.core.errors import KsiError, PermanentError
from ksi_pipeline.publishers.bigquery.config import BigqueryConfig
from ksi_pipeline.publishers.refusals import answered, no_driver, refused

T = TypeVar("T")
_REASONS = {
    "accessDenied": "E_TARGET_RIGHTS",
    # only the dataset is not ours to make; the grants begin with it
    "notFound": "E_TARGET_RIGHTS",
    "invalid": "E_TARGET_TYPE",
    "rateLimitExceeded": "E_TARGET_QUOTA",
    "jobRateLimitExceeded": "E_TARGET_QUOTA",
    "quotaExceeded": "E_TARGET_QUOTA",
    "backendError": "E_TARGET_UNREACHABLE",
    "jobBackendError": "E_TARGET_UNREACHABLE",
    "internalError": "E_TARGET_UNREACHABLE",
    "jobInternalError": "E_TARGET_UNREACHABLE",
    "badGateway": "E_TARGET_UNREACHABLE",
    "stopped": "E_TARGET_TIMEOUT",
    "timeout": "E_TARGET_TIMEOUT",
    # a job of a killed run filled the stage after all
    "duplicate": "E_TARGET_TIMEOUT",
}
_STATUS = {401: "E_TARGET_AUTH", 403: "E_TARGET_RIGHTS", 429: "E_TARGET_QUOTA"}
# The reason is that of any wrong query, so the words have to be looked at.
_CONFLICTS = ("due to concurrent update", "serialize access")


def driver(target: str) -> Any:
    """Import the client.

    Raises:
        ConfigError: E_TARGET_DRIVER, it is not installed.
    """
    try:
        from google.cloud import bigquery
    except ImportError as error:
        raise no_driver(target, "bigquery") from error
    return bigquery


def reason_of(error: BaseException) -> str:
    """Give the reason that BigQuery names in an error, or nothing."""
    listed = getattr(error, "errors", None) or [{}]
    first = listed[0]
    return str(first.get("reason", "")) if isinstance(first, dict) else ""


def is_passing(error: Exception) -> bool:
    """Whether the same request may succeed in a moment; no connection is for the next run."""
    code = _REASONS.get(reason_of(error)) or _of_status(getattr(error, "code", None))
    return code in {"E_TARGET_QUOTA", "E_TARGET_UNREACHABLE"}


def told(config: BigqueryConfig, ask: Callable[[], T]) -> T:
    """Ask, and turn what the client raises into an error of ours; see answered.

    Raises:
        KsiError: as refused.
    """
    driver(config.id)
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    known = (GoogleAPIError, GoogleAuthError, concurrent.futures.TimeoutError, OSError)
    # where the client gave up trying again, it says why only in its cause
    return answered(
        ask, known, lambda error: _failure(getattr(error, "cause", None) or error, config)
    )


def _failure(error: BaseException, config: BigqueryConfig) -> KsiError:
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError

    reason, detail = reason_of(error), type(error).__name__
    if isinstance(error, DefaultCredentialsError):
        return _no_credentials(config)
    if reason == "bytesBilledLimitExceeded":
        return _too_many_bytes(config)
    if isinstance(error, GoogleAuthError) and not isinstance(error, TransportError):
        code = "E_TARGET_AUTH"
    elif isinstance(error, concurrent.futures.TimeoutError):
        code = "E_TARGET_TIMEOUT"
    elif isinstance(error, OSError | TransportError):
        code = "E_TARGET_UNREACHABLE"
    elif any(words in str(error) for words in _CONFLICTS):
        code = "E_TARGET_TIMEOUT"
    else:
        known = _REASONS.get(reason) or _of_status(getattr(error, "code", None))
        code, detail = known or "E_TARGET_FAILED", f"{detail}, {reason}" if reason else detail
    env = config.credentials_env or "GOOGLE_APPLICATION_CREDENTIALS"
    return refused(config.id, code, what="BigQuery", env=env, detail=detail)


def _of_status(status: Any) -> str | None:
    if isinstance(status, int) and status >= 500:
        return "E_TARGET_UNREACHABLE"
    return _STATUS.get(status)


def _no_credentials(config: BigqueryConfig) -> KsiError:
    return PermanentError(
        f"Target {config.id!r}: there are no application default credentials to log in to BigQuery "
        "with. Nothing was published. Set GOOGLE_APPLICATION_CREDENTIALS, or name a variable in "
        "credentials_env, or run: gcloud auth application-default login.",
        code="E_TARGET_AUTH",
    )


def _too_many_bytes(config: BigqueryConfig) -> KsiError:
    return PermanentError(
        f"Target {config.id!r}: a statement would read more than maximum_bytes_billed, "
        f"{config.maximum_bytes_billed} bytes. Readers keep what they had. Set it to what the "
        "largest table has, or leave it out.",
        code="E_TARGET_QUOTA",
    )
