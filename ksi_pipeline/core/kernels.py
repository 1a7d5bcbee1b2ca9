"""Compiled loops of counting: one pass over sorted samples gives visits and changes of side.

Importing this module imports numba, which takes half a second: import it in the function that
counts, never at the top of another module. What calls each other lives in this one file, because
numba's cache looks only at the file of the function that it compiles.

Every number is computed by the same operations in the same order as the definitions in
core.geometry, without contraction or reassociation, so the grid decides only which segments need no
exact work, never what a segment gives.
"""

import numpy as np

from ksi_pipeline.core.compiled import compiled

NO_ROW = -1
START_CENSORED, END_CENSORED = 1, 2
# More cells than this under one segment: testing its zones is cheaper than looking at the cells.
_MOST_CELLS = 64
# A side that overflowed to NaN is neither left, right nor on the line.
_NO_SIDE = -2


@compiled
def is_inside(x, y, vertices, first, end):
    """Even-odd test of one point; see geometry.points_in_polygon."""
    inside = False
    before_x, before_y = vertices[end - 1, 0], vertices[end - 1, 1]
    for i in range(first, end):
        vertex_x, vertex_y = vertices[i, 0], vertices[i, 1]
        if (before_y > y) != (vertex_y > y):
            rise = vertex_y - before_y
            if x < before_x + (vertex_x - before_x) * ((y - before_y) / rise):
                inside = not inside
        before_x, before_y = vertex_x, vertex_y
    return inside


@compiled
def _cut(ax, ay, bx, by, vertices, first, end, cuts):
    """Fill `cuts` with 0, the distinct boundary hits in (0, 1) and 1, ascending; give how many."""
    step_x, step_y = bx - ax, by - ay
    cuts[0] = 0.0
    count = 1
    before_x, before_y = vertices[end - 1, 0], vertices[end - 1, 1]
    for i in range(first, end):
        edge_x, edge_y = vertices[i, 0] - before_x, vertices[i, 1] - before_y
        from_x, from_y = before_x - ax, before_y - ay
        before_x, before_y = vertices[i, 0], vertices[i, 1]
        crossing = step_x * edge_y - step_y * edge_x
        hit = from_x * edge_y - from_y * edge_x
        # Outside (0, 1) by sign or size, so no division is needed: this is most edges.
        if crossing > 0.0 and (hit <= 0.0 or hit >= crossing):
            continue
        if crossing < 0.0 and (hit >= 0.0 or hit <= crossing):
            continue
        if crossing == 0.0:
            continue
        share = hit / crossing
        along = (from_x * step_y - from_y * step_x) / crossing
        if share > 0.0 and share < 1.0 and along >= 0.0 and along <= 1.0:
            count = _insert(cuts, count, share)
    cuts[count] = 1.0
    return count + 1


@compiled
def _insert(cuts, count, share):
    place = count
    while cuts[place - 1] > share:
        place -= 1
    if cuts[place - 1] == share:
        return count
    for i in range(count, place, -1):
        cuts[i] = cuts[i - 1]
    cuts[place] = share
    return count + 1


@compiled
def pieces(ax, ay, bx, by, vertices, first, end, cuts, out):
    """Write (from, to) of each piece inside into `out`; give how many. See inside_pieces."""
    stretches = _cut(ax, ay, bx, by, vertices, first, end, cuts) - 1
    if stretches == 1:
        if not is_inside((ax + bx) / 2.0, (ay + by) / 2.0, vertices, first, end):
            return 0
        out[0, 0], out[0, 1] = 0.0, 1.0
        return 1
    count = 0
    for i in range(stretches):
        middle = (cuts[i] + cuts[i + 1]) / 2.0
        x, y = ax + middle * (bx - ax), ay + middle * (by - ay)
        if not is_inside(x, y, vertices, first, end):
            continue
        if count > 0 and out[count - 1, 1] == cuts[i]:
            out[count - 1, 1] = cuts[i + 1]
        else:
            out[count, 0], out[count, 1] = cuts[i], cuts[i + 1]
            count += 1
    return count


@compiled
def is_near(ax, ay, bx, by, boxes, zone):
    """Whether the boxes of a walk and of a polygon (low x, low y, high x, high y) meet."""
    return (
        max(ax, bx) >= boxes[zone, 0]
        and max(ay, by) >= boxes[zone, 1]
        and min(ax, bx) <= boxes[zone, 2]
        and min(ay, by) <= boxes[zone, 3]
    )


