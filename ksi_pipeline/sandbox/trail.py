"""How one simulated person moves: a list of instants and places, joined by straight legs."""

import math
from dataclasses import dataclass, field

import numpy as np

from ksi_pipeline.sandbox.mall import Box, FloatArray

# People keep this far from the edge of the zone they dwell in, so that 2 cm of measuring noise does
# not carry them in and out of it.
_INSET_M = 0.2
_BROWSE_M_PER_S = 0.6


@dataclass(frozen=True, slots=True)
class Walk:
    """One person's whole way through the mall.

    Attributes:
        t_s: shape (K,), seconds since the local midnight that began the day, increasing.
        xy_m: shape (K, 2), floor metres; straight and even between two entries.
        shop: index of the shop entered; None for people who only pass by.
        entered_s: instant of the door crossing inwards; None without a shop.
        left_s: instant of the door crossing outwards; None without a shop.
        paid_s: instant of payment, which is the ticket's time; None without a purchase.
        is_staged: made for the rendered video.
        looks: seed of the clothes; carries nothing else.
    """

    t_s: FloatArray
    xy_m: FloatArray
    shop: int | None
    entered_s: float | None
    left_s: float | None
    paid_s: float | None
    is_staged: bool
    looks: int

    def at(self, t_s: FloatArray) -> FloatArray:
        """Give the places at instants within the walk, shape (N, 2)."""
        x = np.interp(t_s, self.t_s, self.xy_m[:, 0])
        return np.stack([x, np.interp(t_s, self.t_s, self.xy_m[:, 1])], axis=1)


@dataclass(slots=True)
class Trail:
    """A walk being written, leg by leg."""

    t_s: float
    x_m: float
    y_m: float
    speed_m_per_s: float
    times: list[float] = field(default_factory=list)
    places: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._note()

    def go(self, x_m: float, y_m: float, speed_m_per_s: float | None = None) -> None:
        """Walk straight to a place."""
        length = math.hypot(x_m - self.x_m, y_m - self.y_m)
        if length == 0:
            return
        self.t_s += length / (speed_m_per_s or self.speed_m_per_s)
        self.x_m, self.y_m = x_m, y_m
        self._note()

    def cross(self, x_m: float, from_y_m: float, to_y_m: float) -> float:
        """Go through the door at y = 0 at a right angle and give the instant of the crossing."""
        self.go(x_m, from_y_m)
        crossed_s = self.t_s + abs(from_y_m) / self.speed_m_per_s
        self.go(x_m, to_y_m)
        return crossed_s

    def wait_until(self, t_s: float) -> None:
        """Stand still until an instant; one that is past changes nothing."""
        if t_s > self.t_s:
            self.t_s = t_s
            self._note()

    def linger(
        self,
        box: Box,
        seconds: float,
        rng: np.random.Generator,
        stand_s: tuple[float, float] = (3.0, 9.0),
    ) -> None:
        """Browse in a zone for about so long: stand a while, stroll on, stand again."""
        until = self.t_s + seconds
        self.go(*_spot(box, rng))
        while self.t_s < until:
            self.wait_until(min(until, self.t_s + rng.uniform(*stand_s)))
            if self.t_s < until:
                self.go(*_spot(box, rng), speed_m_per_s=_BROWSE_M_PER_S)

    def shift(self, seconds: float) -> None:
        """Move the whole trail in time."""
        self.t_s += seconds
        self.times = [t_s + seconds for t_s in self.times]

    def _note(self) -> None:
        self.times.append(self.t_s)
        self.places.append((self.x_m, self.y_m))


def _spot(box: Box, rng: np.random.Generator) -> tuple[float, float]:
    x = rng.uniform(box.x0 + _INSET_M, box.x1 - _INSET_M)
    return float(x), float(rng.uniform(box.y0 + _INSET_M, box.y1 - _INSET_M))
