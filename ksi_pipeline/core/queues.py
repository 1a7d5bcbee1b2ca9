"""Queue events: how each visit to a queue zone ended, from visits alone.

The rule (docs/explanation/counting.md): a visit to a zone of role queue is *served* when the same
tracklet enters one of the service zones that the queue leads to while it is there, or at most
`hand_over_s` after it left; where the two zones overlap, the service zone wins. The wait ends
where the visit does, or where service begins if that is sooner. Who left elsewhere *abandoned*
after `abandon_s`, and *balked* before it. Where the end was not seen the outcome is null: nobody
knows it, and it is not a no.

Slowness cannot be told from visits; the time in the zone stands for it.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ksi_pipeline.core.geometry import BoolArray
from ksi_pipeline.core.plan import SitePlan, ZoneShape
from ksi_pipeline.core.roles import (
    instants,
    numbered,
    seen_together,
    visits_in_roles,
    visits_to,
)
from ksi_pipeline.core.schemas import QUEUE_EVENTS
from ksi_pipeline.core.walks import IntArray, encoded, ranks_of, table_of, taken

QUEUE_RULE_VERSION = 1

_NEVER = int(np.iinfo(np.int64).max)
_OUTCOMES = ("served", "abandoned", "balked")


def queue_events(visits: pa.Table, plan: SitePlan) -> pa.Table:
    """Read how visits to queue zones ended.

    Args:
        visits: schema VISITS, one site, whole tracklets, any order; zones of other roles are
            looked over.
        plan: zones, what cameras see, and `queue_rules`.

    Returns:
        Schema QUEUE_EVENTS, one row for each visit to a queue zone but those that began inside a
        service zone of the queue (being served is no waiting), ordered by zone, joining and
        tracklet. `outcome` is null where the end of the visit was not seen, where the same
        tracklet came back within `hand_over_s` without being served (the later row goes on),
        where a visit whose begin was not seen left sooner than `abandon_s`, and where no camera
        sees the queue together with a service zone. `is_join` says whether the tracklet queued:
        served after `join_s`, or there for `abandon_s`; null where that is not known.
    """
    if not any(zone.role == "queue" for zone in plan.zones):
        return QUEUE_EVENTS.empty_table()
    waits = _waits(visits, plan)
    rules = plan.queue_rules
    hand_over, abandon, join = (
        round(seconds * 1e6) for seconds in (rules.hand_over_s, rules.abandon_s, rules.join_s)
    )
    row, begin, left, service = waits.row, waits.begin, waits.left, waits.service
    again = _next_begin(waits)
    reach = left + hand_over
    is_served = (service <= reach) & (service <= again)
    goes_on = ~is_served & (again <= reach)
    went_on = _after(goes_on)
    start_unseen = visits["is_start_censored"].to_numpy()[row] | went_on
    end_unseen = visits["is_end_censored"].to_numpy()[row] | goes_on
    end = np.where(is_served, np.minimum(left, service), left)
    wait = end - begin
    is_long = wait >= abandon
    is_censored = start_unseen | (end_unseen & ~(is_served & (service <= left)))
    is_known = is_served | (waits.has_service & ~end_unseen & (is_long | ~start_unseen))
    is_join = wait >= np.where(is_served, join, abandon)
    is_join_known = is_join | (is_known & ~is_censored)
    outcome = np.where(is_served, 0, np.where(is_long, 1, 2))
    columns = {
        **{name: visits[name].take(pa.array(row)) for name in _KEPT},
        "joined_at_utc": begin,
        "ended_at_utc": end,
        "outcome": pc.if_else(pa.array(is_known), taken(_OUTCOMES, outcome), None),
        "wait_s": wait / 1e6,
        "is_join": pa.array(is_join, mask=~is_join_known),
        "is_censored": is_censored,
        "rule_version": np.full(len(row), QUEUE_RULE_VERSION),
    }
    zones = encoded(columns["zone_id"])
    zone = ranks_of(zones.dictionary.to_pylist())[zones.indices.to_numpy()]
    tracklets = encoded(columns["tracklet_id"])
    tracklet = ranks_of(tracklets.dictionary.to_pylist())[tracklets.indices.to_numpy()]
    order = np.lexsort((end, tracklet, begin, zone))
    return table_of(columns, QUEUE_EVENTS).take(pa.array(order))


_KEPT = ("site_id", "unit_id", "zone_id", "tracklet_id", "hour_start_utc", "geometry_version")


@dataclass(frozen=True, slots=True, eq=False)
class _Waits:
    """Visits to queue zones, each zone and tracklet in one run rising in time; shape (N,).

    Attributes:
        row: in the table of visits.
        who: number of zone and tracklet.
        begin: microseconds since the epoch, as `left` and `service`.
        service: first entry to a service zone of the queue after `begin`; `_NEVER` without one.
        has_service: whether a tracklet can be followed from the queue into a service zone.
    """

    row: IntArray
    who: IntArray
    begin: IntArray
    left: IntArray
    service: IntArray
    has_service: BoolArray


def _waits(visits: pa.Table, plan: SitePlan) -> _Waits:
    begin, left = instants(visits, "entered_at_utc"), instants(visits, "left_at_utc")
    codes = encoded(visits["tracklet_id"]).indices.to_numpy().astype(np.int64)
    is_wait = np.zeros(visits.num_rows, dtype=np.bool_)
    service = np.full(visits.num_rows, _NEVER)
    has_service = np.zeros(visits.num_rows, dtype=np.bool_)
    is_service = visits_in_roles(visits, plan, frozenset({"service"}))
    for zone in plan.zones:
        if zone.role != "queue":
            continue
        rows = np.flatnonzero(visits_to(visits, zone))
        leads_to = [i for i in service_zones(zone, plan) if seen_together(plan, zone.zone_id, i)]
        at = np.flatnonzero(
            is_service & pc.is_in(visits["zone_id"], pa.array(leads_to, pa.string())).to_numpy()
        )
        inside = _last_left(codes[rows], begin[rows], codes[at], begin[at], left[at]) > begin[rows]
        rows = rows[~inside]
        is_wait[rows] = True
        service[rows] = _next_entry(codes[rows], begin[rows], codes[at], begin[at])
        has_service[rows] = bool(leads_to)
    rows = np.flatnonzero(is_wait)
    who = numbered(visits, "zone_id", "tracklet_id")[rows]
    order = np.lexsort((left[rows], begin[rows], who))
    rows, who = rows[order], who[order]
    return _Waits(rows, who, begin[rows], left[rows], service[rows], has_service[rows])


def service_zones(queue: ZoneShape, plan: SitePlan) -> list[str]:
    """Give the ids of the service zones that a queue leads to, by default all of its unit's."""
    named = {
        zone.zone_id
        for zone in plan.zones
        if zone.role == "service"
        and (zone.zone_id in queue.leads_to if queue.leads_to else zone.unit_id == queue.unit_id)
    }
    return sorted(named)


