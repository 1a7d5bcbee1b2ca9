"""Boxes to tracklets: follows foot points from sample to sample and from chunk to chunk.

At each sample every known person is predicted ahead with their speed and matched to the
detections, at least total cost, first to confident ones and then to faint ones. Distances are in
body heights and gates grow with seconds, so 2 samples a second work as well as 25. It does not
look at appearance, and it does not rejoin a person who was lost for longer than `lost_s`.

The same boxes give the same tracklets, bit for bit, however they are divided into chunks, if the
state of each chunk is handed to the next.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from video_ingest.detectors.base import Boxes
from video_ingest.detectors.boxes import overlap
from video_ingest.instants import SECOND_US, from_us, seconds_to_us
from video_ingest.tracker_state import Sample, TrackerParams, TrackerState, TrackState

FloatArray = NDArray[np.float64]
_IMPOSSIBLE = 1e6


@dataclass(frozen=True, slots=True)
class TrackletSoFar:
    """A tracklet as of now.

    Attributes:
        first_us: instant of its first sample.
        last_us: instant of its last sample.
        sample_count: samples given out, those of earlier chunks and filled ones included.
        chunk_ids: chunks that gave detections, in time order.
    """

    tracklet_id: str
    first_us: int
    last_us: int
    sample_count: int
    chunk_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Detections of one instant; row i of each array is one of them."""

    foot: FloatArray
    size: FloatArray
    confidence: FloatArray
    corners: FloatArray

    @classmethod
    def of(cls, boxes: Boxes, min_confidence: float) -> "_Found":
        rows = np.asarray(boxes, dtype=np.float64).reshape(-1, 5)
        size = rows[:, 2:4] - rows[:, :2]
        rows = rows[(rows[:, 4] >= min_confidence) & np.all(size > 0, axis=1)]
        foot = np.column_stack([(rows[:, 0] + rows[:, 2]) / 2, rows[:, 3]])
        return cls(foot, rows[:, 2:4] - rows[:, :2], rows[:, 4], rows[:, :4])

    def sample(self, row: int, at_us: int) -> Sample:
        """One detection as an observed sample."""
        foot_u, foot_v = (float(value) for value in self.foot[row])
        width, height = (float(value) for value in self.size[row])
        return Sample(at_us, foot_u, foot_v, width, height, float(self.confidence[row]), True)


