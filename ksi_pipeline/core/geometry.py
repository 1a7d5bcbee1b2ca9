"""Plane geometry on floor metres: sides of a line, points in polygons, pieces of walks in zones.

Polygons are even-odd, may be concave, and are given without a repeated last point. All functions
are exact in float64 up to its rounding: no snapping, no tolerance.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def signed_side(points: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
    """Give cross(b - a, p - a) for each point: > 0 is left of the line a-b, < 0 right.

    Args:
        points: shape (N, 2), floor metres.
        a: shape (2,), start of the line.
        b: shape (2,), end of the line.

    Returns:
        Shape (N,), square metres; 0 exactly on the line.
    """
    side: FloatArray = (b[0] - a[0]) * (points[:, 1] - a[1]) - (b[1] - a[1]) * (points[:, 0] - a[0])
    return side


def share_along(points: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
    """Give how far along the line a-b each point lies: 0 at a, 1 at b.

    Written out, because the result of `@` may depend on how many points come at once.

    Args:
        points: shape (N, 2), floor metres.
        a: shape (2,), start of the line.
        b: shape (2,), end of the line.

    Returns:
        Shape (N,), shares of the line's length.
    """
    step_x, step_y = b - a
    share: FloatArray = ((points[:, 0] - a[0]) * step_x + (points[:, 1] - a[1]) * step_y) / (
        step_x * step_x + step_y * step_y
    )
    return share


def edges_of(polygon: Sequence[tuple[float, float]] | FloatArray) -> FloatArray:
    """Give the edges of a polygon, each from its lower end to its upper one.

    An edge is computed the same way for the zones on both sides of it, whichever way round they
    are drawn; so zones that share an edge never both own a point near it, nor neither.

    Args:
        polygon: shape (V, 2), V >= 3, without a repeated last point.

    Returns:
        Shape (V, 4): x and y of the end with the smaller y (for equal y, the smaller x), then of
        the other.
    """
    ends = np.array(polygon, dtype=np.float64).reshape(-1, 2)
    others = np.roll(ends, 1, axis=0)
    is_low = (ends[:, 1] < others[:, 1]) | (
        (ends[:, 1] == others[:, 1]) & (ends[:, 0] < others[:, 0])
    )
    return np.where(is_low[:, None], np.hstack([ends, others]), np.hstack([others, ends]))


def points_in_polygon(points: FloatArray, polygon: FloatArray) -> BoolArray:
    """Tell which points lie inside an even-odd polygon.

    Args:
        points: shape (N, 2), floor metres.
        polygon: shape (V, 2), V >= 3, without a repeated last point.

    Returns:
        Shape (N,). A point exactly on an edge belongs to the side of larger x; on a level edge, to
        the side of larger y; a corner follows from both. So of zones that tile a floor exactly one
        owns each point.
    """
    x, y = points[:, 0], points[:, 1]
    inside = np.zeros(len(points), dtype=np.bool_)
    for low_x, low_y, high_x, high_y in edges_of(polygon):
        spans = (low_y <= y) & (y < high_y)
        if spans.any():
            at_x = low_x + (high_x - low_x) * ((y - low_y) / (high_y - low_y))
            inside ^= spans & (x < at_x)
    return inside


def inside_pieces(
    start: FloatArray, end: FloatArray, polygon: FloatArray
) -> tuple[NDArray[np.int64], FloatArray, FloatArray]:
    """Cut straight walks at a polygon's boundary and keep the pieces inside it.

    A walk that enters and leaves between its two ends gives a piece too. Pieces are found by
    testing the middle of every stretch between consecutive hits, so that touching a vertex or
    running along an edge needs no special case.

    Args:
        start: shape (N, 2), floor metres, where each walk begins.
        end: shape (N, 2), where it ends.
        polygon: shape (V, 2), even-odd.

    Returns:
        (walk, from_share, to_share), each of shape (M,), ordered by walk and share: the piece of
        walk `walk` between the shares 0 <= from < to <= 1 of its length lies inside. Consecutive
        pieces of one walk do not touch.
    """
    from ksi_pipeline.core.kernels import pieces_of_walks  # numba is slow to import

    # Copies: each layout of arrays would be compiled apart.
    start, end = (np.array(a, dtype=np.float64, order="C") for a in (start, end))
    corners = np.array(polygon, dtype=np.float64)
    box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])[None, :]
    found: tuple[NDArray[np.int64], FloatArray, FloatArray] = pieces_of_walks(
        start, end, np.ascontiguousarray(edges_of(corners).T), box
    )
    return found


def first_self_crossing(polygon: Sequence[tuple[float, float]]) -> tuple[int, int] | None:
    """Find two edges of a polygon that cross or touch where they should not.

    Returns:
        The indexes of the two edges (edge i runs from point i to point i + 1), or None when the
        polygon is simple.
    """
    count = len(polygon)
    edges = [(polygon[i], polygon[(i + 1) % count]) for i in range(count)]
    for i in range(count):
        for j in range(i + 1, count):
            adjacent = j == i + 1 or (i == 0 and j == count - 1)
            if not adjacent and _are_apart(*edges[i], *edges[j]):
                continue
            if not adjacent and _segments_touch(*edges[i], *edges[j]):
                return i, j
            if adjacent and _folds_back(*edges[i], *edges[j]):
                return i, j
    return None


def polygon_area(polygon: Sequence[tuple[float, float]]) -> float:
    """Give the area of a simple polygon, whichever way round it is drawn.

    The shoelace formula, around the first point, so that far from the origin it is as exact.

    Args:
        polygon: V >= 3 points in floor metres, without a repeated last point.

    Returns:
        Square metres.
    """
    x, y = np.array(polygon, dtype=np.float64).T
    x, y = x - x[0], y - y[0]
    twice = np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)
    return float(abs(twice) / 2)


def polygon_wkt(polygon: Sequence[tuple[float, float]]) -> str:
    """Write a polygon as well-known text (OGC 06-103r4), its first point repeated at the end."""
    points = ", ".join(f"{x!r} {y!r}" for x, y in [*polygon, polygon[0]])
    return f"POLYGON (({points}))"


def shape_version(*parts: object) -> str:
    """Hash a shape to 12 hex digits: equal numbers give equal versions, on any machine."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


