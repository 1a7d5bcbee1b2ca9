"""What a picture of a plan shows on one day, as plain values; drawing it is plan_picture's."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from ksi_pipeline.space.load import Space
from ksi_pipeline.space.model import COMMON, Camera, Line, SpaceFile, Zone

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class NotDrawn:
    """An entry of the space file that the picture does not show, and why."""

    kind: Literal["zone", "line", "camera"]
    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class PlanShapes:
    """What holds on one local date of the site.

    Attributes:
        day: the date.
        zones: in the order of the file.
        lines: in the order of the file.
        cameras: those with a homography.
        not_drawn: everything else, one row for each entry.
    """

    day: date
    zones: tuple[Zone, ...]
    lines: tuple[Line, ...]
    cameras: tuple[Camera, ...]
    not_drawn: tuple[NotDrawn, ...]

    @property
    def corners(self) -> list[Point]:
        """Every point of every shape, floor metres; empty when nothing is drawn."""
        return [
            *(corner for zone in self.zones for corner in zone.polygon),
            *(end for line in self.lines for end in (line.a, line.b)),
            *(corner for camera in self.cameras for corner in calibrated_floor(camera)),
        ]


def shapes_on(space: Space, day: date) -> PlanShapes:
    """Give what the picture of a site shows on a day.

    Args:
        space: the space file.
        day: local date of the site; an entry holds from `from` on and before `to`.
    """
    file = space.file
    return PlanShapes(
        day=day,
        zones=tuple(zone for zone in file.zones if _holds(zone, day)),
        lines=tuple(line for line in file.lines if _holds(line, day)),
        cameras=tuple(c for c in file.cameras if _holds(c, day) and c.homography),
        not_drawn=tuple(_not_drawn(file, day)),
    )


def units_of(shapes: PlanShapes) -> dict[str, list[Point]]:
    """Give the hull around the zones and lines of each unit that has any; no common area."""
    points: dict[str, list[Point]] = {}
    for zone in shapes.zones:
        points.setdefault(zone.unit, []).extend(zone.polygon)
    for line in shapes.lines:
        points.setdefault(line.unit, []).extend((line.a, line.b))
    return {unit: hull(found) for unit, found in points.items() if unit != COMMON}


def arrow_onto_inside(
    a: Point, b: Point, inside: Literal["left", "right"], length_m: float
) -> tuple[Point, Point]:
    """Give tail and head of an arrow over the middle of a line, onto its inside.

    Args:
        a: start of the line, floor metres.
        b: its end, another point.
        inside: the side that is `in`, standing on a and looking to b.
        length_m: from tail to head; the line cuts the arrow at a quarter of it.

    Returns:
        (tail, head), floor metres, at right angles to the line.
    """
    along = math.dist(a, b)
    x, y = (b[0] - a[0]) / along, (b[1] - a[1]) / along
    normal = (-y, x) if inside == "left" else (y, -x)
    middle = ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)
    tail, head = -0.25 * length_m, 0.75 * length_m
    return (
        (middle[0] + tail * normal[0], middle[1] + tail * normal[1]),
        (middle[0] + head * normal[0], middle[1] + head * normal[1]),
    )


def calibrated_floor(camera: Camera) -> list[Point]:
    """Give the hull of the floor points that a camera was calibrated with.

    It sees at least this much; where it hangs and how far it sees is not in the space file.
    """
    return hull([(x, y) for _, _, x, y in camera.homography])


def hull(points: Sequence[Point]) -> list[Point]:
    """Give the convex hull, counter-clockwise; fewer than three points where they lie in a row."""
    ordered = sorted(set(points))
    if len(ordered) < 3:
        return ordered
    return _half_hull(ordered)[:-1] + _half_hull(ordered[::-1])[:-1]


def round_length_m(longest_m: float) -> float:
    """Give the longest of 1, 2 and 5 times the powers of ten that is not above `longest_m`."""
    power = 10.0 ** math.floor(math.log10(longest_m))
    return max(step * power for step in (1, 2, 5) if step * power <= longest_m)


def _half_hull(points: Sequence[Point]) -> list[Point]:
    chain: list[Point] = []
    for x, y in points:
        while len(chain) > 1:
            (ax, ay), (bx, by) = chain[-2:]
            if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0:
                break
            chain.pop()
        chain.append((x, y))
    return chain


def _holds(entry: Zone | Line | Camera, day: date) -> bool:
    has_begun = entry.valid_from is None or entry.valid_from <= day
    return has_begun and (entry.valid_to is None or day < entry.valid_to)


def _not_drawn(file: SpaceFile, day: date) -> Iterator[NotDrawn]:
    kinds: tuple[tuple[Literal["zone", "line", "camera"], Sequence[Zone | Line | Camera]], ...] = (
        ("zone", file.zones),
        ("line", file.lines),
        ("camera", file.cameras),
    )
    for kind, entries in kinds:
        for entry in entries:
            if not _holds(entry, day):
                yield NotDrawn(kind, entry.id, f"valid {_span(entry)}, not on {day}")
            elif isinstance(entry, Camera) and not entry.homography:
                yield NotDrawn(kind, entry.id, "has no homography, so its floor is not known")


def _span(entry: Zone | Line | Camera) -> str:
    parts = [
        f"{word} {day}"
        for word, day in (("from", entry.valid_from), ("to", entry.valid_to))
        if day is not None
    ]
    return " ".join(parts)
