"""A shop whose people walk where a test says, day by day, through a line that may be moved."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
from sqlalchemy import select

from ksi_pipeline.core.instants import from_us
from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.store.count_versions import versions_table
from ksi_pipeline.store.store import Change
from ksi_pipeline.store.tables import AFFECTED_HOURS

MONDAY = date(2026, 3, 2)
TUESDAY, WEDNESDAY, THURSDAY = (MONDAY + timedelta(days=n) for n in (1, 2, 3))
DAYS = (MONDAY, TUESDAY, WEDNESDAY, THURSDAY)
WHOLE = (MONDAY, THURSDAY)
CAMERA = "shop/cam-1"

# x of the door's two ends: where it was drawn first, and where it was drawn next
FIRST, MOVED = (0, 4), (4, 8)


def space_file(*doors: tuple[tuple[int, int], str], rules: str = "") -> str:
    """A space file whose line `door` lies at y = 0; each door is (x of its ends, validity)."""
    lines = "\n".join(
        f'  - {{id: door, unit: "0001", role: entrance, a: [{a}, 0], b: [{b}, 0], inside: left'
        f"{validity}}}"
        for (a, b), validity in doors
    )
    return f"""\
schema: 1
site: {{id: shop, name: Shop, timezone: Europe/Madrid, currency: EUR}}
{rules}
units:
  - {{id: "0001"}}
zones:
  - {{id: hall, unit: "0001", role: selling, polygon: [[0, 0], [4, 0], [4, 2], [0, 2]]}}
lines:
{lines}
cameras:
  - id: cam-1
    sees: [hall, door]
    homography: [[0, 0, 0, 0], [1, 0, 1, 0], [1, 1, 1, 1], [0, 1, 0, 1]]
"""


BEFORE, AFTER = space_file((FIRST, "")), space_file((MOVED, ""))


def draw(home: Path, text: str) -> None:
    """Let this be the space file of the home."""
    (home / "spaces").mkdir(parents=True, exist_ok=True)
    (home / "spaces" / "shop.yaml").write_text(text)


def at(day: date, hour: float) -> datetime:
    """An instant of a UTC day."""
    return datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=hour)


def walk_in(workspace, day: date, xs: list[float], hour: float = 10.0, until: float = 0.0) -> None:
    """Deliver one chunk: at each x somebody walks in through y = 0 and stays `until` hours."""
    begin = at(day, hour)
    rows, spans = [], []
    for number, x in enumerate(xs):
        tracklet_id = f"cam-1-{begin:%Y%m%dT%H%M%S}-{number}"
        steps = [(0.0, -0.5), (0.5, 0.5), (1.0, 1.0)]
        steps += [(3600 * until, 1.0), (3600 * until + 0.5, -0.5)] if until else []
        rows += [
            {
                "site_id": "shop",
                "camera_id": "cam-1",
                "tracklet_id": tracklet_id,
                "ts_utc": begin + timedelta(seconds=s),
                "x_m": float(x),
                "y_m": y,
                "confidence": 1.0,
                "is_observed": True,
            }
            for s, y in steps
        ]
        spans.append(tracklet_id)
    store, change = workspace.store, Change(cause="test")
    source = f"chunk:{CAMERA}/{begin:%Y%m%dT%H%M%SZ}"
    points = pa.Table.from_pylist(rows, schema=DATASETS["tracklet_points"])
    store.replace(change, "tracklet_points", points, source=source, partition=day.isoformat())
    covered = {
        "site_id": "shop",
        "source_kind": "camera",
        "source_id": "cam-1",
        "key": source.removeprefix("chunk:"),
        "from_utc": begin,
        "to_utc": begin + timedelta(hours=1),
        "status": "complete",
        "reason": None,
        "observed_s": 3600.0,
        "expected_s": 3600.0,
        "fetched_at_utc": None,
    }
    coverage = pa.Table.from_pylist([covered], schema=DATASETS["coverage"])
    store.replace(change, "coverage", coverage, source=source, partition=day.isoformat())
    store.commit(change)


def versions(workspace, day: date) -> list[dict]:
    """Every version of a day, the current one first."""
    return [row for row in versions_table(workspace.store.ledger).to_pylist() if row["day"] == day]


def touched_hours(workspace) -> set[tuple[str, str]]:
    """Unit-hours that no build has consumed."""
    rows = workspace.store.ledger.rows(select(AFFECTED_HOURS))
    return {(row["unit_id"], from_us(row["hour_start_utc"])) for row in rows}


def forget_touched(workspace) -> None:
    """As if a build had consumed them."""
    with workspace.store.ledger.transaction() as connection:
        connection.execute(AFFECTED_HOURS.delete())
