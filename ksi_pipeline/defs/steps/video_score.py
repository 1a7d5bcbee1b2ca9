"""Scoring ingested video beside the truth: boxes by video_ingest, lines and zones by counting.

The people of the truth walk over the same homography and through the same counting as tracklets do,
so what differs is detection and tracking alone.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.events import Events
from ksi_pipeline.core.schemas import DATASETS, ON_REQUEST
from ksi_pipeline.defs.steps.counting import count_points
from ksi_pipeline.defs.steps.truth_counts import LineTruth, TruthCounts, ZoneTruth, read_counts
from ksi_pipeline.defs.steps.video_files import camera_spec
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.files import read_parquet
from video_ingest.calibrate import fit_homography
from video_ingest.instants import from_us, to_us
from video_ingest.score import BoxScores, score_boxes
from video_ingest.truth import Truth, read_mot

_POINTS = DATASETS["tracklet_points"]
_KEY = ["tracklet_id", "ts_utc"]


@dataclass(frozen=True, slots=True)
class LineScore:
    """Crossings of one counting line, counted and true."""

    line_id: str
    in_counted: int
    in_true: int
    out_counted: int
    out_true: int


@dataclass(frozen=True, slots=True)
class ZoneScore:
    """Time in one zone, counted and true.

    Attributes:
        person_s: seconds that people spent there, summed over people.
        error_pct: person_s beside the truth, per cent; None where the truth has none.
        visits: None in `visits_true` where the truth does not say.
        mean_dwell_s: person_s for each visit; None without visits.
    """

    zone_id: str
    person_s: float
    person_s_true: float
    error_pct: float | None
    visits: int
    visits_true: int | None
    mean_dwell_s: float | None
    mean_dwell_s_true: float | None


@dataclass(frozen=True, slots=True)
class VideoScore:
    """How good one folder of tracklets is.

    Attributes:
        folder: as it was named.
        lines: those the camera sees, in the order of the space file; empty without a space file.
        zones: the same.
    """

    folder: str
    boxes: BoxScores
    lines: list[LineScore]
    zones: list[ZoneScore]

    def as_dict(self) -> dict[str, Any]:
        """Give all figures by name, floats to three decimals."""
        boxes = {name: _rounded(value) for name, value in asdict(self.boxes).items()}
        return {
            "folder": self.folder,
            **boxes,
            "lines": [asdict(line) for line in self.lines],
            "zones": [
                {name: _rounded(value) for name, value in asdict(zone).items()}
                for zone in self.zones
            ],
        }


def score_folder(
    folder: Path,
    truth_file: Path,
    *,
    fps: float,
    start_utc: datetime | None = None,
    frames: tuple[int, int] | None = None,
    space: Space | None = None,
    counts_file: Path | None = None,
) -> VideoScore:
    """Score what `ksi video ingest --boxes` wrote into a folder.

    Args:
        folder: with boxes.parquet, coverage.parquet and, where a space file is given,
            tracklet_points.parquet.
        truth_file: MOT Challenge, see video_ingest.truth.
        fps: frames a second of the truth.
        start_utc: instant of the truth's frame 1; None for the begin of the coverage.
        frames: first and last frame to judge; None for all.
        space: of the site; None for no lines and zones.
        counts_file: JSON with the true counts of lines and zones, see read_counts; None to count
            the truth's own foot points.

    Raises:
        ConfigError: E_BOXES, E_NOT_CALIBRATED, E_UNKNOWN_CAMERA or E_TRUTH.
        ContractError: a Parquet file is none, or not of its schema.
        VideoError: see read_mot and score_boxes.
    """
    boxes = _boxes(folder)
    start_us = to_us(start_utc) if start_utc else _begin_us(folder)
    truth = read_mot(truth_file, start_us, fps)
    if frames:
        truth = truth.between(*frames)
    scores = score_boxes(boxes, truth)
    if space is None:
        return VideoScore(str(folder), scores, [], [])
    points = _points(folder, boxes)
    camera_id = boxes["camera_id"][0].as_py()
    true = _true_counts(truth, space, camera_id)
    if counts_file:
        true = read_counts(counts_file, space).of(true)
    counted = _counted(count_points(points, space), truth, true)
    return VideoScore(str(folder), scores, _lines(counted, true), _zones(counted, true))


def _boxes(folder: Path) -> pa.Table:
    path = folder / "boxes.parquet"
    if not path.is_file():
        raise ConfigError(
            f"Scoring {folder} failed: it has no boxes.parquet. Nothing was scored. Ingest the "
            "video with --boxes, and name the folder given to --out.",
            code="E_BOXES",
        )
    boxes = read_parquet(path, ON_REQUEST["boxes"])
    cameras = boxes.group_by(["site_id", "camera_id"]).aggregate([])
    if cameras.num_rows != 1:
        raise ConfigError(
            f"Scoring {folder} failed: its boxes are of {cameras.num_rows} cameras, and the truth "
            "is of one. Nothing was scored. Ingest one camera into a folder.",
            code="E_BOXES",
        )
    return boxes


def _begin_us(folder: Path) -> int:
    coverage = read_parquet(folder / "coverage.parquet", DATASETS["coverage"])
    begin = pc.min(coverage["from_utc"]).as_py()
    if begin is None:
        raise ConfigError(
            f"Scoring {folder} failed: its coverage is empty, so when the truth begins is not "
            "known. Nothing was scored. Give the instant of the truth's frame 1 with --start.",
            code="E_BOXES",
        )
    return to_us(begin)


def _points(folder: Path, boxes: pa.Table) -> pa.Table:
    """Points of the folder, of the same run as its boxes."""
    points = read_parquet(folder / "tracklet_points.parquet", _POINTS)
    somebody = boxes.filter(pc.is_valid(boxes["tracklet_id"]))
    in_order = [(name, "ascending") for name in _KEY]
    here, there = points.sort_by(in_order), somebody.sort_by(in_order)
    if not all(here[name].equals(there[name]) for name in _KEY):
        raise ConfigError(
            f"Scoring {folder} failed: its boxes and its tracklet_points are of different runs. "
            "Nothing was scored. Ingest the video again, with --boxes.",
            code="E_BOXES",
        )
    if points.num_rows and points["x_m"].null_count == points.num_rows:
        raise ConfigError(
            f"Scoring {folder} failed: no point has a place in metres, so lines and zones cannot "
            "be counted. Nothing was scored. Ingest the video again with the homography in the "
            "space file, or leave --space out to score boxes alone.",
            code="E_NOT_CALIBRATED",
        )
    return points


def _true_counts(truth: Truth, space: Space, camera_id: str) -> TruthCounts:
    """Count the foot points of the truth."""
    start_utc = from_us(truth.start_us)
    spec = camera_spec(space, camera_id, start_utc)
    if not spec.homography:
        raise ConfigError(
            f"Counting the truth failed: camera {camera_id!r} has no homography in {space.name}. "
            "Nothing was scored. Add it, or leave --space out to score boxes alone.",
            code="E_NOT_CALIBRATED",
        )
    feet = np.column_stack([truth.corners[:, ::2].mean(axis=1), truth.corners[:, 3]])
    floor = fit_homography(spec.homography).to_floor(feet)
    count = len(feet)
    points = pa.Table.from_arrays(
        [
            pa.array([space.site_id] * count),
            pa.array([camera_id] * count),
            pa.array([str(person) for person in truth.person]),
            pa.array(truth.at_us(truth.frame)).cast(_POINTS.field("ts_utc").type),
            pa.array(floor[:, 0], from_pandas=True),
            pa.array(floor[:, 1], from_pandas=True),
            pa.array(np.ones(count), pa.float32()),
            pa.array([True] * count),
        ],
        schema=_POINTS,
    )
    in_order = [("tracklet_id", "ascending"), ("ts_utc", "ascending")]
    seen = space.camera_at(camera_id, start_utc)
    shapes = set(seen.sees) if seen else set()
    return _counts(
        count_points(points.sort_by(in_order), space),
        truth,
        [line.id for line in space.file.lines if line.id in shapes],
        [zone.id for zone in space.file.zones if zone.id in shapes],
    )


def _counted(events: Events, truth: Truth, true: TruthCounts) -> TruthCounts:
    return _counts(events, truth, list(true.lines), list(true.zones))


def _counts(
    events: Events, truth: Truth, line_ids: Sequence[str], zone_ids: Sequence[str]
) -> TruthCounts:
    """Crossings and time in zones between the first and the last frame that is judged."""
    first, last = (from_us(instant) for instant in truth.window_us)
    crossings: Counter[tuple[str, str]] = Counter()
    for row in events.line_crossings.select(["line_id", "direction", "at_utc"]).to_pylist():
        crossings[row["line_id"], row["direction"]] += first <= row["at_utc"] <= last
    seconds: dict[str, float] = defaultdict(float)
    visits: Counter[str] = Counter()
    for row in events.visits.select(["zone_id", "entered_at_utc", "left_at_utc"]).to_pylist():
        begin, end = max(row["entered_at_utc"], first), min(row["left_at_utc"], last)
        if begin < end:
            seconds[row["zone_id"]] += (end - begin).total_seconds()
            visits[row["zone_id"]] += 1
    return TruthCounts(
        {each: LineTruth(crossings[each, "in"], crossings[each, "out"]) for each in line_ids},
        {each: ZoneTruth(seconds[each], visits[each]) for each in zone_ids},
    )


def _lines(counted: TruthCounts, true: TruthCounts) -> list[LineScore]:
    return [
        LineScore(
            line_id,
            in_counted=counted.lines[line_id].in_count,
            in_true=line.in_count,
            out_counted=counted.lines[line_id].out_count,
            out_true=line.out_count,
        )
        for line_id, line in true.lines.items()
    ]


def _zones(counted: TruthCounts, true: TruthCounts) -> list[ZoneScore]:
    return [_zone(zone_id, counted.zones[zone_id], zone) for zone_id, zone in true.zones.items()]


def _zone(zone_id: str, counted: ZoneTruth, true: ZoneTruth) -> ZoneScore:
    off = counted.person_s - true.person_s
    return ZoneScore(
        zone_id,
        person_s=counted.person_s,
        person_s_true=true.person_s,
        error_pct=100 * off / true.person_s if true.person_s else None,
        visits=counted.visits or 0,
        visits_true=true.visits,
        mean_dwell_s=_mean(counted),
        mean_dwell_s_true=_mean(true),
    )


def _mean(zone: ZoneTruth) -> float | None:
    return zone.person_s / zone.visits if zone.visits else None


def _rounded(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value
