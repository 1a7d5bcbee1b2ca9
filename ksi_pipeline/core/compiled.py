"""Compiling loops with numba, and the small loops that stand alone.

Importing this module imports numba: import it in the function that needs it, see core.kernels.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit

_F = TypeVar("_F", bound=Callable[..., Any])


def compiled(function: _F) -> _F:
    """Compile; keep the machine code on disk where any of numba's cache folders can be written."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        kept: _F = njit(cache=True, **options)(function)
    except RuntimeError:  # no folder can be written: compile anew in each process
        kept = njit(**options)(function)
    return kept


NO_FAULT, UNSORTED, REPEATED, NOT_FINITE, NO_INSTANT = 0, 1, 2, 3, 4
# Years 1900 to 2200, as in core.time: others come from a wrong unit.
NEVER = -(2**63)
FIRST_US, LAST_US = -2_208_988_800_000_000, 7_289_654_399_999_999


@compiled
def first_fault(
    sites, cameras, tracklets, site_ranks, camera_ranks, tracklet_ranks, ts, x, y, known
):
    """Find the first row out of order, repeated or without a finite position, if there is one.

    `known` is empty where all positions are known; others may be anything.

    Returns:
        (row, fault, rows of the first tracklet, first row of the last tracklet).
    """
    head, last = len(ts), 0
    known_at = NEVER  # of the last known sample of the tracklet
    for i in range(len(ts)):
        is_known = len(known) == 0 or known[i]
        if not (np.isfinite(x[i]) and np.isfinite(y[i])) and is_known:
            return i, NOT_FINITE, head, last
        if not FIRST_US <= ts[i] <= LAST_US:
            return i, NO_INSTANT, head, last
        if i == 0:
            known_at = ts[i] if is_known else NEVER
            continue
        same = tracklets[i] == tracklets[i - 1] and cameras[i] == cameras[i - 1]
        if same and sites[i] == sites[i - 1]:
            if ts[i] < ts[i - 1]:
                return i, UNSORTED, head, last
            # Unknown positions at one instant contradict nothing.
            if is_known and ts[i] == known_at:
                return i, REPEATED, head, last
            known_at = ts[i] if is_known else known_at
            continue
        step = site_ranks[sites[i]] - site_ranks[sites[i - 1]]
        if step == 0:
            step = camera_ranks[cameras[i]] - camera_ranks[cameras[i - 1]]
        if step == 0:
            step = tracklet_ranks[tracklets[i]] - tracklet_ranks[tracklets[i - 1]]
        if step < 0:
            return i, UNSORTED, head, last
        head, last = min(head, i), i
        known_at = ts[i] if is_known else NEVER
    return 0, NO_FAULT, head, last


@compiled
def survey(codes, ts, x, y, tracklets):
    """Tell (is each tracklet in one run, with rising time; are all positions finite numbers)."""
    seen = np.zeros(tracklets, dtype=np.bool_)
    in_order = finite = True
    for i in range(len(ts)):
        finite &= np.isfinite(x[i]) and np.isfinite(y[i])
        if i > 0 and codes[i] == codes[i - 1]:
            in_order &= ts[i] > ts[i - 1]
        else:
            in_order &= not seen[codes[i]]
            seen[codes[i]] = True
    return in_order, finite


@compiled
def stretches(ts, known, bits):
    """Give the stretches of 2**bits us in which samples lie, each time another one begins.

    `known` is empty where all samples count.
    """
    found = [np.int64(0) for _ in range(0)]
    for i in range(len(ts)):
        if len(known) > 0 and not known[i]:
            continue
        place = ts[i] >> bits
        if len(found) == 0 or place != found[-1]:
            found.append(place)
    return found


@compiled
def begins_of(one, two):
    """Give the rows at which either of two columns of codes changes, the first row included."""
    found = [0 for _ in range(0)]
    for i in range(len(one)):
        if i == 0 or one[i] != one[i - 1] or two[i] != two[i - 1]:
            found.append(i)
    return found


@compiled
def order_of(ranks, at, places, rank_count):
    """Give the order by rank (from 0), instant and place; for ranks of few rows each."""
    firsts = np.zeros(rank_count + 1, dtype=np.int64)
    for rank in ranks:
        firsts[rank + 1] += 1
    for rank in range(rank_count):
        firsts[rank + 1] += firsts[rank]
    ends = firsts.copy()
    order = np.empty(len(ranks), dtype=np.int64)
    for i in range(len(ranks)):
        place, first = ends[ranks[i]], firsts[ranks[i]]
        ends[ranks[i]] += 1
        while place > first:
            before = order[place - 1]
            if at[before] < at[i] or (at[before] == at[i] and places[before] <= places[i]):
                break
            order[place] = before
            place -= 1
        order[place] = i
    return order


@compiled
def not_turned_back(lines, codes, at, is_in, min_inside):
    """Drop entries that turn back over their line in less than `min_inside` us, and their exits."""
    keep = np.ones(len(at), dtype=np.bool_)
    for i in range(len(at) - 1):
        is_same = lines[i] == lines[i + 1] and codes[i] == codes[i + 1]
        is_return = keep[i] and is_in[i] and not is_in[i + 1] and is_same
        if is_return and at[i + 1] - at[i] < min_inside:
            keep[i] = keep[i + 1] = False
    return keep


@compiled
def _sorted(values, room):
    """Sort into `room` if there is enough of it, without a new array: most groups are small."""
    if len(values) > len(room):
        return np.sort(values)
    for i in range(len(values)):
        value, place = values[i], i
        while place > 0 and room[place - 1] > value:
            room[place] = room[place - 1]
            place -= 1
        room[place] = value
    return room[: len(values)]


@compiled
def crowds(firsts, starts, ends, codes):
    """Give, for each group of stays [firsts[g], firsts[g + 1]), most at once and distinct codes.

    Stays are half-open: who leaves at the instant at which another comes is not with them.
    """
    most = np.zeros(len(firsts) - 1, dtype=np.int64)
    distinct = np.zeros(len(firsts) - 1, dtype=np.int64)
    room = np.empty((3, 32), dtype=np.int64)
    for group in range(len(firsts) - 1):
        low, high = firsts[group], firsts[group + 1]
        coming, leaving = _sorted(starts[low:high], room[0]), _sorted(ends[low:high], room[1])
        who = _sorted(codes[low:high], room[2])
        gone = 0
        for i in range(len(coming)):
            while gone < len(leaving) and leaving[gone] <= coming[i]:
                gone += 1
            most[group] = max(most[group], i + 1 - gone)
            distinct[group] += i == 0 or who[i] != who[i - 1]
    return most, distinct
