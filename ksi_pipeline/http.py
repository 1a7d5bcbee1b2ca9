"""The one place that speaks HTTP outward: a session, time-outs, bounded retries, error classes.

What a caller gets for each outcome:

* 200                                  the reply, its body complete and within the size limit
* 401, 403                             FeedRefused E_FEED_AUTH
* 3xx                                  FeedRefused E_FEED_REDIRECT; never followed, because a
                                       redirect would carry the token to an address nobody chose
* a certificate that does not hold     FeedRefused E_FEED_TLS
* any other 1xx, 2xx or 4xx            FeedRefused E_FEED_REFUSED
* 429, 5xx, no connection, cut off     retried, then FeedUnavailable E_FEED_UNAVAILABLE
* 408, silence, too slow               retried, then FeedUnavailable E_FEED_TIMEOUT
* larger than the limit                ContractError E_FEED_TOO_LARGE

No message, repr or log line holds the token. Errors are raised without the exception of the HTTP
library behind them: its frames hold the headers, and a traceback that prints locals would show
them.
"""

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from requests.auth import AuthBase

from ksi_pipeline import __version__
from ksi_pipeline.core.errors import ContractError, FeedRefused, FeedUnavailable, KsiError
from ksi_pipeline.core.secret import Token

_LOG = logging.getLogger(__name__)
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_QUOTED_CHARACTERS = 160


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """How long, how often and how much.

    Attributes:
        total_timeout_s: for one attempt, body included; a feed that drips a byte a second never
            reaches the read time-out.
        max_attempts: requests in all, the first included.
        backoff_s: longest wait after the first attempt; doubles with each one.
        longest_wait_s: caps back-off and Retry-After alike.
        max_bytes: of the decoded body.
    """

    connect_timeout_s: float = 5.0
    read_timeout_s: float = 30.0
    total_timeout_s: float = 120.0
    max_attempts: int = 4
    backoff_s: float = 1.0
    longest_wait_s: float = 60.0
    max_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A complete 200 reply; header names are as sent, compare them without case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why one attempt gave no reply; `wait_s` is what the server asked for."""

    what: str
    code: str
    kind: type[KsiError]
    wait_s: float | None = None


class _Bearer(AuthBase):
    """Puts the token on a request; as `auth` it also keeps a .netrc file from replacing it."""

    def __init__(self, token: Token) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        return request


class HttpClient:
    """GET with a Bearer token; keeps connections open between calls. Not for several threads."""

    def __init__(
        self,
        limits: HttpLimits | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        on_wait: Callable[[str], None] = lambda _what: None,
    ) -> None:
        """Open a session; nothing is sent yet.

        Args:
            limits: time-outs, attempts and sizes; the defaults when None.
            sleep: waits between attempts, in seconds.
            rng: spreads the waits, so that many pipelines do not come back at once.
            now: aware; read only for a Retry-After that is a date.
            on_wait: told before each wait, why and how long.
        """
        self.limits = limits or HttpLimits()
        self._sleep = sleep
        self._rng = rng or random.Random()
        self._now = now
        self._on_wait = on_wait
        self._session = requests.Session()
        self._session.headers.update(
            {"Accept": "application/json", "User-Agent": f"ksi_pipeline/{__version__}"}
        )
        # No cookies: what a feed answers must not depend on an earlier call.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def close(self) -> None:
        """Close the connections that are open."""
        self._session.close()

    def get(self, url: str, *, token: Token, asker: str) -> HttpReply:
        """Send GET until it is answered or the attempts are spent.

        Args:
            url: complete and already quoted; it is sent byte for byte.
            token: the Bearer token.
            asker: who asks, as errors begin: "Connector 'pos-main'".

        Raises:
            FeedRefused: asking again cannot help; see the table above.
            FeedUnavailable: every attempt failed in a way that may pass.
            ContractError: E_FEED_TOO_LARGE.
        """
        limits = self.limits
        attempt = 1
        while True:
            outcome = self._attempt(url, token)
            if isinstance(outcome, HttpReply):
                return outcome
            if outcome.kind is not FeedUnavailable or attempt >= limits.max_attempts:
                break
            wait_s = self._wait_s(attempt, outcome.wait_s)
            _LOG.info(
                "%s: attempt %d of %d %s; next in %.1f s",
                *(asker, attempt, limits.max_attempts, outcome.what, wait_s),
            )
            tries = f"attempt {attempt} of {limits.max_attempts} {outcome.what}"
            self._on_wait(f"{wait_s:.0f} s, {asker} {tries}")
            self._sleep(wait_s)
            attempt += 1
        raise outcome.kind(_message(outcome, asker, url, attempt), code=outcome.code)

    def _attempt(self, url: str, token: Token) -> HttpReply | _Failure:
        # An environment's proxy cannot reach this machine's own loopback.
        self._session.trust_env = urlsplit(url).hostname not in _LOOPBACK
        deadline = time.monotonic() + self.limits.total_timeout_s
        try:
            with self._session.get(
                url,
                auth=_Bearer(token),
                timeout=(self.limits.connect_timeout_s, self.limits.read_timeout_s),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = self._read(response, deadline)
                if isinstance(body, _Failure):
                    return body
                if response.status_code == 200:
                    return HttpReply(200, dict(response.headers), body)
                return self._refusal(response, body, token)
        except requests.exceptions.ConnectTimeout:
            what = f"reached nobody within {self.limits.connect_timeout_s:g} s"
            return _Failure(what, "E_FEED_TIMEOUT", FeedUnavailable)
        except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError):
            what = f"gave no answer within {self.limits.read_timeout_s:g} s"
            return _Failure(what, "E_FEED_TIMEOUT", FeedUnavailable)
        except requests.exceptions.ConnectionError as error:
            return _connection_failure(str(error))
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            what = f"broke off: {type(error).__name__}"
            return _Failure(what, "E_FEED_UNAVAILABLE", FeedUnavailable)

    def _read(self, response: requests.Response, deadline: float) -> bytes | _Failure:
        """Read the body piece by piece, so that both limits hold while it arrives."""
        pieces: list[bytes] = []
        size = 0
        while piece := response.raw.read1(65536, decode_content=True):
            pieces.append(piece)
            size += len(piece)
            if size > self.limits.max_bytes:
                what = f"sent more than {self.limits.max_bytes:,} bytes"
                return _Failure(what, "E_FEED_TOO_LARGE", ContractError)
            if time.monotonic() > deadline:
                what = f"was still sending after {self.limits.total_timeout_s:g} s"
                return _Failure(what, "E_FEED_TIMEOUT", FeedUnavailable)
        return b"".join(pieces)

    def _refusal(self, response: requests.Response, body: bytes, token: Token) -> _Failure:
        status = response.status_code
        what = f"was answered {status} {token.hide_in(response.reason or '')}".rstrip()
        if 300 <= status < 400:
            host = urlsplit(token.hide_in(response.headers.get("Location", ""))).netloc
            what += f" (to {host or 'the same host'})"
            return _Failure(what, "E_FEED_REDIRECT", FeedRefused)
        said = token.hide_in(body[:4096].decode("utf-8", "replace"))
        what += f" with {' '.join(said.split())[:_QUOTED_CHARACTERS]!r}" if said.strip() else ""
        if status in (401, 403):
            return _Failure(what, "E_FEED_AUTH", FeedRefused)
        if status == 408:
            return _Failure(what, "E_FEED_TIMEOUT", FeedUnavailable)
        if status == 429 or status >= 500:
            wait_s = self._asked_wait_s(response.headers.get("Retry-After"))
            return _Failure(what, "E_FEED_UNAVAILABLE", FeedUnavailable, wait_s)
        return _Failure(what, "E_FEED_REFUSED", FeedRefused)

    def _asked_wait_s(self, retry_after: str | None) -> float | None:
        """Read Retry-After, seconds or an HTTP date; None when absent or unreadable."""
        if retry_after is None:
            return None
        if retry_after.strip().isdecimal():
            return float(retry_after)
        try:
            until = parsedate_to_datetime(retry_after)
        except ValueError:
            return None
        if until.tzinfo is None:
            until = until.replace(tzinfo=UTC)
        return max(0.0, (until - self._now()).total_seconds())

    def _wait_s(self, attempt: int, asked_s: float | None) -> float:
        backoff_s = self.limits.backoff_s * 2.0 ** (attempt - 1) * self._rng.uniform(0.5, 1.0)
        return min(self.limits.longest_wait_s, max(backoff_s, asked_s or 0.0))


_NEXT = {
    "E_FEED_AUTH": "Check that the token is still valid and may read these codes.",
    "E_FEED_REDIRECT": "The token is never carried on to another address; if that address is the "
    "right one, write it as the connector's url.",
    "E_FEED_TLS": "Have the certificate renewed, or trust the company's own root certificate by "
    "naming its file in REQUESTS_CA_BUNDLE.",
    "E_FEED_REFUSED": "Ask the owner of the feed what it expects; the contract is 200 and a list.",
    "E_FEED_UNAVAILABLE": "The next run asks again; if it lasts, tell the owner of the feed.",
    "E_FEED_TIMEOUT": "The next run asks again; if the feed is merely slow, a smaller "
    "longest_window_days or a larger read_timeout_s helps.",
    "E_FEED_TOO_LARGE": "Set a smaller longest_window_days, so that one answer stays small.",
}


def _message(failure: _Failure, asker: str, url: str, attempts: int) -> str:
    shown = url if len(url) <= 200 else f"{url[:200]}..."
    tries = f" after {attempts} attempts" if attempts > 1 else ""
    return (
        f"{asker}: GET {shown} {failure.what}; given up{tries}, and no part of an answer was kept. "
        f"{_NEXT[failure.code]}"
    )


# urllib3 hides the cause in nested texts; the first that is found names it.
_CAUSES = {
    "CERTIFICATE_VERIFY_FAILED": "met a certificate that does not hold",
    "Failed to resolve": "found no host of that name",
    "Connection refused": "found nobody listening there",
    "": "lost the connection before the answer was complete",
}


def _connection_failure(said: str) -> _Failure:
    cause = next(text for text in _CAUSES if text in said)
    if cause == "CERTIFICATE_VERIFY_FAILED":
        return _Failure(_CAUSES[cause], "E_FEED_TLS", FeedRefused)
    return _Failure(_CAUSES[cause], "E_FEED_UNAVAILABLE", FeedUnavailable)
