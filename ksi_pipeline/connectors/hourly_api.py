"""The guide's hourly API, request for request as its example writes it.

    GET <url>?fromTime=2023-02-08T09:00:00-03:00&toTime=2023-02-08T10:59:59-03:00&ext_ref_codes=0001

Times carry the offset that is in force in the site's zone at that instant, so the two ends of an
autumn window differ. Colons stay as they are; a plus is sent as %2B, or it would arrive as a space.
toTime is inclusive to the second: the half-open window [a, b) is asked for as a to b - 1 s.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote
from zoneinfo import ZoneInfo

from ksi_pipeline.connectors.base import Answer
from ksi_pipeline.core.errors import ConfigError, ContractError
from ksi_pipeline.core.secret import Token
from ksi_pipeline.core.time import Window, aligned_to_hours, local_hours
from ksi_pipeline.http import HttpClient

# Below what common servers and proxies accept (2,083 in the strictest that is still met).
LONGEST_URL = 2000
_SECOND = timedelta(seconds=1)
_US = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class HourlyApi:
    """One endpoint that speaks the hourly ticket contract (docs/how-to/connect-a-till.md).

    Attributes:
        url: without fromTime, toTime and ext_ref_codes; it may have a query of its own.
        clock: aware UTC now.
    """

    connector_id: str
    url: str
    http: HttpClient
    token: Token
    clock: Callable[[], datetime]

    def fetch(self, window: Window, codes: Sequence[str], zone: ZoneInfo) -> list[Answer]:
        """Ask for a window; see Connector.fetch. Codes are batched to keep the URL short."""
        _require_whole_hours(window, zone, self.connector_id)
        answers: list[Answer] = []
        for batch, url in self._requests(window, list(dict.fromkeys(codes)), zone):
            reply = self.http.get(url, token=self.token, asker=f"Connector {self.connector_id!r}")
            answers.append(
                Answer(
                    connector_id=self.connector_id,
                    url=url,
                    window=window,
                    codes=batch,
                    zone=zone.key,
                    body=reply.body,
                    sha256=hashlib.sha256(reply.body).hexdigest(),
                    fetched_at_utc=self.clock(),
                )
            )
        return answers

    def _requests(
        self, window: Window, codes: Sequence[str], zone: ZoneInfo
    ) -> Iterator[tuple[tuple[str, ...], str]]:
        bare = len(request_url(self.url, window, (), zone))
        batch: list[str] = []
        length = bare
        for code in codes:
            more = len(_code_written(code))
            if batch and length + more > LONGEST_URL:
                yield tuple(batch), request_url(self.url, window, batch, zone)
                batch, length = [], bare
            batch.append(code)
            length += more
            if length > LONGEST_URL:
                raise ConfigError(
                    f"Connector {self.connector_id!r}: the request for the one code {code[:40]!r} "
                    f"is longer than {LONGEST_URL} characters; nothing was asked. Shorten the url "
                    "or the code.",
                    code="E_URL_TOO_LONG",
                )
        if batch:
            yield tuple(batch), request_url(self.url, window, batch, zone)


def request_url(url: str, window: Window, codes: Sequence[str], zone: ZoneInfo) -> str:
    """Write a request byte for byte as the contract's example."""
    begin, end = _written(window.start, zone), _written(window.end - _SECOND, zone)
    asked = "".join(map(_code_written, codes))
    return f"{url}{'&' if '?' in url else '?'}fromTime={begin}&toTime={end}{asked}"


def hourly_windows(window: Window, zone: ZoneInfo, longest: timedelta) -> list[Window]:
    """Cut a window into request windows of whole local hours, none longer than `longest`.

    Both ends are first shifted on to the next start of a local hour, so consecutive windows share
    no hour and lose none. A window in which no local hour starts gives none.

    Raises:
        ConfigError: `longest` is shorter than an hour.
    """
    if longest < timedelta(hours=1):
        raise ConfigError(
            f"A request window of {longest} holds no hour. Set longest_window_days to 1 or more.",
            code="E_WINDOW_TOO_SHORT",
        )
    try:
        whole = aligned_to_hours(window, zone)
    except ContractError:  # both ends shift on to the same hour
        return []
    pieces: list[Window] = []
    start = whole.start
    while start < whole.end:
        end = whole.end
        if end - start > longest:
            cut = start + longest
            end = next(local_hours(Window(cut, cut + _US), zone)).from_utc
        pieces.append(Window(start, end))
        start = end
    return pieces


def _code_written(code: str) -> str:
    return f"&ext_ref_codes={quote(code, safe='')}"


def _written(instant: datetime, zone: ZoneInfo) -> str:
    return instant.astimezone(zone).isoformat(timespec="seconds").replace("+", "%2B")


def _require_whole_hours(window: Window, zone: ZoneInfo, connector_id: str) -> None:
    """Refuse to ask for part of an hour: its tickets would be taken for the hour's."""
    first = next(local_hours(window, zone))
    last = next(local_hours(Window(window.end - _US, window.end), zone))
    if first.from_utc != window.start or last.end_utc != window.end:
        raise ContractError(
            f"Connector {connector_id!r}: the window {window.start.isoformat()} to "
            f"{window.end.isoformat()} cuts a local hour of {zone.key}; nothing was asked. Cut "
            "windows with hourly_windows.",
            code="E_WINDOW_NOT_ALIGNED",
        )
