"""Visits by the role of their zone: what queues and staff are read from.

A zone may change its role with its validity. Visits are cut to the validity of their zone, so the
instant of entry says which version of the zone a visit was to.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ksi_pipeline.core.geometry import BoolArray
from ksi_pipeline.core.plan import SitePlan, ZoneShape
from ksi_pipeline.core.walks import IntArray, encoded, instant_us


def visits_to(visits: pa.Table, zone: ZoneShape) -> BoolArray:
    """Tell which visits were to one version of a zone; shape (N,)."""
    entered = instants(visits, "entered_at_utc")
    mask: BoolArray = pc.equal(visits["zone_id"], zone.zone_id).to_numpy()
    if zone.valid_from:
        mask = mask & (entered >= instant_us(zone.valid_from))
    if zone.valid_to:
        mask = mask & (entered < instant_us(zone.valid_to))
    return mask


def visits_in_roles(visits: pa.Table, plan: SitePlan, roles: frozenset[str]) -> BoolArray:
    """Tell which visits were to zones of some roles; shape (N,)."""
    mask = np.zeros(visits.num_rows, dtype=np.bool_)
    for zone in plan.zones:
        if zone.role in roles:
            mask |= visits_to(visits, zone)
    return mask


def instants(table: pa.Table, name: str) -> IntArray:
    """Give a column of instants in microseconds since the epoch."""
    column: IntArray = table[name].cast(pa.int64()).to_numpy()
    return column


def numbered(table: pa.Table, *names: str) -> IntArray:
    """Number the distinct combinations of text and whole numbers in some columns; shape (N,)."""
    number = np.zeros(table.num_rows, dtype=np.int64)
    for name in names:
        codes = encoded(table[name]).indices.to_numpy()
        number = number * (int(codes.max(initial=0)) + 1) + codes
    return number


def seen_together(plan: SitePlan, zone_id: str, other_id: str) -> bool:
    """Whether some camera sees both zones, so that a tracklet can be followed between them."""
    return any({zone_id, other_id} <= seen for seen in plan.sees.values())
