"""Pieces of a file as text: every cell is text, every row has its number."""

from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True, slots=True)
class CodedTexts:
    """A column of which each text is held once.

    Attributes:
        values: the texts; none of them null.
        codes: for each row, the place of its text in values; UInt32.
    """

    values: pl.Series
    codes: pl.Series


@dataclass(slots=True)
class TextRows:
    """Rows as text.

    Attributes:
        frame: the columns that were asked for and are not coded, and ROW_NUMBER from 0, ascending.
        broken: rows of the same stretch of the file that could not be cut.
        coded: the other columns, by header.
    """

    frame: pl.DataFrame
    broken: list[BrokenRow] = field(default_factory=list)
    coded: Mapping[str, CodedTexts] = field(default_factory=dict)

    def filter(self, is_kept: pl.Series) -> "TextRows":
        """Give some of the rows, and none of the broken ones."""
        coded = {
            name: CodedTexts(column.values, column.codes.filter(is_kept))
            for name, column in self.coded.items()
        }
        return TextRows(self.frame.filter(is_kept), [], coded)

    def cells(self, names: Sequence[str], numbers: NDArray[np.int64]) -> pl.DataFrame:
        """Give ROW_NUMBER and the texts of the rows with some numbers; others are passed over."""
        places = self.frame[ROW_NUMBER].is_in(numbers).arg_true()
        columns = [self.frame[ROW_NUMBER].gather(places)]
        for name in names:
            if name in self.coded:
                coded = self.coded[name]
                columns.append(coded.values.gather(coded.codes.gather(places)).alias(name))
            else:
                columns.append(self.frame[name].gather(places))
        return pl.DataFrame(columns)


def numbered(frame: pl.DataFrame, numbers: NDArray[np.int64]) -> pl.DataFrame:
    """Add the numbers of the rows."""
    return frame.with_columns(pl.Series(ROW_NUMBER, numbers, dtype=pl.Int64))


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