class FootPointTracker:
    """Tracks one chunk of one camera, from the state that the chunk before left."""

    def __init__(
        self,
        camera_id: str,
        chunk_id: str,
        state: TrackerState | None = None,
        params: TrackerParams | None = None,
    ) -> None:
        """Take up the people in view at the end of the chunk before."""
        before = state or TrackerState()
        self._camera_id, self._chunk_id = camera_id, chunk_id
        self._params = params or TrackerParams()
        self._tracks = list(before.tracks)
        self._steps = list(before.step_us)
        self._so_far: dict[str, TrackletSoFar] = {}

    @property
    def tracks(self) -> tuple[TrackState, ...]:
        """The people in view, to be carried in `TrackerState.tracks`."""
        return tuple(self._tracks)

    @property
    def step_us(self) -> tuple[int, ...]:
        """Instants of the last samples, to be carried in `TrackerState.step_us`."""
        return tuple(self._steps)

    def touched(self) -> list[TrackletSoFar]:
        """The tracklets that got samples in this chunk, by id."""
        return [self._so_far[tracklet_id] for tracklet_id in sorted(self._so_far)]

    def step(self, at_us: int, boxes: Boxes) -> list[tuple[str, Sample]]:
        """Take in the detections of one instant.

        Args:
            at_us: microseconds since 1970 UTC, later than the step before.
            boxes: shape (n, 5): x1, y1, x2, y2 in pixels, confidence.

        Returns:
            (tracklet_id, sample) in time order for each tracklet. A confirmation gives its earlier
            samples too, and a tracklet seen again gives the filled samples of its gap.

        Raises:
            ValueError: time does not increase.
        """
        if self._steps and at_us <= self._steps[-1]:
            raise ValueError(f"Time must increase: {at_us} came after {self._steps[-1]}.")
        self._forget(at_us)
        found = _Found.of(boxes, self._params.low_confidence)
        pairs = self._match(found, at_us)
        emitted: list[tuple[str, Sample]] = []
        for track_index, row in pairs:
            track, samples = self._updated(self._tracks[track_index], found, row, at_us)
            self._tracks[track_index] = track
            emitted += samples
        self._begin(found, {row for _, row in pairs}, at_us)
        self._remember(at_us)
        return emitted

    def _forget(self, at_us: int) -> None:
        """Drop who was not seen for too long; before matching, since a chunk may be missing."""
        lost = seconds_to_us(self._params.lost_s)
        unconfirmed = seconds_to_us(self._params.unconfirmed_s)
        self._tracks = [
            track
            for track in self._tracks
            if at_us - track.last_us <= (lost if self._is_confirmed(track) else unconfirmed)
        ]

    def _remember(self, at_us: int) -> None:
        since = at_us - seconds_to_us(max(self._params.fill_s, self._params.unconfirmed_s))
        self._steps = [step for step in self._steps if step >= since] + [at_us]

    def _is_confirmed(self, track: TrackState) -> bool:
        return track.hits >= self._params.confirm_hits

    def _match(self, found: _Found, at_us: int) -> list[tuple[int, int]]:
        """Pairs (index of track, row of detection), confident detections first."""
        is_high = found.confidence >= self._params.high_confidence
        free = list(range(len(self._tracks)))
        pairs: list[tuple[int, int]] = []
        for rows, gate_share in (
            (np.flatnonzero(is_high), 1.0),
            (np.flatnonzero(~is_high), self._params.low_gate_share),
        ):
            cost = self._cost([self._tracks[i] for i in free], found, rows, at_us, gate_share)
            chosen = zip(*linear_sum_assignment(cost), strict=True)
            new = [(free[i], int(rows[j])) for i, j in chosen if cost[i, j] < _IMPOSSIBLE]
            taken = {track_index for track_index, _ in new}
            free = [index for index in free if index not in taken]
            pairs += new
        return pairs

    def _cost(
        self,
        tracks: Sequence[TrackState],
        found: _Found,
        rows: NDArray[np.intp],
        at_us: int,
        gate_share: float,
    ) -> FloatArray:
        """Cost of each pair, shape (tracks, rows), in body heights; _IMPOSSIBLE outside a gate."""
        params = self._params
        cost = np.full((len(tracks), len(rows)), _IMPOSSIBLE)
        for i, track in enumerate(tracks):
            unseen_s = (at_us - track.last_us) / SECOND_US
            ahead_s = min(unseen_s, params.predict_s)
            place = np.array(
                [track.u_px + track.speed_u * ahead_s, track.v_px + track.speed_v * ahead_s]
            )
            away = np.linalg.norm(found.foot[rows] - place, axis=1) / track.height_px
            ratio = np.abs(np.log(found.size[rows, 1] / track.height_px))
            per_s = params.drift_h_s if track.hits > 2 else params.speed_h_s
            gate = (params.gate_h + per_s * min(unseen_s, params.gate_growth_s)) * gate_share
            is_possible = (away < gate) & (ratio < math.log(params.max_height_ratio))
            cost[i, is_possible] = (away + params.height_weight * ratio)[is_possible]
        return cost

    def _updated(
        self, track: TrackState, found: _Found, row: int, at_us: int
    ) -> tuple[TrackState, list[tuple[str, Sample]]]:
        """The track with one detection more, and the samples that this gives out."""
        sample = found.sample(row, at_us)
        samples = (*track.pending, *self._filled(track, sample), sample)
        moved = self._moved(track, found, row, at_us)
        if not self._is_confirmed(moved):
            return replace(moved, pending=samples), []
        done = replace(moved, pending=(), sample_count=moved.sample_count + len(samples))
        tracklet_id = self._tracklet_id(done)
        self._so_far[tracklet_id] = TrackletSoFar(
            tracklet_id, done.first_us, at_us, done.sample_count, done.chunk_ids
        )
        return done, [(tracklet_id, each) for each in samples]

    def _moved(self, track: TrackState, found: _Found, row: int, at_us: int) -> TrackState:
        """The track at its new place, with speed and size smoothed in time."""
        params, step_s = self._params, (at_us - track.last_us) / SECOND_US
        foot_u, foot_v = (float(value) for value in found.foot[row])
        width, height = (float(value) for value in found.size[row])
        new_u, new_v = (foot_u - track.u_px) / step_s, (foot_v - track.v_px) / step_s
        # The first speed rests on two noisy points only; trust most of it.
        speed = 0.7 if track.hits == 1 else 1.0 - math.exp(-step_s / params.speed_memory_s)
        size = 1.0 - math.exp(-step_s / params.size_memory_s)
        is_new_chunk = self._chunk_id not in track.chunk_ids[-1:]
        return replace(
            track,
            last_us=at_us,
            u_px=foot_u,
            v_px=foot_v,
            speed_u=track.speed_u + speed * (new_u - track.speed_u),
            speed_v=track.speed_v + speed * (new_v - track.speed_v),
            height_px=track.height_px + size * (height - track.height_px),
            width_px=track.width_px + size * (width - track.width_px),
            hits=track.hits + 1,
            chunk_ids=(*track.chunk_ids, self._chunk_id) if is_new_chunk else track.chunk_ids,
        )

    def _filled(self, track: TrackState, sample: Sample) -> list[Sample]:
        """Samples on the straight line from the last detection to this one."""
        gap_us = sample.at_us - track.last_us
        if gap_us > seconds_to_us(self._params.fill_s):
            return []
        filled = []
        for step in self._steps:
            if step > track.last_us:
                share = (step - track.last_us) / gap_us
                u_px, v_px, width_px, height_px = (
                    before + share * (after - before)
                    for before, after in (
                        (track.u_px, sample.u_px),
                        (track.v_px, sample.v_px),
                        (track.width_px, sample.width_px),
                        (track.height_px, sample.height_px),
                    )
                )
                filled.append(Sample(step, u_px, v_px, width_px, height_px, None, False))
        return filled

    def _begin(self, found: _Found, matched: set[int], at_us: int) -> None:
        """Begin a track for each confident detection that matched none."""
        seen = [track for track in self._tracks if track.last_us == at_us]
        shared = overlap(found.corners, _corners(seen)).max(axis=1, initial=0.0)
        number = 0
        for row in range(len(found.foot)):
            is_new = row not in matched and found.confidence[row] >= self._params.new_confidence
            if not is_new or shared[row] > self._params.max_overlap:
                continue
            number += 1
            sample = found.sample(row, at_us)
            self._tracks.append(
                TrackState(
                    first_us=at_us,
                    number=number,
                    last_us=at_us,
                    u_px=sample.u_px,
                    v_px=sample.v_px,
                    speed_u=0.0,
                    speed_v=0.0,
                    height_px=sample.height_px,
                    width_px=sample.width_px,
                    hits=1,
                    sample_count=0,
                    pending=(sample,),
                    chunk_ids=(self._chunk_id,),
                )
            )

    def _tracklet_id(self, track: TrackState) -> str:
        first = from_us(track.first_us).strftime("%Y%m%dT%H%M%S.%fZ")
        return f"{self._camera_id}-{first}-{track.number}"


def _corners(tracks: Sequence[TrackState]) -> FloatArray:
    """Boxes of tracks, shape (n, 4)."""
    return np.array(
        [
            [t.u_px - t.width_px / 2, t.v_px - t.height_px, t.u_px + t.width_px / 2, t.v_px]
            for t in tracks
        ],
        dtype=np.float64,
    ).reshape(-1, 4)
