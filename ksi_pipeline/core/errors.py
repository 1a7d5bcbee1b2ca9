"""Every error ksi_pipeline raises on purpose, grouped by what the caller should do.

* KsiError
  - PermanentError      do not retry: the input or the configuration must change
    . ConfigError         a setting, space file, source or target is wrong
    . FeedRefused         a ticket feed answered "no": bad token, wrong address, not allowed
    . ContractError       data breaks a documented shape, unit or key
      . PublishRefused      a target would not show what the marts hold
  - TransientError      retry later: nothing needs to change
    . FeedUnavailable     a ticket feed timed out or answered 429 or 5xx

A message says what was attempted, what happened (with values), what was done about it and what to
do next. `code` is the short stable word that quarantine rows, coverage rows and the documentation
(docs/reference/error-codes.md) use.
"""

from collections.abc import Sequence


class KsiError(Exception):
    """Base of all errors raised on purpose."""

    def __init__(self, message: str, *, code: str = "E_KSI") -> None:
        """Keep the message as the user will read it, and its stable code."""
        super().__init__(message)
        self.code = code


class PermanentError(KsiError):
    """Retrying cannot help; the message names what has to change."""


class ConfigError(PermanentError):
    """A setting, space file, source or target is missing or wrong."""

    def __init__(self, message: str, *, code: str = "E_CONFIG") -> None:
        super().__init__(message, code=code)


class FeedRefused(PermanentError):
    """A ticket feed refused the request; a token, an address or a right has to change."""

    def __init__(self, message: str, *, code: str = "E_FEED_REFUSED") -> None:
        super().__init__(message, code=code)


class ContractError(PermanentError):
    """Data breaks a documented shape, unit or key."""

    def __init__(self, message: str, *, code: str = "E_CONTRACT") -> None:
        super().__init__(message, code=code)


class PublishRefused(ContractError):
    """What a target was to get is not what it may show; nothing of it was made visible.

    Attributes:
        marts: that are meant, in order.
    """

    def __init__(self, message: str, *, code: str, marts: Sequence[str]) -> None:
        super().__init__(message, code=code)
        self.marts = tuple(marts)


class TransientError(KsiError):
    """Retrying the same call may succeed."""

    def __init__(self, message: str, *, code: str = "E_TRANSIENT") -> None:
        super().__init__(message, code=code)


class FeedUnavailable(TransientError):
    """A ticket feed timed out or refused for now; bounded retries were already spent."""

    def __init__(self, message: str, *, code: str = "E_FEED_UNAVAILABLE") -> None:
        super().__init__(message, code=code)
