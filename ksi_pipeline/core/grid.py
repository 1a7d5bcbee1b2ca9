"""A raster over the zones and lines of a plan: where they need exact work, and where they do not.

A cell is touched by the edge of a zone, or wholly inside it, or wholly outside; and it is near the
endless line through a counting line's ends, or wholly on one side of it. A walk over cells that no
edge touches is inside or outside as a whole. The margins are far wider than any rounding, so the
raster never changes a result (core.kernels).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ksi_pipeline.core.geometry import FloatArray, edges_of

# One bit of a cell for each zone, and one for each line.
MOST_SHAPES = 64
_CELL_M = 0.25
_MOST_CELLS_A_SIDE = 256
_PADDING = 16
_MARGIN = 1e-3
TOUCHED, INSIDE, NEAR, LEFT = range(4)
_Point = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Up to 64 polygons, up to 64 lines and their raster, as the kernel takes them.

    Attributes:
        edges: of all polygons, see geometry.edges_of, shape (4, E).
        offsets: polygon z is edges[:, offsets[z]:offsets[z + 1]], shape (Z + 1,).
        boxes: low x, low y, high x, high y of each polygon, shape (Z, 4).
        lines: x and y of a, then of b, shape (L, 4).
        cells: bits of zones whose edge touches, of zones that hold the cell whole, of lines that
            are near, of lines that have it on their left, shape (R, C, 4).
        reach: metres along x or y from a cell in which no edge touches, shape (R, C).
        frame: x and y of the first cell's corner, and cells a metre, shape (3,).
    """

    edges: FloatArray
    offsets: NDArray[np.int64]
    boxes: FloatArray
    lines: FloatArray
    cells: NDArray[np.uint64]
    reach: FloatArray
    frame: FloatArray


@lru_cache(maxsize=32)  # the same cameras come again with every part of a stream
def grid_of(
    polygons: tuple[tuple[_Point, ...], ...], lines: tuple[tuple[_Point, _Point], ...]
) -> Grid:
    """Lay a raster over 0 to 64 polygons and 0 to 64 lines (a, b)."""
    from ksi_pipeline.core.kernels import mark_cells, reach_of_cells  # numba is slow to import

    shapes = [edges_of(polygon) for polygon in polygons]
    edges = np.ascontiguousarray(np.concatenate([np.zeros((0, 4)), *shapes]).T)
    offsets = np.cumsum([0, *map(len, shapes)])
    corners = [shape.reshape(-1, 2) for shape in shapes]
    boxes = np.array([[*c.min(axis=0), *c.max(axis=0)] for c in corners]).reshape(-1, 4)
    ends = np.array(lines, dtype=np.float64).reshape(-1, 4)
    places = np.concatenate([*corners, ends.reshape(-1, 2)])
    parts = (edges, offsets, boxes, ends)
    if not len(places):
        return Grid(*parts, _one_cell(0, 0), np.full((1, 1), np.inf), np.array([0.0, 0.0, 1.0]))
    low, high = places.min(axis=0), places.max(axis=0)
    cell = max(_CELL_M, float((high - low).max()) / _MOST_CELLS_A_SIDE)
    # The outermost cells lie outside all zones and stand for all that is beyond, where lines need
    # exact work; so they begin some way off.
    low = low - _PADDING * cell
    columns, rows = (np.ceil((high - low) / cell) + _PADDING).astype(np.int64)
    frame = np.array([*low, 1.0 / cell])
    if np.abs(places).max() * 1e-12 > _MARGIN * cell:
        # So far from the origin that rounding could reach over the margin: all work is exact.
        return Grid(*parts, _one_cell(len(shapes), len(ends)), np.zeros((1, 1)), frame)
    cells = np.zeros((rows, columns, 4), dtype=np.uint64)
    for zone, shape in enumerate(shapes):
        mark_cells(cells, zone, np.ascontiguousarray(shape.T), low[0], low[1], cell, _MARGIN * cell)
    _mark_sides(cells, ends, low, cell)
    return Grid(*parts, cells, reach_of_cells(cells, cell), frame)


def _one_cell(zones: int, lines: int) -> NDArray[np.uint64]:
    return np.array([[[2**zones - 1, 0, 2**lines - 1, 0]]], dtype=np.uint64)


def _mark_sides(cells: NDArray[np.uint64], lines: FloatArray, low: FloatArray, cell: float) -> None:
    rows, columns = cells.shape[:2]
    x = low[0] + (np.arange(columns) + 0.5) * cell
    y = low[1] + (np.arange(rows) + 0.5)[:, None] * cell
    for line, (ax, ay, bx, by) in enumerate(lines):
        bit = np.uint64(1 << line)
        side = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
        is_near = np.abs(side) <= (0.75 + _MARGIN) * cell * np.hypot(bx - ax, by - ay)
        # Beyond the outermost cells a line may run anywhere.
        is_near[[0, -1]] = is_near[:, [0, -1]] = True
        cells[..., NEAR] |= np.where(is_near, bit, np.uint64(0))
        cells[..., LEFT] |= np.where(side > 0.0, bit, np.uint64(0))
