"""What the text of each field is read as, and the reasons to refuse it.

Money and quantities are whole numbers of ten-thousandths here, so that sums are exact and quick.
"""

from dataclasses import dataclass, field
from functools import reduce

import polars as pl

from ksi_pipeline.connectors.ticket_files.mapping import (
    FLAGS,
    KINDS,
    REQUIRED,
    Mapping,
    Source,
    flag,
    flag_values,
)
from ksi_pipeline.connectors.ticket_files.times import read_times

SCALE = 10_000
# Of one row: a sum of ninety thousand such rows still fits into 64 bits at four decimals.
MOST = 10**11
MONEY_FIELDS = ("net", "gross", "tax")
NUMBERS = (*MONEY_FIELDS, "quantity", "units")
_CONSTANTS = ("kind", "currency", "till", "channel", *FLAGS)
_LONG = r"^[+-]?\d{1,14}(\.\d{0,4}0*)?$"
_TEXT = pl.col("text")
_READ = pl.col("read")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason to refuse a row; `field` is null where it is about the whole row."""

    code: str
    why: str
    field: str | None = None


@dataclass(slots=True)
class Field:
    """One field of a mapping.

    Attributes:
        text: expression over the headers of its source: its text, empty where there is none.
        read: expression over the column `text`; None: `at`, which is read apart.
        checks: number of a refusal, and expression over `text` and `read` (of `at`, `_naive` and
            `_instant`) that is true where it holds; the first that does counts.
    """

    name: str
    source: Source
    text: pl.Expr
    read: pl.Expr | None = None
    checks: list[tuple[int, pl.Expr]] = field(default_factory=list)


class Fields:
    """The fields of one mapping.

    Attributes:
        refusals: what numbers of checks stand for; 0 is a good row.
    """

    def __init__(self, mapping: Mapping) -> None:
        """Prepare the expressions."""
        self._mapping = mapping
        self.refusals: list[Refusal] = [Refusal("", "")]
        given = mapping.columns.given()
        self.all = {
            name: Field(name, source, _text(name, source)) for name, source in given.items()
        }
        for name in REQUIRED:
            self._refuse(
                self.all[name], _TEXT == "", "E_FIELD_MISSING", "it is empty and must be given"
            )
        self._refuse_times(self.all["at"])
        for one in self.all.values():
            if one.name != "at":
                one.read = self._reading(one)

    def _refuse_times(self, at: Field) -> None:
        is_timed = pl.col("_naive").is_not_null() | pl.col("_instant").is_not_null()
        self._refuse(at, ~is_timed, "E_BAD_TIME", "it is no time in the format of the mapping")
        if at.source.zone is None:
            self._refuse(
                at,
                pl.col("_naive").is_not_null(),
                "E_NAIVE_TIME",
                "it has no UTC offset and the mapping names no zone:",
            )

    def _reading(self, one: Field) -> pl.Expr:
        name, source = one.name, one.source
        if source.value is not None and name in _CONSTANTS:
            # the mapping was checked
            return _constant(name, source.value)
        if name in NUMBERS:
            return self._number(one, "E_MONEY_TYPE" if name in MONEY_FIELDS else "E_QUANTITY_TYPE")
        if name == "line_no":
            self._refuse(one, _READ.is_null() & (_TEXT != ""), *_VALUE)
            return _TEXT.cast(pl.Int64, strict=False)
        if name == "kind":
            known = self._known(one, source.values or dict(zip(KINDS, KINDS, strict=True)))
            numbers = list(range(len(KINDS)))
            return known.replace_strict(list(KINDS), numbers, default=None, return_dtype=pl.UInt8)
        if name in FLAGS:
            return self._known(one, flag_values(source), lower=True) == "true"
        known = self._known(one, source.values) if source.values else _or_null(_TEXT)
        if name == "currency":
            is_wrong = ~known.str.contains("^[A-Z]{3}$")
            self._refuse(one, is_wrong, "E_FIELD_VALUE", "it is no ISO 4217 code like EUR")
        return known

    def _known(self, one: Field, values: dict[str, str], *, lower: bool = False) -> pl.Expr:
        """Give what a text stands for; a text that is not listed is refused."""
        meant = (_TEXT.str.to_lowercase() if lower else _TEXT).replace_strict(
            list(values), list(values.values()), default=None, return_dtype=pl.String
        )
        source = one.source
        # a default and a value are what is meant, not what the file says
        for own in (source.default, source.value):
            if own is not None:
                stands_for = pl.lit(flag(own) if lower else own)
                meant = pl.when(own == _TEXT).then(stands_for).otherwise(meant)
        if source.otherwise is not None:
            other = flag(source.otherwise) if lower else source.otherwise
            meant = pl.when(_TEXT != "").then(meant.fill_null(other)).otherwise(meant)
        self._refuse(one, meant.is_null() & (_TEXT != ""), *_VALUE)
        return meant

    def _number(self, one: Field, code: str) -> pl.Expr:
        decimal = self._mapping.decimal
        if sign := self._mapping.thousands:
            # 12.50 must not become 1250
            text = _signed()
            grouped = rf"^[+-]?\d{{1,3}}([{sign}]\d{{3}})+([{decimal}]\d*)?$"
            self._refuse(
                one,
                text.str.contains(sign, literal=True) & ~text.str.contains(grouped),
                code,
                f"'{sign}' stands between groups of three digits only",
            )
        self._refuse(
            one,
            _READ.is_null() & (_TEXT != ""),
            code,
            f"it is no number below 100 billion with '{decimal}' before at most 4 decimals, which "
            "are not rounded here",
        )
        amount = self._plain_number().cast(pl.Float64, strict=False)
        scaled = amount * SCALE
        whole = scaled.round(0)
        # what a binary fraction adds to 0.3 is noise; a fifth decimal is not
        is_exact = ((scaled - whole).abs() <= 1e-5 + 1e-15 * scaled.abs()) & (amount.abs() < 1e9)
        return pl.when(is_exact).then(whole).cast(pl.Int64, strict=False)

    def long_number(self) -> pl.Expr:
        """Read the numbers that float64 does not hold exactly; null where it is none."""
        number = self._plain_number()
        exact = pl.when(number.str.contains(_LONG)).then(number)
        scaled = (exact.cast(pl.Decimal(18, 4), strict=False) * SCALE).cast(pl.Int64, strict=False)
        return pl.when(scaled.abs() < MOST * SCALE).then(scaled)

    def _plain_number(self) -> pl.Expr:
        """Give the text of a number as everybody writes it: a point, and no groups."""
        text = _signed()
        if sign := self._mapping.thousands:
            text = text.str.replace_all(sign, "", literal=True)
        if self._mapping.decimal == ",":
            # a point is no decimal sign in such a file
            text = text.str.replace_all(".", "?", literal=True).str.replace(",", ".", literal=True)
        return text

    def _refuse(self, one: Field, test: pl.Expr, code: str, why: str) -> None:
        one.checks.append((len(self.refusals), test))
        self.refusals.append(Refusal(code, why, one.name))


def read_field(one: Field, fields: Fields, frame: pl.DataFrame) -> pl.DataFrame:
    """Read one field.

    Args:
        one: of `fields`.
        fields: of the mapping.
        frame: its headers; one row without a column where it has none.

    Returns:
        For each row `read` (of `at`, `_naive` and `_instant`), and `bad`, the number of the first
        check that holds, 0 where none does.
    """
    bad = pl.lit(0, pl.UInt8)
    for number, test in reversed(one.checks):
        bad = pl.when(test).then(pl.lit(number, pl.UInt8)).otherwise(bad)
    bad = bad.alias("bad")
    if one.read is None:
        text = frame.select(one.text.alias("text"))
        times = read_times(text["text"], one.source.format)
        return text.with_columns(times).select("_naive", "_instant", bad)
    read = frame.lazy().select(one.text.alias("text")).with_columns(one.read.alias("read"))
    if one.name in NUMBERS:
        is_unread = _READ.is_null() & (_TEXT != "")
        short = read.collect()
        read = short.lazy()
        if short.select(is_unread.any()).item():
            long = pl.when(is_unread).then(fields.long_number()).otherwise(_READ)
            read = read.with_columns(long.alias("read"))
    return read.select("read", bad).collect()


def _text(name: str, source: Source) -> pl.Expr:
    """Give the text of a field, empty where there is none."""
    if source.value is not None:
        return pl.lit(source.value)
    parts = [pl.col(column).str.strip_chars() for column in source.column]
    text = parts[0]
    if len(parts) > 1:
        any_empty = reduce(lambda a, b: a | b, (part == "" for part in parts))
        joined = pl.concat_str(parts, separator=" " if name == "at" else "-")
        # half an id is none
        text = pl.when(any_empty).then(pl.lit("")).otherwise(joined)
    if source.default is not None:
        text = pl.when(text == "").then(pl.lit(source.default)).otherwise(text)
    return text


_VALUE = ("E_FIELD_VALUE", "its text is not listed in the mapping")


def _constant(name: str, value: str) -> pl.Expr:
    if name == "kind":
        return pl.lit(KINDS.index(value), pl.UInt8)
    if name in FLAGS:
        return pl.lit(flag(value) == "true")
    return pl.lit(value or None, pl.String)


def _signed() -> pl.Expr:
    """Put a minus first that stands last, as SAP and other ERPs write it."""
    return _TEXT.str.replace(r"^([^+-].*)-$", "-$1")


def _or_null(text: pl.Expr) -> pl.Expr:
    return pl.when(text != "").then(text)
