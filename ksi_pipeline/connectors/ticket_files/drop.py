"""One file as it came, and what was found in it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

# Rows of one file with one code that the quarantine shows one by one; the rest are counted.
MOST_SHOWN = 1_000
KEY = ("ext_ref_code", "ticket_id")


@dataclass(frozen=True, slots=True)
class Drop:
    """One file as it came.

    Attributes:
        fetched_at_utc: when it was taken; of two revisions of a ticket the later holds.
        zones: ext_ref_code -> IANA zone of its site; codes that are not here are unmatched.
        only_codes: none: all rows; else rows of other codes are passed over and not counted.
    """

    connector_id: str
    name: str
    raw_sha256: str
    fetched_at_utc: datetime
    zones: Mapping[str, str]
    only_codes: frozenset[str] | None = None

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"Connector {self.connector_id!r}, file {self.name}"


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row for the quarantine; `raw_value` is JSON of its mapped cells, as text."""

    code: str
    message: str
    row_number: int
    raw_value: str | None


@dataclass(slots=True)
class Gathered:
    """What a file held.

    Attributes:
        rows_in: all rows, but for those passed over by `only_codes`.
        rows_skipped: left out by the mapping's skip:.
        rows_good: rows of tickets that can be loaded.
        refused_codes: how many rows were refused for which reason; refused holds MOST_SHOWN each.
        unmatched: rows of each code that is linked to nothing.
        open_hours: (code, hour in us) -> code of the refusal.
        open_codes: code -> refusal of a ticket whose hour is not known; None stands for all codes.
        scattered: tickets whose rows lie in several places; None: there are none.
        nameless: codes with refused tickets that have no ticket_id, so that they may be any.
        refused_keys: hashes of refused tickets, as key_hash gives them, where their key is known.
    """

    rows_in: int = 0
    rows_skipped: int = 0
    rows_good: int = 0
    ticket_count: int = 0
    refused: list[RefusedRow] = field(default_factory=list)
    refused_codes: Counter[str] = field(default_factory=Counter)
    unmatched: Counter[str] = field(default_factory=Counter)
    unmatched_first: dict[str, int] = field(default_factory=dict)
    open_hours: dict[tuple[str, int], str] = field(default_factory=dict)
    open_codes: dict[str | None, str] = field(default_factory=dict)
    scattered: "Scattered | None" = None
    nameless: set[str] = field(default_factory=set)
    refused_keys: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, dtype=np.uint64))

    def refuse_ticket(self, drop: Drop, code: str, why: str, row_number: int) -> None:
        """Show a ticket that was refused once the whole file was seen, unless many were."""
        if sum(row.code == code for row in self.refused) < MOST_SHOWN:
            message = (
                f"{drop.label}, row {row_number}: {why}. None of its rows counts. Send the ticket "
                "again, right."
            )
            self.refused.append(RefusedRow(code, message, row_number, None))


@dataclass(frozen=True, slots=True)
class Scattered:
    """Tickets whose rows lie in several places of the file, by hash of their key.

    Attributes:
        joined: every place is good: they are to be made one ticket each.
        refused: one place was refused, so the others are too.
    """

    joined: NDArray[np.uint64]
    refused: NDArray[np.uint64]


def key_hash() -> pl.Expr:
    """Hash the key of a ticket; equal within one process only."""
    return pl.struct(*KEY).hash(seed=7)


def hours_open(found: Gathered, codes: Sequence[str]) -> dict[str, str]:
    """Give the codes of which a refused ticket may have meant any hour, with the refusal."""
    everywhere = found.open_codes.get(None)
    named = {code: found.open_codes.get(code, everywhere) for code in codes}
    return {code: reason for code, reason in named.items() if reason}
