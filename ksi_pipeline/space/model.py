"""The space file as pydantic models: what one entry may say, each on its own.

What entries say about each other (a zone of a unit that does not exist) is in checks.py. Ids and
codes are text; a bare 0001 in YAML is a number and is refused, because it would lose its zeros.
"""

import re
from datetime import date, time
from functools import cache
from itertools import pairwise
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, available_timezones

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

from ksi_pipeline.core.time import YEARS, OpeningHours

COMMON = "_common"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ZoneRole = Literal[
    "outside", "passage", "selling", "display", "fitting", "queue", "service", "staff"
]
LineRole = Literal["entrance", "passage", "outside"]


@cache
def _zone_names() -> set[str]:
    return available_timezones()  # walks over a thousand files


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


Id = Annotated[StrictStr, BeforeValidator(_text_id), AfterValidator(_names_a_folder)]
Code = Annotated[StrictStr, BeforeValidator(_text_id), StringConstraints(min_length=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Point = tuple[Finite, Finite]
_SPAN = re.compile(r"^([0-2]\d):([0-5]\d)-([0-2]\d):([0-5]\d)$")


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class _Dated(_Entry):
    valid_from: date | None = Field(default=None, alias="from")
    valid_to: date | None = Field(default=None, alias="to")

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
    def _from_before_to(self) -> "_Dated":
        if self.valid_from and self.valid_to and self.valid_to <= self.valid_from:
            raise ValueError(
                f"it is valid from {self.valid_from} to {self.valid_to}, which is no time at all; "
                "'to' is the first day on which it no longer holds"
            )
        return self


class Site(_Entry):
    """One building: a mall, or a street store."""

    id: Id
    name: str
    timezone: str
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    business_day_start: time = time()
    opening_hours: dict[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], list[str]] = {}
    closed: list[date] = []

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

    @field_validator("opening_hours")
    @classmethod
    def _readable_spans(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        for day, spans in value.items():
            read = sorted((_closing(*_minutes(span)), span) for span in spans)
            for ((_, ends), earlier), ((begins, _), later) in pairwise(read):
                if begins < ends:
                    raise ValueError(
                        f"{day}: {earlier!r} and {later!r} overlap; write one span for both"
                    )
        return value

    @property
    def zone_info(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.timezone)

    def opening(self) -> OpeningHours:
        """Opening hours as core values."""
        weekly = {
            DAYS.index(day): tuple(_minutes(span) for span in spans)
            for day, spans in self.opening_hours.items()
        }
        return OpeningHours(weekly=weekly, closed=frozenset(self.closed))


class Counting(_Entry):
    """Counting rules of the site; see core.plan.CountingRules."""

    max_gap_s: Annotated[Finite, Field(gt=0)] = 1.0
    confirm_samples: Annotated[int, Field(ge=1)] = 1
    min_inside_s: Annotated[Finite, Field(ge=0)] = 0.0
    exit_inertia_s: Annotated[Finite, Field(ge=0)] = 0.0
    position: Literal["linear", "hold"] = "linear"


class Queues(_Entry):
    """How visits to queue zones are read; see core.plan.QueueRules."""

    join_s: Annotated[Finite, Field(ge=0)] = 5.0
    abandon_s: Annotated[Finite, Field(gt=0)] = 30.0
    hand_over_s: Annotated[Finite, Field(ge=0)] = 10.0

    @model_validator(mode="after")
    def _join_before_abandoning(self) -> "Queues":
        if self.abandon_s < self.join_s:
            raise ValueError(
                f"abandon_s is {self.abandon_s:g} and join_s {self.join_s:g}: nobody abandons a "
                "queue before joining it; raise abandon_s or lower join_s"
            )
        return self


class Staff(_Entry):
    """Who counts as staff; see core.plan.StaffRule. Without it staff count as customers."""

    min_s: Annotated[Finite, Field(gt=0)]


class Area(_Dated):
    """Floor area of a unit while it holds."""

    gla_m2: Annotated[Finite, Field(gt=0)] | None = None
    selling_m2: Annotated[Finite, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _selling_is_a_part(self) -> "Area":
        if self.gla_m2 and self.selling_m2 and self.selling_m2 > self.gla_m2:
            raise ValueError(
                f"selling_m2 {self.selling_m2:g} is larger than gla_m2 {self.gla_m2:g}, of which "
                "it is a part; correct one of them"
            )
        return self


class Tenancy(_Dated):
    """Who trades in a unit while it holds."""

    tenant: Id
    operator: Id
    category: str | None = None


class Unit(_Entry):
    """A store inside the site."""

    id: Id
    name: str | None = None
    floor: Id | None = None
    areas: list[Area] = []
    tenancies: list[Tenancy] = []


class Zone(_Dated):
    """An area on the floor in which visits are counted."""

    id: Id
    unit: Id = COMMON
    role: ZoneRole
    polygon: list[Point]
    categories: list[str] = []
    leads_to: list[Id] = []


class Line(_Dated):
    """A directed counting line from a to b."""

    id: Id
    unit: Id = COMMON
    role: LineRole
    a: Point
    b: Point
    inside: Literal["left", "right"]

    @model_validator(mode="after")
    def _has_length(self) -> "Line":
        if self.a == self.b:
            raise ValueError(f"a and b are the same point {self.a}; a line needs two")
        return self


class Camera(_Dated):
    """A camera, what it counts for, and how its pixels lie on the floor."""

    id: Id
    sees: list[Id] = []
    homography: list[tuple[Finite, Finite, Finite, Finite]] = []
    # a clock that is off by more than ten years is set, not corrected
    clock_offset_s: Annotated[Finite, Field(ge=-315_576_000, le=315_576_000)] = 0.0

    @field_validator("homography")
    @classmethod
    def _enough_points(
        cls, value: list[tuple[float, float, float, float]]
    ) -> list[tuple[float, float, float, float]]:
        if 0 < len(value) < 4:
            raise ValueError(
                f"it has {len(value)} homography points [u, v, x, y]; give at least 4 that are "
                "not on one line, or none for a camera that is not calibrated yet"
            )
        return value


class Link(_Dated):
    """Which unit the tickets of one external code belong to, while it holds."""

    connector: Id
    ext_ref_code: Code
    unit: Id


class SpaceFile(_Entry):
    """A whole space file."""

    schema_version: Literal[1] = Field(alias="schema")
    site: Site
    counting: Counting = Counting()
    queues: Queues = Queues()
    staff: Staff | None = None
    units: list[Unit] = []
    zones: list[Zone] = []
    lines: list[Line] = []
    cameras: list[Camera] = []
    links: list[Link] = []


def _closing(opens: int, closes: int) -> tuple[int, int]:
    """Count a span that runs past midnight on from its own day."""
    return opens, closes if closes > opens else closes + 24 * 60


def _minutes(span: str) -> tuple[int, int]:
    found = _SPAN.match(span)
    if not found:
        raise ValueError(f'{span!r} is no span of hours; write it like "09:00-21:00"')
    hours = [int(part) for part in found.groups()]
    opens, closes = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
    if opens >= 24 * 60 or closes > 24 * 60:
        raise ValueError(f"{span!r} lies outside the day; hours run from 00:00 to 24:00")
    return opens, closes
