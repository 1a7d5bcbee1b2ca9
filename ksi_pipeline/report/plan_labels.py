"""Where labels of a plan go, so that none covers another; pure, in points (1/72 inch) of paper."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ksi_pipeline.core.geometry import BoolArray, FloatArray, points_in_polygon

Box = tuple[float, float, float, float]

_PADDING = 1.5
_GAPS = (3.0, 12.0, 26.0, 44.0, 70.0, 110.0)
_CLOSE = 12.0
# What it costs, in points of distance, to leave the area, cover another, cover a stroke, be small.
_OUT_OF_AREA, _OVER_ANOTHER, _OVER_STROKE, _SHORTER = 50.0, 40.0, 30.0, 12.0


@dataclass(frozen=True, slots=True, eq=False)
class Label:
    """One label to place.

    Attributes:
        sizes: (width, height) of each way to write it, the best first.
        spots: what it may stand beside, each as corners, shape (V, 2), V >= 1.
        area: corners of the polygon that it should stand in, shape (V, 2), or None.
    """

    sizes: Sequence[tuple[float, float]]
    spots: Sequence[FloatArray]
    area: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a label goes.

    Attributes:
        way: which of its sizes.
        x: of its centre.
        y: of its centre.
        lead_to: where a leader to its shape ends; None when it stands close enough without.
    """

    way: int
    x: float
    y: float
    lead_to: tuple[float, float] | None = None

    def box(self, sizes: Sequence[tuple[float, float]]) -> Box:
        """Give (low x, low y, high x, high y)."""
        width, height = sizes[self.way]
        return _box(self.x, self.y, width, height)


def place_labels(
    labels: Sequence[Label], taken: Sequence[Box], avoided: Sequence[Box], frame: Box
) -> list[Place | None]:
    """Place labels one after the other: into the smallest areas first, then beside in order.

    Args:
        labels: what to place.
        taken: where nothing may be written.
        avoided: where nothing is written if there is room elsewhere.
        frame: the paper.

    Returns:
        For each label its place, or None when there is none that is free. No two boxes overlap,
        and none meets `taken` or leaves the frame.
    """
    places: list[Place | None] = [None] * len(labels)
    full, strokes = np.array(taken).reshape(-1, 4), np.array(avoided).reshape(-1, 4)
    for index in sorted(range(len(labels)), key=lambda i: _room(labels[i])):
        label = labels[index]
        areas = [other.area for other in labels if other is not label and other.area is not None]
        place = _best(label, areas, full, strokes, frame)
        if place is not None:
            places[index] = place
            full = np.vstack([full, place.box(label.sizes)])
    return places


def boxes_along(a: tuple[float, float], b: tuple[float, float], width: float) -> list[Box]:
    """Cover a straight stroke with small boxes, to keep labels off it."""
    steps = int(np.hypot(b[0] - a[0], b[1] - a[1]) / width) + 1
    return [
        _box(float(x), float(y), width, width)
        for x, y in zip(
            np.linspace(a[0], b[0], steps + 1), np.linspace(a[1], b[1], steps + 1), strict=True
        )
    ]


def _room(label: Label) -> tuple[bool, float]:
    if label.area is None:
        return True, 0.0
    return False, float(np.prod(np.ptp(label.area, axis=0)))


def _best(
    label: Label, areas: Sequence[FloatArray], full: FloatArray, strokes: FloatArray, frame: Box
) -> Place | None:
    """Give the cheapest place; what is dear to find out is asked only of those still cheaper."""
    bounds = np.array([[*area.min(axis=0), *area.max(axis=0)] for area in areas]).reshape(-1, 4)
    best, least = None, np.inf
    for cost, place in sorted(_candidates(label), key=lambda candidate: candidate[0]):
        if cost >= least:
            break
        box = place.box(label.sizes)
        if not _within(box, frame) or _meets(box, full).any():
            continue
        if label.area is not None:
            cost += _OUT_OF_AREA * (1 - _share(box, label.area))
        cost += _OVER_STROKE * bool(_meets(box, strokes).any())
        for near in np.flatnonzero(_meets(box, bounds)):
            cost += _OVER_ANOTHER * _share(box, areas[int(near)])
        if cost < least:
            best, least = place, cost
    return best


def _candidates(label: Label) -> Iterator[tuple[float, Place]]:
    for way, size in enumerate(label.sizes):
        if label.area is not None:
            yield from _in_area(way, label.area)
        for spot in label.spots:
            yield from _beside(way, size, spot)


def _in_area(way: int, area: FloatArray) -> Iterator[tuple[float, Place]]:
    low, high = area.min(axis=0), area.max(axis=0)
    middle = (low + high) / 2
    for x, y in _grid(area, low, high):
        yield float(np.hypot(x - middle[0], y - middle[1])) + _SHORTER * way, Place(way, x, y)


def _beside(way: int, size: tuple[float, float], spot: FloatArray) -> Iterator[tuple[float, Place]]:
    low, high = spot.min(axis=0), spot.max(axis=0)
    middle = (low + high) / 2
    for gap in _GAPS:
        reach = (high - low) / 2 + gap + np.array(size) / 2
        lead_to = (float(middle[0]), float(middle[1])) if gap > _CLOSE else None
        for along in (0.0, -0.5, 0.5, -1.0, 1.0):
            for x, y in (
                (middle[0] + along * reach[0], middle[1] + reach[1]),
                (middle[0] + along * reach[0], middle[1] - reach[1]),
                (middle[0] + reach[0], middle[1] + along * reach[1]),
                (middle[0] - reach[0], middle[1] + along * reach[1]),
            ):
                cost = _SHORTER * way + 2 * gap + 8 * abs(along)
                yield cost, Place(way, float(x), float(y), lead_to)


def _grid(area: FloatArray, low: FloatArray, high: FloatArray) -> list[tuple[float, float]]:
    shares = np.linspace(0.06, 0.94, 11)
    x, y = np.meshgrid(low[0] + shares * (high[0] - low[0]), low[1] + shares * (high[1] - low[1]))
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    return [(float(px), float(py)) for px, py in points[points_in_polygon(points, area)]]


def _share(box: Box, area: FloatArray) -> float:
    """How much of a box lies in a polygon, 0 to 1, by 15 probes."""
    x, y = np.meshgrid(np.linspace(box[0], box[2], 5), np.linspace(box[1], box[3], 3))
    return float(points_in_polygon(np.stack([x.ravel(), y.ravel()], axis=1), area).mean())


def _box(x: float, y: float, width: float, height: float) -> Box:
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _within(box: Box, frame: Box) -> bool:
    return box[0] >= frame[0] and box[1] >= frame[1] and box[2] <= frame[2] and box[3] <= frame[3]


def _meets(box: Box, others: FloatArray) -> BoolArray:
    low_x, low_y, high_x, high_y = others.T
    meets: BoolArray = (
        (box[0] < high_x + _PADDING)
        & (low_x < box[2] + _PADDING)
        & (box[1] < high_y + _PADDING)
        & (low_y < box[3] + _PADDING)
    )
    return meets
