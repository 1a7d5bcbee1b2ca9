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
_DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
_BIT_INDEX = np.zeros(64, dtype=np.int64)
for _bit in range(64):
    _BIT_INDEX[((1 << _bit) * int(_DE_BRUIJN) & 2**64 - 1) >> 58] = _bit
# A side that overflowed to NaN is neither left, right nor on the line.
_NO_SIDE = -2


@compiled
def is_inside(x, y, edges, first, end):
    """Even-odd test of one point; see geometry.points_in_polygon."""
    low_x, low_y = edges[0, first:end], edges[1, first:end]
    high_x, high_y = edges[2, first:end], edges[3, first:end]
    hits = 0
    for i in range(len(low_x)):
        at_x = low_x[i] + (high_x[i] - low_x[i]) * ((y - low_y[i]) / (high_y[i] - low_y[i]))
        # No branch, so that several edges are tested at once.
        hits += (low_y[i] <= y) & (y < high_y[i]) & (x < at_x)
    return hits % 2 == 1


@compiled
def _cut(ax, ay, bx, by, edges, first, end, cuts, work):
    """Fill `cuts` with 0, the distinct boundary hits in (0, 1) and 1, ascending; give how many."""
    step_x, step_y = bx - ax, by - ay
    low_x, low_y = edges[0, first:end], edges[1, first:end]
    high_x, high_y = edges[2, first:end], edges[3, first:end]
    crossings, hits = work[0], work[1]
    for i in range(len(low_x)):  # apart from the loop below, so that several are done at once
        edge_x, edge_y = high_x[i] - low_x[i], high_y[i] - low_y[i]
        crossings[i] = step_x * edge_y - step_y * edge_x
        hits[i] = (low_x[i] - ax) * edge_y - (low_y[i] - ay) * edge_x
    cuts[0] = 0.0
    count = 1
    for i in range(len(low_x)):
        crossing, hit = crossings[i], hits[i]
        # Outside (0, 1) by sign or size, so no division is needed: this is most edges.
        reached = hit if crossing > 0.0 else -hit
        if not (reached > 0.0 and reached < abs(crossing)):
            continue
        share = hit / crossing
        along = ((low_x[i] - ax) * step_y - (low_y[i] - ay) * step_x) / crossing
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
def pieces(ax, ay, bx, by, edges, first, end, cuts, out, work):
    """Write (from, to) of each piece inside into `out`; give how many. See inside_pieces.

    `cuts`, `out` and `work`, shape (2, E), have room for one more than there are edges.
    """
    stretches = _cut(ax, ay, bx, by, edges, first, end, cuts, work) - 1
    if stretches == 1:
        if not is_inside((ax + bx) / 2.0, (ay + by) / 2.0, edges, first, end):
            return 0
        out[0, 0], out[0, 1] = 0.0, 1.0
        return 1
    count = 0
    for i in range(stretches):
        middle = (cuts[i] + cuts[i + 1]) / 2.0
        x, y = ax + middle * (bx - ax), ay + middle * (by - ay)
        if not is_inside(x, y, edges, first, end):
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
def pieces_of_walks(start, end, edges, boxes):
    """Give (walk, from, to) of all pieces of many walks inside one polygon."""
    count = edges.shape[1]
    cuts, found, work = np.empty(count + 2), np.empty((count + 2, 2)), np.empty((2, count))
    walks, froms, tos = [0 for _ in range(0)], [0.0 for _ in range(0)], [0.0 for _ in range(0)]
    for i in range(len(start)):
        ax, ay, bx, by = start[i, 0], start[i, 1], end[i, 0], end[i, 1]
        if is_near(ax, ay, bx, by, boxes, 0):
            for k in range(pieces(ax, ay, bx, by, edges, 0, count, cuts, found, work)):
                walks.append(i)
                froms.append(found[k, 0])
                tos.append(found[k, 1])
    return np.array(walks, dtype=np.int64), np.array(froms), np.array(tos)


