"""Laying one source's tracklets into the lake: the same for a decoded chunk and a delivery."""

from collections import defaultdict
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from ksi_pipeline.defs.steps.touched import hours_in, spans_of, units_seen
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.store import Change, Store


def land_tracklets(
    store: Store,
    change: Change,
    space: Space,
    camera_id: str,
    source: str,
    tables: dict[str, pa.Table],
) -> None:
    """Let `tables` be all that a source says about tracklets and coverage.

    Points go to the UTC day of their tracklet's first sample. Unit-hours are touched where the
    coverage changed; counts touch theirs when the events are counted.

    Args:
        store: where to.
        change: what to add to; nothing counts before it is committed.
        space: the camera's site.
        camera_id: the camera.
        source: `chunk:<id>` or `delivery:<id>`.
        tables: tracklet_points, tracklets and coverage.
    """
    by_day = _points_by_day(tables["tracklet_points"], tables["tracklets"])
    known = {row["partition"] for row in store.ledger.live_files("tracklet_points", source=source)}
    empty = tables["tracklet_points"].slice(0, 0)
    for day in sorted(known | by_day.keys()):
        table = by_day.get(day, empty)
        store.replace(change, "tracklet_points", table, source=source, partition=day)
    store.replace(change, "tracklets", tables["tracklets"], source=source)
    before = store.read("coverage", source=source)
    if store.replace(change, "coverage", tables["coverage"], source=source):
        spans = {*spans_of(before), *spans_of(tables["coverage"])}
        change.affect(hours_in(space, units_seen(space, camera_id), sorted(spans)))


def _points_by_day(points: pa.Table, tracklets: pa.Table) -> dict[str, pa.Table]:
    first = dict(
        zip(tracklets["tracklet_id"].to_pylist(), tracklets["first_utc"].to_pylist(), strict=True)
    )
    ids_by_day: dict[str, list[str]] = defaultdict(list)
    for tracklet_id in pc.unique(points["tracklet_id"]).to_pylist():
        ids_by_day[_day(first[tracklet_id])].append(tracklet_id)
    return {
        day: points.filter(pc.is_in(points["tracklet_id"], pa.array(ids)))
        for day, ids in ids_by_day.items()
    }


def _day(instant: datetime) -> str:
    return instant.astimezone(UTC).date().isoformat()
