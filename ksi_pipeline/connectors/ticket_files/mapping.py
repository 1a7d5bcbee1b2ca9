"""Mappings: which column of a file means what. One YAML file each, data/mappings/<name>.yaml."""

import hashlib
import re
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.plain_words import plain

Grain = Literal["line", "ticket"]
FileFormat = Literal["csv", "jsonl", "parquet", "xlsx"]
KINDS = ("sale", "return", "void", "exchange", "gift_card")
# Zone of a time without offset that the site's own zone stands for.
SITE_ZONE = "site"
REQUIRED = ("ext_ref_code", "ticket_id", "at")
OF_LINES = ("line_no", "sku", "category", "quantity", "gift_card")
OF_TICKETS = ("units",)
FLAGS = ("tax_included", "gift_card")
# Fields that are unlike from row to row, or from ticket to ticket.
_OWN = ("ticket_id", "at", "line_no", "sku")
_FLAG_WORDS = {
    **dict.fromkeys(("true", "1", "yes", "y"), "true"),
    **dict.fromkeys(("false", "0", "no", "n"), "false"),
}

_CURRENCY = re.compile("[A-Z]{3}")
_STRICT = ConfigDict(extra="forbid", frozen=True)


class Source(BaseModel):
    """Where the text of one field comes from.

    Attributes:
        column: one header, or several whose texts are joined: with a blank for `at`, else with '-'.
        value: the same text for every row, in place of a column.
        values: text of the file -> text that is meant.
        otherwise: what a text stands for that values does not list; none: it is refused.
        default: what an empty text stands for.
        format: of `at`, in strftime's letters; none: ISO 8601.
        zone: of `at` without offset: an IANA name, or `site`.
    """

    model_config = _STRICT

    column: tuple[str, ...] = ()
    value: str | None = None
    values: dict[str, str] = Field(default_factory=dict)
    otherwise: str | None = None
    default: str | None = None
    format: str | None = None
    zone: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, given: Any) -> Any:
        if isinstance(given, str | list):
            given = {"column": given}
        if not isinstance(given, dict):
            return given
        given = dict(given)
        if isinstance(given.get("column"), str):
            given["column"] = [given["column"]]
        return given

    @model_validator(mode="after")
    def _one_origin(self) -> "Source":
        if bool(self.column) == (self.value is not None):
            raise ValueError("give either column: or value:")
        if self.otherwise is not None and not self.values:
            raise ValueError("otherwise: needs values:")
        return self

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        if zone not in (None, SITE_ZONE):
            try:
                ZoneInfo(str(zone))
            except (ZoneInfoNotFoundError, ValueError) as error:
                raise ValueError(f"{zone!r} is no IANA zone like Europe/Madrid") from error
        return zone


