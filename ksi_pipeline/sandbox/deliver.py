"""What a `video_ingest` host beside each camera would have delivered, hour by hour.

One delivery per camera and open local hour, in the schemas of `video_ingest.contract`: foot points
at 4 Hz with 2 cm of noise, their tracklets, and the spans in which the camera really looked. A
tracklet ends where the view or the camera's time ends, belongs whole to the delivery of its first
sample, and is named `<camera>-<compact UTC of that sample>-<n>`.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ksi_pipeline.core.geometry import shape_version
from ksi_pipeline.core.time import Window, merged, minus
from ksi_pipeline.sandbox.mall import SITE_ID, FloatArray, Shop
from ksi_pipeline.sandbox.trail import Walk
from video_ingest.contract import COVERAGE, TRACKLET_POINTS, TRACKLETS, UTC_US

TICK_S = 0.25
_TICK_US = 250_000
_NOISE_M = 0.02
# A tracker needs a few samples before it believes in somebody.
_FEWEST_SAMPLES = 3
_DETECTOR = _TRACKER = "simulated"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CameraTime:
    """When one camera delivers.

    Attributes:
        deliveries: consecutive windows, one folder each, in order.
        dark: outages; nothing is seen in them.
    """

    deliveries: tuple[Window, ...]
    dark: tuple[Window, ...]

    def lit(self, delivery: Window) -> list[Window]:
        """Give the pieces of a delivery in which the camera looked."""
        return minus(delivery, self.dark)


@dataclass(frozen=True, slots=True)
class _Tracklet:
    first_tick: int
    xy_m: FloatArray  # (N, 2), one sample a tick


def compact(instant: datetime) -> str:
    """Write an instant as 20260327T090000Z; fractions of a second are cut off."""
    return instant.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def camera_version(shop: Shop) -> str:
    """Give the version of a camera: 12 hex digits of SHA-256 over repr(("camera", rows, 0.0)).

    `rows` are the homography rows (u, v, x, y) exactly as in the space file and 0.0 is the clock
    offset: the rule by which the space model versions cameras.
    """
    return shape_version("camera", shop.homography(), 0.0)


def deliver(
    folder: Path,
    shop: Shop,
    walks: Iterable[Walk],
    midnight: datetime,
    times: CameraTime,
    rng: np.random.Generator,
) -> list[Path]:
    """Write one camera's deliveries of one day and give their folders, in order.

    Args:
        folder: deliveries/<site>; each delivery gets <camera>/<compact UTC start> below it.
        shop: the unit whose camera this is.
        walks: everybody who walked that day, times in seconds after `midnight`.
        midnight: the instant that began the local day.
        times: when the camera delivers; a delivery that is dark throughout is not written.
        rng: source of the measuring noise.
    """
    lit = merged(span for window in times.deliveries for span in times.lit(window))
    tracklets = _tracklets(shop, walks, midnight, lit)
    noise = rng.normal(0.0, _NOISE_M, (sum(len(t.xy_m) for t in tracklets), 2))
    ids = _ids(shop.camera_id, tracklets)
    firsts = np.array([t.first_tick for t in tracklets], dtype=np.int64)
    ends = np.cumsum([0, *(len(t.xy_m) for t in tracklets)])
    written = []
    for window in times.deliveries:
        spans = times.lit(window)
        if not spans:
            continue
        first, last = np.searchsorted(firsts, [_tick(window.start), _tick(window.end)])
        mine = slice(int(first), int(last))
        target = folder / shop.camera_id / compact(window.start)
        target.mkdir(parents=True, exist_ok=True)
        points = _points(shop, tracklets[mine], ids[mine], noise[ends[first] : ends[last]], rng)
        pq.write_table(points, target / "tracklet_points.parquet")
        heads = _heads(shop, tracklets[mine], ids[mine], times)
        pq.write_table(heads, target / "tracklets.parquet")
        pq.write_table(_coverage(shop, spans), target / "coverage.parquet")
        written.append(target)
    return written


def _tracklets(
    shop: Shop, walks: Iterable[Walk], midnight: datetime, lit: Sequence[Window]
) -> list[_Tracklet]:
    """Cut everybody's walk to the view and to the time of the camera, ordered by first sample."""
    base = _tick(midnight)
    starts = np.array([_tick(span.start) for span in lit], dtype=np.int64)
    ends = np.array([_tick(span.end) for span in lit], dtype=np.int64)
    found: list[_Tracklet] = []
    for walk in walks:
        first, last = math.ceil(walk.t_s[0] / TICK_S), math.floor(walk.t_s[-1] / TICK_S)
        ticks = np.arange(first, last + 1, dtype=np.int64)
        xy_m = walk.at(ticks.astype(np.float64) * TICK_S)
        ticks += base
        span = np.searchsorted(starts, ticks, side="right") - 1
        is_seen = shop.view.holds(xy_m) & (span >= 0)
        is_seen &= ticks < ends[np.maximum(span, 0)] if len(lit) else False
        for from_index, to_index in _runs(np.where(is_seen, span, -1)):
            if to_index - from_index >= _FEWEST_SAMPLES:
                found.append(_Tracklet(int(ticks[from_index]), xy_m[from_index:to_index]))
    return sorted(found, key=lambda t: t.first_tick)


