"""Running the compiled pass over the walks of one camera: raw visits and changes of side."""

from collections.abc import Sequence

import numpy as np

from ksi_pipeline.core.grid import MOST_SHAPES, Grid, grid_of
from ksi_pipeline.core.plan import CountingRules, LineShape, ZoneShape
from ksi_pipeline.core.walks import IntArray, Walks

_ROWS = 1 << 16


def tally(
    walk: Walks, zones: Sequence[ZoneShape], lines: Sequence[LineShape], rules: CountingRules
) -> tuple[IntArray, IntArray]:
    """Count one camera's walks in zones and over lines, before validity and `min_inside_s`.

    Returns:
        Visits, shape (M, 5): index of the zone, code of the tracklet, start and end in us, flags
        of core.kernels; those of one zone in the order of the walks. And confirmed changes of
        side, shape (C, 3): index of the line, row before the change, new side (1 left); those of
        one line by row.
    """
    all_visits, all_changes = [np.empty((0, 5), dtype=np.int64)], [np.empty((0, 3), dtype=np.int64)]
    for first in range(0, max(len(zones), len(lines), 1), MOST_SHAPES):
        group = slice(first, first + MOST_SHAPES)
        grid = grid_of(
            tuple(zone.polygon for zone in zones[group]),
            tuple((line.a, line.b) for line in lines[group]),
        )
        visits, changes = _pass(walk, grid, rules)
        visits[:, 0] += first
        changes[:, 0] += first
        all_visits.append(visits)
        all_changes.append(changes)
    return np.concatenate(all_visits), np.concatenate(all_changes)


def _pass(walk: Walks, grid: Grid, rules: CountingRules) -> tuple[IntArray, IntArray]:
    from ksi_pipeline.core.kernels import NO_ROW, count_walks  # numba is slow to import

    # No two instants are further apart than 2**62 us.
    max_gap_us = max(min(round(rules.max_gap_s * 1e6), 2**62), -1)
    inertia_us = max(min(round(rules.exit_inertia_s * 1e6), 2**62), 0)
    zone_state = np.full((len(grid.boxes), 4), NO_ROW, dtype=np.int64)
    pieces_open, open_zones = np.zeros((len(grid.boxes), 2), dtype=np.int64), np.uint64(0)
    line_state = np.full((len(grid.lines), 4), NO_ROW, dtype=np.int64)
    # What one sample can write at most.
    room = grid.edges.shape[1] + 3 * len(grid.boxes) + 2 * len(grid.lines) + 2
    size = max(min(_ROWS, len(walk.ts)), 4 * room)
    visits, changes = np.empty((size, 5), dtype=np.int64), np.empty((size, 3), dtype=np.int64)
    all_visits, all_changes = [visits[:0].copy()], [changes[:0].copy()]
    row = 0
    while row < len(walk.ts):
        row, open_zones, visit_count, change_count = count_walks(
            row, walk.codes, walk.ts, walk.x, walk.y,
            max_gap_us, inertia_us, rules.confirm_samples, rules.position == "hold",
            grid.edges, grid.offsets, grid.boxes, grid.cells, grid.reach, grid.frame, grid.lines,
            np.uint64(open_zones), pieces_open, zone_state, line_state, visits, changes, room,
        )  # fmt: skip
        all_visits.append(visits[:visit_count].copy())
        all_changes.append(changes[:change_count].copy())
    unfinished = np.flatnonzero(zone_state[:, 0] != NO_ROW)
    all_visits.append(np.column_stack([unfinished, zone_state[unfinished]]))
    return np.concatenate(all_visits), np.concatenate(all_changes)
