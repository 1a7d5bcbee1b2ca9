"""The inbox of video chunks: what lies there, and what the ledger knows of it."""

from dataclasses import dataclass
from datetime import UTC, date, timedelta

from ksi_pipeline.core.instants import to_us
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.ledger import Row
from ksi_pipeline.store.store import Change, QuarantineRow
from video_ingest.chunks import Discovery, discover
from video_ingest.contract import Chunk
from video_ingest.ingest import file_sha256

# Before it nothing can have been filmed for this pipeline; the partitions begin here.
FIRST_DAY = date(1996, 1, 1)


@dataclass(frozen=True, slots=True)
class FoundChunks:
    """What lies in the inbox for the days asked for."""

    chunk_count: int
    changed_count: int
    rejected_count: int


def find_chunks(workspace: Workspace, first: date, last: date) -> FoundChunks:
    """Note the chunks of some UTC days; files that cannot be chunks go to quarantine."""
    found = discover_chunks(workspace)
    spaces = {space.site_id: space for space in workspace.spaces()}
    change = Change(cause="chunks found")
    for rejected in found.rejected:
        name = str(rejected.path.relative_to(workspace.home.chunks))
        change.quarantine.append(chunk_quarantine(workspace, name, rejected.code, rejected.message))
    for chunk in found.chunks:
        if not is_possible(workspace, chunk):
            message = (
                f"Chunk {chunk.chunk_id}: its name says {chunk.start_utc.isoformat()}, which lies "
                f"in the future or before {FIRST_DAY}. It is left alone. Set the recorder's clock, "
                "and rename the file to the true start."
            )
            change.quarantine.append(
                chunk_quarantine(workspace, chunk.chunk_id, "E_CHUNK_TIME", message)
            )
    possible = [chunk for chunk in found.chunks if is_possible(workspace, chunk)]
    for chunk in possible:
        # of any day: a chunk without a camera widens no run, and would never be heard of
        if not has_camera(spaces, chunk):
            message = (
                f"Chunk {chunk.chunk_id}: no space file has camera {chunk.camera_id!r} of site "
                f"{chunk.site_id!r} at that time. It waits. Add the camera to the space file, or "
                "move the file to the folder of its camera."
            )
            change.quarantine.append(
                chunk_quarantine(workspace, chunk.chunk_id, "E_UNKNOWN_CAMERA", message)
            )
    days = [chunk for chunk in possible if first <= chunk.start_utc.date() <= last]
    changed = 0
    for chunk in days:
        row = workspace.store.ledger.chunk(chunk.chunk_id)
        if known_sha256(row, chunk) is None:
            changed += 1
            change.chunks.append(chunk_row(workspace, chunk, row))
    workspace.store.commit(change)
    return FoundChunks(len(days), changed, len(change.quarantine))


def discover_chunks(workspace: Workspace) -> Discovery:
    """List the inbox; no inbox is an empty one."""
    if not workspace.home.chunks.is_dir():
        return Discovery((), ())
    return discover(workspace.home.chunks)


def is_possible(workspace: Workspace, chunk: Chunk) -> bool:
    """Whether a chunk can have begun when its name says it did."""
    tomorrow = workspace.clock() + timedelta(days=1)
    return chunk.start_utc.date() >= FIRST_DAY and chunk.start_utc <= tomorrow


def has_camera(spaces: dict[str, Space], chunk: Chunk) -> bool:
    """Whether a space file has the chunk's camera at the chunk's start."""
    space = spaces.get(chunk.site_id)
    return space is not None and space.camera_at(chunk.camera_id, chunk.start_utc) is not None


def known_sha256(row: Row | None, chunk: Chunk) -> str | None:
    """Give the hash of a file that was hashed before and has not been touched since."""
    stat = chunk.path.stat()
    if row is None or (row["size"], row["mtime_ns"]) != (stat.st_size, stat.st_mtime_ns):
        return None
    return str(row["sha256"])


def chunk_row(
    workspace: Workspace, chunk: Chunk, row: Row | None, sha256: str | None = None
) -> dict[str, object]:
    """Give the ledger row of a chunk as it lies on disk now, keeping what was done with it."""
    stat = chunk.path.stat()
    return {
        "chunk_id": chunk.chunk_id,
        "site_id": chunk.site_id,
        "camera_id": chunk.camera_id,
        "path": str(chunk.path.relative_to(workspace.home.root)),
        "start_utc": to_us(chunk.start_utc.astimezone(UTC)),
        "size": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
        "sha256": sha256 or file_sha256(chunk.path),
        "done_key": row["done_key"] if row else None,
        "state_json": row["state_json"] if row else None,
        "status": row["status"] if row else "found",
        "message": row["message"] if row else None,
        "observed_s": row["observed_s"] if row else None,
    }


def chunk_quarantine(
    workspace: Workspace, name: str, code: str, message: str, sha256: str = ""
) -> QuarantineRow:
    """Give the quarantine row of a file that cannot be used as a chunk."""
    return QuarantineRow(
        source=f"chunk:{name}",
        code=code,
        message=message,
        raw_sha256=sha256,
        row_number=-1,
        raw_value=None,
        first_seen_utc=workspace.clock(),
    )
