"""Who walks through the demo mall on one day, when, where, and who buys.

Arrivals follow the hour of the day. Shoppers come along the corridor, pass one door inwards,
browse, some of them queue at the till and pay, and pass the same door outwards; the others walk by,
and some of those stop at a shop window. There is one till per shop and it serves in order of
arrival. Nobody is staff, nobody visits two shops, and people do not step aside for each other.

The window of the rendered video has a cast of its own: about one shopper per door and 19 seconds,
two to four people in a picture and mostly apart, so that a plain motion detector has a fair
chance. Arrivals at random whose walk would reach into that window are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ksi_pipeline.sandbox.mall import QUEUE_SLOTS, Mall, Shop
from ksi_pipeline.sandbox.trail import Trail, Walk

# Entries per shop and hour, by local hour, before each shop's own popularity.
_ENTRIES_PER_HOUR = {
    9: 62, 10: 74, 11: 88, 12: 98, 13: 92, 14: 74,
    15: 68, 16: 82, 17: 98, 18: 112, 19: 104, 20: 78,
}  # fmt: skip
_ENTRIES_AT_NIGHT = 20
_PASSERS_PER_ENTRY = 1.4
_WINDOW_SHARE = 0.25
# A stay of about 13 s puts most people outwards between two who come inwards.
_STAGED_EVERY_S = 19.0
_STAGED_PASSER_EVERY_S = 23.0
# OpenCV's MOG2 takes whoever stands still for 5 s at 10 frames/s for background.
_STAGED_STAND_S = (1.5, 3.5)
# The picture stays empty this long at first, so that a background model sees the bare floor.
_EMPTY_START_S = 3.0
# No door crossing lies nearer than this to the end of an hour, an outage or the video: measuring
# noise moves a crossing by some 20 ms and must not move it into another hour's count.
_EDGE_S = 1.0
# What a shopper may still need after browsing: the way out, and the till.
_WAY_OUT_S = 60.0
_LONGEST_QUEUE_S = 240.0


@dataclass(frozen=True, slots=True)
class DayPlan:
    """What a day asks of its walkers; all times in seconds since the local midnight instant.

    Attributes:
        index: number of the day, from 0; part of the seed.
        hours: open local hours as (from_s, to_s, hour on the wall clock), in order.
        video: window with a staged cast, or None.
        edges: instants from which door crossings keep away.
    """

    index: int
    hours: tuple[tuple[float, float, int], ...]
    video: tuple[float, float] | None
    edges: tuple[float, ...]


@dataclass(slots=True)
class _Shopper:
    trail: Trail
    shop: Shop
    entered_s: float
    is_staged: bool
    is_buyer: bool
    looks: int
    paid_s: float | None = None


def walk_day(mall: Mall, plan: DayPlan, seed: int) -> list[Walk]:
    """Give everybody's walk on one day, in order of their first instant.

    The same mall, plan and seed give the same walks; a shop's shoppers do not depend on how many
    other shops there are, apart from the length of the corridor.
    """
    walks: list[Walk] = []
    for shop in mall.shops:
        rng = np.random.default_rng([seed, plan.index, 1, shop.index])
        shoppers = _arrivals(mall, shop, plan, seed, rng)
        if plan.video is not None:
            shoppers = [s for s in shoppers if not _reaches(s, plan.video)]
            shoppers += _staged(mall, shop, plan.video, rng)
        _serve(shop, [s for s in shoppers if s.is_buyer], rng)
        walks.extend(_leave(mall, shopper, rng) for shopper in shoppers)
    walks.extend(_passers(mall, plan, np.random.default_rng([seed, plan.index, 2])))
    kept = [walk for walk in walks if _is_kept(walk, plan)]
    return sorted(kept, key=lambda walk: (walk.t_s[0], walk.xy_m[0, 0], walk.looks))


def _arrivals(
    mall: Mall, shop: Shop, plan: DayPlan, seed: int, rng: np.random.Generator
) -> list[_Shopper]:
    nature = np.random.default_rng([seed, shop.index])
    popularity, buyer_share = nature.uniform(0.85, 1.1), nature.uniform(0.18, 0.32)
    shoppers = []
    for from_s, to_s, local_hour in plan.hours:
        expected = _hourly(local_hour) * popularity * (to_s - from_s) / 3600.0
        for start_s in np.sort(rng.uniform(from_s, to_s, rng.poisson(expected))):
            dwell_s = float(np.clip(rng.lognormal(4.3, 0.6), 15.0, 600.0))
            shopper = _enter(mall, shop, rng, is_westward=bool(rng.random() < 0.5))
            shopper.is_buyer = bool(rng.random() < buyer_share)
            _move(shopper, float(start_s))
            shopper.trail.linger(shop.shelf, dwell_s, rng)
            shoppers.append(shopper)
    return shoppers


def _staged(
    mall: Mall, shop: Shop, video: tuple[float, float], rng: np.random.Generator
) -> list[_Shopper]:
    """The video's cast for one shop; they come from the nearer end of the corridor."""
    is_westward = shop.index >= mall.units / 2
    shoppers = []
    lead_s = _EMPTY_START_S + 7.0 + 4.0 * (shop.index % 3)
    for number, entry_s in enumerate(np.arange(video[0] + lead_s, video[1], _STAGED_EVERY_S)):
        shopper = _enter(mall, shop, rng, is_westward=is_westward, is_staged=True)
        shopper.is_buyer = number % 3 == 1
        jitter_s = float(rng.uniform(0.0, 3.0))
        _move(shopper, shopper.trail.times[0] + float(entry_s) + jitter_s - shopper.entered_s)
        shopper.trail.linger(shop.shelf, float(rng.uniform(5.0, 9.0)), rng, _STAGED_STAND_S)
        shoppers.append(shopper)
    return shoppers


