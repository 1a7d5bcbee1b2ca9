"""Which days a run by hand should look at when nobody said."""

from datetime import date, timedelta

from sqlalchemy import select

from ksi_pipeline.defs.steps.chunk_inbox import FIRST_DAY, has_camera, is_possible
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.store.tables import CHUNKS
from video_ingest.chunks import discover

__all__ = ["FIRST_DAY", "days_to_run"]


def days_to_run(workspace: Workspace) -> tuple[date, date]:
    """Give yesterday and today (UTC), widened to every day with a chunk that was not decoded.

    Chunks that cannot be decoded, because no space file has their camera or their name says a
    time that cannot be, widen nothing.
    """
    today = workspace.clock().date()
    days = {today - timedelta(days=1), today}
    if workspace.home.chunks.is_dir():
        done = {
            row["path"]
            for row in workspace.store.ledger.rows(
                select(CHUNKS.c.path).where(CHUNKS.c.done_key.is_not(None))
            )
        }
        spaces = {space.site_id: space for space in workspace.spaces()}
        for chunk in discover(workspace.home.chunks).chunks:
            is_usable = has_camera(spaces, chunk) and is_possible(workspace, chunk)
            if is_usable and str(chunk.path.relative_to(workspace.home.root)) not in done:
                days.add(chunk.start_utc.date())
    return min(days), max(days)
