"""Laying one source's tracklets into the lake: the same for a decoded chunk and a delivery."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.time import Window
from ksi_pipeline.defs.steps.touched import hours_in, spans_of, units_seen
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.store import Change, Store

TRACKLET_TABLES = ("tracklet_points", "tracklets", "coverage")


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
        tables: tracklet_points, tracklets and coverage; all empty to take a source back.

    Raises:
        ContractError: E_COVERAGE_OVERLAP, another source already covers an instant of this
            camera; counting both would count people twice.
    """
    _refuse_overlap(store, space, camera_id, source, tables["coverage"])
    by_day = _points_by_day(tables["tracklet_points"], tables["tracklets"])
    known = {row["partition"] for row in store.ledger.live_files("tracklet_points", source=source)}
    empty = tables["tracklet_points"].slice(0, 0)
    for day in sorted(known | by_day.keys()):
        table = by_day.get(day, empty)
        store.replace(change, "tracklet_points", table, source=source, partition=day)
    store.replace(change, "tracklets", tables["tracklets"], source=source)
    before = store.read("coverage", source=source)
    day = _coverage_day(tables["coverage"] if tables["coverage"].num_rows else before)
    if store.replace(change, "coverage", tables["coverage"], source=source, partition=day):
        spans = {*spans_of(before), *spans_of(tables["coverage"])}
        change.affect(hours_in(space, units_seen(space, camera_id), sorted(spans)))


def not_calibrated(coverage: pa.Table) -> pa.Table:
    """Say that a camera without homography watched nothing that can be counted."""
    rows = [
        {**row, "status": "partial", "reason": "E_NOT_CALIBRATED", "observed_s": 0.0}
        if row["status"] == "complete"
        else row
        for row in coverage.to_pylist()
    ]
    return pa.Table.from_pylist(rows, schema=coverage.schema)


def _refuse_overlap(
    store: Store, space: Space, camera_id: str, source: str, coverage: pa.Table
) -> None:
    mine = _complete(coverage)
    if not mine:
        return
    # Chunks are disjoint among themselves: each instant belongs to the earlier one.
    kinds = ("delivery",) if source.startswith("chunk:") else ("delivery", "chunk")
    first = date.fromisoformat(_coverage_day(coverage))
    for kind in kinds:
        prefix = f"{kind}:{space.site_id}/{camera_id}/"
        for shift in (-1, 0, 1):
            day = (first + timedelta(days=shift)).isoformat()
            for file in store.ledger.live_files("coverage", prefix=prefix, partition=day):
                if file["source"] != source:
                    others = _complete(store.read("coverage", source=file["source"]))
                    _require_disjoint(source, mine, file["source"], others)


def _require_disjoint(
    source: str, mine: Sequence[Window], other: str, others: Sequence[Window]
) -> None:
    for window in mine:
        for taken in others:
            if window.overlap(taken):
                raise ContractError(
                    f"{source} covers {window.start.isoformat()} to {window.end.isoformat()}, of "
                    f"which {other} already covers a part. Counting both would count people twice, "
                    "so it is kept aside. Remove one of the two from the inbox; to replace what "
                    "counts, send it again under the name it came with.",
                    code="E_COVERAGE_OVERLAP",
                )


def _complete(coverage: pa.Table) -> list[Window]:
    return [
        Window(row["from_utc"], row["to_utc"])
        for row in coverage.to_pylist()
        if row["status"] == "complete" and row["from_utc"] < row["to_utc"]
    ]


def _coverage_day(coverage: pa.Table) -> str:
    return _day(min(coverage["from_utc"].to_pylist())) if coverage.num_rows else "none"


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
