"""Why an attempt gave no reply, and how that is told."""

from dataclasses import dataclass

from ksi_pipeline.core.errors import FeedRefused, FeedUnavailable, KsiError


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
