"""Chunk discovery: which video files are there, of which camera, and when did each begin.

The layout is `<root>/<site>/<camera>/<start>.mp4|avi|mkv|ts`. `<start>` is the camera clock's
instant of the first frame, with its offset, in a form that file systems accept:

    2026-03-02T10:00:00+01:00    ISO 8601
    2026-03-02T10_00_00+01_00    the same where ':' is not allowed in file names
    20260302T100000+0100         compact
    20260302T090000Z             compact UTC; 20260302T090000.500Z with a fraction

A time without an offset is never guessed. Hidden files and names that end in .part or .tmp are
passed over: a recorder may still be writing them.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from video_ingest.contract import Chunk, VideoError
from video_ingest.decode import claimed_length_s

EXTENSIONS = (".mp4", ".avi", ".mkv", ".ts")

_UNFINISHED = (".part", ".tmp")
_START = re.compile(
    r"(?P<year>\d{4})-?(?P<month>\d{2})-?(?P<day>\d{2})"
    r"T(?P<hour>\d{2})[:_-]?(?P<minute>\d{2})[:_-]?(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,6}))?"
    r"(?P<offset>Z|[+-]\d{2}[:_-]?\d{2})?"
)


@dataclass(frozen=True, slots=True)
class RejectedFile:
    """A file that cannot be taken as a chunk, and what to do about it."""

    path: Path
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Discovery:
    """What lies under a root.

    Attributes:
        chunks: sorted by site, camera and start.
        rejected: sorted by path.
    """

    chunks: tuple[Chunk, ...]
    rejected: tuple[RejectedFile, ...]


def parse_start(text: str) -> datetime:
    """Read an instant in any of the forms that chunk names may have.

    Returns:
        The instant in UTC.

    Raises:
        VideoError: E_NAIVE_TIME when the offset is missing, E_BAD_TIME when it is no instant.

    >>> parse_start("2026-03-02T10_00_00+01_00").isoformat()
    '2026-03-02T09:00:00+00:00'
    """
    match = _START.fullmatch(text.strip())
    if match is None:
        raise VideoError(
            f"Reading {text!r} as a start time failed: it has none of the known forms. Nothing was "
            "read. Write it like 2026-03-02T10:00:00+01:00 or 20260302T090000Z.",
            code="E_BAD_TIME",
        )
    offset = match["offset"]
    if offset is None:
        raise VideoError(
            f"Reading {text!r} as a start time failed: it has no UTC offset, and the zone of a "
            "camera is not guessed. Nothing was read. Add the offset, like "
            "2026-03-02T10:00:00+01:00, or give UTC, like 20260302T090000Z.",
            code="E_NAIVE_TIME",
        )
    try:
        return datetime(
            int(match["year"]),
            int(match["month"]),
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"]),
            int(match["second"]),
            int((match["fraction"] or "").ljust(6, "0")),
            tzinfo=_zone(offset),
        ).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise VideoError(
            f"Reading {text!r} as a start time failed: {error}. Nothing was read. Correct the date "
            "or the time of day.",
            code="E_BAD_TIME",
        ) from error


def make_chunk(path: Path, site_id: str, camera_id: str, start_utc: datetime) -> Chunk:
    """A chunk with the id `<site>/<camera>/<compact UTC start>`."""
    start_utc = start_utc.astimezone(UTC)
    chunk_id = f"{site_id}/{camera_id}/{_compact(start_utc)}"
    return Chunk(site_id, camera_id, chunk_id, path, start_utc)


def discover(root: Path) -> Discovery:
    """Find all chunks under a root, and every file there that is none.

    Raises:
        VideoError: E_CHUNK_ROOT when the root is no folder.
    """
    if not root.is_dir():
        raise VideoError(
            f"Looking for chunks failed: {root} is no folder. Nothing was read. Create it, or "
            "point the setting at the folder that holds <site>/<camera>/.",
            code="E_CHUNK_ROOT",
        )
    files = (path for path in root.rglob("*") if path.is_file())
    return _sort_out(sorted(path for path in files if not _is_passed_over(path, root)), root)


def _sort_out(files: Iterable[Path], root: Path) -> Discovery:
    chunks: dict[str, Chunk] = {}
    rejected = []
    for path in files:
        found = _as_chunk(path, root)
        if isinstance(found, RejectedFile):
            rejected.append(found)
        elif found.chunk_id in chunks:
            other = chunks[found.chunk_id].path
            rejected.append(
                _reject(path, f"it starts at the same instant as {other.name}; keep one of them")
            )
        else:
            chunks[found.chunk_id] = found
    ordered = sorted(chunks.values(), key=lambda c: (c.site_id, c.camera_id, c.start_utc))
    return Discovery(tuple(ordered), tuple(rejected))


def require_files(paths: Iterable[Path]) -> None:
    """Refuse paths at which no file lies, before anything is decoded or written.

    Raises:
        VideoError: E_CHUNK_MISSING, naming each of them.
    """
    wrong = [
        f"{path} is {'a folder' if path.is_dir() else 'not there'}"
        for path in paths
        if not path.is_file()
    ]
    if wrong:
        raise VideoError(
            f"Reading chunks failed: {', '.join(wrong)}. Nothing was decoded and nothing was "
            "written. Name video files, like <folder>/*.mp4.",
            code="E_CHUNK_MISSING",
        )


def list_chunks(
    paths: Sequence[Path], site_id: str, camera_id: str, start: datetime | None = None
) -> list[Chunk]:
    """Chunks of one camera from files named one by one, wherever they lie.

    Args:
        paths: in any order where the names tell their start; else in the order of recording.
        site_id: of the camera.
        camera_id: of all files.
        start: of the first file, with its offset; the others then follow without a gap, each after
            the length that the container of the one before claims. None to read starts from names.

    Raises:
        VideoError: E_NAIVE_TIME or E_BAD_TIME for a name that tells no start, E_CHUNK_LENGTH where
            the length of a file that others follow is not known.
    """
    if start is None:
        found = [make_chunk(path, site_id, camera_id, parse_start(path.stem)) for path in paths]
        return sorted(found, key=lambda chunk: chunk.start_utc)
    found = []
    for path in paths:
        if found:
            start += timedelta(seconds=_length_s(found[-1].path, path))
        found.append(make_chunk(path, site_id, camera_id, start))
    return found


def same_start(chunks: Iterable[Chunk]) -> Iterator[str]:
    """Say which chunks of a camera start with another one; only one of the two counts."""
    first: dict[str, Chunk] = {}
    for chunk in chunks:
        other = first.setdefault(chunk.chunk_id, chunk)
        if other is not chunk:
            yield (
                f"{chunk.path.name} starts at the same instant as {other.path.name}, so only what "
                "lies after the end of that one is taken from it. Name one of the two, or correct "
                "the start in the name of the other."
            )


def _length_s(path: Path, following: Path) -> float:
    length_s = claimed_length_s(path)
    if length_s is None:
        raise VideoError(
            f"Placing {following.name} after {path.name} failed: the length of {path.name} cannot "
            "be read. Nothing was decoded. Name the files by their start and leave the start out.",
            code="E_CHUNK_LENGTH",
        )
    return length_s


def _as_chunk(path: Path, root: Path) -> Chunk | RejectedFile:
    parts = path.relative_to(root).parts
    if len(parts) != 3:
        return _reject(path, f"it lies at {'/'.join(parts)}; move it to <site>/<camera>/<start>")
    if path.suffix.lower() not in EXTENSIONS:
        return _reject(path, f"{path.suffix!r} is none of {', '.join(EXTENSIONS)}")
    try:
        start = parse_start(path.stem)
    except VideoError as error:
        suffix = path.suffix.lower()
        advice = f"rename it to something like 2026-03-02T10_00_00+01_00{suffix}"
        if error.code == "E_NAIVE_TIME":
            advice = (
                f"rename it to {path.stem}+01_00{suffix} if the camera's clock is at UTC+1, "
                f"to {path.stem}Z{suffix} if it is at UTC"
            )
            return _reject(path, f"its time has no UTC offset; {advice}")
        return _reject(path, f"{path.stem!r} is no start time; {advice}")
    return make_chunk(path, parts[0], parts[1], start)


def _reject(path: Path, why: str) -> RejectedFile:
    message = f"Taking {path.name} as a chunk failed: {why}. The file was left where it is."
    return RejectedFile(path, "E_CHUNK_NAME", message)


def _is_passed_over(path: Path, root: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
    return hidden or path.suffix.lower() in _UNFINISHED


def _zone(offset: str) -> timezone:
    if offset == "Z":
        return UTC
    digits = re.sub(r"\D", "", offset)
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-size if offset.startswith("-") else size)


def _compact(start_utc: datetime) -> str:
    whole = start_utc.strftime("%Y%m%dT%H%M%S")
    if not start_utc.microsecond:
        return f"{whole}Z"
    digits = f"{start_utc.microsecond:06d}"
    return f"{whole}.{digits[:3] if digits.endswith('000') else digits}Z"
