"""What trying a connector showed, whatever its kind: checks that passed or failed, and notes.

What a pass means is decided where each kind is tried; that it passed is noted by the caller.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: null `code` is a pass, otherwise what was wrong."""

    name: str
    code: str | None
    said: str


@dataclass(slots=True)
class Trial:
    """What one small question to a source showed.

    Attributes:
        asked: what was asked for, in words that follow the connector's id: 'for 0001, ...'.
        told: what a script may want to know besides, by name.
        row_count: rows that were looked at.
        notes: what is no fault and worth knowing.
    """

    connector_id: str
    asked: str
    told: dict[str, Any] = field(default_factory=dict)
    row_count: int = 0
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def is_passed(self) -> bool:
        """Whether something was looked at and nothing was wrong."""
        return bool(self.checks) and all(check.code is None for check in self.checks)

    def passed(self, name: str, said: str) -> None:
        """Note that something is right."""
        self.checks.append(Check(name, None, said))

    def failed(self, name: str, code: str, said: str) -> None:
        """Note that something is wrong."""
        self.checks.append(Check(name, code, said))

    def about_empty(self, *, is_empty_allowed: bool, look_elsewhere: str) -> None:
        """Judge that there was no row: a valid answer, which shows nothing.

        Args:
            is_empty_allowed: the caller accepts it.
            look_elsewhere: what to do to meet rows, e.g. 'Name hours with --from and --to'.
        """
        if is_empty_allowed:
            self.notes.append("There is no row, so none could be looked at.")
            return
        self.failed(
            "rows",
            "E_TEST_EMPTY",
            "There is no row, which is valid and shows nothing about rows, hours and codes. "
            f"{look_elsewhere}, or accept it with --allow-empty.",
        )