def _runs(span: IntArray) -> Iterator[tuple[int, int]]:
    """Yield index ranges [a, b) of equal values that are not -1."""
    cuts = np.flatnonzero(np.diff(span)) + 1
    for start, end in zip([0, *cuts], [*cuts, len(span)], strict=True):
        if start < end and span[start] >= 0:
            yield int(start), int(end)


def _ids(camera_id: str, tracklets: Sequence[_Tracklet]) -> list[str]:
    """Name tracklets; n counts those that begin within the same second, from 1."""
    ids: list[str] = []
    previous, number = "", 0
    for tracklet in tracklets:
        stem = f"{camera_id}-{compact(_instant(tracklet.first_tick))}"
        number = number + 1 if stem == previous else 1
        previous = stem
        ids.append(f"{stem}-{number}")
    return ids


def _points(
    shop: Shop,
    tracklets: Sequence[_Tracklet],
    ids: Sequence[str],
    noise: FloatArray,
    rng: np.random.Generator,
) -> pa.Table:
    lengths = np.array([len(t.xy_m) for t in tracklets], dtype=np.int64)
    count = int(lengths.sum())
    ticks = [np.arange(t.first_tick, t.first_tick + len(t.xy_m)) for t in tracklets]
    ts_us = np.concatenate([np.empty(0, np.int64), *ticks]).astype(np.int64) * _TICK_US
    xy_m = np.concatenate([np.empty((0, 2)), *(t.xy_m for t in tracklets)]) + noise
    confidence = rng.uniform(0.6, 0.98, count).astype(np.float32)
    names = pa.array(ids, pa.string())
    index = pa.array(np.repeat(np.arange(len(tracklets), dtype=np.int32), lengths))
    columns = [
        pa.repeat(pa.scalar(SITE_ID), count),
        pa.repeat(pa.scalar(shop.camera_id), count),
        names.take(index),
        pa.array(ts_us).cast(UTC_US),
        pa.array(xy_m[:, 0]),
        pa.array(xy_m[:, 1]),
        pa.array(confidence),
        pa.repeat(pa.scalar(True), count),
    ]
    return pa.table(columns, schema=TRACKLET_POINTS)


def _heads(
    shop: Shop, tracklets: Sequence[_Tracklet], ids: Sequence[str], times: CameraTime
) -> pa.Table:
    spans = [span for window in times.deliveries for span in times.lit(window)]
    version = camera_version(shop)
    rows = []
    for tracklet, tracklet_id in zip(tracklets, ids, strict=True):
        first = _instant(tracklet.first_tick)
        last = _instant(tracklet.first_tick + len(tracklet.xy_m) - 1)
        chunks = [_chunk_id(shop, s) for s in spans if s.start <= last and s.end > first]
        rows.append(
            {
                "site_id": SITE_ID,
                "camera_id": shop.camera_id,
                "tracklet_id": tracklet_id,
                "first_utc": first,
                "last_utc": last,
                "sample_count": len(tracklet.xy_m),
                "detector": _DETECTOR,
                "tracker_version": _TRACKER,
                "camera_version": version,
                "chunk_ids": chunks,
            }
        )
    return pa.Table.from_pylist(rows, schema=TRACKLETS)


def _coverage(shop: Shop, spans: Sequence[Window]) -> pa.Table:
    rows = [
        {
            "site_id": SITE_ID,
            "source_kind": "camera",
            "source_id": shop.camera_id,
            "key": _chunk_id(shop, span),
            "from_utc": span.start,
            "to_utc": span.end,
            "status": "complete",
            "reason": None,
            "observed_s": (span.end - span.start).total_seconds(),
            "expected_s": (span.end - span.start).total_seconds(),
            "fetched_at_utc": None,
        }
        for span in spans
    ]
    return pa.Table.from_pylist(rows, schema=COVERAGE)


def _chunk_id(shop: Shop, span: Window) -> str:
    return f"{SITE_ID}/{shop.camera_id}/{compact(span.start)}"


def _tick(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=_TICK_US)


def _instant(tick: int) -> datetime:
    return _EPOCH + timedelta(microseconds=tick * _TICK_US)
