"""What a site-day is counted with, by name: the count version.

A day's recipe is all that can change its counts but the points themselves: the rule, the time zone,
and the zones, lines and cameras that hold while its points last. What holds only before or after is
left out and its dates are cut to the day, so that a line redrawn from some date on gives another
version to the days from that date on, and to no other.
"""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from ksi_pipeline.core.plan import LineShape, ZoneShape
from ksi_pipeline.core.walks import RULE_VERSION
from ksi_pipeline.space.load import Space


@dataclass(frozen=True, slots=True)
class Recipe:
    """What counts in a span of time.

    Attributes:
        version: hash of counted_with, 12 hex digits.
        counted_with: JSON; equal recipes give equal text.
    """

    version: str
    counted_with: str


class SiteRecipes:
    """The recipes of one space file, each made once."""

    def __init__(self, space: Space) -> None:
        """Note the instants at which something begins or ends to hold."""
        self.space = space
        self._plans = space.plans()
        self._whole = self._plans[0][2]
        shapes: tuple[ZoneShape | LineShape, ...] = (*self._whole.zones, *self._whole.lines)
        ends = {end for start, end, _ in self._plans}
        ends |= {end for shape in shapes for end in (shape.valid_from, shape.valid_to)}
        self._bounds = sorted(end for end in ends if end is not None)
        self._made: dict[tuple[int, int], Recipe] = {}

    def over(self, start: datetime, end: datetime) -> Recipe:
        """Give what counts in [start, end)."""
        # The same bounds inside the span mean the same recipe.
        key = bisect_right(self._bounds, start), bisect_left(self._bounds, end)
        if key not in self._made:
            text = json.dumps(self._content(start, end), sort_keys=True)
            self._made[key] = Recipe(sha256(text.encode()).hexdigest()[:12], text)
        return self._made[key]

    def _content(self, start: datetime, end: datetime) -> dict[str, Any]:
        plans = [
            (begins, ends, plan)
            for begins, ends, plan in self._plans
            if _holds(begins, ends, start, end)
        ]
        seen = {name for _, _, plan in plans for names in plan.sees.values() for name in names}
        zones, lines = (
            [
                shape
                for shape in shapes
                if _name(shape) in seen and _holds(shape.valid_from, shape.valid_to, start, end)
            ]
            for shapes in (self._whole.zones, self._whole.lines)
        )
        names = {_name(shape) for shape in (*zones, *lines)}
        return {
            "rule_version": RULE_VERSION,
            "timezone": str(self._whole.zone_info),
            "rules": asdict(self._whole.rules),
            "zones": _shapes(zones, start, end),
            "lines": _shapes(lines, start, end),
            "cameras": self._cameras(names, start, end),
        }

    def _cameras(
        self, names: set[str], start: datetime, end: datetime
    ) -> dict[str, list[dict[str, Any]]]:
        """List what each camera sees, and when: its tracklets are cut where its own entries end."""
        seen = {
            camera_id: [
                {**_cut(begins, ends, start, end), "sees": sorted(ids & names)}
                for begins, ends, plan in self.space.plans(camera_id)
                if _holds(begins, ends, start, end)
                for ids in [plan.sees.get(camera_id, frozenset())]
            ]
            for camera_id in sorted({camera.id for camera in self.space.file.cameras})
        }
        return {
            camera_id: spans
            for camera_id, spans in seen.items()
            if any(span["sees"] for span in spans)
        }


def _holds(begins: datetime | None, ends: datetime | None, start: datetime, end: datetime) -> bool:
    return (begins is None or begins < end) and (ends is None or ends > start)


def _name(shape: ZoneShape | LineShape) -> str:
    return shape.zone_id if isinstance(shape, ZoneShape) else shape.line_id


def _shapes(
    shapes: Iterable[ZoneShape | LineShape], start: datetime, end: datetime
) -> list[dict[str, Any]]:
    """List shapes in an order that is not that of the file, which changes no count."""
    listed = [
        {
            "id": _name(shape),
            "unit_id": shape.unit_id,
            "geometry_version": shape.geometry_version,
            **_cut(shape.valid_from, shape.valid_to, start, end),
        }
        for shape in shapes
    ]
    return sorted(listed, key=lambda shape: (shape["id"], shape["from"] or ""))


def _cut(
    begins: datetime | None, ends: datetime | None, start: datetime, end: datetime
) -> dict[str, str | None]:
    """Give validity inside a span; null where it lies outside and so changes nothing."""
    inside = (
        begins if begins is not None and begins > start else None,
        ends if ends is not None and ends < end else None,
    )
    texts = [None if at is None else at.astimezone(UTC).isoformat() for at in inside]
    return {"from": texts[0], "to": texts[1]}