@compiled
def pieces_of_walks(start, end, polygon, boxes):
    """Give (walk, from, to) of all pieces of many walks inside one polygon."""
    cuts, found = np.empty(len(polygon) + 2), np.empty((len(polygon) + 2, 2))
    walks, froms, tos = [0 for _ in range(0)], [0.0 for _ in range(0)], [0.0 for _ in range(0)]
    for i in range(len(start)):
        ax, ay, bx, by = start[i, 0], start[i, 1], end[i, 0], end[i, 1]
        if is_near(ax, ay, bx, by, boxes, 0):
            for k in range(pieces(ax, ay, bx, by, polygon, 0, len(polygon), cuts, found)):
                walks.append(i)
                froms.append(found[k, 0])
                tos.append(found[k, 1])
    return np.array(walks, dtype=np.int64), np.array(froms), np.array(tos)


@compiled
def mark_cells(cells, zone, polygon, low_x, low_y, cell, margin):
    """Set the bit of a zone in `cells`, see grid.ZoneGrid.

    Cells within `margin` of an edge count as touched by it.
    """
    bit = np.uint64(1) << np.uint64(zone)
    rows, columns = cells.shape[0], cells.shape[1]
    ax, ay = polygon[len(polygon) - 1, 0] - low_x, polygon[len(polygon) - 1, 1] - low_y
    for i in range(len(polygon)):
        bx, by = polygon[i, 0] - low_x, polygon[i, 1] - low_y
        low, high = min(ay, by), max(ay, by)
        for row in range(int((low - margin) / cell), int((high + margin) / cell) + 1):
            from_y = min(max(row * cell - margin, low), high)
            to_y = min(max((row + 1) * cell + margin, low), high)
            from_x, to_x = ax, bx
            if high > low:
                from_x = ax + (bx - ax) * ((from_y - ay) / (by - ay))
                to_x = ax + (bx - ax) * ((to_y - ay) / (by - ay))
            first = int((min(from_x, to_x) - margin) / cell)
            for column in range(first, int((max(from_x, to_x) + margin) / cell) + 1):
                cells[row, column, 0] |= bit
        ax, ay = bx, by
    for row in range(rows):
        for column in range(columns):
            if cells[row, column, 0] & bit == np.uint64(0) and is_inside(
                low_x + (column + 0.5) * cell, low_y + (row + 0.5) * cell, polygon, 0, len(polygon)
            ):
                cells[row, column, 1] |= bit


@compiled
def _place(value, low, scale, last):
    """The cell of a coordinate; the outermost cells, outside all zones, stand for all beyond."""
    place = (value - low) * scale
    if not place > 0.0:
        return 0
    return int(place) if place < last else last


@compiled
def _edges_over(cells, from_row, from_col, to_row, to_col):
    """Zones (bits) whose edge touches any cell of the box that two cells span."""
    low_row, high_row = min(from_row, to_row), max(from_row, to_row)
    low_col, high_col = min(from_col, to_col), max(from_col, to_col)
    edges = np.uint64(0)
    if (high_row - low_row + 1) * (high_col - low_col + 1) > _MOST_CELLS:
        edges = ~edges
    else:
        for row in range(low_row, high_row + 1):
            for column in range(low_col, high_col + 1):
                edges |= cells[row, column, 0]
    return edges


@compiled
def _stay(code, start, end, flags, state, zone, inertia, visits, count):
    """Add one interval to a zone: it grows the visit before it, or ends that and begins another.

    `state[zone]` is the open visit (tracklet, start, end, flags).
    """
    gap = start - state[zone, 2]
    if state[zone, 0] == code and (gap == 0 or gap < inertia):
        state[zone, 2] = end
        state[zone, 3] = (state[zone, 3] & START_CENSORED) | (flags & END_CENSORED)
        return count
    count = close_visit(state, zone, visits, count)
    state[zone, 0], state[zone, 1], state[zone, 2], state[zone, 3] = code, start, end, flags
    return count


@compiled
def close_visit(state, zone, visits, count):
    """Write the open visit of a zone, if there is one, as (zone, tracklet, start, end, flags)."""
    if state[zone, 0] == NO_ROW:
        return count
    visits[count, 0] = zone
    for k in range(4):
        visits[count, k + 1] = state[zone, k]
    state[zone, 0] = NO_ROW
    return count + 1


@compiled
def _side_of(x, y, lines, k):
    """Sign of geometry.signed_side; lines[k] is (a x, a y, b x, b y)."""
    ax, ay, bx, by = lines[k, 0], lines[k, 1], lines[k, 2], lines[k, 3]
    side = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
    if side > 0.0:
        return 1
    if side < 0.0:
        return -1
    return 0 if side == 0.0 else _NO_SIDE


