"""From text to types: every cell is read exactly as its field says, or refused with a code.

A text that comes again is read once: the texts of coded columns, the neighbours of a ticket.
"""

from functools import reduce

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ksi_pipeline.connectors.ticket_files.fields import SCALE, Field, Fields, Refusal, read_field
from ksi_pipeline.connectors.ticket_files.mapping import Mapping
from ksi_pipeline.connectors.ticket_files.text_rows import ROW_NUMBER, TextRows

BAD = "_bad"
# Fields that rows of one ticket have in common and no other ticket has.
_OF_TICKET = ("ticket_id", "at")
# Text of lines that is held as a code, as the lake holds it.
_CODED = ("ext_ref_code", "category")


class Typer:
    """Types the rows of one mapping.

    Attributes:
        refusals: what the numbers in the column BAD stand for; 0 is a good row.
    """

    def __init__(self, mapping: Mapping) -> None:
        """Prepare the expressions."""
        self._mapping = mapping
        self._fields = Fields(mapping)
        self._constants = {
            name: read_field(field, self._fields, pl.DataFrame({"_": [0]}))
            for name, field in self._fields.all.items()
            if not field.source.column
        }
        self._kinds = {name: pl.Categorical(pl.Categories.random()) for name in _CODED}
        of_ticket = [self._fields.all[name].source.column for name in _OF_TICKET]
        self._ticket_headers = tuple(dict.fromkeys(sum(of_ticket, ())))

    @property
    def refusals(self) -> list[Refusal]:
        """What the numbers in BAD stand for."""
        return self._fields.refusals

    def is_skipped(self, frame: pl.DataFrame) -> pl.Series:
        """Say which rows the mapping leaves out."""
        tests = (
            pl.col(name).str.strip_chars().is_in(list(texts))
            for name, texts in self._mapping.skip.items()
        )
        either = reduce(lambda a, b: a | b, tests, pl.lit(False))
        return frame.select(pl.lit(0).alias("_"), either.alias("is_skipped"))["is_skipped"]

    def type(self, rows: TextRows) -> pl.DataFrame:
        """Give ROW_NUMBER, BAD, and the typed fields; of `quantity` also `_units`.

        `at` becomes two columns: `_naive`, wall-clock time, or `_instant`, UTC. ext_ref_code and
        category may be categorical.
        """
        frame = rows.frame
        places = self._places(frame)
        groups = frame if places is None else frame.filter(_begins(places))
        bad = np.zeros(frame.height, dtype=np.uint8)
        columns = [frame[ROW_NUMBER]]
        for name, field in self._fields.all.items():
            given, at = frame, None
            header = field.source.column[0] if field.source.column else ""
            if header in rows.coded:
                coded = rows.coded[header]
                given, at = pl.DataFrame([coded.values.alias(header)]), coded.codes
            elif name in _OF_TICKET:
                given, at = groups, places
            columns += self._read(field, given, at, bad)
        return pl.DataFrame([*columns, pl.Series(BAD, bad)])

    def _read(
        self, field: Field, given: pl.DataFrame, at: pl.Series | None, bad: NDArray[np.uint8]
    ) -> list[pl.Series]:
        """Read a field of some texts, and give the column of all rows; note refusals in `bad`."""

        def spread(column: pl.Series) -> pl.Series:
            if field.name in self._constants:
                return column.new_from_index(0, len(bad))
            return column if at is None else column.gather(at)

        read = self._constants.get(field.name)
        if read is None:
            read = read_field(field, self._fields, given)
        if (read["bad"] > 0).any():
            own = spread(read["bad"]).to_numpy()
            np.copyto(bad, own, where=(own > 0) & ((bad == 0) | (own < bad)))
        columns = [read[name] for name in read.columns if name != "bad"]
        if field.read is not None:
            columns = [columns[0].alias(field.name)]
        if field.name in self._kinds and at is not None:
            columns = [columns[0].cast(self._kinds[field.name])]
        if field.name == "quantity":
            columns.append(pl.select(_units(columns[0])).to_series().alias("_units"))
        return [spread(column) for column in columns]

    def _places(self, frame: pl.DataFrame) -> pl.Series | None:
        """Give for each row the place among those that begin other texts of a ticket."""
        if self._mapping.grain == "ticket" or frame.height < 2 or not self._ticket_headers:
            return None
        differs = np.zeros(frame.height, dtype=np.bool_)
        for name in self._ticket_headers:
            differs[1:] |= (frame[name][1:] != frame[name][:-1]).to_numpy()
        return pl.Series(np.cumsum(differs, dtype=np.uint32))


def _begins(places: pl.Series) -> pl.Series:
    numbers = places.to_numpy()
    begins = np.ones(len(numbers), dtype=np.bool_)
    begins[1:] = numbers[1:] != numbers[:-1]
    return pl.Series(begins)


def _units(quantity: pl.Series) -> pl.Expr:
    """Give the items of lines; goods by weight are one unit."""
    return pl.when(quantity % SCALE == 0).then(quantity // SCALE).otherwise(quantity.sign())
