"""Why an attempt gave no reply, and how that is told.

What a server said is quoted, unless the token stands in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from ksi_pipeline.core.errors import FeedRefused, FeedUnavailable, KsiError
from ksi_pipeline.core.secret import Token

_QUOTED_CHARACTERS = 160


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one attempt gave no reply.

    Attributes:
        wait_s: what the server asked for.
        is_of_host: nobody answered for the host, so that other requests would fare the same.
    """

    what: str
    code: str
    kind: type[KsiError]
    wait_s: float | None = None
    is_of_host: bool = False


NEXT = {
    "E_FEED_AUTH": "Check that the token is still valid and may read these codes.",
    "E_FEED_ECHO": "Tell the owner of the feed that an answer must never repeat the Authorization "
    "header, and have the token renewed: it may stand in the feed's logs as well. A token as short "
    "as a code or a number may also occur by chance; then have a longer one issued.",
    "E_FEED_REDIRECT": "The token is never carried on to another address; if that address is the "
    "right one, write it as the connector's url.",
    "E_FEED_TLS": "Have the certificate renewed, or trust the company's own root certificate by "
    "naming its file in REQUESTS_CA_BUNDLE.",
    "E_FEED_REFUSED": "Ask the owner of the feed what it expects; the contract is 200 and a list.",
    "E_FEED_UNAVAILABLE": "The next run asks again; if it lasts, tell the owner of the feed.",
    "E_FEED_RESTS": "The next run asks again; if it lasts, ask who runs that host.",
    "E_PRIVATE_ADDRESS": "If the till system stands in your own network, set allow_private: true "
    "for this connector; otherwise correct its url.",
    "E_FEED_TIMEOUT": "The next run asks again; if the feed is merely slow, a smaller "
    "longest_window_days or a larger read_timeout_s helps.",
    "E_FEED_TOO_LARGE": "Set a smaller longest_window_days, so that one answer stays small.",
}


def message(failure: Failure, asker: str, url: str, attempts: int) -> str:
    """Say what was asked, what happened and what to do next."""
    tries = f" after {attempts} attempts" if attempts > 1 else ""
    return (
        f"{asker}: GET {shown_url(url)} {failure.what}; given up{tries}, and no part of an answer "
        f"was kept. {NEXT[failure.code]}"
    )


def shown_url(url: str) -> str:
    """Shorten a url for a message."""
    return url if len(url) <= 200 else f"{url[:200]}..."


# urllib3 hides the cause in nested texts; the first that is found names it.
_CAUSES = {
    "CERTIFICATE_VERIFY_FAILED": "met a certificate that does not hold",
    "Failed to resolve": "found no host of that name",
    "Connection refused": "found nobody listening there",
    "": "lost the connection before the answer was complete",
}


def connection_failure(said: str) -> Failure:
    """Tell apart why no connection came about or held, by what the HTTP library said."""
    cause = next(text for text in _CAUSES if text in said)
    if cause == "CERTIFICATE_VERIFY_FAILED":
        return Failure(_CAUSES[cause], "E_FEED_TLS", FeedRefused)
    return Failure(_CAUSES[cause], "E_FEED_UNAVAILABLE", FeedUnavailable, is_of_host=True)


def echo_failure() -> Failure:
    """Refuse a good answer that repeats its token: raw answers are kept as they are, or not."""
    return Failure("was answered 200 with the token in the answer", "E_FEED_ECHO", FeedRefused)


def refusal(
    status: int,
    reason: str,
    headers: Mapping[str, str],
    body: bytes,
    token: Token | None,
    now: datetime,
) -> Failure:
    """Tell what an answer other than 200 means.

    `reason` of the status line may be empty; `headers` are found without regard to case; `now` is
    aware and read only for a Retry-After that is a date.
    """
    what = f"was answered {status} {_shown(reason, token)}".rstrip()
    if 300 <= status < 400:
        to = _host_of(_shown(headers.get("Location", ""), token))
        return Failure(f"{what} (to {to})", "E_FEED_REDIRECT", FeedRefused)
    said = _shown(body.decode("utf-8", "replace"), token, body)
    what += f" with {' '.join(said[:4096].split())[:_QUOTED_CHARACTERS]!r}" if said.strip() else ""
    if status in (401, 403):
        return Failure(what, "E_FEED_AUTH", FeedRefused)
    if status == 408:
        return Failure(what, "E_FEED_TIMEOUT", FeedUnavailable)
    if status == 429 or status >= 500:
        wait_s = _asked_wait_s(headers.get("Retry-After"), now)
        is_gateway = status in (502, 503, 504)
        return Failure(what, "E_FEED_UNAVAILABLE", FeedUnavailable, wait_s, is_gateway)
    return Failure(what, "E_FEED_REFUSED", FeedRefused)


def _shown(said: str, token: Token | None, sent: bytes | None = None) -> str:
    """Give what was said, or that it cannot be quoted, because the token stands in it."""
    is_echo = token is not None and token.is_in(sent or said.encode("utf-8", "replace"))
    return "(not quoted: it repeats the token)" if is_echo else said


def _host_of(location: str) -> str:
    try:
        return urlsplit(location).netloc or "the same host"
    except ValueError:
        return "an address that cannot be read"


def _asked_wait_s(retry_after: str | None, now: datetime) -> float | None:
    """Read Retry-After, seconds or an HTTP date; null when absent or unreadable."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        until = parsedate_to_datetime(retry_after)
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        return max(0.0, (until - now).total_seconds())
    except (ValueError, OverflowError):
        return None