@compiled
def mark_cells(cells, zone, edges, low_x, low_y, cell, margin):
    """Set the bit of a zone in `cells`, see grid.Grid.

    Cells within `margin` of an edge count as touched by it.
    """
    bit = np.uint64(1) << np.uint64(zone)
    rows, columns = cells.shape[0], cells.shape[1]
    for i in range(edges.shape[1]):
        ax, ay = edges[0, i] - low_x, edges[1, i] - low_y
        bx, by = edges[2, i] - low_x, edges[3, i] - low_y
        for row in range(int((ay - margin) / cell), int((by + margin) / cell) + 1):
            from_y = min(max(row * cell - margin, ay), by)
            to_y = min(max((row + 1) * cell + margin, ay), by)
            from_x, to_x = ax, bx
            if by > ay:
                from_x = ax + (bx - ax) * ((from_y - ay) / (by - ay))
                to_x = ax + (bx - ax) * ((to_y - ay) / (by - ay))
            first = int((min(from_x, to_x) - margin) / cell)
            for column in range(first, int((max(from_x, to_x) + margin) / cell) + 1):
                cells[row, column, 0] |= bit
    for row in range(rows):
        for column in range(columns):
            if cells[row, column, 0] & bit == np.uint64(0) and is_inside(
                low_x + (column + 0.5) * cell, low_y + (row + 0.5) * cell, edges, 0, edges.shape[1]
            ):
                cells[row, column, 1] |= bit


@compiled
def reach_of_cells(cells, cell):
    """Give how far one can step along x or y from anywhere in a cell and meet no touched cell."""
    rows, columns = cells.shape[0], cells.shape[1]
    rings = np.empty((rows, columns))
    for row in range(rows):
        for column in range(columns):
            nearest = 0.0 if cells[row, column, 0] != np.uint64(0) else np.inf
            for near_row, near_column in (
                (row, column - 1), (row - 1, column - 1), (row - 1, column), (row - 1, column + 1)
            ):  # fmt: skip
                if near_row >= 0 and 0 <= near_column < columns:
                    nearest = min(nearest, rings[near_row, near_column] + 1.0)
            rings[row, column] = nearest
    for row in range(rows - 1, -1, -1):
        for column in range(columns - 1, -1, -1):
            nearest = rings[row, column]
            for near_row, near_column in (
                (row, column + 1), (row + 1, column + 1), (row + 1, column), (row + 1, column - 1)
            ):  # fmt: skip
                if near_row < rows and 0 <= near_column < columns:
                    nearest = min(nearest, rings[near_row, near_column] + 1.0)
            rings[row, column] = nearest
    return np.maximum(rings - 1.0, 0.0) * cell


@compiled
def _place(value, low, scale, last):
    """The cell of a coordinate; the outermost cells, outside all zones, stand for all beyond."""
    return int(min(max((value - low) * scale, 0.0), last))


@compiled
def _touched_between(cells, from_row, from_col, to_row, to_col):
    """Zones (bits) whose edge touches any cell of the box that two cells span."""
    low_row, high_row = min(from_row, to_row), max(from_row, to_row)
    low_col, high_col = min(from_col, to_col), max(from_col, to_col)
    touched = np.uint64(0)
    if (high_row - low_row + 1) * (high_col - low_col + 1) > _MOST_CELLS:
        return ~touched
    for row in range(low_row, high_row + 1):
        for column in range(low_col, high_col + 1):
            touched |= cells[row, column, 0]
    return touched


