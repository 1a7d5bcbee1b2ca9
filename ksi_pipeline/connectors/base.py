"""What every inbound connector gives: answers exactly as a source sent them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from ksi_pipeline.core.tickets import Fetch
from ksi_pipeline.core.time import Window


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, unread.

    Attributes:
        url: asked, without the token, which travels in a header.
        window: asked for; both ends are starts of local hours.
        codes: asked for, in order.
        zone: name of the zone in which the request was written, e.g. Europe/Madrid.
        body: as received, after any content encoding.
        sha256: of the body, in hex.
        fetched_at_utc: when the body was complete.
    """

    connector_id: str
    url: str
    window: Window
    codes: tuple[str, ...]
    zone: str
    body: bytes = field(repr=False)
    sha256: str
    fetched_at_utc: datetime

    @property
    def fetch(self) -> Fetch:
        """What core needs to know to read the body."""
        return Fetch(
            connector_id=self.connector_id,
            raw_sha256=self.sha256,
            fetched_at_utc=self.fetched_at_utc,
            window=self.window,
            zone=ZoneInfo(self.zone),
            asked_codes=self.codes,
        )


class Connector(Protocol):
    """A source of hourly tickets."""

    @property
    def connector_id(self) -> str:
        """The id in connectors.yaml."""
        ...

    def fetch(self, window: Window, codes: Sequence[str], zone: ZoneInfo) -> list[Answer]:
        """Ask for a window: all answers or, with an error, none.

        Args:
            window: its ends are starts of local hours of `zone`.
            codes: ext_ref_codes of units in that zone; none asks nothing.
            zone: of the site.

        Returns:
            Together the answers ask for every code once; several where one request cannot.

        Raises:
            FeedRefused: the source said no, and asking again cannot help.
            FeedUnavailable: it cannot be asked for now.
            ContractError: the window is not made of whole hours, or an answer is too large.
        """
        ...
