"""Who counts as staff, and how long customers were in a zone without them; from visits alone.

The rule (docs/explanation/counting.md): a tracklet that spent `min_s` in zones of role staff is
staff, with everything it did. A tracklet is not a person: staff who are lost from view come back
as another tracklet, which has to earn the flag anew.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ksi_pipeline.core.geometry import BoolArray
from ksi_pipeline.core.plan import SitePlan
from ksi_pipeline.core.roles import instants, numbered, seen_together, visits_in_roles
from ksi_pipeline.core.schemas import TRACKLET_STAFF, ZONE_STAFFING
from ksi_pipeline.core.time import Window, hour_starts_us
from ksi_pipeline.core.walks import IntArray, encoded, instant_us, names_of, table_of, taken

STAFF_RULE_VERSION = 1
STAFFED_ROLES = frozenset({"selling", "display", "fitting", "service"})

_QUARTER_US = 900_000_000


def tracklet_staff(visits: pa.Table, plan: SitePlan) -> pa.Table:
    """Tell which tracklets are staff.

    Args:
        visits: schema VISITS, one site, whole tracklets, any order.
        plan: zones, and the staff rule.

    Returns:
        Schema TRACKLET_STAFF, one row for each tracklet with a visit to any zone, ordered by
        tracklet; no rows at all without a staff rule. Time in zones of role staff that overlap
        counts once.
    """
    if plan.staff_rule is None:
        return TRACKLET_STAFF.empty_table()
    tracklets = encoded(visits["tracklet_id"])
    names = names_of(tracklets)
    rows = np.flatnonzero(visits_in_roles(visits, plan, frozenset({"staff"})))
    who = tracklets.indices.to_numpy().astype(np.int64)[rows]
    begin, left = instants(visits, "entered_at_utc")[rows], instants(visits, "left_at_utc")[rows]
    code, start, end, depth = _stretches(who, begin, left, np.ones((len(rows), 1), dtype=np.int64))
    inside_us = np.zeros(len(names.ranks), dtype=np.int64)
    np.add.at(inside_us, code, (end - start) * (depth[:, 0] > 0))
    order = np.argsort(names.ranks, kind="stable")
    present = order[np.isin(order, tracklets.indices.to_numpy())]
    columns = {
        "site_id": taken([plan.site_id], np.zeros(len(present), dtype=np.int64)),
        "tracklet_id": names.values.take(pa.array(present)),
        "is_staff": inside_us[present] >= round(plan.staff_rule.min_s * 1e6),
        "staff_zone_s": inside_us[present] / 1e6,
        "rule_version": np.full(len(present), STAFF_RULE_VERSION),
    }
    return table_of(columns, TRACKLET_STAFF)


def zone_staffing(
    visits: pa.Table, staff: pa.Table, plan: SitePlan, window: Window | None = None
) -> pa.Table:
    """Measure how long each zone had customers, and customers without staff.

    Args:
        visits: schema VISITS, one site, any order.
        staff: schema TRACKLET_STAFF; a tracklet without a row is a customer.
        plan: zones, what cameras see, and the staff rule.
        window: only this time, the whole of the visits without one.

    Returns:
        Schema ZONE_STAFFING, one row per zone, geometry and local hour with a customer in it,
        ordered by zone and hour. Zones of the roles in `STAFFED_ROLES` only, and only where some
        camera sees them together with a zone of role staff: elsewhere staff cannot be told from
        customers, and uncovered time would say nothing. No rows at all without a staff rule.
    """
    if plan.staff_rule is None:
        return ZONE_STAFFING.empty_table()
    rows = np.flatnonzero(_is_staffed(visits, plan))
    begin, left = instants(visits, "entered_at_utc")[rows], instants(visits, "left_at_utc")[rows]
    if window is not None:
        begin = np.maximum(begin, instant_us(window.start))
        left = np.minimum(left, instant_us(window.end))
    keep = left > begin
    rows, begin, left = rows[keep], begin[keep], left[keep]
    shape = numbered(visits, "zone_id", "geometry_version", "unit_id")[rows]
    by_flag = staff.filter(staff["is_staff"])["tracklet_id"]
    is_staff = pc.is_in(visits["tracklet_id"], by_flag.combine_chunks()).to_numpy()[rows]
    people = np.column_stack([~is_staff, is_staff]).astype(np.int64)
    shape_of, start, end, present = _stretches(shape, begin, left, people)
    has_customer = present[:, 0] > 0
    shape_of, start, end = shape_of[has_customer], start[has_customer], end[has_customer]
    has_staff = present[has_customer, 1] > 0
    if len(start) == 0:
        return ZONE_STAFFING.empty_table()
    part, start, end = _cut_at_quarters(start, end)
    shape_of, hour = shape_of[part], hour_starts_us(start, plan.zone_info)
    # Pieces come by shape and time, so those of one hour follow each other.
    begins = np.ones(len(part), dtype=np.bool_)
    begins[1:] = (shape_of[1:] != shape_of[:-1]) | (hour[1:] != hour[:-1])
    firsts = np.flatnonzero(begins)
    uncovered = (end - start) * ~has_staff[part]
    known, example = np.unique(shape, return_index=True)
    row = pa.array(rows[example[np.searchsorted(known, shape_of[firsts])]])
    columns = {
        **{name: visits[name].take(row) for name in _SHAPE},
        "hour_start_utc": hour[firsts],
        "customer_s": np.add.reduceat(end - start, firsts) / 1e6,
        "uncovered_s": np.add.reduceat(uncovered, firsts) / 1e6,
        "rule_version": np.full(len(firsts), STAFF_RULE_VERSION),
    }
    by = [(name, "ascending") for name in ("zone_id", "hour_start_utc", "geometry_version")]
    return table_of(columns, ZONE_STAFFING).sort_by(by)


_SHAPE = ("site_id", "unit_id", "zone_id", "geometry_version")


def _is_staffed(visits: pa.Table, plan: SitePlan) -> BoolArray:
    """Tell which visits were to zones whose staff can be told from customers; shape (N,)."""
    staff_ids = {zone.zone_id for zone in plan.zones if zone.role == "staff"}
    judged = {
        zone.zone_id
        for zone in plan.zones
        if any(seen_together(plan, zone.zone_id, i) for i in staff_ids)
    }
    is_judged: BoolArray = pc.is_in(
        visits["zone_id"], pa.array(sorted(judged), pa.string())
    ).to_numpy()
    return is_judged & visits_in_roles(visits, plan, STAFFED_ROLES)


def _stretches(
    who: IntArray, begin: IntArray, left: IntArray, kinds: IntArray
) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Cut the time of each `who` where anybody comes or goes.

    Args:
        who: shape (N,).
        begin: shape (N,), microseconds since the epoch, as `left`.
        left: shape (N,).
        kinds: shape (N, K), how many of each kind a row stands for.

    Returns:
        who, start, end of shape (M,) and how many of each kind are there, shape (M, K). The
        stretch from the last of one `who` to the first of the next is empty: nobody is there.
    """
    at = np.concatenate([begin, left])
    owner = np.concatenate([who, who])
    change = np.concatenate([kinds, -kinds])
    order = np.lexsort((at, owner))
    at, owner = at[order], owner[order]
    present = np.cumsum(change[order], axis=0)
    return owner[:-1], at[:-1], at[1:], present[:-1]


def _cut_at_quarters(start: IntArray, end: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Cut spans at quarters of an hour, on which every local hour begins: (row, start, end)."""
    first = start - start % _QUARTER_US
    count = np.maximum(-((first - end) // _QUARTER_US), 0)
    row = np.repeat(np.arange(len(start)), count)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    quarter = first[row] + nth * _QUARTER_US
    return row, np.maximum(start[row], quarter), np.minimum(end[row], quarter + _QUARTER_US)
