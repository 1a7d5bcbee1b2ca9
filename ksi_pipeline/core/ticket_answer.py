"""What an hourly feed was asked, and what its answer says once it is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

import pyarrow as pa

from ksi_pipeline.core.time import Window

# What it means that a feed sends no row for an hour it was asked for.
AbsentMeans = Literal["zero", "missing"]
CodeHour = tuple[str, datetime]


@dataclass(frozen=True, slots=True)
class Fetch:
    """What one answer was asked for and when it came.

    Attributes:
        raw_sha256: hash of the body as received, in hex.
        fetched_at_utc: when the body was complete.
        window: asked for; both ends are starts of local hours.
        zone: of the site whose codes were asked for.
    """

    connector_id: str
    raw_sha256: str
    fetched_at_utc: datetime
    window: Window
    zone: ZoneInfo
    asked_codes: tuple[str, ...]

    @property
    def label(self) -> str:
        """How errors name it."""
        start, end = self.window.start.astimezone(self.zone), self.window.end.astimezone(self.zone)
        return f"Connector {self.connector_id!r}, {start.isoformat()} to {end.isoformat()}"


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row for the quarantine; E_UNKNOWN_CODE is a notice only, that row is in `rows` as well.

    Attributes:
        row_number: position in the answer, from 0.
        raw_value: the row's JSON text exactly as sent.
    """

    code: str
    message: str
    row_number: int
    raw_value: str


@dataclass(frozen=True, slots=True, eq=False)
class ParsedAnswer:
    """An answer, read.

    Attributes:
        rows: schema TICKET_HOURS, in the order of the answer.
        rejected: in the order of the answer.
        refused_hours: (asked code, start of hour) -> code of the refusal that leaves it open.
        unmatched_count: rows in `rows` whose code is linked to no unit.
        extra_fields: names outside the contract, sorted; their values stay in the raw answer.
    """

    fetch: Fetch
    rows: pa.Table
    rejected: tuple[RejectedRow, ...]
    refused_hours: Mapping[CodeHour, str]
    unmatched_count: int
    extra_fields: tuple[str, ...]
