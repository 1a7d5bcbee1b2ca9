"""Boxes to tracklets: follows foot points from sample to sample and from chunk to chunk.

At each sample every known person is predicted ahead as people walk (`walk`) and matched to the
detections (`matching`), first to confident ones and then to faint ones. Distances are in metres
where the camera is calibrated, else in body heights (`ground`); what may match grows with seconds,
so 2 samples a second work as well as 25. Somebody hidden for seconds gets their tracklet back where
their walk leads. It does not look at appearance.

The same boxes give the same tracklets, bit for bit, however they are divided into chunks, if the
state of each chunk is handed to the next.
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from video_ingest.calibrate import Homography
from video_ingest.detectors.base import Boxes
from video_ingest.detectors.boxes import overlap
from video_ingest.ground import Floor, Ground, Picture
from video_ingest.instants import SECOND_US, seconds_to_us
from video_ingest.matching import Found, cheapest_pairs, pair_cost
from video_ingest.tracker_base import TrackletSoFar, tracklet_id
from video_ingest.tracker_state import Sample, TrackerParams, TrackerState, TrackState
from video_ingest.walk import Motion, begun, corrected, predicted

FloatArray = NDArray[np.float64]


class FootPointTracker:
    """Tracks one chunk of one camera, from the state that the chunk before left."""

    def __init__(
        self,
        camera_id: str,
        chunk_id: str,
        state: TrackerState | None = None,
        params: TrackerParams | None = None,
        *,
        homography: Homography | None = None,
        view_px: tuple[int, int, int, int] | None = None,
    ) -> None:
        """Take up the people in view at the end of the chunk before.

        Args:
            camera_id: of the chunk; begins every tracklet id.
            chunk_id: of the chunk.
            state: that the chunk before left, of the same homography and params; None for none.
            params: None for the defaults.
            homography: None for a camera that is not calibrated.
            view_px: x1, y1, x2 and y2 of what the detector is shown of the picture; whoever is
                lost while walking out of it has left. None where not known; then they are waited
                for like anybody else.
        """
        before = state or TrackerState()
        self._camera_id, self._chunk_id = camera_id, chunk_id
        self._params = params or TrackerParams()
        self._view_px = view_px
        self._ground: Ground = Picture(self._params.person_m)
        if homography is not None:
            self._ground = Floor(homography)
        self._tracks = list(before.tracks)
        self._steps = list(before.step_us)
        self._so_far: dict[str, TrackletSoFar] = {}

    @property
    def tracks(self) -> tuple[TrackState, ...]:
        """The people in view or lost from it, to be carried in `TrackerState.tracks`."""
        return tuple(self._tracks)

    @property
    def step_us(self) -> tuple[int, ...]:
        """Instants of the last samples, to be carried in `TrackerState.step_us`."""
        return tuple(self._steps)

    def touched(self) -> list[TrackletSoFar]:
        """The tracklets that got samples in this chunk, by id."""
        return [self._so_far[name] for name in sorted(self._so_far)]

    def step(self, at_us: int, boxes: Boxes) -> list[tuple[str, Sample]]:
        """Take in the detections of one instant.

        Args:
            at_us: microseconds since 1970 UTC, later than the step before.
            boxes: shape (n, 5): x1, y1, x2, y2 in pixels, confidence. On a calibrated camera, a
                box whose foot point is on or above the horizon is left out, and one so close
                below it that its place is vague (`ground.VAGUEST_M_PER_PX`).

        Returns:
            (tracklet_id, sample) in time order for each tracklet. A confirmation gives its earlier
            samples too, and a tracklet seen again gives the filled samples of its gap.

        Raises:
            ValueError: time does not increase.
        """
        if self._steps and at_us <= self._steps[-1]:
            raise ValueError(f"Time must increase: {at_us} came after {self._steps[-1]}.")
        self._forget(at_us)
        found = Found.of(boxes, self._params.low_confidence, self._ground)
        ahead = [self._predicted(track, at_us) for track in self._tracks]
        pairs = self._match(found, ahead)
        emitted: list[tuple[str, Sample]] = []
        for index, row in pairs:
            track, samples = self._updated(self._tracks[index], ahead[index], found, row, at_us)
            self._tracks[index] = track
            emitted += samples
        self._let_go(ahead, at_us)
        self._begin(found, [row for _, row in pairs], at_us)
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

    def _speed_sd(self, height_px: float) -> float:
        return self._params.walk_m_s * self._ground.metre(height_px)

    def _predicted(self, track: TrackState, at_us: int) -> Motion:
        ahead_s = (at_us - track.last_us) / SECOND_US
        speed_sd = self._speed_sd(track.height_px)
        return predicted(track.motion, ahead_s, speed_sd, self._params.steady_s)

    def _match(self, found: Found, ahead: list[Motion]) -> list[tuple[int, int]]:
        """Pairs (index of track, row of detection), confident detections first."""
        cost = [
            pair_cost(motion, track.height_px, found, self._params)
            for motion, track in zip(ahead, self._tracks, strict=True)
        ]
        is_high = found.confidence >= self._params.high_confidence
        free = list(range(len(ahead)))
        pairs: list[tuple[int, int]] = []
        for rows in (np.flatnonzero(is_high), np.flatnonzero(~is_high)):
            chosen = cheapest_pairs([cost[index][rows] for index in free])
            new = [(free[i], int(rows[j])) for i, j in chosen]
            taken = {index for index, _ in new}
            free = [index for index in free if index not in taken]
            pairs += new
        return pairs

    def _let_go(self, ahead: list[Motion], at_us: int) -> None:
        """Drop who was not seen and has walked out of view."""
        self._tracks = [
            track
            for track, motion in zip(self._tracks, ahead, strict=True)
            if track.last_us == at_us or self._is_in_view(motion, track.height_px)
        ]

    def _is_in_view(self, motion: Motion, height_px: float) -> bool:
        """Whether the middle of the person is; a place that the camera cannot see is not."""
        if self._view_px is None:
            return True
        u_px, v_px = self._ground.pixel(motion.place)
        x1, y1, x2, y2 = self._view_px
        return bool(x1 < u_px < x2 and y1 < v_px - height_px / 2 < y2)

    def _updated(
        self, track: TrackState, ahead: Motion, found: Found, row: int, at_us: int
    ) -> tuple[TrackState, list[tuple[str, Sample]]]:
        """The track with one detection more, and the samples that this gives out."""
        moved = self._moved(track, ahead, found, row, at_us)
        confidence = float(found.confidence[row])
        samples = (*track.pending, *self._filled(track, moved), _sample(moved, confidence))
        if not self._is_confirmed(moved):
            return replace(moved, pending=samples), []
        done = replace(moved, pending=(), sample_count=moved.sample_count + len(samples))
        name = tracklet_id(self._camera_id, done.first_us, done.number)
        self._so_far[name] = TrackletSoFar(
            name, done.first_us, at_us, done.sample_count, done.chunk_ids
        )
        return done, [(name, each) for each in samples]

    def _moved(
        self, track: TrackState, ahead: Motion, found: Found, row: int, at_us: int
    ) -> TrackState:
        """The track at its new place, with place, speed and size smoothed in time."""
        noise = found.noise(track.height_px, self._params)[row]
        motion = corrected(ahead, found.places[row], noise)
        u_px, v_px = (float(value) for value in self._ground.pixel(motion.place))
        width, height = (float(value) for value in found.sizes_px[row])
        step_s = (at_us - track.last_us) / SECOND_US
        size = 1.0 - math.exp(-step_s / self._params.size_memory_s)
        is_new_chunk = self._chunk_id not in track.chunk_ids[-1:]
        return replace(
            track,
            last_us=at_us,
            motion=motion,
            u_px=u_px,
            v_px=v_px,
            width_px=track.width_px + size * (width - track.width_px),
            height_px=track.height_px + size * (height - track.height_px),
            hits=track.hits + 1,
            chunk_ids=(*track.chunk_ids, self._chunk_id) if is_new_chunk else track.chunk_ids,
        )

    def _filled(self, track: TrackState, moved: TrackState) -> list[Sample]:
        """Samples on the straight line from the last detection to this one."""
        gap_us = moved.last_us - track.last_us
        if gap_us > seconds_to_us(self._params.fill_s):
            return []
        start, end = _box(track), _box(moved)
        filled = []
        for step in self._steps:
            if step > track.last_us:
                share = (step - track.last_us) / gap_us
                u_px, v_px, width, height = start + share * (end - start)
                filled.append(
                    Sample(step, float(u_px), float(v_px), float(width), float(height), None, False)
                )
        return filled

    def _begin(self, found: Found, matched: list[int], at_us: int) -> None:
        """Begin a track for each confident detection that matched none."""
        corners = found.corners_px
        shared = overlap(corners, corners[matched]).max(axis=1, initial=0.0)
        is_new = (found.confidence >= self._params.new_confidence) & (
            shared <= self._params.max_overlap
        )
        # A matched detection overlaps itself, unless a setting lets twins in.
        is_new[matched] = False
        for number, row in enumerate(np.flatnonzero(is_new), start=1):
            self._tracks.append(self._begun(found, int(row), number, at_us))

    def _begun(self, found: Found, row: int, number: int, at_us: int) -> TrackState:
        u_px, v_px = (float(value) for value in found.feet_px[row])
        width, height = (float(value) for value in found.sizes_px[row])
        noise = found.noise(height, self._params)[row]
        track = TrackState(
            first_us=at_us,
            number=number,
            last_us=at_us,
            motion=begun(found.places[row], noise, self._speed_sd(height)),
            u_px=u_px,
            v_px=v_px,
            width_px=width,
            height_px=height,
            hits=1,
            sample_count=0,
            pending=(),
            chunk_ids=(self._chunk_id,),
        )
        return replace(track, pending=(_sample(track, float(found.confidence[row])),))


def _box(track: TrackState) -> FloatArray:
    """Foot point, width and height, shape (4,)."""
    return np.array([track.u_px, track.v_px, track.width_px, track.height_px])


def _sample(track: TrackState, confidence: float) -> Sample:
    return Sample(
        track.last_us,
        track.u_px,
        track.v_px,
        track.width_px,
        track.height_px,
        confidence,
        True,
    )
