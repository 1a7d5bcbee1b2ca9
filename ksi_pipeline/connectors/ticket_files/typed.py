"""From text to types: every cell is read exactly as its field says, or refused with a code.

Money and quantities are whole numbers of ten-thousandths here, so that sums are exact and quick.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce

import numpy as np
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
from ksi_pipeline.connectors.ticket_files.text_rows import ROW_NUMBER

SCALE = 10_000
MONEY_FIELDS = ("net", "gross", "tax")
NUMBERS = (*MONEY_FIELDS, "quantity", "units")
TEXT_FIELDS = ("till", "channel", "sku", "category")
BAD = "_bad"
# the text of a row as the file has it, under these names
RAW = "raw:"
_NAIVE = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M")
_OFFSET = ("%Y-%m-%d %H:%M:%S%:z", "%Y-%m-%d %H:%M:%S%.f%:z", "%Y-%m-%d %H:%M%:z")
_CONSTANTS = ("kind", "currency", "till", "channel", *FLAGS)
_LONG = r"^[+-]?\d{1,14}(\.\d{0,4}0*)?$"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason to refuse a row; `field` is null where it is about the whole row."""

    code: str
    why: str
    field: str | None = None


class Typer:
    """Types the rows of one mapping.

    Attributes:
        refusals: what the numbers in the column BAD stand for; 0 is a good row.
    """

    def __init__(self, mapping: Mapping) -> None:
        """Prepare the expressions."""
        self._mapping = mapping
        self._given = mapping.columns.given()
        self.refusals: list[Refusal] = [Refusal("", "")]
        self._checks: list[tuple[int, pl.Expr]] = []
        self._made = dict(self._typed())

    def is_skipped(self) -> pl.Expr:
        """Say which rows the mapping leaves out."""
        tests = (
            pl.col(name).str.strip_chars().is_in(list(texts))
            for name, texts in self._mapping.skip.items()
        )
        return reduce(lambda a, b: a | b, tests, pl.lit(False))

    def type(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Give typed columns, BAD, ROW_NUMBER, and the text under RAW.

        `at` becomes two columns: `_naive`, wall-clock time, or `_instant`, UTC.
        """
        names = [name for name in frame.columns if name != ROW_NUMBER]
        raw = frame.rename({name: f"{RAW}{name}" for name in names})
        texts = raw.with_columns(
            self._text(name, source).alias(f"t:{name}") for name, source in self._given.items()
        )
        texts = texts.with_columns(_spread(texts["t:at"], self._times))
        typed = texts.with_columns(expr.alias(name) for name, expr in self._made.items())
        typed = self._with_long_numbers(typed)
        return typed.with_columns(self._bad(typed)).select(
            ROW_NUMBER, BAD, "_naive", "_instant", *self._made, *(f"{RAW}{name}" for name in names)
        )

    def _bad(self, typed: pl.DataFrame) -> pl.Series:
        """Give the number of the first refusal of each row, 0 where there is none."""
        result = np.zeros(typed.height, dtype=np.uint8)
        is_bad = typed.with_columns(
            pl.any_horizontal(*(test for _, test in self._checks)).fill_null(False).alias(BAD)
        )[BAD]
        if is_bad.any():
            bad = pl.lit(0, pl.UInt8)
            for number, test in reversed(self._checks):
                bad = pl.when(test).then(pl.lit(number, pl.UInt8)).otherwise(bad)
            result[is_bad.to_numpy()] = typed.filter(is_bad).with_columns(bad.alias(BAD))[BAD]
        return pl.Series(BAD, result)

    def _with_long_numbers(self, typed: pl.DataFrame) -> pl.DataFrame:
        """Read the few numbers that float64 does not hold exactly."""
        for name in self._made:
            if name not in NUMBERS:
                continue
            is_left = typed[name].is_null() & (typed[f"t:{name}"] != "")
            if is_left.any():
                number = self._plain_number(name)
                exact = pl.when(number.str.contains(_LONG)).then(number)
                scaled = exact.cast(pl.Decimal(18, 4), strict=False) * SCALE
                read = typed.filter(is_left).select(scaled.cast(pl.Int64, strict=False).alias(name))
                places = is_left.arg_true()
                typed = typed.with_columns(typed[name].scatter(places, read[name]))
        return typed

    def _text(self, name: str, source: Source) -> pl.Expr:
        """Give the text of a field, empty where there is none."""
        if source.value is not None:
            return pl.lit(source.value)
        parts = [pl.col(f"{RAW}{column}").str.strip_chars() for column in source.column]
        text = parts[0]
        if len(parts) > 1:
            any_empty = reduce(lambda a, b: a | b, (part == "" for part in parts))
            joined = pl.concat_str(parts, separator=" " if name == "at" else "-")
            # half an id is none
            text = pl.when(any_empty).then(pl.lit("")).otherwise(joined)
        if source.default is not None:
            text = pl.when(text == "").then(pl.lit(source.default)).otherwise(text)
        return text

    def _typed(self) -> Iterator[tuple[str, pl.Expr]]:
        for name in REQUIRED:
            self._refuse(
                pl.col(f"t:{name}") == "", "E_FIELD_MISSING", "it is empty and must be given", name
            )
        is_timed = pl.col("_naive").is_not_null() | pl.col("_instant").is_not_null()
        self._refuse(~is_timed, "E_BAD_TIME", "it is no time in the format of the mapping", "at")
        if self._given["at"].zone is None:
            self._refuse(
                pl.col("_naive").is_not_null(),
                "E_NAIVE_TIME",
                "it has no UTC offset and the mapping names no zone:",
                "at",
            )
        for name, source in self._given.items():
            text = pl.col(f"t:{name}")
            if source.value is not None and name in _CONSTANTS:
                # the mapping was checked; nothing is to be read in each row
                yield name, _constant(name, source.value)
            elif name in MONEY_FIELDS:
                yield name, self._number(name, "E_MONEY_TYPE")
            elif name in ("quantity", "units"):
                yield name, self._number(name, "E_QUANTITY_TYPE")
            elif name == "line_no":
                number = text.cast(pl.Int64, strict=False)
                self._refuse(number.is_null() & (text != ""), _VALUE[0], _VALUE[1], name)
                yield name, number
            elif name == "kind":
                known = self._known(name, source.values or dict(zip(KINDS, KINDS, strict=True)))
                yield (
                    name,
                    known.replace_strict(
                        list(KINDS), list(range(len(KINDS))), default=None, return_dtype=pl.UInt8
                    ),
                )
            elif name in FLAGS:
                yield name, self._known(name, flag_values(source), lower=True) == "true"
            elif name == "currency":
                known = self._known(name, source.values) if source.values else _or_null(text)
                self._refuse(
                    ~known.str.contains("^[A-Z]{3}$"),
                    "E_FIELD_VALUE",
                    "it is no ISO 4217 code like EUR",
                    name,
                )
                yield name, known
            elif name != "at":
                yield name, self._known(name, source.values) if source.values else _or_null(text)

    def _known(self, name: str, values: dict[str, str], *, lower: bool = False) -> pl.Expr:
        """Give what a text stands for; a text that is not listed is refused."""
        text = pl.col(f"t:{name}")
        meant = (text.str.to_lowercase() if lower else text).replace_strict(
            list(values), list(values.values()), default=None, return_dtype=pl.String
        )
        source = self._given[name]
        # a default and a value are what is meant, not what the file says
        for own in (source.default, source.value):
            if own is not None:
                meant = (
                    pl.when(text == own).then(pl.lit(flag(own) if lower else own)).otherwise(meant)
                )
        if source.otherwise is not None:
            other = flag(source.otherwise) if lower else source.otherwise
            meant = pl.when(text != "").then(meant.fill_null(other)).otherwise(meant)
        self._refuse(meant.is_null() & (text != ""), _VALUE[0], _VALUE[1], name)
        return meant

    def _number(self, name: str, code: str) -> pl.Expr:
        text = pl.col(f"t:{name}")
        if sign := self._mapping.thousands:
            # 12.50 must not become 1250
            grouped = rf"^[+-]?\d{{1,3}}([{sign}]\d{{3}})+([{self._mapping.decimal}]\d*)?$"
            self._refuse(
                text.str.contains(sign, literal=True) & ~text.str.contains(grouped),
                code,
                f"'{sign}' stands between groups of three digits only",
                name,
            )
        self._refuse(
            pl.col(name).is_null() & (pl.col(f"t:{name}") != ""),
            code,
            f"it is no number with '{self._mapping.decimal}' before at most 4 decimals, which are "
            "not rounded here",
            name,
        )
        amount = self._plain_number(name).cast(pl.Float64, strict=False)
        scaled = amount * SCALE
        whole = scaled.round(0)
        # what a binary fraction adds to 0.3 is noise; a fifth decimal is not
        is_exact = ((scaled - whole).abs() <= 1e-5 + 1e-15 * scaled.abs()) & (amount.abs() < 1e9)
        return pl.when(is_exact).then(whole).cast(pl.Int64, strict=False)

    def _plain_number(self, name: str) -> pl.Expr:
        """Give the text of a number as everybody writes it: a point, and no groups."""
        text = pl.col(f"t:{name}")
        if sign := self._mapping.thousands:
            text = text.str.replace_all(sign, "", literal=True)
        if self._mapping.decimal == ",":
            # a point is no decimal sign in such a file
            text = text.str.replace_all(".", "?", literal=True).str.replace(",", ".", literal=True)
        return text

    def _times(self, text: pl.Series) -> list[pl.Series]:
        """Read `at`: formats are tried one after the other, on what is still unread."""
        none = pl.Series("_naive", [None], dtype=pl.Datetime("us")).new_from_index(0, len(text))
        given = self._given["at"].format
        naive, instant = none, none.alias("_instant")
        if given and "%z" not in given and "%:z" not in given:
            naive = text.str.to_datetime(given, strict=False, time_unit="us")
        if naive.null_count():
            # dates of typed files are ISO whatever the format says
            iso = text.str.replace("T", " ", literal=True)
            for pattern in _NAIVE:
                if naive.null_count():
                    read = iso.str.to_datetime(pattern, strict=False, time_unit="us")
                    naive = naive.zip_with(naive.is_not_null(), read)
        if naive.null_count():
            instant = self._instants(text, iso)
            # what has an offset is an instant, though a naive format may read its beginning
            naive = naive.zip_with(instant.is_null(), none)
        return [naive.alias("_naive"), instant.alias("_instant")]

    def _instants(self, text: pl.Series, iso: pl.Series) -> pl.Series:
        given = self._given["at"].format
        offset = iso.str.replace("Z$", "+00:00").str.replace(r"([+-]\d\d)(\d\d)$", "$1:${2}")
        offset = offset.str.replace(r"(:\d\d(?:\.\d+)?[+-]\d\d)$", "${1}:00")
        tries = [(offset, pattern) for pattern in _OFFSET]
        if given and ("%z" in given or "%:z" in given):
            tries.insert(0, (text, given))
        instant = pl.Series([None], dtype=pl.Datetime("us")).new_from_index(0, len(text))
        for source, pattern in tries:
            read = source.str.to_datetime(pattern, strict=False, time_unit="us", time_zone="UTC")
            read = read.dt.replace_time_zone(None)
            instant = instant.zip_with(instant.is_not_null(), read)
        return instant

    def _refuse(self, test: pl.Expr, code: str, why: str, field: str) -> None:
        self._checks.append((len(self.refusals), test))
        self.refusals.append(Refusal(code, why, field))


def _spread(text: pl.Series, read: Callable[[pl.Series], list[pl.Series]]) -> list[pl.Series]:
    """Read a text once for all neighbours that have it: rows of a ticket share their time."""
    if len(text) < 2:
        return read(text)
    differs = np.empty(len(text), dtype=np.bool_)
    differs[0] = True
    differs[1:] = (text[1:] != text[:-1]).to_numpy()
    places = pl.Series(np.cumsum(differs) - 1)
    return [column.gather(places) for column in read(text.filter(pl.Series(differs)))]


_VALUE = ("E_FIELD_VALUE", "its text is not listed in the mapping")


def _constant(name: str, value: str) -> pl.Expr:
    if name == "kind":
        return pl.lit(KINDS.index(value), pl.UInt8)
    if name in FLAGS:
        return pl.lit(flag(value) == "true")
    return pl.lit(value or None, pl.String)


def _or_null(text: pl.Expr) -> pl.Expr:
    return pl.when(text != "").then(text)