@compiled
def _settle(state, k, last, confirm, changes, count):
    """Write the pending change of line k if the side after it lasted to row `last` long enough."""
    row = state[k, 2]
    if row != NO_ROW and state[k, 3] != state[k, 1] and last - row >= confirm:
        changes[count, 0], changes[count, 1], changes[count, 2] = k, row, state[k, 3]
        state[k, 1] = state[k, 3]
        count += 1
    state[k, 2] = NO_ROW
    return count


@compiled
def _change_side(row, side, k, state, confirm, changes, count):
    """Move line k to a sample on another side; write (line, row before, new side) if confirmed.

    `state[k]` is (side, settled side, row before the pending change, its side); side 0: none yet.
    """
    before = state[k, 0]
    if before == 0:
        state[k, 1] = side
    else:
        if confirm > 1:
            count = _settle(state, k, row - 1, confirm, changes, count)
        state[k, 2], state[k, 3] = row - 1, side
        if confirm <= 1:
            # Any side that is not the one before is a change, whatever was settled.
            state[k, 1] = before
            count = _settle(state, k, row, confirm, changes, count)
    state[k, 0] = side
    return count


@compiled
def count_walks(
    row, codes, ts, x, y, joined, inertia, confirm,
    vertices, offsets, boxes, cells, frame, lines,
    zone_state, line_state, visits, changes, room,
):  # fmt: skip
    """Count from sample `row` on until all are done or fewer than `room` output rows are left.

    Long on purpose: a call that takes arrays costs more here than the step of a sample, so only
    what few samples need is a function of its own.

    Returns:
        (next sample, visits written, changes written).
    """
    cuts, found = np.empty(room + 2), np.empty((room + 2, 2))
    n, visit_count, change_count = len(ts), 0, 0
    last_row, last_col = cells.shape[0] - 1, cells.shape[1] - 1
    low_x, low_y, scale = frame[0], frame[1], frame[2]
    next_row = _place(y[row], low_y, scale, last_row)
    next_col = _place(x[row], low_x, scale, last_col)
    while row < n and len(visits) - visit_count >= room and len(changes) - change_count >= room:
        before, is_joined = row > 0 and joined[row - 1], joined[row]
        ax, ay = x[row], y[row]
        for k in range(len(lines)):
            if not before:
                line_state[k, 0], line_state[k, 2] = 0, NO_ROW
            side = _side_of(ax, ay, lines, k)
            if side != 0 and side != line_state[k, 0]:
                change_count = _change_side(
                    row, side, k, line_state, confirm, changes, change_count
                )
            if not is_joined:
                change_count = _settle(line_state, k, row, confirm, changes, change_count)
        here_row, here_col = next_row, next_col
        if row + 1 < n:
            next_row = _place(y[row + 1], low_y, scale, last_row)
            next_col = _place(x[row + 1], low_x, scale, last_col)
        if is_joined:
            bx, by = x[row + 1], y[row + 1]
            edge = cells[here_row, here_col, 0]
            if here_row != next_row or here_col != next_col:
                edge = _edges_over(cells, here_row, here_col, next_row, next_col)
            inside = cells[here_row, here_col, 1] & ~edge
            start, length = ts[row], ts[row + 1] - ts[row]
            left = edge | inside
            for zone in range(len(boxes)):
                if left == np.uint64(0):
                    break
                bit = np.uint64(1) << np.uint64(zone)
                if left & bit == np.uint64(0):
                    continue
                left &= ~bit
                count = 1
                found[0, 0], found[0, 1] = 0.0, 1.0
                if edge & bit != np.uint64(0):
                    if not is_near(ax, ay, bx, by, boxes, zone):
                        continue
                    first, end = offsets[zone], offsets[zone + 1]
                    count = pieces(ax, ay, bx, by, vertices, first, end, cuts, found)
                for k in range(count):
                    low, high = found[k, 0], found[k, 1]
                    flags = START_CENSORED if low == 0.0 and not before else 0
                    flags |= END_CENSORED if high == 1.0 and not joined[row + 1] else 0
                    visit_count = _stay(
                        codes[row], start + int(np.rint(low * length)),
                        start + int(np.rint(high * length)), flags,
                        zone_state, zone, inertia, visits, visit_count,
                    )  # fmt: skip
        row += 1
    return row, visit_count, change_count
