"""The rules for queues and staff in plain Python, one visit at a time; see test_queues, test_staff.

Slow and easy to check against docs/explanation/counting.md.
"""

from datetime import timedelta

import pyarrow as pa

from ksi_pipeline.core.plan import SitePlan, ZoneShape
from ksi_pipeline.core.schemas import QUEUE_EVENTS
from ksi_pipeline.core.staff import STAFFED_ROLES
from ksi_pipeline.core.time import hour_start_utc


def queue_events(visits: pa.Table, plan: SitePlan) -> list[dict]:
    rows = visits.to_pylist()
    waits = [
        v for v in rows if role_of(v, plan) == "queue" and not _begins_in_service(v, plan, rows)
    ]
    events = [_event(v, plan, rows, waits) for v in waits]
    columns = QUEUE_EVENTS.names
    return sorted(
        ({name: event[name] for name in columns} for event in events),
        key=lambda e: (e["zone_id"], e["joined_at_utc"], e["tracklet_id"], e["ended_at_utc"]),
    )


def _event(visit, plan, rows, waits) -> dict:
    rules = plan.queue_rules
    begin, left = visit["entered_at_utc"], visit["left_at_utc"]
    hand_over = timedelta(seconds=rules.hand_over_s)
    service = _service_entry(visit, plan, rows, waits)
    end = left if service is None else min(left, service)
    wait_s = (end - begin).total_seconds()
    start_unseen = visit["is_start_censored"] or any(
        _goes_on(other, plan, rows, waits) == begin
        for other in waits
        if _same_queue(other, visit) and other["entered_at_utc"] < begin
    )
    if service is not None:
        outcome = "served"
        is_censored = start_unseen or (visit["is_end_censored"] and left < service)
    else:
        again = _again(visit, waits)
        goes_on = again is not None and again <= left + hand_over
        end_unseen = visit["is_end_censored"] or goes_on
        is_censored = start_unseen or end_unseen
        if end_unseen or not _services(visit, plan):
            outcome = None
        elif wait_s >= rules.abandon_s:
            outcome = "abandoned"
        else:
            outcome = None if start_unseen else "balked"
    enough_s = rules.join_s if outcome == "served" else rules.abandon_s
    is_join = True if wait_s >= enough_s else False if outcome and not is_censored else None
    return {
        **visit,
        "joined_at_utc": begin,
        "ended_at_utc": end,
        "outcome": outcome,
        "wait_s": wait_s,
        "is_join": is_join,
        "is_censored": is_censored,
        "rule_version": 1,
    }


def _service_entry(visit, plan, rows, waits):
    """When the service that ended this wait was entered, or None."""
    latest = visit["left_at_utc"] + timedelta(seconds=plan.queue_rules.hand_over_s)
    entries = [
        s["entered_at_utc"]
        for s in _service_visits(visit, plan, rows)
        if s["entered_at_utc"] >= visit["entered_at_utc"]
    ]
    if not entries or min(entries) > latest:
        return None
    again = _again(visit, waits)
    return None if again is not None and again < min(entries) else min(entries)


def _goes_on(visit, plan, rows, waits):
    """When the tracklet is back in the same queue without having been served, or None."""
    latest = visit["left_at_utc"] + timedelta(seconds=plan.queue_rules.hand_over_s)
    again = _again(visit, waits)
    if again is None or again > latest or _service_entry(visit, plan, rows, waits) is not None:
        return None
    return again


def _again(visit, waits):
    begins = [
        w["entered_at_utc"]
        for w in waits
        if _same_queue(w, visit) and w["entered_at_utc"] > visit["entered_at_utc"]
    ]
    return min(begins, default=None)


def _same_queue(one, two) -> bool:
    return (one["zone_id"], one["tracklet_id"]) == (two["zone_id"], two["tracklet_id"])


def _begins_in_service(visit, plan, rows) -> bool:
    return any(
        s["entered_at_utc"] <= visit["entered_at_utc"] < s["left_at_utc"]
        for s in _service_visits(visit, plan, rows)
    )


def _service_visits(visit, plan, rows) -> list[dict]:
    services = _services(visit, plan)
    return [
        row
        for row in rows
        if row["tracklet_id"] == visit["tracklet_id"]
        and row["zone_id"] in services
        and role_of(row, plan) == "service"
    ]


def _services(visit, plan) -> set[str]:
    queue = zone_of(visit, plan)
    return {
        zone.zone_id
        for zone in plan.zones
        if zone.role == "service"
        and (
            zone.zone_id in queue.leads_to or (not queue.leads_to and zone.unit_id == queue.unit_id)
        )
        and any({zone.zone_id, queue.zone_id} <= seen for seen in plan.sees.values())
    }


def zone_of(visit, plan) -> ZoneShape:
    (zone,) = (
        zone
        for zone in plan.zones
        if zone.zone_id == visit["zone_id"]
        and (zone.valid_from is None or zone.valid_from <= visit["entered_at_utc"])
        and (zone.valid_to is None or visit["entered_at_utc"] < zone.valid_to)
    )
    return zone


def role_of(visit, plan) -> str:
    return zone_of(visit, plan).role


def staff_seconds(visits: pa.Table, plan: SitePlan) -> dict[str, int]:
    """Whole seconds of each tracklet in zones of role staff, second by second."""
    rows = visits.to_pylist()
    seconds: dict[str, set] = {row["tracklet_id"]: set() for row in rows}
    for row in rows:
        if role_of(row, plan) == "staff":
            seconds[row["tracklet_id"]] |= set(_seconds(row))
    return {tracklet: len(there) for tracklet, there in seconds.items()}


def zone_staffing(visits: pa.Table, staff: set[str], plan: SitePlan) -> dict:
    """(zone, hour) -> whole seconds with a customer, and with customers only."""
    customers: dict[tuple, set[str]] = {}
    for row in visits.to_pylist():
        if role_of(row, plan) in STAFFED_ROLES:
            for second in _seconds(row):
                customers.setdefault((row["zone_id"], second), set()).add(row["tracklet_id"])
    found: dict[tuple, list[int]] = {}
    for (zone_id, second), there in customers.items():
        if there - staff:
            seconds = found.setdefault((zone_id, hour_start_utc(second, plan.zone_info)), [0, 0])
            seconds[0] += 1
            seconds[1] += not there & staff
    return {key: tuple(value) for key, value in found.items()}


def _seconds(row):
    count = int((row["left_at_utc"] - row["entered_at_utc"]).total_seconds())
    return (row["entered_at_utc"] + timedelta(seconds=n) for n in range(count))
