"""Arrow tables of a run: built from samples, merged over chunks, written as Parquet.

The three files are all that a run writes, and on request a fourth with boxes.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from video_ingest.calibrate import Homography
from video_ingest.contract import (
    BOXES,
    COVERAGE,
    TRACKLET_POINTS,
    TRACKLETS,
    CameraSpec,
    VideoError,
)
from video_ingest.instants import from_us
from video_ingest.tracker_base import TrackletSoFar
from video_ingest.tracker_state import Sample


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """The tables of one or more chunks, in the schemas of the contract.

    Attributes:
        points: ordered by site_id, tracklet_id and ts_utc.
        tracklets: ordered by site_id and tracklet_id.
        coverage: ordered by site_id, source_id and time.
        boxes: ordered by ts_utc and tracklet_id.
    """

    points: pa.Table
    tracklets: pa.Table
    coverage: pa.Table
    boxes: pa.Table


def points_table(
    samples: Sequence[tuple[str, Sample]], camera: CameraSpec, homography: Homography | None
) -> pa.Table:
    """Samples as TRACKLET_POINTS, ordered by tracklet_id and ts_utc.

    Args:
        samples: (tracklet_id, sample), in any order.
        camera: that saw them.
        homography: None when the camera is not calibrated. Then, and for a pixel above the
            horizon, x_m and y_m are null.
    """
    ordered = sorted(samples, key=lambda each: (each[0], each[1].at_us))
    feet = np.array([[s.u_px, s.v_px] for _, s in ordered], dtype=np.float64).reshape(-1, 2)
    floor = np.full_like(feet, np.nan) if homography is None else homography.to_floor(feet)
    count = len(ordered)
    return pa.Table.from_arrays(
        [
            pa.array([camera.site_id] * count, pa.string()),
            pa.array([camera.camera_id] * count, pa.string()),
            pa.array([tracklet_id for tracklet_id, _ in ordered], pa.string()),
            pa.array([s.at_us for _, s in ordered], pa.int64()).cast(pa.timestamp("us", tz="UTC")),
            # NaN, which means nowhere on the floor, becomes null
            pa.array(floor[:, 0], pa.float64(), from_pandas=True),
            pa.array(floor[:, 1], pa.float64(), from_pandas=True),
            pa.array([s.confidence for _, s in ordered], pa.float32()),
            pa.array([s.is_observed for _, s in ordered], pa.bool_()),
        ],
        schema=TRACKLET_POINTS,
    )


def boxes_table(
    samples: Sequence[tuple[str, Sample]], sampled_us: Sequence[int], camera: CameraSpec
) -> pa.Table:
    """Samples as BOXES, ordered by ts_utc and tracklet_id.

    Args:
        samples: (tracklet_id, sample), in any order.
        sampled_us: instants of all frames looked at; those without a sample give an empty row.
        camera: that saw them.
    """
    ordered = sorted(samples, key=lambda each: (each[1].at_us, each[0]))
    middle, foot, width, height = (
        np.array([[s.u_px, s.v_px, s.width_px, s.height_px] for _, s in ordered], dtype=np.float64)
        .reshape(-1, 4)
        .T
    )
    columns = {
        "tracklet_id": [tracklet_id for tracklet_id, _ in ordered],
        "ts_utc": [sample.at_us for _, sample in ordered],
        "x1_px": middle - width / 2,
        "y1_px": foot - height,
        "x2_px": middle + width / 2,
        "y2_px": foot,
        "confidence": [sample.confidence for _, sample in ordered],
        "is_observed": [sample.is_observed for _, sample in ordered],
    }
    return _without_needless(
        pa.concat_tables([_boxes(camera, columns), _boxes(camera, {"ts_utc": list(sampled_us)})])
    )


def tracklets_table(
    tracklets: Sequence[TrackletSoFar], camera: CameraSpec, detector: str, tracker_version: str
) -> pa.Table:
    """Tracklets as of now in the form of TRACKLETS."""
    rows = [
        {
            "site_id": camera.site_id,
            "camera_id": camera.camera_id,
            "tracklet_id": each.tracklet_id,
            "first_utc": from_us(each.first_us),
            "last_utc": from_us(each.last_us),
            "sample_count": each.sample_count,
            "detector": detector,
            "tracker_version": tracker_version,
            "camera_version": camera.version,
            "chunk_ids": list(each.chunk_ids),
        }
        for each in tracklets
    ]
    return pa.Table.from_pylist(rows, schema=TRACKLETS)


def merge_tables(parts: Sequence[Tables]) -> Tables:
    """The tables of several chunks as one; of a tracklet's rows the latest is kept."""
    points = pa.concat_tables([TRACKLET_POINTS.empty_table(), *(part.points for part in parts)])
    coverage = pa.concat_tables([COVERAGE.empty_table(), *(part.coverage for part in parts)])
    boxes = pa.concat_tables([BOXES.empty_table(), *(part.boxes for part in parts)])
    latest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in (row for part in parts for row in part.tracklets.to_pylist()):
        key = (row["site_id"], row["tracklet_id"])
        if key not in latest or row["last_utc"] > latest[key]["last_utc"]:
            latest[key] = row
    return Tables(
        _sorted(points, "site_id", "tracklet_id", "ts_utc"),
        pa.Table.from_pylist([latest[key] for key in sorted(latest)], schema=TRACKLETS),
        _sorted(coverage, "site_id", "source_id", "from_utc", "to_utc", "key"),
        _without_needless(boxes),
    )