def _enter(
    mall: Mall, shop: Shop, rng: np.random.Generator, *, is_westward: bool, is_staged: bool = False
) -> _Shopper:
    """Walk in from one end of the corridor until well inside the shop, starting at instant 0."""
    west_m, east_m = mall.ends_m
    lane_m = _lane(rng, is_westward=is_westward)
    trail = Trail(0.0, east_m if is_westward else west_m, lane_m, _speed(rng))
    # Inwards on one side of the door and outwards on the other, as crowds do by themselves.
    door_x = shop.centre_m + rng.uniform(0.3, 0.9)
    trail.go(door_x + (1.0 if is_westward else -1.0), lane_m)
    entered_s = trail.cross(door_x, -0.7, 0.9)
    looks = int(rng.integers(2**31))
    return _Shopper(trail, shop, entered_s, is_staged, is_buyer=False, looks=looks)


def _move(shopper: _Shopper, start_s: float) -> None:
    """Let the walk begin at an instant."""
    seconds = start_s - shopper.trail.times[0]
    shopper.trail.shift(seconds)
    shopper.entered_s += seconds


def _serve(shop: Shop, buyers: list[_Shopper], rng: np.random.Generator) -> None:
    """Queue the buyers at the shop's one till, first come first served, and let them pay."""
    for buyer in buyers:
        buyer.trail.go(*shop.queue_slot(QUEUE_SLOTS - 1))
    ends_s: list[float] = []
    for buyer in sorted(buyers, key=lambda b: b.trail.t_s):
        trail = buyer.trail
        waiting = [end_s for end_s in ends_s[-30:] if end_s > trail.t_s]
        for done, end_s in enumerate([trail.t_s, *waiting]):
            trail.wait_until(end_s)
            trail.go(*shop.queue_slot(len(waiting) - done), speed_m_per_s=0.9)
        service_s = rng.uniform(10.0, 16.0) if buyer.is_staged else rng.gamma(6.0, 6.0) + 8.0
        trail.wait_until(trail.t_s + float(service_s))
        buyer.paid_s = trail.t_s
        ends_s.append(trail.t_s)


