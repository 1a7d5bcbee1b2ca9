"""Counts of lines and zones that are known to be true, from the truth's foot points or a file."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.space.load import Space

# Metres; files round.
_SAME_PLACE_M = 0.001


@dataclass(frozen=True, slots=True)
class LineTruth:
    """Crossings of one counting line."""

    in_count: int
    out_count: int


@dataclass(frozen=True, slots=True)
class ZoneTruth:
    """Time in one zone; `visits` is None where it is not known."""

    person_s: float
    visits: int | None


@dataclass(frozen=True, slots=True)
class TruthCounts:
    """Counts by line_id and by zone_id."""

    lines: dict[str, LineTruth]
    zones: dict[str, ZoneTruth]

    def of(self, seen: "TruthCounts") -> "TruthCounts":
        """Give these counts in the order of `seen`.

        Raises:
            ConfigError: E_TRUTH when they name a line or zone that is not seen.
        """
        unseen = [
            *(self.lines.keys() - seen.lines.keys()),
            *(self.zones.keys() - seen.zones.keys()),
        ]
        if unseen:
            raise ConfigError(
                f"Reading the true counts failed: the camera does not see {', '.join(unseen)}. "
                "Nothing was scored. Add it to `sees` of the camera, or remove it from the counts.",
                code="E_TRUTH",
            )
        return TruthCounts(
            {each: self.lines[each] for each in seen.lines if each in self.lines},
            {each: self.zones[each] for each in seen.zones if each in self.zones},
        )


def read_counts(path: Path, space: Space) -> TruthCounts:
    """Read true counts of one video from JSON.

    The form is `{"lines": {ID: {"in": 18, "out": 13}}, "zones": {ID: {"person_seconds": 173.6,
    "visits": 34}}}`; either part may be absent, and so may `visits`. Where `a` and `b` of a line or
    the `polygon` of a zone stand too, they must be those of the space file. Other keys are passed
    over.

    Raises:
        ConfigError: E_TRUTH: no such file, another form, or a shape drawn elsewhere.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else f"it is no JSON ({error})"
        raise _bad(path, str(why)) from error
    lines, zones = (_part(path, content, name) for name in ("lines", "zones"))
    if not lines and not zones:
        raise _bad(path, "it names no line and no zone")
    _require_same_shapes(path, space, lines, zones)
    return TruthCounts(
        {
            line_id: LineTruth(
                _count(path, line_id, given, "in"), _count(path, line_id, given, "out")
            )
            for line_id, given in lines.items()
        },
        {zone_id: _zone(path, zone_id, given) for zone_id, given in zones.items()},
    )


def _part(path: Path, content: Any, name: str) -> dict[str, dict[str, Any]]:
    part = content.get(name, {}) if isinstance(content, dict) else None
    if not isinstance(part, dict) or not all(isinstance(value, dict) for value in part.values()):
        raise _bad(path, f"its {name!r} is no object with an object for each id")
    return part


def _zone(path: Path, zone_id: str, given: Mapping[str, Any]) -> ZoneTruth:
    person_s = given.get("person_seconds")
    if person_s is None or not _is_number(person_s) or person_s < 0:
        raise _bad(path, f"'person_seconds' of {zone_id!r} is {person_s!r} and no number from 0")
    visits = _count(path, zone_id, given, "visits") if "visits" in given else None
    return ZoneTruth(float(person_s), visits)


def _count(path: Path, shape_id: str, given: Mapping[str, Any], name: str) -> int:
    value = given.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _bad(path, f"{name!r} of {shape_id!r} is {value!r} and no whole number from 0")
    return value


def _require_same_shapes(
    path: Path,
    space: Space,
    lines: Mapping[str, Mapping[str, Any]],
    zones: Mapping[str, Mapping[str, Any]],
) -> None:
    """A count of another line of the same name is no truth about this one."""
    told = [(i, "a and b", [v.get("a"), v.get("b")]) for i, v in lines.items() if "a" in v]
    told += [(i, "polygon", v["polygon"]) for i, v in zones.items() if "polygon" in v]
    drawn = [(line.id, "a and b", [line.a, line.b]) for line in space.file.lines]
    drawn += [(zone.id, "polygon", list(zone.polygon)) for zone in space.file.zones]
    for shape_id, name, points in told:
        # A shape that was redrawn stands there more than once.
        known = [each for found_id, kind, each in drawn if (found_id, kind) == (shape_id, name)]
        if known and not any(_is_same(points, each) for each in known):
            raise _bad(
                path, f"{name} of {shape_id!r}: {points!r}, and {space.name} draws it elsewhere"
            )


def _is_same(told: Any, points: list[tuple[float, float]]) -> bool:
    if not isinstance(told, list) or len(told) != len(points):
        return False
    return all(
        isinstance(one, list)
        and len(one) == 2
        and all(
            _is_number(value) and abs(value - at) <= _SAME_PLACE_M
            for value, at in zip(one, point, strict=True)
        )
        for one, point in zip(told, points, strict=True)
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _bad(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"Reading the true counts in {path.name} failed: {why}. Nothing was scored. Write it like "
        '{"lines": {"door": {"in": 18, "out": 13}}, "zones": {"shelf": {"person_seconds": 173}}}.',
        code="E_TRUTH",
    )