@compiled
def _lowest(bits):
    """Index of the lowest bit that is set; `bits` is not 0."""
    return _BIT_INDEX[((bits & (~bits + np.uint64(1))) * _DE_BRUIJN) >> np.uint64(58)]


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
    row, codes, ts, x, y, max_gap, inertia, confirm, holds,
    edges, offsets, boxes, cells, reach, frame, lines,
    open_zones, pieces_open, zone_state, line_state, visits, changes, room,
):  # fmt: skip
    """Count from sample `row` on until all are done or fewer than `room` output rows are left.

    A sample and the next are joined when they are of one tracklet and at most `max_gap` us apart.

    `open_zones` are the zones (bits) that the walk is wholly inside since `pieces_open[zone]`
    (start, flags); a step that stays inside all of them costs nothing. With `holds` a position
    holds until the next sample, else it moves straight to it.

    Long on purpose: a call that takes arrays costs more here than the step of a sample, so only
    what few samples need is a function of its own.

    Returns:
        (next sample, open zones, visits written, changes written).
    """
    cuts, found, work = np.empty(room + 2), np.empty((room + 2, 2)), np.empty((2, room))
    n, visit_count, change_count = len(ts), 0, 0
    last_row, last_col = cells.shape[0] - 1.0, cells.shape[1] - 1.0
    low_x, low_y, scale = frame[0], frame[1], frame[2]
    none = np.uint64(0)
    all_zones = ~none >> np.uint64(64 - len(boxes)) if len(boxes) else none
    all_lines = ~none >> np.uint64(64 - len(lines)) if len(lines) else none
    lefts, sideless = none, all_lines  # the first sample looks at all lines again
    is_joined = row > 0 and codes[row - 1] == codes[row] and ts[row] - ts[row - 1] <= max_gap
    while row < n and len(visits) - visit_count >= room and len(changes) - change_count >= room:
        ax, ay, code, now = x[row], y[row], codes[row], ts[row]
        before = is_joined
        is_joined = row + 1 < n and codes[row + 1] == code and ts[row + 1] - now <= max_gap
        cell_row, cell_col = _place(ay, low_y, scale, last_row), _place(ax, low_x, scale, last_col)
        near = cells[cell_row, cell_col, 2]
        todo = near | sideless | (cells[cell_row, cell_col, 3] ^ lefts)
        if not before:
            todo = all_lines
            for k in range(len(lines)):
                line_state[k, 0], line_state[k, 2] = 0, NO_ROW
        while todo != none:
            k = _lowest(todo)
            todo &= todo - np.uint64(1)
            side = _side_of(ax, ay, lines, k)
            if side != 0 and side != line_state[k, 0]:
                change_count = _change_side(
                    row, side, k, line_state, confirm, changes, change_count
                )
            bit = np.uint64(1) << np.uint64(k)
            lefts = lefts | bit if line_state[k, 0] > 0 else lefts & ~bit
            sideless = sideless | bit if line_state[k, 0] == 0 else sideless & ~bit
        if not is_joined:
            for k in range(len(lines)):
                change_count = _settle(line_state, k, row, confirm, changes, change_count)
        inside, touched = cells[cell_row, cell_col, 1], none
        if holds:
            left = cells[cell_row, cell_col, 0]
            while left != none:
                zone = _lowest(left)
                left &= left - np.uint64(1)
                if is_inside(ax, ay, edges, offsets[zone], offsets[zone + 1]):
                    inside |= np.uint64(1) << np.uint64(zone)
        elif is_joined:
            bx, by = x[row + 1], y[row + 1]
            if max(abs(bx - ax), abs(by - ay)) >= reach[cell_row, cell_col]:
                touched = all_zones & _touched_between(
                    cells, cell_row, cell_col,
                    _place(by, low_y, scale, last_row), _place(bx, low_x, scale, last_col),
                )  # fmt: skip
                inside &= ~touched
        else:
            inside = none
        left = open_zones & ~inside
        while left != none:
            zone = _lowest(left)
            left &= left - np.uint64(1)
            flags = pieces_open[zone, 1] | (0 if is_joined or holds else END_CENSORED)
            visit_count = _stay(
                code, pieces_open[zone, 0], now, flags,
                zone_state, zone, inertia, visits, visit_count,
            )  # fmt: skip
        left = inside & ~open_zones
        while left != none:
            zone = _lowest(left)
            left &= left - np.uint64(1)
            pieces_open[zone, 0], pieces_open[zone, 1] = now, 0 if before else START_CENSORED
        open_zones = inside
        while touched != none:
            zone = _lowest(touched)
            touched &= touched - np.uint64(1)
            if not is_near(ax, ay, bx, by, boxes, zone):
                continue
            count = pieces(
                ax, ay, bx, by, edges, offsets[zone], offsets[zone + 1], cuts, found, work
            )
            after = ts[row + 1]
            length = after - now
            goes_on = row + 2 < n and codes[row + 2] == code and ts[row + 2] - after <= max_gap
            for k in range(count):
                low, high = found[k, 0], found[k, 1]
                flags = START_CENSORED if low == 0.0 and not before else 0
                flags |= END_CENSORED if high == 1.0 and not goes_on else 0
                visit_count = _stay(
                    code, now + int(np.rint(low * length)), now + int(np.rint(high * length)),
                    flags, zone_state, zone, inertia, visits, visit_count,
                )  # fmt: skip
        if holds and not is_joined:
            while open_zones != none:
                zone = _lowest(open_zones)
                open_zones &= open_zones - np.uint64(1)
                if pieces_open[zone, 0] < now:
                    visit_count = _stay(
                        code, pieces_open[zone, 0], now, pieces_open[zone, 1] | END_CENSORED,
                        zone_state, zone, inertia, visits, visit_count,
                    )  # fmt: skip
        row += 1
    return row, open_zones, visit_count, change_count
