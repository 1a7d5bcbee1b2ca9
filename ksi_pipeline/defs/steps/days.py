"""Which days a run by hand should look at when nobody said."""

from datetime import date, timedelta

from sqlalchemy import select

from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.store.tables import CHUNKS
from video_ingest.chunks import discover


def days_to_run(workspace: Workspace) -> tuple[date, date]:
    """Give yesterday and today (UTC), widened to every day with a chunk that was not decoded."""
    today = workspace.clock().date()
    days = {today - timedelta(days=1), today}
    if workspace.home.chunks.is_dir():
        done = {
            row["path"]
            for row in workspace.store.ledger.rows(
                select(CHUNKS.c.path).where(CHUNKS.c.done_key.is_not(None))
            )
        }
        for chunk in discover(workspace.home.chunks).chunks:
            if str(chunk.path.relative_to(workspace.home.root)) not in done:
                days.add(chunk.start_utc.date())
    return min(days), max(days)
