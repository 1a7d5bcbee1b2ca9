"""Counts of one site for people: what was counted, and why where nothing was."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa

from ksi_pipeline.core.samples import Samples
from ksi_pipeline.core.schemas import VISITS
from ksi_pipeline.core.walks import coded_schema, encoded
from ksi_pipeline.space.load import Space

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Time is noted in stretches of 2**31 microseconds, some 36 minutes: a shift is all it takes.
_STRETCH_BITS = 31
_ENDS = ("entered_at_utc", "left_at_utc")
Span = tuple[datetime, datetime]
# A camera, and the time in which it sees something; None is without end.
_Seen = tuple[str, datetime | None, datetime | None]


@dataclass(frozen=True, slots=True)
class SiteCounts:
    """What was counted at one site.

    Attributes:
        site_id: the site.
        zones: for each zone its zone_id, visits, tracklets, dwell_s and reason; the figures are
            None, never 0, where no camera watched, and reason says why.
        lines: for each line its line_id, in, out and reason.
        queues: for each queue zone with events its zone_id, joins, served, abandoned, balked and
            unknown.
    """

    site_id: str
    zones: list[dict[str, Any]]
    lines: list[dict[str, Any]]
    queues: list[dict[str, Any]]


@dataclass(slots=True, eq=False)
class Tally:
    """Events of one site as they come."""

    visits: list[pa.Table] = field(default_factory=list)
    crossings: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add_crossings(self, crossings: pa.Table) -> None:
        """Count crossings by line and direction."""
        lines, ways = encoded(crossings["line_id"]), encoded(crossings["direction"])
        both = lines.indices.to_numpy() * np.int64(2) + ways.indices.to_numpy()
        for code, count in zip(*np.unique(both, return_counts=True), strict=True):
            line_id, way = lines.dictionary[code // 2].as_py(), ways.dictionary[code % 2].as_py()
            self.crossings[line_id, way] += int(count)

    def add_visits(self, visits: pa.Table) -> None:
        """Keep visits with encoded text: less memory, and it is read often."""
        self.visits.append(visits)

    def all_visits(self) -> pa.Table:
        """Give all visits so far as one table, text dictionary-encoded."""
        visits = pa.concat_tables([coded_schema(VISITS).empty_table(), *self.visits])
        return visits.unify_dictionaries().combine_chunks()

    def counts(
        self, space: Space, cameras: dict[str, list[Span]], visits: pa.Table, queues: pa.Table
    ) -> SiteCounts:
        """Sum up.

        Args:
            space: the site's space file.
            cameras: as Watched gives them.
            visits: schema VISITS, strings dictionary-encoded or not.
            queues: schema QUEUE_EVENTS.
        """
        plan = space.plan()
        figures, seeing = _by_zone(visits), _seeing(space)
        zones, lines = [], []
        for zone_id in dict.fromkeys(zone.zone_id for zone in plan.zones):
            spans = [(z.valid_from, z.valid_to) for z in plan.zones if z.zone_id == zone_id]
            reason = _unwatched(seeing.get(zone_id, []), spans, cameras)
            counted = figures.get(zone_id, (0, 0, 0.0)) if not reason else (None, None, None)
            names = ("visits", "tracklets", "dwell_s")
            zones.append(
                {"zone_id": zone_id, **dict(zip(names, counted, strict=True)), "reason": reason}
            )
        for line_id in dict.fromkeys(line.line_id for line in plan.lines):
            spans = [(li.valid_from, li.valid_to) for li in plan.lines if li.line_id == line_id]
            reason = _unwatched(seeing.get(line_id, []), spans, cameras)
            ways = {way: None if reason else self.crossings[line_id, way] for way in ("in", "out")}
            lines.append({"line_id": line_id, **ways, "reason": reason})
        return SiteCounts(space.site_id, zones, lines, _by_queue(queues))


class Watched:
    """When each camera of each site had points; threads may add to it side by side."""

    def __init__(self) -> None:
        self._stretches: dict[tuple[str, str], set[int]] = {}
        self._lock = Lock()

    def note(self, samples: Samples) -> None:
        """Take in samples; those with null metres show a camera, but not that it counted."""
        from ksi_pipeline.core.compiled import stretches  # numba is slow to import

        for site_id, camera_id, _row, part in samples.by_camera():
            found = set(stretches(part.ts, part.known, _STRETCH_BITS))
            with self._lock:
                self._stretches.setdefault((site_id, camera_id), set()).update(found)

    def sites(self) -> set[str]:
        """Give the sites that had points."""
        with self._lock:
            return {site for site, _ in self._stretches}

    def cameras(self, site_id: str) -> dict[str, list[Span]]:
        """Give the stretches of time in which each camera had known positions."""
        with self._lock:
            found = {
                camera: sorted(places)
                for (site, camera), places in self._stretches.items()
                if site == site_id
            }
        return {
            camera: [(_instant(place), _instant(place + 1)) for place in places]
            for camera, places in found.items()
        }


def _instant(place: int) -> datetime:
    return _EPOCH + timedelta(microseconds=place << _STRETCH_BITS)


def _by_zone(visits: pa.Table) -> dict[str, tuple[int, int, float]]:
    """Give visits, distinct tracklets and seconds of each zone that somebody visited."""
    zones, tracklets = encoded(visits["zone_id"]), encoded(visits["tracklet_id"])
    zone, tracklet = (c.indices.to_numpy().astype(np.int64) for c in (zones, tracklets))
    count = np.bincount(zone, minlength=len(zones.dictionary))
    pairs = np.sort(zone * len(tracklets.dictionary) + tracklet)
    is_new = np.diff(pairs, prepend=-1) != 0
    of_zones = pairs[is_new] // max(len(tracklets.dictionary), 1)
    distinct = np.bincount(of_zones, minlength=len(count))
    # Whole microseconds add up exactly, whatever their order.
    ends = [visits[name].cast(pa.int64()).to_numpy() for name in _ENDS]
    dwell = np.zeros(len(count), dtype=np.int64)
    np.add.at(dwell, zone, ends[1] - ends[0])
    return {
        zone_id: (int(count[i]), int(distinct[i]), round(int(dwell[i]) / 1e6, 3))
        for i, zone_id in enumerate(zones.dictionary.to_pylist())
        if count[i]
    }


def _by_queue(queues: pa.Table) -> list[dict[str, Any]]:
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for row in queues.select(["zone_id", "outcome", "is_join"]).to_pylist():
        found[row["zone_id"]][row["outcome"] or "unknown"] += 1
        found[row["zone_id"]]["joins"] += row["is_join"] is True
    names = ("joins", "served", "abandoned", "balked", "unknown")
    return [{"zone_id": i, **{name: found[i][name] for name in names}} for i in sorted(found)]


def _seeing(space: Space) -> dict[str, list[_Seen]]:
    """Give for each zone and line the cameras that see it, and when."""
    seeing: dict[str, list[_Seen]] = defaultdict(list)
    for start, end, plan in space.plans():
        for camera_id, ids in plan.sees.items():
            for shape_id in ids:
                seeing[shape_id].append((camera_id, start, end))
    return seeing


def _unwatched(
    seeing: list[_Seen],
    validity: list[tuple[datetime | None, datetime | None]],
    cameras: dict[str, list[Span]],
) -> str | None:
    """Say why a zone or line was not watched; None when it was."""
    names = ", ".join(sorted({camera_id for camera_id, _, _ in seeing}))
    if not seeing:
        return "no camera sees it"
    if not any(camera_id in cameras for camera_id, _, _ in seeing):
        return f"no points of {names}"
    spans = [(span, start, end) for c, start, end in seeing for span in cameras.get(c, [])]
    if not spans:
        return f"{names} not calibrated"
    if not any(
        _overlap(span, (start, end), valid) for span, start, end in spans for valid in validity
    ):
        return "not valid at the time"
    return None


def _overlap(span: Span, *validity: tuple[datetime | None, datetime | None]) -> bool:
    start = max([span[0], *(low for low, _ in validity if low)])
    ends = [high for _, high in validity if high]
    return start < span[1] and all(start < end for end in ends)
