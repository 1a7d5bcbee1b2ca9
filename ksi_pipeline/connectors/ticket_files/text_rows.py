"""Pieces of a file as text: every cell is text, every row has its number."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time

import numpy as np
import polars as pl
from numpy.typing import NDArray

ROW_NUMBER = "_row_number"


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A row that cannot be cut into cells; its text is not kept, as it may hold personal data."""

    row_number: int
    code: str
    why: str


@dataclass(slots=True)
class TextRows:
    """Rows as text.

    Attributes:
        frame: the columns that were asked for, and ROW_NUMBER from 0.
        broken: rows of the same stretch of the file that could not be cut.
    """

    frame: pl.DataFrame
    broken: list[BrokenRow] = field(default_factory=list)


def numbered(frame: pl.DataFrame, numbers: NDArray[np.int64]) -> pl.DataFrame:
    """Add the numbers of the rows."""
    return frame.with_columns(pl.Series(ROW_NUMBER, numbers, dtype=pl.Int64))


def no_rows(columns: Sequence[str]) -> pl.DataFrame:
    """Give a piece without rows."""
    return pl.DataFrame(schema={**dict.fromkeys(columns, pl.String), ROW_NUMBER: pl.Int64})


def cell_text(value: object) -> str:
    """Write a typed cell as text: what a number, a date or a flag looks like in ISO."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, datetime):
        return value.isoformat(sep="T")
    if isinstance(value, date | time):
        return value.isoformat()
    return value if isinstance(value, str) else str(value)
