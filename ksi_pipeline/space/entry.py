"""What every entry of a space file has in common: ids that are text, no unknown key, validity.

Ids and codes are text; a bare 0001 in YAML is a number and is refused, because it would lose its
zeros.
"""

import re
from datetime import date, datetime
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictStr,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from ksi_pipeline.core.time import YEARS


def _text_id(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(
            f"{value} is a number here, and an id is text: leading zeros would be lost. "
            'Write it in quotes, like "0001"'
        )
    return value


def _names_a_folder(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_\-][A-Za-z0-9_.\-]*", value):
        raise ValueError(
            f"{value!r} is no id: ids name folders, and have letters, digits, '_', '-' and, but "
            "for the first, '.'"
        )
    return value


def day_of(value: object) -> date | None:
    """Give a date that YAML read as one, or a text like 2026-12-24; None for all else.

    A number is none (it would count seconds since 1970), nor is any other spelling: one day that is
    written in two ways would not be seen to be one.
    """
    if isinstance(value, date):
        return None if isinstance(value, datetime) else value
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def _is_day(value: object) -> object:
    if value is not None and day_of(value) is None:
        raise PydanticCustomError("date_type", "it should be a date")
    return value


Day = Annotated[date, BeforeValidator(_is_day)]
Id = Annotated[StrictStr, BeforeValidator(_text_id), AfterValidator(_names_a_folder)]
Code = Annotated[StrictStr, BeforeValidator(_text_id), StringConstraints(min_length=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Entry(BaseModel):
    """Keys with values, and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Dated(Entry):
    """An entry that holds from one local date to another, half-open; null is without end."""

    valid_from: Day | None = Field(default=None, alias="from")
    valid_to: Day | None = Field(default=None, alias="to")

    @field_validator("valid_from", "valid_to")
    @classmethod
    def _in_known_years(cls, value: date | None) -> date | None:
        if value is not None and value.year not in YEARS:
            raise ValueError(
                f"{value} lies before {YEARS.start} or after {YEARS.stop - 1}; leave the key out "
                "for 'always'"
            )
        return value

    @model_validator(mode="after")
    def _from_before_to(self) -> "Dated":
        if self.valid_from and self.valid_to and self.valid_to <= self.valid_from:
            raise ValueError(
                f"it is valid from {self.valid_from} to {self.valid_to}, which is no time at all; "
                "'to' is the first day on which it no longer holds"
            )
        return self
