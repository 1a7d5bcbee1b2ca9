"""The SELECT of one window, made by SQLAlchemy, which quotes every name.

Only the columns that are needed are named, so that what nobody reads never leaves the database.

Where a row is a line, a window gives whole tickets: every line of each ticket of which one line is
in the window. A ticket is revised whole, and half of one would replace it.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    FromClause,
    Select,
    and_,
    column,
    exists,
    func,
    or_,
    quoted_name,
    select,
    table,
    text,
    union_all,
)

Statement = Any  # a Select or a union of two, which share no public class


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a database, but for the window.

    Attributes:
        table: with its schema before a point; or
        query: checked by `guard`.
        columns: that are fetched, in this order; the watermark is one of them.
        watermark: its column.
        ticket: columns that together name a ticket; none where a row is a whole ticket.
        is_quoted: names are quoted, so that any word can be one; not where a database writes names
            that are not quoted in capitals, because there `store` means STORE.
    """

    table: str | None
    query: str | None
    columns: tuple[str, ...]
    watermark: str
    ticket: tuple[str, ...] = ()
    is_quoted: bool = True

    @property
    def asked(self) -> str:
        """How messages name it."""
        return f"table {self.table!r}" if self.table else "table of query:"

    def window(self, low: object, high: object) -> Statement:
        """Give the rows of a window, tickets together; `high` is not included."""
        here = self._source("t")
        inside = self._inside(here, low, high)
        columns = [here.c[name] for name in self.columns]
        if not self.ticket:
            return select(*columns).where(inside)
        there = self._source("k")
        same = [there.c[name] == here.c[name] for name in self.ticket]
        of_ticket = exists().where(and_(*same, self._inside(there, low, high)))
        # null equals nothing: such a row has no ticket, and has to be seen to be refused
        lacks = or_(*(here.c[name].is_(None) for name in self.ticket))
        both = union_all(
            select(*columns).where(of_ticket), select(*columns).where(and_(inside, lacks))
        )
        return both.order_by(*(both.selected_columns[name] for name in self.ticket))

    def some_value(self) -> Select[Any]:
        """Give one value of the watermark."""
        mark = self._source("t").c[self.watermark]
        return select(mark).where(mark.is_not(None)).limit(1)

    def largest_value(self) -> Select[Any]:
        """Give the largest value of the watermark."""
        return select(func.max(self._source("t").c[self.watermark]))

    def without_watermark(self) -> Select[Any]:
        """Give one row whose watermark is null, and which is therefore never asked for."""
        mark = self._source("t").c[self.watermark]
        return select(func.count()).where(mark.is_(None))

    def _inside(self, source: FromClause, low: object, high: object) -> ColumnElement[bool]:
        mark = source.c[self.watermark]
        return and_(mark >= low, mark < high)

    def _source(self, alias: str) -> FromClause:
        names = tuple(dict.fromkeys((*self.columns, *self.ticket, self.watermark)))
        if self.table is not None:
            schema, _, name = self.table.rpartition(".")
            known: list[ColumnClause[Any]] = [column(self._named(name)) for name in names]
            owner = self._named(schema) if schema else None
            return table(self._named(name), *known, schema=owner).alias(alias)
        # a colon would begin a parameter, and nothing else may be changed: what is sent has to be
        # what was checked; the line break ends a comment
        query = str(self.query).replace(":", "\\:") + "\n"
        return text(query).columns(*(column(self._named(n)) for n in names)).subquery(alias)

    def _named(self, name: str) -> str:
        return quoted_name(name, quote=True if self.is_quoted else None)
