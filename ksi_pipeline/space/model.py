"""The space file as pydantic models: what one entry may say, each on its own.

The site itself is in site.py. What entries say about each other (a zone of a unit that does not
exist) is in checks.py.
"""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ksi_pipeline.space.entry import Code, Dated, Entry, Finite, Id
from ksi_pipeline.space.site import Site

COMMON = "_common"
ZoneRole = Literal[
    "outside", "passage", "selling", "display", "fitting", "queue", "service", "staff"
]
LineRole = Literal["entrance", "passage", "outside"]


Point = tuple[Finite, Finite]


class Counting(Entry):
    """Counting rules of the site; see core.plan.CountingRules."""

    max_gap_s: Annotated[Finite, Field(gt=0)] = 1.0
    confirm_samples: Annotated[int, Field(ge=1)] = 1
    min_inside_s: Annotated[Finite, Field(ge=0)] = 0.0
    exit_inertia_s: Annotated[Finite, Field(ge=0)] = 0.0
    position: Literal["linear", "hold"] = "linear"


class Queues(Entry):
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


class Staff(Entry):
    """Who counts as staff; see core.plan.StaffRule. Without it staff count as customers."""

    min_s: Annotated[Finite, Field(gt=0)]


class Area(Dated):
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


class Tenancy(Dated):
    """Who trades in a unit while it holds; `share` is the part of a unit that tenants share."""

    tenant: Id
    operator: Id
    category: str | None = None
    share: Annotated[Finite, Field(gt=0, le=1)] | None = None

    @field_validator("share")
    @classmethod
    def _in_millionths(cls, value: float | None) -> float | None:
        if value is not None and round(value, 6) != value:
            raise ValueError(
                f"{value!r} has more than six decimals; round the shares of the unit so that they "
                "still add up to 1"
            )
        return value


class Unit(Entry):
    """A store inside the site."""

    id: Id
    name: str | None = None
    floor: Id | None = None
    areas: list[Area] = []
    tenancies: list[Tenancy] = []


class Zone(Dated):
    """An area on the floor in which visits are counted."""

    id: Id
    unit: Id = COMMON
    role: ZoneRole
    polygon: list[Point]
    categories: list[str] = []
    leads_to: list[Id] = []


class Line(Dated):
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


class Camera(Dated):
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


class Link(Dated):
    """Which unit the tickets of one external code belong to, while it holds."""

    connector: Id
    ext_ref_code: Code
    unit: Id


class SpaceFile(Entry):
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
