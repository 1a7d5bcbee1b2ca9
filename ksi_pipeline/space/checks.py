"""What the entries of a space file say about each other."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Protocol

from ksi_pipeline.core.geometry import first_self_crossing
from ksi_pipeline.space.model import COMMON, Link, SpaceFile, Zone
from ksi_pipeline.space.site import Site
from ksi_pipeline.space.tenancies import tenancy_findings
from ksi_pipeline.space.yaml_lines import Path

Finding = tuple[Path, str]


class _Dated(Protocol):
    @property
    def valid_from(self) -> date | None: ...
    @property
    def valid_to(self) -> date | None: ...


def findings(space: SpaceFile) -> Iterator[Finding]:
    """Yield what is wrong, each with the path of the entry that has to change."""
    yield from _opening_hours(space.site)
    yield from _polygons(space.zones)
    yield from _unit_references(space)
    yield from _camera_references(space)
    yield from _queue_references(space)
    yield from _staff_zones(space)
    yield from _overlaps(space)
    yield from _area_overlaps(space)
    for i, unit in enumerate(space.units):
        for j, message in tenancy_findings(unit.tenancies):
            yield ("units", i, "tenancies", j), message


def warnings(space: SpaceFile) -> Iterator[str]:
    """Yield what is allowed and most likely a mistake."""
    for line in space.lines:
        seers = [camera for camera in space.cameras if line.id in camera.sees]
        for i, later in enumerate(seers):
            for earlier in seers[:i]:
                if line.role == "entrance" and later.id != earlier.id and _at_once(earlier, later):
                    yield (
                        f"line {line.id!r} is an entrance that cameras {earlier.id!r} and "
                        f"{later.id!r} see at the same time, so whoever walks in there counts "
                        f"twice. Take it out of the 'sees' of one, unless each sees its own part."
                    )


def is_same_link(one: Link, two: Link) -> bool:
    """Whether two links claim the same code of the same connector at the same time."""
    same_code = (one.connector, one.ext_ref_code) == (two.connector, two.ext_ref_code)
    return same_code and _at_once(one, two)


def _opening_hours(site: Site) -> Iterator[Finding]:
    for j, later in enumerate(site.opening_hours):
        for i, earlier in enumerate(site.opening_hours[:j]):
            if _at_once(earlier, later):
                yield (
                    ("site", "opening_hours", j),
                    f"entries {i + 1} and {j + 1} of opening_hours hold at the same time; end one "
                    "with 'to' on the day the other begins with 'from'",
                )
    for day in sorted(site.special.keys() & set(site.closed)):
        yield (
            ("site", "special", day.isoformat()),
            f"{day} has special hours and is closed; remove it from one of them",
        )


def _polygons(zones: Sequence[Zone]) -> Iterator[Finding]:
    for i, zone in enumerate(zones):
        path: Path = ("zones", i, "polygon")
        count = len(zone.polygon)
        if count < 3:
            yield path, f"the polygon has {count} points and needs at least 3; add the missing ones"
            continue
        crossing = first_self_crossing(zone.polygon)
        if crossing is not None:
            first, second = (edge + 1 for edge in crossing)
            yield (
                path,
                f"the polygon crosses or touches itself: edge {first} (from point {first}) and "
                f"edge {second} (from point {second}) meet; list the corners in order around it",
            )


def _unit_references(space: SpaceFile) -> Iterator[Finding]:
    known = {unit.id for unit in space.units}
    named = (
        ("zones", [zone.unit for zone in space.zones], known | {COMMON}),
        ("lines", [line.unit for line in space.lines], known | {COMMON}),
        ("links", [link.unit for link in space.links], known),
    )
    for kind, units, allowed in named:
        for i, unit in enumerate(units):
            if unit not in allowed:
                yield (kind, i, "unit"), _unknown("unit", unit, known)


def _camera_references(space: SpaceFile) -> Iterator[Finding]:
    known = {zone.id for zone in space.zones} | {line.id for line in space.lines}
    for i, camera in enumerate(space.cameras):
        for j, seen in enumerate(camera.sees):
            if seen not in known:
                yield ("cameras", i, "sees", j), _unknown("zone or line", seen, known)
    for j, line in enumerate(space.lines):
        if line.id in {zone.id for zone in space.zones}:
            yield ("lines", j, "id"), f"{line.id!r} is a zone and a line; rename one"


def _queue_references(space: SpaceFile) -> Iterator[Finding]:
    for i, queue in enumerate(space.zones):
        if queue.leads_to and queue.role != "queue":
            yield (
                ("zones", i, "leads_to"),
                f"only a queue leads to service zones, and its role is {queue.role}; "
                "remove leads_to or correct the role",
            )
            continue
        allowed = {z.id for z in space.zones if z.role == "service" and z.unit == queue.unit}
        for j, zone_id in enumerate(queue.leads_to):
            if zone_id not in allowed:
                yield (
                    ("zones", i, "leads_to", j),
                    f"{zone_id!r} is no zone of role service of unit {queue.unit!r} (those are: "
                    f"{', '.join(sorted(allowed)) or 'none'}); add it or correct the name",
                )


def _staff_zones(space: SpaceFile) -> Iterator[Finding]:
    if space.staff and not any(zone.role == "staff" for zone in space.zones):
        yield (
            ("staff",),
            "the rule counts time in zones of role staff, and there are none; draw one where only "
            "staff stand, or remove the rule",
        )


def _overlaps(space: SpaceFile) -> Iterator[Finding]:
    named = (
        ("units", [(unit.id, None) for unit in space.units]),
        ("zones", [(zone.id, zone) for zone in space.zones]),
        ("lines", [(line.id, line) for line in space.lines]),
        ("cameras", [(camera.id, camera) for camera in space.cameras]),
        ("links", [(f"{li.connector}/{li.ext_ref_code}", li) for li in space.links]),
    )
    for kind, entries in named:
        for j, (name, later) in enumerate(entries):
            for i, (other, earlier) in enumerate(entries[:j]):
                if name == other and _at_once(earlier, later):
                    yield (
                        (kind, j),
                        f"{name!r} is already given by entry {i + 1} of {kind} for the same time; "
                        "remove one, or end the first with 'to' on the day the second begins",
                    )


def _area_overlaps(space: SpaceFile) -> Iterator[Finding]:
    for i, unit in enumerate(space.units):
        for j, later in enumerate(unit.areas):
            for n, earlier in enumerate(unit.areas[:j]):
                if _at_once(earlier, later):
                    yield (
                        ("units", i, "areas", j),
                        f"its area is already given by entry {n + 1} of areas for the same time; "
                        "remove one, or end the first with 'to' on the day the second begins",
                    )


def _at_once(one: _Dated | None, two: _Dated | None) -> bool:
    if one is None or two is None:
        return True
    starts_late = one.valid_to and two.valid_from and one.valid_to <= two.valid_from
    ends_early = two.valid_to and one.valid_from and two.valid_to <= one.valid_from
    return not (starts_late or ends_early)


def _unknown(kind: str, name: str, known: set[str]) -> str:
    listed = ", ".join(sorted(known)) or "none"
    return f"{kind} {name!r} is not in this file (it has: {listed}); add it or correct the name"
