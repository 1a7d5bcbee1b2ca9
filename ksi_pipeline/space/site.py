"""The site of a space file: where it is, and when it is open."""

from datetime import date, time
from functools import cache
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BeforeValidator,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ksi_pipeline.core.time import DatedHours, DaySpans, OpeningHours
from ksi_pipeline.space.day_spans import day_spans, first_overlap
from ksi_pipeline.space.entry import Dated, Day, Entry, Id, day_of

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@cache
def _zone_names() -> set[str]:
    return available_timezones()  # walks over a thousand files


def _readable(spans: list[str], info: ValidationInfo) -> list[str]:
    if overlap := first_overlap(spans):
        earlier, later = overlap
        raise ValueError(
            f"{info.field_name}: {earlier!r} and {later!r} overlap; write one span for both"
        )
    return spans


def _known_date(value: object) -> object:
    day = day_of(value)
    if day is None:
        raise ValueError(f"{value!r} is no date; write it like 2026-12-24")
    return day


Spans = Annotated[list[str], AfterValidator(_readable)]


class WeeklyHours(Dated):
    """The opening hours of each weekday while they hold; a weekday without them is closed."""

    mon: Spans = []
    tue: Spans = []
    wed: Spans = []
    thu: Spans = []
    fri: Spans = []
    sat: Spans = []
    sun: Spans = []

    @model_validator(mode="after")
    def _names_a_weekday(self) -> "WeeklyHours":
        if self.model_fields_set.isdisjoint(DAYS):
            raise ValueError(
                "these opening hours name no weekday; add those on which it opens, or one with an "
                "empty list where it stays closed all week"
            )
        return self

    @property
    def is_dated(self) -> bool:
        """Whether they begin or end."""
        return self.valid_from is not None or self.valid_to is not None

    def weekly(self) -> dict[int, DaySpans]:
        """Give the spans of each weekday that is named, 0 = Monday."""
        return {
            number: day_spans(getattr(self, day))
            for number, day in enumerate(DAYS)
            if day in self.model_fields_set
        }


class Site(Entry):
    """One building: a mall, or a street store."""

    id: Id
    name: str
    timezone: str
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    business_day_start: time = time()
    opening_hours: list[WeeklyHours] = []
    closed: list[Day] = []
    special: dict[Annotated[date, BeforeValidator(_known_date)], Spans] = {}

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in _zone_names():
            raise ValueError(f"{value!r} is no time zone; use a name like Europe/Madrid")
        return value

    @field_validator("business_day_start", mode="before")
    @classmethod
    def _quoted_time(cls, value: object) -> object:
        if isinstance(value, int):
            raise ValueError('write the time in quotes, like "05:00"; bare, YAML reads a number')
        return value

    @field_validator("opening_hours", mode="before")
    @classmethod
    def _one_is_a_list_of_one(cls, value: object) -> object:
        if isinstance(value, dict):
            return [value] if value else []
        return value

    @property
    def zone_info(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.timezone)

    def opening(self) -> OpeningHours:
        """Opening hours as core values."""
        always = [hours for hours in self.opening_hours if not hours.is_dated]
        return OpeningHours(
            weekly=always[0].weekly() if always else {},
            closed=frozenset(self.closed),
            special={day: day_spans(spans) for day, spans in self.special.items()},
            dated=tuple(
                DatedHours(hours.weekly(), hours.valid_from, hours.valid_to)
                for hours in self.opening_hours
                if hours.is_dated
            ),
        )
