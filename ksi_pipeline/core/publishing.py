"""What is published and what proves it: partitions of marts, their figures, and receipts. Pure.

A partition is one month of business dates of a mart, or a whole mart. Its batch id is a hash of
the mart, the partition, the content and the columns: the same rows have the same id wherever they
go, so a batch that has a receipt need not be sent again.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ksi_pipeline.core.errors import PublishRefused

WHOLE = "whole"
# The partition of a fact without a row: it has columns and nothing else.
NO_MONTH = "none"


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """A partition of a mart: a month of business dates like 2026-01, `whole` or `none`."""

    mart: str
    month: str = WHOLE

    def __str__(self) -> str:
        return self.mart if self.month == WHOLE else f"{self.mart}/{self.month}"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a mart.

    Attributes:
        type: text, bigint, double, boolean, date, timestamp (UTC or wall clock, without zone) or
            decimal(p,s).
        is_nullable: whether the mart's contract lets it be null.
        description: of the contract, with unit and what null means.
    """

    name: str
    type: str
    is_nullable: bool = True
    description: str = ""

    @property
    def scale(self) -> int:
        """Digits after the point; 0 where the type is no decimal."""
        return int(self.type.rstrip(")").rpartition(",")[2]) if "(" in self.type else 0


@dataclass(frozen=True, slots=True)
class Figures:
    """What a partition adds up to, in whole numbers, so that no engine rounds another way.

    Attributes:
        keys: smallest and largest value of each column of the grain, as text and but for empty
            text; null where there is none.
        filled: of each column, rows in which it is neither null nor empty text.
        sums: of each column: decimals in units of their last digit, doubles in millionths, text in
            bytes, dates in days and instants in microseconds since 1970, booleans by those true.
    """

    rows: int
    keys: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    filled: Mapping[str, int] = field(default_factory=dict)
    sums: Mapping[str, int] = field(default_factory=dict)

    def differences(self, other: "Figures") -> list[str]:
        """Say where another partition differs from this, one text for each figure."""
        found = [f"rows {self.rows} != {other.rows}"] if self.rows != other.rows else []
        for what in ("keys", "filled", "sums"):
            here, there = getattr(self, what), getattr(other, what)
            for name in sorted({*here, *there}):
                if here.get(name) != there.get(name):
                    found.append(f"{what} of {name} {here.get(name)} != {there.get(name)}")
        return found

    def to_json(self) -> str:
        """Write them as text, the same for the same figures."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Figures":
        """Read what to_json wrote."""
        told = json.loads(text)
        keys = {name: (ends[0], ends[1]) for name, ends in told.pop("keys").items()}
        return cls(keys=keys, **told)


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows that a partition should have.

    Attributes:
        path: of the Parquet file that has them.
        content: hash of the file.
        key: columns of the grain; empty where the mart names none.
        about: what the mart is.
    """

    part: Part
    path: Path
    content: str
    rows: int
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    about: str = ""

    @property
    def batch_id(self) -> str:
        """Hash of mart, partition, content and columns."""
        names = [(column.name, column.type) for column in self.columns]
        parts = (self.part.mart, self.part.month, self.content, names)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a target is known to hold.

    Attributes:
        batch_id: of the batch sent last.
        is_done: false from before the batch becomes visible until the target's figures were found
            to be the batch's; a run killed between leaves it false.
        figures: read back from the target; null while it is not done.
    """

    part: Part
    batch_id: str
    is_done: bool
    figures: Figures | None = None


def added_columns(
    target: str, mart: str, wanted: Sequence[Column], held: Sequence[Column]
) -> list[Column]:
    """Give the columns that a target's table lacks and may get.

    Raises:
        PublishRefused: E_PUBLISH_SCHEMA, a column is gone, has another type, or is new and may not
            be null; the message names all of them.
    """
    by_name = {column.name: column for column in wanted}
    known = {column.name for column in held}
    wrong = []
    for column in held:
        now = by_name.get(column.name)
        if now is None:
            wrong.append(f"{column.name} ({column.type}) is gone")
        elif now.type != column.type:
            wrong.append(f"{column.name} is {now.type} and was {column.type}")
    added = [column for column in wanted if column.name not in known]
    wrong += [f"{c.name} ({c.type}) is new and never null" for c in added if not c.is_nullable]
    if wrong:
        raise PublishRefused(
            f"Target {target!r}, mart {mart}: the table has other columns than the mart: "
            f"{'; '.join(wrong)}. Nothing of the mart was published; readers keep what they have. "
            "Only new columns that may be null are added by themselves. Rename or drop the table "
            "in the target once its readers are ready, and publish again.",
            code="E_PUBLISH_SCHEMA",
            marts=[mart],
        )
    return added


def require_equal(
    target: str, expected: Mapping[Part, Figures], found: Mapping[Part, Figures], where: str
) -> None:
    """Compare what a target shows with what it was sent.

    Args:
        target: its id, for messages.
        found: in the target; a partition that is not there has none.
        expected: of each partition; no rows where it should be gone.
        where: what was read back.

    Raises:
        PublishRefused: E_RECONCILE, naming each partition that differs and how.
    """
    differing, wrong = [], []
    for part, figures in sorted(expected.items()):
        there = found.get(part, Figures(0))
        if not figures.rows:
            differences = [f"rows 0 != {there.rows}"] if there.rows else []
        else:
            differences = figures.differences(there)
        if differences:
            differing.append(part)
            wrong.append(f"{part}: {', '.join(differences[:5])}")
    if wrong:
        raise PublishRefused(
            f"Target {target!r}: {where} has other figures than the marts (mart != target): "
            f"{'; '.join(wrong[:5])}. Nothing of it was made visible; readers keep what they had. "
            "Publish again; if it stays, the target changes values that it is given.",
            code="E_RECONCILE",
            marts=marts_of(differing),
        )


def unreadable(target: str, part: Part, where: str, why: str) -> PublishRefused:
    """Say that what was written of a partition cannot be read back as what it should be.

    Args:
        target: its id.
        part: that was written.
        where: what was read back.
        why: in the words of what read it.
    """
    return PublishRefused(
        f"Target {target!r}: {where} cannot be read back as the rows of {part} ({why}). Nothing of "
        "it was made visible; readers keep what they had. Publish again; if it stays, leave its "
        "format out of formats:, and report it.",
        code="E_RECONCILE",
        marts=[part.mart],
    )


def marts_of(parts: Collection[Part]) -> list[str]:
    """Give the marts that partitions belong to, in order."""
    return sorted({part.mart for part in parts})
