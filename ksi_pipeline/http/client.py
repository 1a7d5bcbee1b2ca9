"""GET with a Bearer token: time-outs, bounded retries, error classes.

What a caller gets for each outcome:

* 200                                  the reply, its body complete and within the size limit
* 200 whose body holds the token       FeedRefused E_FEED_ECHO; nothing of it is kept
* 401, 403                             FeedRefused E_FEED_AUTH
* 3xx                                  FeedRefused E_FEED_REDIRECT; never followed, because a
                                       redirect would carry the token to an address nobody chose
* a certificate that does not hold     FeedRefused E_FEED_TLS
* any other 1xx, 2xx or 4xx            FeedRefused E_FEED_REFUSED
* an address that is not public        ConfigError E_PRIVATE_ADDRESS, unless allow_private;
                                       nothing was sent
* a host that others found down        FeedUnavailable E_FEED_RESTS; nothing was sent (hosts.py)
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
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from requests.auth import AuthBase

from ksi_pipeline import __version__
from ksi_pipeline.core.errors import (
    ConfigError,
    ContractError,
    FeedUnavailable,
)
from ksi_pipeline.core.secret import Token
from ksi_pipeline.http.addresses import (
    PrivateAddress,
    PublicAddressesAdapter,
    check_behind_proxy,
)
from ksi_pipeline.http.failures import (
    NEXT,
    Failure,
    connection_failure,
    echo_failure,
    message,
    refusal,
    shown_url,
)
from ksi_pipeline.http.hosts import Hosts

_LOG = logging.getLogger(__name__)
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
# It quotes header lines that it cannot read, and the token may stand in one.
logging.getLogger("urllib3.connection").addFilter(
    lambda record: not str(record.msg).startswith("Failed to parse headers")
)


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """How long, how often, how much and where to.

    Attributes:
        total_timeout_s: for one attempt, body included; a feed that drips a byte a second never
            reaches the read time-out.
        max_attempts: requests in all, the first included.
        backoff_s: longest wait after the first attempt; doubles with each one.
        longest_wait_s: caps back-off and Retry-After alike.
        max_bytes: of the decoded body.
        allow_private: permits addresses of this machine and of the network it stands in.
    """

    connect_timeout_s: float = 5.0
    read_timeout_s: float = 30.0
    total_timeout_s: float = 120.0
    max_attempts: int = 4
    backoff_s: float = 1.0
    longest_wait_s: float = 60.0
    max_bytes: int = 64 * 1024 * 1024
    allow_private: bool = False


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A complete 200 reply; header names are as sent, compare them without case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class _Bearer(AuthBase):
    """Puts the token on a request; as `auth` it also keeps a .netrc file from replacing it."""

    def __init__(self, token: Token | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        return request


class _Session(requests.Session):
    """Never looks where a redirect leads: to do so, the base class reads its body without limit."""

    def get_redirect_target(self, _resp: requests.Response) -> None:
        return None


class HttpClient:
    """GET with a Bearer token; keeps connections open between calls. Not for several threads."""

    def __init__(
        self,
        limits: HttpLimits | None = None,
        *,
        hosts: Hosts | None = None,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        on_wait: Callable[[str], None] = lambda _what: None,
    ) -> None:
        """Open a session; nothing is sent yet.

        Args:
            limits: time-outs, attempts and sizes; the defaults when None.
            hosts: what other clients of the run know; its own when None.
            sleep: waits between attempts, in seconds.
            rng: spreads the waits, so that many pipelines do not come back at once.
            now: aware; read only for a Retry-After that is a date.
            on_wait: told before each wait, why and how long.
        """
        self.limits = limits or HttpLimits()
        self._hosts = hosts or Hosts()
        self._sleep = sleep
        self._rng = rng or random.Random()
        self._now = now
        self._on_wait = on_wait
        self._session = _Session()
        if not self.limits.allow_private:
            for scheme in ("http://", "https://"):
                self._session.mount(scheme, PublicAddressesAdapter())
        self._session.headers.update(
            {"Accept": "application/json", "User-Agent": f"ksi_pipeline/{__version__}"}
        )
        # No cookies: what a feed answers must not depend on an earlier call.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def close(self) -> None:
        """Close the connections that are open."""
        self._session.close()

    def get(self, url: str, *, token: Token | None, asker: str) -> HttpReply:
        """Send GET until it is answered or the attempts are spent.

        Args:
            url: complete and already quoted; it is sent byte for byte.
            token: the Bearer token; null sends none.
            asker: who asks, as errors begin: "Connector 'pos-main'".

        Raises:
            FeedRefused: asking again cannot help; see the table above.
            FeedUnavailable: every attempt failed in a way that may pass, or nobody could reach the
                host a moment ago.
            ContractError: E_FEED_TOO_LARGE.
            ConfigError: E_PRIVATE_ADDRESS.
        """
        limits, host = self.limits, urlsplit(url).netloc
        rest_s = self._hosts.rest_of(host)
        if rest_s:
            raise FeedUnavailable(
                f"{asker}: GET {shown_url(url)} was not sent: other connectors gave up on the host "
                f"{host} a moment ago, and it is left alone for another {rest_s:.0f} s. "
                f"{NEXT['E_FEED_RESTS']}",
                code="E_FEED_RESTS",
            )
        attempt = 1
        pause_s = self._hosts.pause_of(host)
        if pause_s:
            self._on_wait(f"{pause_s:.0f} s, as {host} asked another request to")
            self._sleep(pause_s)
        while True:
            outcome = self._attempt(url, token)
            if isinstance(outcome, HttpReply):
                self._hosts.answered(host)
                return outcome
            if outcome.kind is not FeedUnavailable or attempt >= limits.max_attempts:
                break
            wait_s = self._wait_s(attempt, outcome.wait_s)
            if outcome.wait_s is not None:
                self._hosts.asked_to_wait(host, wait_s)
            _LOG.info(
                "%s: attempt %d of %d %s; next in %.1f s",
                *(asker, attempt, limits.max_attempts, outcome.what, wait_s),
            )
            tries = f"attempt {attempt} of {limits.max_attempts} {outcome.what}"
            self._on_wait(f"{wait_s:.0f} s, {asker} {tries}")
            self._sleep(wait_s)
            attempt += 1
        if outcome.is_of_host:
            self._hosts.gave_up(host, asker)
        else:
            self._hosts.answered(host)
        raise outcome.kind(message(outcome, asker, url, attempt), code=outcome.code)

    def _attempt(self, url: str, token: Token | None) -> HttpReply | Failure:
        # An environment's proxy cannot reach this machine's own loopback.
        host = urlsplit(url).hostname or ""
        self._session.trust_env = host not in _LOOPBACK
        deadline = time.monotonic() + self.limits.total_timeout_s
        try:
            if self._session.trust_env and not self.limits.allow_private:
                check_behind_proxy(url, host)
            with self._session.get(
                url,
                auth=_Bearer(token),
                timeout=(self.limits.connect_timeout_s, self.limits.read_timeout_s),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = self._read(response, deadline)
                if isinstance(body, Failure):
                    return body
                status, headers = response.status_code, response.headers
                if status != 200:
                    reason = response.reason or ""
                    return refusal(status, reason, headers, body, token, self._now())
                if token is not None and token.is_in(body):
                    return echo_failure()
                return HttpReply(200, dict(headers), body)
        except PrivateAddress as error:
            what = f"would have gone to {error}, and was not sent"
            return Failure(what, "E_PRIVATE_ADDRESS", ConfigError)
        except requests.exceptions.ConnectTimeout:
            what = f"reached nobody within {self.limits.connect_timeout_s:g} s"
            return Failure(what, "E_FEED_TIMEOUT", FeedUnavailable, is_of_host=True)
        except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError):
            what = f"gave no answer within {self.limits.read_timeout_s:g} s"
            return Failure(what, "E_FEED_TIMEOUT", FeedUnavailable, is_of_host=True)
        except requests.exceptions.ConnectionError as error:
            return connection_failure(str(error))
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            what = f"broke off: {type(error).__name__}"
            return Failure(what, "E_FEED_UNAVAILABLE", FeedUnavailable)

    def _read(self, response: requests.Response, deadline: float) -> bytes | Failure:
        """Read the body piece by piece, so that both limits hold while it arrives."""
        pieces: list[bytes] = []
        size = 0
        while piece := response.raw.read1(65536, decode_content=True):
            pieces.append(piece)
            size += len(piece)
            if size > self.limits.max_bytes:
                what = f"sent more than {self.limits.max_bytes:,} bytes"
                return Failure(what, "E_FEED_TOO_LARGE", ContractError)
            if time.monotonic() > deadline:
                what = f"was still sending after {self.limits.total_timeout_s:g} s"
                return Failure(what, "E_FEED_TIMEOUT", FeedUnavailable)
        return b"".join(pieces)

    def _wait_s(self, attempt: int, asked_s: float | None) -> float:
        backoff_s = self.limits.backoff_s * 2.0 ** (attempt - 1) * self._rng.uniform(0.5, 1.0)
        return min(self.limits.longest_wait_s, max(backoff_s, asked_s or 0.0))
