"""Reads a space file, or says everything that is wrong with it at once."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.geometry import shape_version
from ksi_pipeline.core.plain_words import named, plain
from ksi_pipeline.core.plan import (
    CountingRules,
    LineShape,
    QueueRules,
    SitePlan,
    StaffRule,
    ZoneShape,
)
from ksi_pipeline.core.time import local_midnight_utc
from ksi_pipeline.space.checks import findings, is_same_link
from ksi_pipeline.space.model import Camera, SpaceFile
from ksi_pipeline.space.yaml_lines import Path, line_of, read_yaml


@dataclass(frozen=True, slots=True)
class Space:
    """One valid space file.

    Attributes:
        version: sha256 of the file's bytes, 12 hex digits.
        content: the file's bytes.
    """

    name: str
    version: str
    file: SpaceFile
    content: bytes = field(repr=False)

    @property
    def site_id(self) -> str:
        """Id of the site."""
        return self.file.site.id

    def instant(self, day: date | None) -> datetime | None:
        """Turn a validity date into the instant at which it begins at the site; null stays null."""
        return None if day is None else local_midnight_utc(day, self.file.site.zone_info)

    def plan(self) -> SitePlan:
        """Give what counting needs, as core values."""
        counting = self.file.counting
        sees: dict[str, frozenset[str]] = {}
        for camera in self.file.cameras:
            sees[camera.id] = sees.get(camera.id, frozenset()) | frozenset(camera.sees)
        return SitePlan(
            site_id=self.site_id,
            zone_info=self.file.site.zone_info,
            rules=CountingRules(**counting.model_dump()),
            zones=tuple(
                ZoneShape(
                    z.id,
                    z.unit,
                    z.role,
                    tuple(z.polygon),
                    self.instant(z.valid_from),
                    self.instant(z.valid_to),
                    tuple(z.leads_to),
                )
                for z in self.file.zones
            ),
            lines=tuple(
                LineShape(
                    li.id,
                    li.unit,
                    li.role,
                    li.a,
                    li.b,
                    li.inside,
                    self.instant(li.valid_from),
                    self.instant(li.valid_to),
                )
                for li in self.file.lines
            ),
            sees=sees,
            queue_rules=QueueRules(**self.file.queues.model_dump()),
            staff_rule=StaffRule(self.file.staff.min_s) if self.file.staff else None,
        )

    def plans(
        self, camera_id: str | None = None
    ) -> list[tuple[datetime | None, datetime | None, SitePlan]]:
        """Give the plans that hold one after the other: (from, to, plan), from and to half-open.

        What a camera sees holds only while its entry does, so each change of a camera entry begins
        another plan; with `camera_id` only changes of that camera do. Zones and lines carry their
        own validity.
        """
        whole, bounds = self.plan(), set[datetime]()
        for camera in self.file.cameras:
            ends = (self.instant(camera.valid_from), self.instant(camera.valid_to))
            if camera_id in (None, camera.id):
                bounds |= {instant for instant in ends if instant is not None}
        edges = [None, *sorted(bounds), None]
        return [
            (start, end, replace(whole, sees=self._seen_from(start)))
            for start, end in pairwise(edges)
        ]

    def _seen_from(self, instant: datetime | None) -> dict[str, frozenset[str]]:
        """Give what each camera sees from an instant on; None is before all entries with a date."""
        seen: dict[str, frozenset[str]] = {}
        for camera in self.file.cameras:
            start, end = self.instant(camera.valid_from), self.instant(camera.valid_to)
            begun = start is None or (instant is not None and start <= instant)
            ended = end is not None and instant is not None and end <= instant
            if begun and not ended:
                seen[camera.id] = frozenset(camera.sees)
        return seen

    def camera_at(self, camera_id: str, instant: datetime) -> Camera | None:
        """Give the camera entry that holds at an instant, or None."""
        for camera in self.file.cameras:
            start, end = self.instant(camera.valid_from), self.instant(camera.valid_to)
            starts = start is None or start <= instant
            if camera.id == camera_id and starts and (end is None or instant < end):
                return camera
        return None


def camera_version(camera: Camera) -> str:
    """Hash what turns a camera's pixels and clock into floor metres and UTC."""
    return shape_version("camera", tuple(camera.homography), camera.clock_offset_s)