_Point = tuple[float, float]


def _turn(a: _Point, b: _Point, c: _Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _are_apart(a: _Point, b: _Point, c: _Point, d: _Point) -> bool:
    """Tell whether the boxes of two segments do not meet; this is most."""
    return (
        max(a[0], b[0]) < min(c[0], d[0])
        or max(c[0], d[0]) < min(a[0], b[0])
        or max(a[1], b[1]) < min(c[1], d[1])
        or max(c[1], d[1]) < min(a[1], b[1])
    )


def _segments_touch(a: _Point, b: _Point, c: _Point, d: _Point) -> bool:
    turns = (_turn(a, b, c), _turn(a, b, d), _turn(c, d, a), _turn(c, d, b))
    if turns[0] * turns[1] < 0 and turns[2] * turns[3] < 0:
        return True
    ends = ((a, b, c), (a, b, d), (c, d, a), (c, d, b))
    return any(turn == 0 and _within(p, q, r) for turn, (p, q, r) in zip(turns, ends, strict=True))


def _within(a: _Point, b: _Point, p: _Point) -> bool:
    return min(a[0], b[0]) <= p[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= p[1] <= max(a[1], b[1])


def _folds_back(a: _Point, b: _Point, c: _Point, d: _Point) -> bool:
    """Tell whether two edges that share a point lie on each other, or one has no length."""
    if a == b or c == d:
        return True
    if b == c:
        shared, far_a, far_b = b, a, d
    else:
        shared, far_a, far_b = a, b, c
    ahead = (far_a[0] - shared[0]) * (far_b[0] - shared[0]) + (far_a[1] - shared[1]) * (
        far_b[1] - shared[1]
    )
    return _turn(far_a, shared, far_b) == 0 and ahead > 0
