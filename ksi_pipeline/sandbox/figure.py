"""What a simulated person looks like: a few upright parts in metres, dressed by a seed.

Parts stand in the plane that faces the camera, over the foot point; legs and arms swing with the
distance walked. Plain numbers only: render.py draws them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ksi_pipeline.sandbox.mall import FloatArray
from ksi_pipeline.sandbox.trail import Walk

Bgr = tuple[int, int, int]

# All far from the grey and wooden floors, so that background subtraction can see them.
_CLOTHES: tuple[Bgr, ...] = (
    (40, 36, 34), (150, 60, 30), (40, 40, 170), (60, 110, 30), (110, 40, 100),
    (30, 120, 220), (90, 50, 20), (70, 70, 75), (20, 30, 90), (250, 248, 245),
)  # fmt: skip
_TROUSERS: tuple[Bgr, ...] = ((60, 40, 30), (35, 35, 38), (110, 70, 40), (50, 60, 70), (80, 40, 40))
_SKIN: tuple[Bgr, ...] = ((150, 180, 225), (120, 150, 205), (80, 110, 165), (55, 75, 110))
_HAIR: tuple[Bgr, ...] = ((25, 25, 30), (30, 50, 80), (60, 120, 170), (120, 125, 130))
_STRIDE_M = 1.4
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Part:
    """One stroke, disc or filled shape of a figure.

    Attributes:
        points_m: shape (N, 3); one point is a disc, several a stroke or the corners of a shape.
        width_m: width of the stroke, or the disc's diameter.
        is_filled: whether the points are corners of a convex shape.
    """

    points_m: FloatArray
    width_m: float
    bgr: Bgr
    is_filled: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """One person at one instant: where, how far through the stride, and how dressed."""

    x_m: float
    y_m: float
    stride: float
    swing_m: float
    looks: int

    def parts(self, across: FloatArray) -> list[Part]:
        """Give the parts from back to front.

        Args:
            across: the camera's right-hand axis, shape (3,), horizontal; figures face it.
        """
        dress = np.random.default_rng([self.looks, 7])
        tall = float(np.clip(dress.normal(1.71, 0.07), 1.55, 1.9)) / 1.71
        shirt, trousers = _pick(dress, _CLOTHES), _pick(dress, _TROUSERS)
        skin, hair = _pick(dress, _SKIN), _pick(dress, _HAIR)
        foot = np.array([self.x_m, self.y_m, 0.0])

        def place(*offsets: tuple[float, float]) -> FloatArray:
            rows = [foot + side * across + (0.0, 0.0, up * tall) for side, up in offsets]
            return np.stack(rows)

        step = self.swing_m * math.sin(self.stride)
        lift = 0.06 * self.swing_m * math.cos(self.stride)
        shade = _darker(shirt, 0.72)
        body = ((-0.22, 1.44), (-0.17, 0.82), (0.17, 0.82), (0.22, 1.44), (0.12, 1.5), (-0.12, 1.5))
        side = ((0.06, 1.5), (0.05, 0.82), (0.17, 0.82), (0.22, 1.44), (0.12, 1.5))
        return [
            _leg(place, -0.09, step, max(0.0, lift), _darker(trousers, 0.8)),
            _leg(place, 0.09, -step, max(0.0, -lift), trousers),
            Part(place((-0.24, 1.4), (-0.27 - step / 3, 0.85)), 0.1, shade),
            Part(place(*body), 0.0, shirt, is_filled=True),
            Part(place(*side), 0.0, shade, is_filled=True),
            Part(place((0.24, 1.4), (0.27 - step / 3, 0.85)), 0.1, shade),
            Part(place((0.0, 1.5), (0.0, 1.56)), 0.1, skin),
            Part(place((0.0, 1.6)), 0.22, skin),
            Part(place((0.0, 1.65)), 0.2, hair),
        ]


def figure_of(walk: Walk, t_s: float) -> Figure:
    """Give the figure of a walk at an instant within it; people who stand sway a little."""
    before, here, after = walk.at(np.array([t_s - _LOOK_S, t_s, t_s + _LOOK_S]))
    velocity = (after - before) / (2 * _LOOK_S)
    speed = float(np.hypot(*velocity))
    sway = 0.02 * math.sin(1.7 * t_s + walk.looks % 7)
    stride = 2 * math.pi * t_s * max(speed, 0.3) / _STRIDE_M + walk.looks % 5
    # Steps towards the camera are not seen as a swing from side to side.
    swing_m = 0.22 * min(1.0, abs(float(velocity[0])) + 0.3 * speed)
    return Figure(float(here[0]) + sway, float(here[1]), stride, swing_m, walk.looks)


def _leg(
    place: Callable[..., FloatArray], side_m: float, step_m: float, lift_m: float, bgr: Bgr
) -> Part:
    points = place((side_m, 0.86), (side_m + step_m * 0.4, 0.45), (side_m + step_m, 0.09 + lift_m))
    return Part(points, 0.15, bgr)


def _pick(rng: np.random.Generator, colours: tuple[Bgr, ...]) -> Bgr:
    return colours[int(rng.integers(len(colours)))]


def _darker(bgr: Bgr, share: float) -> Bgr:
    return round(bgr[0] * share), round(bgr[1] * share), round(bgr[2] * share)