def check_out_dir(out_dir: Path) -> None:
    """Refuse a place for the tables where a file lies, before anything is decoded.

    Raises:
        VideoError: E_FILE, it or a folder above it is a file.
    """
    for place in (out_dir, *out_dir.parents):
        if place.exists() and not place.is_dir():
            raise VideoError(
                f"Writing tables to {out_dir} failed: {place} is a file. Nothing was decoded. Name "
                "a folder; it is made where it is not there.",
                code="E_FILE",
            )


def write_outputs(out_dir: Path, tables: Tables, *, with_boxes: bool = False) -> dict[str, Path]:
    """Write tracklet_points.parquet, tracklets.parquet and coverage.parquet, and nothing else.

    Each becomes visible whole or not at all. Equal tables give equal bytes.

    Args:
        out_dir: made where it does not exist.
        tables: of one run.
        with_boxes: write boxes.parquet too; without, one of an earlier run is removed, because it
            would belong to other tracklets.

    Returns:
        The file of each table, by the table's name.

    Raises:
        OSError: the folder cannot be written, or the disk is full; no file of this name is left
            half written.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    named = {
        "tracklet_points": tables.points,
        "tracklets": tables.tracklets,
        "coverage": tables.coverage,
    }
    if with_boxes:
        named["boxes"] = tables.boxes
    else:
        (out_dir / "boxes.parquet").unlink(missing_ok=True)
    return {name: _write(out_dir / f"{name}.parquet", table) for name, table in named.items()}


def _write(path: Path, table: pa.Table) -> Path:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with unfinished.open("wb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return path


def _boxes(camera: CameraSpec, columns: dict[str, Any]) -> pa.Table:
    """Columns as BOXES; those not given are null."""
    count = len(columns["ts_utc"])
    given = {
        **columns,
        "site_id": [camera.site_id] * count,
        "camera_id": [camera.camera_id] * count,
    }
    nothing = [None] * count
    arrays = [pa.array(given.get(field.name, nothing), field.type) for field in BOXES]
    return pa.Table.from_arrays(arrays, schema=BOXES)


def _without_needless(boxes: pa.Table) -> pa.Table:
    """In order, and without the empty rows of instants that have a tracklet.

    A tracklet may fill an instant of an earlier chunk, where nobody was known to be.
    """
    is_somebody = pc.is_valid(boxes["tracklet_id"])
    taken = boxes.filter(is_somebody)["ts_utc"]
    is_needed = pc.or_(is_somebody, pc.invert(pc.is_in(boxes["ts_utc"], taken)))
    return _sorted(boxes.filter(is_needed), "site_id", "camera_id", "ts_utc", "tracklet_id")


def _sorted(table: pa.Table, *columns: str) -> pa.Table:
    return table.sort_by([(column, "ascending") for column in columns]).combine_chunks()
