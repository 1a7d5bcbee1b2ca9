"""How good tracklets are beside the truth: HOTA, CLEAR MOT and identity scores by TrackEval.

Only frames that were looked at are judged, each beside the truth's frame nearest to it, so that a
run at 2 samples a second is judged on what it claims to know. Scores of different sampling rates
are therefore of different frames.

Sources: HOTA: Luiten et al., IJCV 2020; MOTA: Bernardin and Stiefelhagen, 2008; IDF1: Ristani et
al., 2016. A match of MOTA and IDF1 needs an overlap (intersection over union) of 0.5.
"""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from video_ingest.contract import VideoError
from video_ingest.detectors.boxes import overlap
from video_ingest.instants import SECOND_US, from_us
from video_ingest.truth import FloatArray, IntArray, Truth

MIN_OVERLAP = 0.5
_CORNERS = ("x1_px", "y1_px", "x2_px", "y2_px")


@dataclass(frozen=True, slots=True)
class BoxScores:
    """Scores of one run; those of HOTA and MOTA in per cent, 100 is best.

    Attributes:
        sample_hz: samples a second that were judged; None for a single one.
        samples: frames judged.
        samples_left_out: frames looked at that the truth does not tell about.
        people: different people of the truth in these frames.
        tracklets: different tracklets in them.
        truth_boxes: people summed over frames.
        boxes: tracklets summed over frames, filled ones included.
        hota: mean over the overlaps 0.05 to 0.95; detection and association weigh the same.
        det_a: the part of HOTA that is detection.
        ass_a: the part of HOTA that is association.
        mota: 100 minus misses, false boxes and identity switches for 100 boxes of truth; may be
            negative.
        idf1: share of boxes that carry the one tracklet that is best for their person.
        recall: share of the truth's boxes that were found.
        precision: share of boxes that are somebody; None without boxes.
        id_switches: a person goes on as another tracklet.
        misses: boxes of the truth that were not found.
        false_boxes: boxes that are nobody.
    """

    sample_hz: float | None
    samples: int
    samples_left_out: int
    people: int
    tracklets: int
    truth_boxes: int
    boxes: int
    hota: float
    det_a: float
    ass_a: float
    mota: float
    idf1: float
    recall: float
    precision: float | None
    id_switches: int
    misses: int
    false_boxes: int


def score_boxes(boxes: pa.Table, truth: Truth) -> BoxScores:
    """Compare boxes with the truth in the frames that were looked at.

    Args:
        boxes: BOXES of one camera, any order.
        truth: of the same video.

    Raises:
        VideoError: E_SCORE_MISSING when TrackEval is not installed, E_BOXES when a tracklet is
            twice in a frame, E_TRUTH_TIME when no frame that was looked at has truth, or nobody is
            in any that has.
    """
    metrics = _import_metrics()
    sampled_us, row_sample = np.unique(_instants(boxes), return_inverse=True)
    samples, frames = truth.paired(sampled_us)
    if len(samples) == 0:
        raise _no_time(sampled_us, truth)
    ids, names = _tracklets(boxes)
    _require_once(ids, row_sample, names)
    data = _aligned(boxes, ids, row_sample, samples, truth, frames)
    if data["num_gt_dets"] == 0:
        raise _nobody(frames)
    hota = metrics.HOTA().eval_sequence(data)
    settings = {"THRESHOLD": MIN_OVERLAP, "PRINT_CONFIG": False}
    clear = metrics.CLEAR(dict(settings)).eval_sequence(data)
    identity = metrics.Identity(dict(settings)).eval_sequence(data)
    return BoxScores(
        sample_hz=_rate(sampled_us[samples]),
        samples=len(samples),
        samples_left_out=len(sampled_us) - len(samples),
        people=data["num_gt_ids"],
        tracklets=data["num_tracker_ids"],
        truth_boxes=data["num_gt_dets"],
        boxes=data["num_tracker_dets"],
        hota=100 * float(np.mean(hota["HOTA"])),
        det_a=100 * float(np.mean(hota["DetA"])),
        ass_a=100 * float(np.mean(hota["AssA"])),
        mota=100 * float(clear["MOTA"]),
        idf1=100 * float(identity["IDF1"]),
        recall=100 * float(clear["CLR_Re"]),
        precision=100 * float(clear["CLR_Pr"]) if data["num_tracker_dets"] else None,
        id_switches=int(clear["IDSW"]),
        misses=int(clear["CLR_FN"]),
        false_boxes=int(clear["CLR_FP"]),
    )