def _next_begin(waits: _Waits) -> IntArray:
    """Give when the same tracklet comes to the same queue again, `_NEVER` if it does not."""
    again = np.full(len(waits.row), _NEVER)
    same = waits.who[1:] == waits.who[:-1]
    again[:-1][same] = waits.begin[1:][same]
    return again


def _after(goes_on: BoolArray) -> BoolArray:
    """Tell which waits follow one that goes on."""
    went_on = np.zeros_like(goes_on)
    went_on[1:] = goes_on[:-1]
    return went_on


def _next_entry(codes: IntArray, at: IntArray, other: IntArray, entered: IntArray) -> IntArray:
    """Give the first `entered` of the same code after `at`, `_NEVER` without one."""
    code, time, order, kind = _merged(codes, at, other, entered)
    count = len(order)
    nearest = np.minimum.accumulate(np.where(kind == 1, np.arange(count), count)[::-1])[::-1]
    place = np.minimum(nearest, count - 1)
    found = np.where((nearest < count) & (code[place] == code), time[place], _NEVER)
    return _answers(found, order, kind, len(codes))


def _last_left(
    codes: IntArray, at: IntArray, other: IntArray, entered: IntArray, left: IntArray
) -> IntArray:
    """Give the latest `left` of the same code among those entered up to `at`; least without one."""
    code, _, order, kind = _merged(codes, at, other, entered)
    by_left = np.argsort(left, kind="stable")
    rank = np.zeros(len(order), dtype=np.int64)
    rank[kind == 1] = (np.argsort(by_left) + 1)[order[kind == 1] - len(codes)]
    wide = len(left) + 1
    best = np.maximum.accumulate(code * wide + rank) % wide if len(order) else rank
    ends = np.append(np.iinfo(np.int64).min, left[by_left])
    return _answers(ends[best], order, kind, len(codes))


def _merged(
    codes: IntArray, at: IntArray, other: IntArray, entered: IntArray
) -> tuple[IntArray, IntArray, IntArray, NDArray[np.int64]]:
    """Bring questions (kind 0) and entries (kind 1) of each code into one order of time.

    At one instant entries come first.
    """
    code, time = np.concatenate([codes, other]), np.concatenate([at, entered])
    kind = np.repeat(np.array([0, 1]), [len(codes), len(other)])
    order = np.lexsort((-kind, time, code))
    return code[order], time[order], order, kind[order]


def _answers(found: IntArray, order: IntArray, kind: IntArray, count: int) -> IntArray:
    answers = np.empty(count, dtype=np.int64)
    asked = kind == 0
    answers[order[asked]] = found[asked]
    return answers