def _leave(mall: Mall, shopper: _Shopper, rng: np.random.Generator) -> Walk:
    """Walk out through the door and off along the corridor."""
    trail = shopper.trail
    door_x = shopper.shop.centre_m - rng.uniform(0.3, 0.9)
    left_s = trail.cross(door_x, 0.9, -0.7)
    is_westward = bool(rng.random() < 0.5)
    lane_m = _lane(rng, is_westward=is_westward)
    trail.go(door_x + (-1.0 if is_westward else 1.0), lane_m)
    trail.go(mall.ends_m[0 if is_westward else 1], lane_m)
    return Walk(
        np.array(trail.times),
        np.array(trail.places),
        shopper.shop.index,
        shopper.entered_s,
        left_s,
        shopper.paid_s,
        shopper.is_staged,
        shopper.looks,
    )


def _passers(mall: Mall, plan: DayPlan, rng: np.random.Generator) -> list[Walk]:
    walks = []
    for from_s, to_s, local_hour in plan.hours:
        expected = _hourly(local_hour) * _PASSERS_PER_ENTRY * (to_s - from_s) / 3600.0
        for start_s in np.sort(rng.uniform(from_s, to_s, rng.poisson(expected))):
            looks_at = mall.shops[rng.integers(mall.units)]
            is_looking = rng.random() < _WINDOW_SHARE
            walks.append(_passer(mall, float(start_s), looks_at if is_looking else None, rng))
    if plan.video is not None:
        first_s = plan.video[0] + _EMPTY_START_S
        for start_s in np.arange(first_s, plan.video[1], _STAGED_PASSER_EVERY_S):
            walks.append(_passer(mall, float(start_s), None, rng, is_staged=True))
    return walks


def _passer(
    mall: Mall,
    start_s: float,
    looks_at: Shop | None,
    rng: np.random.Generator,
    *,
    is_staged: bool = False,
) -> Walk:
    is_westward = bool(rng.random() < 0.5)
    west_m, east_m = mall.ends_m
    from_m, to_m = (east_m, west_m) if is_westward else (west_m, east_m)
    lane_m = _lane(rng, is_westward=is_westward)
    trail = Trail(start_s, from_m, lane_m, _speed(rng))
    if looks_at is not None:
        # Straight along the lane first: other shops' windows are not on the way.
        trail.go(looks_at.window.x1 if is_westward else looks_at.window.x0, lane_m)
        trail.linger(looks_at.window, float(rng.uniform(5.0, 20.0)), rng)
        trail.go(looks_at.window.x0 if is_westward else looks_at.window.x1, lane_m)
    trail.go(to_m, lane_m)
    looks = int(rng.integers(2**31))
    times, places = np.array(trail.times), np.array(trail.places)
    return Walk(times, places, None, None, None, None, is_staged, looks)


def _hourly(local_hour: int) -> float:
    return float(_ENTRIES_PER_HOUR.get(local_hour, _ENTRIES_AT_NIGHT))


def _speed(rng: np.random.Generator) -> float:
    return float(np.clip(rng.normal(1.2, 0.12), 0.9, 1.5))


def _lane(rng: np.random.Generator, *, is_westward: bool) -> float:
    """People keep to their side: westward by the shops, eastward by the railing."""
    return float(rng.uniform(-1.6, -1.1) if is_westward else rng.uniform(-2.6, -2.1))


def _reaches(shopper: _Shopper, video: tuple[float, float]) -> bool:
    """Tell whether a walk that is not finished yet may still be under way in the video."""
    rest_s = _WAY_OUT_S + (_LONGEST_QUEUE_S if shopper.is_buyer else 0.0)
    return shopper.trail.times[0] < video[1] and shopper.trail.t_s + rest_s > video[0]


def _is_kept(walk: Walk, plan: DayPlan) -> bool:
    if walk.t_s[0] < plan.hours[0][0] or walk.t_s[-1] > plan.hours[-1][1]:
        return False
    video = None if walk.is_staged else plan.video
    if video is not None and walk.t_s[0] < video[1] and walk.t_s[-1] > video[0]:
        return False
    return not (_is_near(walk.entered_s, plan.edges) or _is_near(walk.left_s, plan.edges))


def _is_near(instant_s: float | None, edges: Sequence[float]) -> bool:
    return instant_s is not None and any(abs(instant_s - edge) < _EDGE_S for edge in edges)