def _aligned(
    boxes: pa.Table,
    ids: IntArray,
    row_sample: IntArray,
    samples: IntArray,
    truth: Truth,
    frames: IntArray,
) -> dict[str, Any]:
    """Both sides frame by frame, in the form that TrackEval takes; ids are 0 to n - 1."""
    corners = np.column_stack([boxes[name].to_numpy().astype(np.float64) for name in _CORNERS])
    is_judged = (ids >= 0) & np.isin(row_sample, samples)
    is_true = np.isin(truth.frame, frames)
    found, found_ids = _renumbered(ids, is_judged)
    people, people_ids = _renumbered(truth.person, is_true)
    rows = _rows_of(np.where(is_judged, row_sample, -1), samples)
    true_rows = _rows_of(truth.frame, frames)
    return {
        "num_timesteps": len(frames),
        "num_gt_ids": people,
        "num_tracker_ids": found,
        "num_gt_dets": sum(len(each) for each in true_rows),
        "num_tracker_dets": sum(len(each) for each in rows),
        "gt_ids": [people_ids[each] for each in true_rows],
        "tracker_ids": [found_ids[each] for each in rows],
        "similarity_scores": [
            _overlap(truth.corners[true], corners[each])
            for true, each in zip(true_rows, rows, strict=True)
        ],
    }


def _rows_of(keys: IntArray, wanted: IntArray) -> list[IntArray]:
    """For each wanted key the rows that have it."""
    order = np.argsort(keys, kind="stable")
    begins = np.searchsorted(keys[order], wanted, side="left")
    ends = np.searchsorted(keys[order], wanted, side="right")
    return [order[begin:end] for begin, end in zip(begins, ends, strict=True)]


def _overlap(true: FloatArray, found: FloatArray) -> FloatArray:
    # HOTA's last threshold is 0.95; an overlap beyond 1 by rounding would be none of TrackEval's.
    return np.minimum(overlap(true, found), 1.0)


def _renumbered(ids: IntArray, is_used: Any) -> tuple[int, IntArray]:
    """How many different ids are used, and all ids as 0 to n - 1, -1 where not used."""
    known, numbers = np.unique(ids[is_used], return_inverse=True)
    renumbered = np.full(len(ids), -1, dtype=np.int64)
    renumbered[is_used] = numbers
    return len(known), renumbered


def _instants(boxes: pa.Table) -> IntArray:
    return np.asarray(boxes["ts_utc"].cast(pa.int64()).to_numpy(), dtype=np.int64)


def _tracklets(boxes: pa.Table) -> tuple[IntArray, list[str]]:
    """A number for each row, -1 for a row without a tracklet, and the names by number."""
    coded = boxes["tracklet_id"].combine_chunks().dictionary_encode()
    numbers = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)
    return np.asarray(numbers, dtype=np.int64), coded.dictionary.to_pylist()


def _require_once(ids: IntArray, row_sample: IntArray, names: list[str]) -> None:
    somebody = ids >= 0
    pairs, count = np.unique(
        np.column_stack([row_sample[somebody], ids[somebody]]), axis=0, return_counts=True
    )
    if np.any(count > 1):
        name = names[int(pairs[count > 1][0, 1])]
        raise VideoError(
            f"Scoring failed: tracklet {name!r} has two boxes at one instant. Nothing was scored. "
            "Give the boxes of one run, as `--boxes` wrote them.",
            code="E_BOXES",
        )


def _rate(sampled_us: IntArray) -> float | None:
    if len(sampled_us) < 2:
        return None
    return round(SECOND_US / float(np.median(np.diff(sampled_us))), 3)


def _no_time(sampled_us: IntArray, truth: Truth) -> VideoError:
    looked = "no frame was looked at"
    if len(sampled_us):
        ends = from_us(int(sampled_us[0])), from_us(int(sampled_us[-1]))
        looked = f"frames were looked at from {ends[0].isoformat()} to {ends[1].isoformat()}"
    known = [from_us(instant).isoformat() for instant in truth.window_us]
    return VideoError(
        f"Scoring failed: {looked}, and the truth is of {known[0]} to {known[1]}. Nothing was "
        "scored. Correct the start and the frame rate of the truth, or give the video's own.",
        code="E_TRUTH_TIME",
    )


def _nobody(frames: IntArray) -> VideoError:
    return VideoError(
        f"Scoring failed: by the truth nobody is in any of the {len(frames)} frames looked at, "
        f"from {frames[0]} to {frames[-1]}. Nothing was scored. Choose frames with somebody.",
        code="E_TRUTH_TIME",
    )


def _import_metrics() -> ModuleType:
    try:
        from trackeval import metrics
    except ImportError as error:
        raise VideoError(
            f"Scoring failed: the package trackeval cannot be imported ({error}). Nothing was "
            "scored. Run: pip install 'ksi_pipeline[score]'",
            code="E_SCORE_MISSING",
        ) from error
    return metrics  # type: ignore[no-any-return]
