"""Counts of lines by hand beside those of a data home, clip by clip."""

import csv
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ksi_pipeline.core.count_audit import CountError, count_error
from ksi_pipeline.core.errors import ConfigError, ContractError
from ksi_pipeline.core.time import Window, merged, parse_instant
from ksi_pipeline.store.store import Store

COLUMNS = ("site", "line", "from", "to", "in", "out")
DIRECTIONS = ("in", "out")
# A clip of which less was watched says nothing of how well it was counted.
_LEAST_WATCHED = 0.98


@dataclass(frozen=True, slots=True)
class Clip:
    """What somebody counted at one line.

    Attributes:
        window: half open, as hours are.
        manual: people in and out.
    """

    site_id: str
    line_id: str
    window: Window
    manual: tuple[int, int]


@dataclass(frozen=True, slots=True)
class ClipAudit:
    """One clip beside the data home.

    Attributes:
        counted: people in and out; null where the clip was not watched whole.
        watched: share of the clip in which a camera looked at the line, of the best camera.
    """

    clip: Clip
    counted: tuple[int, int] | None
    watched: float


@dataclass(frozen=True, slots=True)
class CountAudit:
    """All clips, and the errors over those that were watched.

    Attributes:
        errors: by "in", "out" and "both"; in "both" an error of one direction cancels none of
            the other in `wape`.
    """

    clips: list[ClipAudit]
    errors: dict[str, CountError]

    def as_dict(self) -> dict[str, Any]:
        """Give all figures by name."""
        return {
            "clips": [
                {
                    "site_id": each.clip.site_id,
                    "line_id": each.clip.line_id,
                    "from_utc": each.clip.window.start,
                    "to_utc": each.clip.window.end,
                    "manual": dict(zip(DIRECTIONS, each.clip.manual, strict=True)),
                    "counted": each.counted and dict(zip(DIRECTIONS, each.counted, strict=True)),
                    "watched": each.watched,
                }
                for each in self.clips
            ],
            "errors": {name: asdict(error) for name, error in self.errors.items()},
        }


def read_clips(path: Path) -> list[Clip]:
    """Read counts by hand: a CSV with the columns site, line, from, to, in, out.

    Raises:
        ConfigError: E_AUDIT, naming the row and what is wrong with it.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            lacking = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if lacking:
                raise _refused(path, f"it has no column {', '.join(lacking)}")
            clips = [_clip(path, reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _refused(path, f"it cannot be read: {error}") from error
    if not clips:
        raise _refused(path, "it has no row")
    if len({(clip.site_id, clip.line_id, clip.window) for clip in clips}) < len(clips):
        raise _refused(path, "a clip of a line is in it twice")
    return clips


def audit_counts(store: Store, clips: list[Clip]) -> CountAudit:
    """Compare counts by hand with the line crossings that a data home holds.

    Crossings are counted as they are, those of staff included. A clip that no camera watched for
    98 % of it has no count, which is not 0, and is left out of the errors.

    Raises:
        ConfigError: E_AUDIT, a line is not in the space files.
        ContractError: E_AUDIT_UNWATCHED, no clip was watched.
    """
    crossings = store.read("line_crossings", columns=["site_id", "line_id", "at_utc", "direction"])
    lit = store.read("coverage")
    sees = store.read("space_camera_sees").to_pylist()
    lines = {(row["site_id"], row["line_id"]) for row in store.read("space_line").to_pylist()}
    for clip in clips:
        if (clip.site_id, clip.line_id) not in lines:
            raise ConfigError(
                f"Auditing counts failed: no space file has a line {clip.line_id!r} of site "
                f"{clip.site_id!r}. Nothing was compared. Correct the file of counts, or run "
                "`ksi run` once after a change of the space file.",
                code="E_AUDIT",
            )
    audits = [_audited(clip, crossings, lit, sees) for clip in clips]
    watched = [each for each in audits if each.counted is not None]
    if not watched:
        raise ContractError(
            f"Auditing counts failed: none of {len(clips)} clips was watched whole; the most is "
            f"{100 * max(each.watched for each in audits):.0f} % of one. Nothing was compared. "
            "Ingest the video of these times, and check that from and to have the right offset.",
            code="E_AUDIT_UNWATCHED",
        )
    pairs = [(each.clip.manual, each.counted or (0, 0)) for each in watched]
    errors = {
        name: count_error([[m[i]] for m, _ in pairs], [[s[i]] for _, s in pairs])
        for i, name in enumerate(DIRECTIONS)
    }
    errors["both"] = count_error([m for m, _ in pairs], [s for _, s in pairs])
    return CountAudit(audits, errors)


def _audited(
    clip: Clip, crossings: pa.Table, lit: pa.Table, sees: list[dict[str, Any]]
) -> ClipAudit:
    cameras = {
        row["camera_id"]
        for row in sees
        if (row["site_id"], row["sees_kind"], row["sees_id"])
        == (clip.site_id, "line", clip.line_id)
    }
    watched = max((_watched(clip, camera, lit) for camera in cameras), default=0.0)
    if watched < _LEAST_WATCHED:
        return ClipAudit(clip, None, watched)
    start, end = (pa.scalar(at, crossings["at_utc"].type) for at in _ends(clip.window))
    here = (
        (pc.field("site_id") == clip.site_id)
        & (pc.field("line_id") == clip.line_id)
        & (pc.field("at_utc") >= start)
        & (pc.field("at_utc") < end)
    )
    ways = crossings.filter(here)["direction"].to_pylist()
    return ClipAudit(clip, (ways.count("in"), ways.count("out")), watched)


def _ends(window: Window) -> tuple[datetime, datetime]:
    return window.start, window.end


def _watched(clip: Clip, camera_id: str, lit: pa.Table) -> float:
    """Give the share of a clip that the coverage of a camera has as complete."""
    rows = lit.filter(
        (pc.field("site_id") == clip.site_id)
        & (pc.field("source_kind") == "camera")
        & (pc.field("source_id") == camera_id)
        & (pc.field("status") == "complete")
    ).to_pylist()
    spans = (Window(row["from_utc"], row["to_utc"]) for row in rows)
    seen = merged(o for o in (clip.window.overlap(span) for span in spans) if o is not None)
    return sum((each.end - each.start) / (clip.window.end - clip.window.start) for each in seen)


def _clip(path: Path, number: int, row: Mapping[str, str | None]) -> Clip:
    texts = {name: (row[name] or "").strip() for name in COLUMNS}
    try:
        start, end = (parse_instant(texts[name]).astimezone(UTC) for name in ("from", "to"))
        window = Window(start, end)
    except ContractError as error:
        raise _refused(path, f"line {number}: {str(error).rstrip('.')}") from error
    for name in ("site", "line"):
        if not texts[name]:
            raise _refused(path, f"line {number}: {name} is empty")
    for name in DIRECTIONS:
        if not (texts[name].isascii() and texts[name].isdigit()):
            raise _refused(path, f"line {number}: {name} is {texts[name]!r}, no number of people")
    return Clip(texts["site"], texts["line"], window, (int(texts["in"]), int(texts["out"])))


def _refused(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"Reading counts by hand from {path} failed: {why}. Nothing was compared. Write a CSV "
        f"with the columns {', '.join(COLUMNS)}, from and to with their offset from UTC.",
        code="E_AUDIT",
    )
