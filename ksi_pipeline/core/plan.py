"""The part of a space model that counting needs, as plain frozen values.

The space room builds a SitePlan from a YAML file; core.events counts with it. Nothing here knows
files or YAML.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from ksi_pipeline.core.geometry import shape_version

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class CountingRules:
    """How raw geometry becomes counts; the defaults are pure geometry.

    Attributes:
        max_gap_s: samples further apart than this are not joined by a straight walk.
        confirm_samples: a crossing counts when the tracklet stays this many samples on the new
            side, the first one included.
        min_inside_s: an entry that turns back over the same line sooner is dropped, with its exit.
        exit_inertia_s: visits to a zone closer together than this are one.
        position: between samples a person walks straight (linear), or stays where the sample
            before was (hold): for sources whose positions jump, and to count as tools do that
            look at samples only.
    """

    max_gap_s: float = 1.0
    confirm_samples: int = 1
    min_inside_s: float = 0.0
    exit_inertia_s: float = 0.0
    position: Literal["linear", "hold"] = "linear"


@dataclass(frozen=True, slots=True)
class QueueRules:
    """How visits to queue zones become queue events; see core.queues.

    Attributes:
        join_s: who is served sooner than this after entering the queue zone never queued.
        abandon_s: who leaves elsewhere sooner than this balked; later, abandoned.
        hand_over_s: longest way from the queue zone into a service zone.
    """

    join_s: float = 5.0
    abandon_s: float = 30.0
    hand_over_s: float = 10.0


@dataclass(frozen=True, slots=True)
class StaffRule:
    """Who counts as staff: a tracklet that was in zones of role staff for at least min_s."""

    min_s: float


@dataclass(frozen=True, slots=True)
class ZoneShape:
    """One version of a zone: an even-odd polygon in floor metres, valid in [from, to).

    Attributes:
        leads_to: for a queue, ids of its service zones; empty is all those of its unit.
    """

    zone_id: str
    unit_id: str
    role: str
    polygon: tuple[Point, ...]
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    leads_to: tuple[str, ...] = ()

    @property
    def geometry_version(self) -> str:
        """Hash of the shape; a redrawn zone starts a new series."""
        return shape_version("zone", self.polygon)


@dataclass(frozen=True, slots=True)
class LineShape:
    """One version of a counting line from a to b; `inside` names the side that is `in`.

    side(P) = cross(b - a, P - a): > 0 is left, < 0 is right.
    """

    line_id: str
    unit_id: str
    role: str
    a: Point
    b: Point
    inside: Literal["left", "right"]
    valid_from: datetime | None = None
    valid_to: datetime | None = None

    @property
    def geometry_version(self) -> str:
        """Hash of the shape and its direction."""
        return shape_version("line", self.a, self.b, self.inside)


@dataclass(frozen=True, slots=True)
class SitePlan:
    """What one site needs to count.

    Attributes:
        zone_info: time zone in which hours are cut.
        sees: for each camera the ids of the zones and lines it counts for; a camera that is not
            listed counts nothing.
        queue_rules: how visits to queue zones are read.
        staff_rule: None where staff are not told from customers.
    """

    site_id: str
    zone_info: ZoneInfo
    rules: CountingRules
    zones: tuple[ZoneShape, ...]
    lines: tuple[LineShape, ...]
    sees: Mapping[str, frozenset[str]] = field(default_factory=dict)
    queue_rules: QueueRules = QueueRules()
    staff_rule: StaffRule | None = None