class Columns(BaseModel):
    """The fields of a ticket or line; what is not mapped is null, never 0."""

    model_config = _STRICT

    ext_ref_code: Source
    ticket_id: Source
    at: Source
    kind: Source | None = None
    currency: Source | None = None
    tax_included: Source | None = None
    net: Source | None = None
    gross: Source | None = None
    tax: Source | None = None
    units: Source | None = None
    till: Source | None = None
    channel: Source | None = None
    line_no: Source | None = None
    sku: Source | None = None
    category: Source | None = None
    quantity: Source | None = None
    gift_card: Source | None = None

    def given(self) -> dict[str, Source]:
        """Give the mapped fields, in the order above."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: source for name, source in found.items() if source is not None}


class Mapping(BaseModel):
    """How the files of one source are read.

    Attributes:
        grain: what one row is.
        format: none: told by the name of the file.
        encoding: of text files; a byte order mark wins.
        delimiter: none: the most frequent of , ; tab | in the header.
        decimal: sign before the decimals.
        thousands: sign between groups of digits; none: there are none.
        sheet: of a workbook; none: the first.
        covers: `hours`: the file holds the hours from its first ticket of a code to its last;
            `days`: the whole local days.
        complete: whether a file holds every ticket of the days it covers, so that one of them that
            a later file leaves out is taken back.
        fold: which of two instants a repeated wall-clock time means.
        gap: what a wall-clock time means that a clock change skips.
        returns: whether returns are written with their minus or `positive`.
        skip: header -> texts of rows that are no tickets, e.g. training tills.
        sha256: of the file, in hex.
    """

    model_config = _STRICT

    grain: Grain
    columns: Columns
    format: FileFormat | None = None
    encoding: str = "utf-8"
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    thousands: Literal[".", ",", " ", "'"] | None = None
    sheet: str | None = None
    covers: Literal["hours", "days"] = "hours"
    complete: bool = False
    fold: Literal["earlier", "later", "refuse"] = "earlier"
    gap: Literal["shift", "refuse"] = "shift"
    returns: Literal["negative", "positive"] = "negative"
    skip: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    sha256: str = Field(default="", repr=False)

    @field_validator("skip", mode="before")
    @classmethod
    def _texts(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {
            name: texts if isinstance(texts, list) else [texts] for name, texts in given.items()
        }

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str) -> str:
        try:
            "".encode(encoding)
        except LookupError as error:
            raise ValueError(f"{encoding!r} is no encoding; cp1252 and utf-8 are common") from error
        return encoding

    @model_validator(mode="after")
    def _fits(self) -> "Mapping":
        given = self.columns.given()
        wrong = [
            name for name in (OF_TICKETS if self.grain == "line" else OF_LINES) if name in given
        ]
        if wrong:
            raise ValueError(
                f"columns: {', '.join(wrong)} cannot be mapped with grain: {self.grain}"
            )
        if self.thousands == self.decimal:
            raise ValueError("decimal: and thousands: are the same sign")
        if self.complete and self.covers != "days":
            raise ValueError("complete: needs covers: days")
        kind = given.get("kind")
        meant = set(kind.values.values()) if kind else set()
        if kind:
            meant |= {text for text in (kind.value, kind.otherwise, kind.default) if text}
        if meant - set(KINDS):
            raise ValueError(f"kind: {', '.join(sorted(meant - set(KINDS)))} is none of {KINDS}")
        for name, source in given.items():
            words = (*source.values.values(), source.otherwise, source.default, source.value)
            if name == "currency" and not all(map(_CURRENCY.fullmatch, filter(None, words))):
                raise ValueError("columns.currency: write what is meant as ISO 4217, like EUR")
            if name in FLAGS and {flag(w) for w in words if w} - {"true", "false"}:
                raise ValueError(f"columns.{name}: write what is meant as yes or no")
            if name != "at" and (source.format or source.zone):
                raise ValueError(f"columns.{name}: only at: has format: and zone:")
        return self

    def headers(self) -> tuple[str, ...]:
        """Give every header that is read, each once."""
        named = [h for source in self.columns.given().values() for h in source.column]
        return tuple(dict.fromkeys([*named, *self.skip]))

    def repeated_headers(self) -> frozenset[str]:
        """Give the headers whose texts are likely to come again and again in a file."""
        given = self.columns.given()
        others = {h for n, s in given.items() if n in _OWN or len(s.column) > 1 for h in s.column}
        return frozenset(self.headers()) - others - frozenset(self.skip)


def flag_values(source: Source) -> dict[str, str]:
    """Give what the texts of a flag mean."""
    if not source.values:
        return _FLAG_WORDS
    return {text.lower(): flag(meant) for text, meant in source.values.items()}


def flag(text: str) -> str:
    """Give what a word for yes or no means; another word as it is."""
    return _FLAG_WORDS.get(text.lower(), text)


def load_mapping(path: Path) -> Mapping:
    """Read a mapping.

    Raises:
        ConfigError: E_MAPPING, naming the file and everything that is wrong.
    """
    try:
        content = path.read_bytes()
        # all text: a header No must not become False, nor a value 0001 the number 1
        raw = yaml.load(content.decode(), Loader=yaml.BaseLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(path, f"it cannot be read ({type(error).__name__})") from error
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise _wrong(path, f"it is no YAML{where}") from error
    if not isinstance(raw, dict):
        raise _wrong(path, "it is no mapping that begins with 'grain: line' or 'grain: ticket'")
    raw.pop("sha256", None)
    try:
        read = Mapping.model_validate(raw)
    except ValidationError as error:
        found = (
            f"{'.'.join(map(str, detail['loc'])) or 'the file'}: "
            + plain(detail["type"], detail["msg"].removeprefix("Value error, "))
            for detail in error.errors(include_url=False, include_input=False)
        )
        raise _wrong(path, "; ".join(found)) from error
    return read.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()})


def _wrong(path: Path, what: str) -> ConfigError:
    return ConfigError(
        f"The mapping {path} cannot be used: {what}. Nothing was loaded. "
        "docs/how-to/load-ticket-files.md shows a complete one.",
        code="E_MAPPING",
    )
