"""A raster over the zones of a plan: which need exact work under a walk, and which do not.

A cell is touched by the edge of a zone, or wholly inside it, or wholly outside. A walk over cells
that no edge touches is inside or outside as a whole. The margin around edges is far wider than any
rounding, so the raster never changes a result (core.kernels).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ksi_pipeline.core.geometry import FloatArray, edges_of

# One bit of a cell for each zone.
MOST_ZONES = 64
_CELL_M = 0.25
_MOST_CELLS_A_SIDE = 256
_MARGIN = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class ZoneGrid:
    """Up to 64 polygons and their raster, as the kernel takes them.

    Attributes:
        edges: of all polygons, see geometry.edges_of, shape (E, 4).
        offsets: polygon z is edges[offsets[z]:offsets[z + 1]], shape (Z + 1,).
        boxes: low x, low y, high x, high y of each, shape (Z, 4).
        cells: bits of zones whose edge touches, and of zones that hold it whole, shape (R, C, 2).
        reach: metres along x or y from a cell in which no edge touches, shape (R, C).
        frame: x and y of the first cell's corner, and cells a metre, shape (3,).
    """

    edges: FloatArray
    offsets: NDArray[np.int64]
    boxes: FloatArray
    cells: NDArray[np.uint64]
    reach: FloatArray
    frame: FloatArray


def zone_grid(polygons: Sequence[Sequence[tuple[float, float]]]) -> ZoneGrid:
    """Lay a raster over 0 to 64 polygons."""
    from ksi_pipeline.core.kernels import mark_cells, reach_of_cells  # numba is slow to import

    shapes = [edges_of(polygon) for polygon in polygons]
    edges = np.concatenate([np.zeros((0, 4)), *shapes])
    offsets = np.cumsum([0, *map(len, shapes)])
    ends = [np.array(polygon, dtype=np.float64) for polygon in polygons]
    boxes = np.array([[*e.min(axis=0), *e.max(axis=0)] for e in ends]).reshape(-1, 4)
    if not shapes:
        empty = np.zeros((1, 1, 2), dtype=np.uint64)
        nowhere = np.full((1, 1), np.inf)
        return ZoneGrid(edges, offsets, boxes, empty, nowhere, np.array([0.0, 0.0, 1.0]))
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    cell = max(_CELL_M, float((high - low).max()) / _MOST_CELLS_A_SIDE)
    # The outermost cells lie outside all zones and their margins.
    low = low - 2 * cell
    columns, rows = (np.ceil((high - low) / cell) + 2).astype(np.int64)
    frame = np.array([*low, 1.0 / cell])
    if np.abs(boxes).max() * 1e-12 > _MARGIN * cell:
        # So far from the origin that rounding could reach over the margin: all work is exact.
        everywhere = np.array([[[2 ** len(shapes) - 1, 0]]], dtype=np.uint64)
        return ZoneGrid(edges, offsets, boxes, everywhere, np.zeros((1, 1)), frame)
    cells = np.zeros((rows, columns, 2), dtype=np.uint64)
    for zone, shape in enumerate(shapes):
        mark_cells(cells, zone, shape, low[0], low[1], cell, _MARGIN * cell)
    return ZoneGrid(edges, offsets, boxes, cells, reach_of_cells(cells, cell), frame)
