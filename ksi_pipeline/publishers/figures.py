"""One query that adds a table up by partition, in the SQL of each engine, and what it answered."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

from ksi_pipeline.core.publishing import NO_MONTH, WHOLE, Column, Figures, Part

# Of decimals that are reckoned with: Python would keep 28 digits, and marts may have 38.
EXACT = Context(prec=100)
_DATE = "business_date"
_MONTH_DIGITS = len("2026-01")


@dataclass(frozen=True, slots=True)
class Words:
    """What engines spell differently; each has a place {} for the column.

    Attributes:
        bytes: of text.
        micros: since 1970.
        days: since 1970.
        plain: text compared byte by byte.
        month: of a date: text that begins like 2026-01, or the day that the month begins with.
        name: of a column.
        double: the type, in a cast.
        bigint: the type, in a cast.
        sum: of a whole number or decimal; it has places {value} and {type}.
        sum_of_micros: of instants, where there is a faster way than the sum of `micros`.
    """

    bytes: str
    micros: str
    days: str
    plain: str
    month: str
    name: str = '"{}"'
    double: str = "double precision"
    bigint: str = "bigint"
    sum: str = "sum({value})"
    sum_of_micros: str = ""

    def names(self, names: Iterable[str]) -> str:
        """List names of columns."""
        return ", ".join(map(self.name.format, names))


DUCKDB = Words(
    bytes="strlen({})",
    micros="epoch_us({})",
    days="({} - date '1970-01-01')",
    plain="{}",
    # text of each row would take as long as all that is added up
    month="date_trunc('month', {})",
)


def figures_query(
    relation: str,
    columns: Sequence[Column],
    key: Sequence[str],
    words: Words,
    *,
    is_by_month: bool,
    where: str = "true",
) -> str:
    """Write the query; read its rows with `read_figures`.

    Args:
        relation: what stands behind `from`.
        columns: to be added up.
        key: those of them whose smallest and largest value are asked for.
        words: of the engine.
        is_by_month: one row for each month of business dates, else one for all.
        where: which rows.
    """
    month = words.month.format(words.name.format(_DATE)) if is_by_month else f"'{WHOLE}'"
    asked = [f"{month} as part", *added_up(columns, key, words)]
    text = f"select {', '.join(asked)} from {relation} where {where}"
    return f"{text} group by 1" if is_by_month else text


def added_up(columns: Sequence[Column], key: Sequence[str], words: Words) -> list[str]:
    """Write what is asked for of each partition, in the order that `read_figures` expects."""
    by_name = {column.name: column for column in columns}
    asked = ["count(*)"]
    for name in key:
        asked += [_key(each, by_name[name], words) for each in ("min({})", "max({})")]
    for column in columns:
        asked += [_filled(column, words), _sum(column, words)]
    return asked


def read_figures(
    mart: str, columns: Sequence[Column], key: Sequence[str], rows: Iterable[Sequence[Any]]
) -> dict[Part, Figures]:
    """Give what the query answered, by partition."""
    found = {}
    for month, count, *rest in rows:
        values = iter(rest)
        keys = {name: (_text(next(values)), _text(next(values))) for name in key}
        filled, sums = {}, {}
        for column in columns:
            filled[column.name] = int(next(values))
            sums[column.name] = _whole(next(values), column.scale)
        part = Part(mart, NO_MONTH if month is None else str(month)[:_MONTH_DIGITS])
        found[part] = Figures(int(count), keys, filled, sums)
    return found


def _key(of: str, column: Column, words: Words) -> str:
    asked = of.format(words.name.format(column.name))
    if column.type == "text":
        # empty text is none where spreadsheets are concerned
        return of.format(words.plain.format(f"nullif({words.name.format(column.name)}, '')"))
    # an instant is converted once, not in each row
    return words.micros.format(asked) if column.type == "timestamp" else asked


def _filled(column: Column, words: Words) -> str:
    quoted = words.name.format(column.name)
    return f"count(nullif({quoted}, ''))" if column.type == "text" else f"count({quoted})"


def _sum(column: Column, words: Words) -> str:
    if column.type == "timestamp" and words.sum_of_micros:
        return words.sum_of_micros.format(words.name.format(column.name))
    kind = column.type if column.scale else words.bigint
    return words.sum.format(value=_summand(column, words), type=kind)


def _summand(column: Column, words: Words) -> str:
    quoted = words.name.format(column.name)
    if column.type == "text":
        return words.bytes.format(quoted)
    if column.type == "boolean":
        return f"case when {quoted} then 1 else 0 end"
    if column.type == "date":
        return words.days.format(quoted)
    if column.type == "timestamp":
        return words.micros.format(quoted)
    if column.type == "double":
        # millionths are whole numbers that every engine rounds down alike and that fit 64 bits
        whole = f"{quoted} * cast(1e6 as {words.double})"
        return (
            f"case when abs({quoted}) < 1e12 then cast(floor({whole}) as {words.bigint}) "
            f"when abs({quoted}) < 1e18 then cast(floor({quoted}) as {words.bigint}) end"
        )
    return quoted


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _whole(value: Any, scale: int) -> int:
    return 0 if value is None else int(Decimal(value).scaleb(scale, EXACT))
