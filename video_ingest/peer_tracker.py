"""The trackers of ultralytics on our detections, for comparison.

ByteTrack and BoT-SORT with the settings that ultralytics ships, fed with the boxes that our own
tracker would get. They see no picture: BoT-SORT works without re-identification and without motion
compensation, which fixed cameras do not need. They count frames and not seconds, so a lost person
is waited for 30 samples, whatever the sampling rate. Nobody is carried from chunk to chunk.

Needs the extra `vision`, which is AGPL-3.0; nothing of it is imported before a tracker is asked
for.
"""

from typing import Any

import numpy as np

from video_ingest.calibrate import Homography
from video_ingest.contract import DetectorError, VideoError
from video_ingest.detectors.base import Boxes
from video_ingest.ground import Floor, Ground, Picture
from video_ingest.matching import Found
from video_ingest.tracker_base import TrackletSoFar, tracklet_id
from video_ingest.tracker_state import Sample, TrackerParams, TrackerState, TrackState

PEERS = ("bytetrack", "botsort")


class PeerTracker:
    """Tracks one chunk of one camera as ultralytics does, beginning with nobody."""

    def __init__(
        self,
        name: str,
        camera_id: str,
        chunk_id: str,
        state: TrackerState | None = None,
        *,
        homography: Homography | None = None,
    ) -> None:
        """Begin with nobody in view.

        Args:
            name: one of PEERS.
            camera_id: of the chunk; begins every tracklet id.
            chunk_id: of the chunk.
            state: that the chunk before left; only its last instant is used.
            homography: leaves out boxes that stand nowhere on the floor; None for a camera that is
                not calibrated.

        Raises:
            VideoError: E_TRACKER_MISSING, ultralytics, torch or lap is not installed.
        """
        _import(name)
        from ultralytics.engine.results import Boxes as Detections
        from ultralytics.trackers.track import TRACKER_MAP
        from ultralytics.utils import YAML, IterableSimpleNamespace
        from ultralytics.utils.checks import check_yaml

        settings = YAML.load(check_yaml(f"{name}.yaml"))
        if name == "botsort":
            settings |= {"with_reid": False, "gmc_method": "none"}
        self._peer = TRACKER_MAP[name](IterableSimpleNamespace(**settings))
        self._detections = Detections
        self._camera_id, self._chunk_id = camera_id, chunk_id
        # Without a floor a place is a pixel, and no height is asked for.
        self._ground: Ground = Picture(TrackerParams().person_m)
        if homography is not None:
            self._ground = Floor(homography)
        self._last_us = state.step_us[-1] if state and state.step_us else None
        self._ids: dict[int, str] = {}
        self._so_far: dict[str, TrackletSoFar] = {}

    @property
    def tracks(self) -> tuple[TrackState, ...]:
        """Nobody: what ultralytics knows of them is not kept between chunks."""
        return ()

    @property
    def step_us(self) -> tuple[int, ...]:
        """The instant of the last sample, to be carried in `TrackerState.step_us`."""
        return () if self._last_us is None else (self._last_us,)

    def touched(self) -> list[TrackletSoFar]:
        """The tracklets that got samples in this chunk, by id."""
        return [self._so_far[each] for each in sorted(self._so_far)]

    def step(self, at_us: int, boxes: Boxes) -> list[tuple[str, Sample]]:
        """Take in the detections of one instant; see `Tracker.step`.

        All samples are of this instant and observed: a person who begins a tracklet gets no sample
        for the detection before the one that confirmed it, and gaps are not filled.

        Raises:
            ValueError: time does not increase.
        """
        if self._last_us is not None and at_us <= self._last_us:
            raise ValueError(f"Time must increase: {at_us} came after {self._last_us}.")
        self._last_us = at_us
        found = Found.of(boxes, 0.0, self._ground)
        # Columns: corners, confidence, class. The size of the picture serves for shares of it only.
        rows = np.column_stack(
            [found.corners_px, found.confidence, np.zeros(len(found.confidence))]
        )
        followed = self._peer.update(self._detections(rows, (1, 1)))
        new = 0
        samples = []
        for row in sorted(np.reshape(followed, (-1, 8)).tolist(), key=lambda each: each[4]):
            number = int(row[4])
            if number not in self._ids:
                new += 1
                self._ids[number] = tracklet_id(self._camera_id, at_us, new)
            samples.append((self._ids[number], _sample(at_us, row)))
            self._count(self._ids[number], at_us)
        return samples

    def _count(self, name: str, at_us: int) -> None:
        before = self._so_far.get(name)
        first_us, count = (before.first_us, before.sample_count) if before else (at_us, 0)
        self._so_far[name] = TrackletSoFar(name, first_us, at_us, count + 1, (self._chunk_id,))


def peer_version(name: str) -> str:
    """What `tracker_version` says of a tracker in PEERS, like `ultralytics-bytetrack 8.4.190`.

    Raises:
        VideoError: E_TRACKER_MISSING, ultralytics, torch or lap is not installed.
    """
    return f"ultralytics-{name} {_import(name).__version__}"


def _import(name: str) -> Any:
    """Import ultralytics and what its trackers need; it would install `lap` with pip otherwise."""
    from video_ingest.detectors.ultralytics import import_ultralytics

    try:
        ultralytics = import_ultralytics()
        import lap  # noqa: F401
    except (DetectorError, ImportError) as error:
        why = error.__cause__ if isinstance(error, DetectorError) else error
        raise VideoError(
            f"Starting tracker {name!r} failed: a package of it cannot be imported ({why}). "
            "Nothing was decoded. Run: pip install 'ksi_pipeline[vision]', or use the tracker "
            "'footpoint', which needs no package.",
            code="E_TRACKER_MISSING",
        ) from error
    return ultralytics


def _sample(at_us: int, row: list[float]) -> Sample:
    """From x1, y1, x2, y2 in pixels, number, confidence."""
    x1, y1, x2, y2, _, confidence = row[:6]
    return Sample(at_us, (x1 + x2) / 2, y2, x2 - x1, y2 - y1, confidence, True)