def load_space(path: FilePath) -> Space:
    """Read and check a space file.

    Raises:
        ConfigError: E_SPACE_YAML when it is no YAML, E_SPACE with one line for each thing that is
            wrong, each naming file, line and entry, and what to change.
    """
    try:
        content = path.read_bytes()
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"The space file {path} cannot be read: {error}. Check its path; "
            "docs/reference/space-model.md shows a complete example.",
            code="E_SPACE_YAML",
        ) from error
    return parse_space(text, path.name)


def parse_space(text: str, name: str) -> Space:
    """Check the text of a space file; see load_space. Errors name it `name`."""
    data, lines = read_yaml(text, name)
    if not isinstance(data, dict):
        raise ConfigError(
            f"{name} line 1: a space file is a mapping that begins with 'schema: 1'. "
            "docs/reference/space-model.md shows a complete example.",
            code="E_SPACE",
        )
    try:
        file = SpaceFile.model_validate(data)
    except ValidationError as error:
        raise _refused(name, _parse_findings(error, data), data, lines) from error
    wrong = list(findings(file))
    if wrong:
        raise _refused(name, wrong, data, lines)
    content = text.encode()
    return Space(name, hashlib.sha256(content).hexdigest()[:12], file, content)


def _parse_findings(error: ValidationError, data: Any) -> list[tuple[Path, str]]:
    wrong: list[tuple[Path, str]] = []
    for detail in error.errors():
        path = _path_in_file(detail["loc"], data)
        message = plain(detail["type"], detail["msg"])
        if detail["type"] == "missing":
            message = f"{path[-1]!r} is missing; add it"
            path = path[:-1]
        elif detail["type"] == "extra_forbidden":
            message = f"{path[-1]!r} is not a key of this entry; remove it or correct its spelling"
        elif not detail["msg"].startswith("Value error"):
            message = f"{named(path, detail['input'])}: {message}"
        else:
            message = detail["msg"].removeprefix("Value error, ")
        wrong.append((path, message))
    return wrong


def _path_in_file(loc: Sequence[str | int], data: Any) -> Path:
    """Give pydantic's path as the file has it: a mapping may stand for a list of one."""
    path: list[str | int] = []
    for part in loc:
        if isinstance(part, int) and isinstance(data, dict):
            continue
        path.append(part)
        is_there = isinstance(data, list) and isinstance(part, int) and part < len(data)
        data = data.get(part) if isinstance(data, dict) else data[part] if is_there else None
    return tuple(path)


def _refused(
    name: str, wrong: list[tuple[Path, str]], data: Any, lines: dict[Path, int]
) -> ConfigError:
    messages = [
        f"{name} line {line_of(path, lines)}: {_entry(path, data)}{message}."
        for path, message in wrong
    ]
    return ConfigError("\n".join(messages), code="E_SPACE")


def _entry(path: Path, data: Any) -> str:
    """Name the entry a path lies in: `zone 'window': `."""
    if len(path) >= 2 and isinstance(path[0], str) and isinstance(path[1], int):
        entry = data[path[0]][path[1]]
        name = entry.get("id", entry.get("ext_ref_code")) if isinstance(entry, dict) else None
        kind = path[0].removesuffix("s")
        return f"{kind} {name!r}: " if name is not None else f"{kind} {path[1] + 1}: "
    return f"{path[0]}: " if path else ""


def check_together(spaces: Sequence[Space]) -> None:
    """Check what space files say about each other.

    Raises:
        ConfigError: E_SPACE, two files describe one site, or link one code of one connector to
            units at the same time, which would count its tickets twice.
    """
    for i, later in enumerate(spaces):
        for earlier in spaces[:i]:
            if earlier.site_id == later.site_id:
                raise ConfigError(
                    f"Site {later.site_id!r} is described by {earlier.name} and {later.name}. Keep "
                    "one file for each site; what changes over time goes into 'from' and 'to'.",
                    code="E_SPACE",
                )
            for link in later.file.links:
                for other in earlier.file.links:
                    if is_same_link(link, other):
                        raise ConfigError(
                            f"Code {link.ext_ref_code!r} of connector {link.connector!r} is linked "
                            f"in {earlier.name} and in {later.name} for the same time, so its "
                            "tickets would count twice. Remove one link, or end the first with "
                            "'to' on the day the second begins.",
                            code="E_SPACE",
                        )
