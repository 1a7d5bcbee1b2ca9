"""The demo mall as it stands: shops side by side above a common corridor, doors, zones, cameras.

Geometry only; nobody walks here (walkers.py) and nothing is drawn (render.py). Floor metres: x runs
along the corridor, y into the shops, z up. Shop i fills x from 8 i to 8 i + 8 and y from 0 to 5.5;
the corridor lies at y < 0. Each shop has one camera across the corridor, 4.5 m up, looking down at
the door. The views of two cameras share no floor, so that nobody is delivered twice at one instant.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ksi_pipeline.core.errors import ConfigError

FloatArray = NDArray[np.float64]
Rows = tuple[tuple[float, float, float, float], ...]

SITE_ID = "demo-mall"
COMMON_UNIT = "_common"
# of goods; the shelf of a shop shows the first
CATEGORIES = ("sneakers", "boots")
PITCH_M = 8.0
DEPTH_M = 5.5
CORRIDOR_Y_M = (-2.9, -0.8)
# How far the corridor goes on beyond the first and the last shop, where walkers come and go.
CORRIDOR_END_M = 6.0
DOOR_HALF_M = 1.2
QUEUE_SLOTS = 5
QUEUE_STEP_M = 0.7


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle on the floor, in metres; both ends belong to it."""

    x0: float
    y0: float
    x1: float
    y1: float

    def polygon(self) -> list[tuple[float, float]]:
        """Give the corners counter-clockwise, without a repeated last point."""
        return [(self.x0, self.y0), (self.x1, self.y0), (self.x1, self.y1), (self.x0, self.y1)]

    def holds(self, xy_m: FloatArray) -> NDArray[np.bool_]:
        """Tell which points, shape (N, 2), lie in it."""
        x, y = xy_m[:, 0], xy_m[:, 1]
        inside: NDArray[np.bool_] = (
            (x >= self.x0) & (x <= self.x1) & (y >= self.y0) & (y <= self.y1)
        )
        return inside


@dataclass(frozen=True, slots=True)
class Pinhole:
    """A camera without lens distortion; pixel (0, 0) is the centre of the top left pixel."""

    position: tuple[float, float, float]
    target: tuple[float, float, float]
    focal_px: float = 480.0
    width_px: int = 640
    height_px: int = 480

    def axes(self) -> FloatArray:
        """Give the camera's axes as rows: right, down, forward; shape (3, 3), unit length."""
        return _axes(self.position, self.target)

    def project(self, points_m: FloatArray) -> FloatArray:
        """Project points in metres, shape (N, 3), to rows (u, v, depth in metres)."""
        right, down, depth = self.axes() @ (np.asarray(points_m) - self.position).T
        u = (self.width_px - 1) / 2 + self.focal_px * right / depth
        v = (self.height_px - 1) / 2 + self.focal_px * down / depth
        return np.stack([u, v, depth], axis=1)

    def floor(self, pixels: FloatArray) -> FloatArray:
        """Cut the rays of pixels, shape (N, 2), with the floor; a ray that misses it gives NaN."""
        ahead = np.ones((len(pixels), 3))
        ahead[:, 0] = (pixels[:, 0] - (self.width_px - 1) / 2) / self.focal_px
        ahead[:, 1] = (pixels[:, 1] - (self.height_px - 1) / 2) / self.focal_px
        rays = ahead @ self.axes()
        with np.errstate(divide="ignore"):
            length = np.where(rays[:, 2] < 0, -self.position[2] / rays[:, 2], np.nan)
        xy_m: FloatArray = np.array(self.position[:2]) + rays[:, :2] * length[:, None]
        return xy_m


# Drawing a person projects dozens of times, and finding the axes took most of that.
@cache
def _axes(position: tuple[float, float, float], target: tuple[float, float, float]) -> FloatArray:
    forward = np.subtract(target, position)
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    axes: FloatArray = np.stack([right, np.cross(forward, right), forward])
    axes.flags.writeable = False
    return axes


@dataclass(frozen=True, slots=True)
class Shop:
    """One unit: its door, its zones and its camera."""

    index: int

    @property
    def unit_id(self) -> str:
        """Unit id and ext_ref_code, four digits: 0001 is the first."""
        return f"{self.index + 1:04d}"

    @property
    def categories(self) -> tuple[str, ...]:
        """What its till tells its goods apart by; every second till does not."""
        return CATEGORIES if self.index % 2 else ()

    @property
    def camera_id(self) -> str:
        """Id of the camera that watches this unit."""
        return f"cam-{self.unit_id}"

    @property
    def centre_m(self) -> float:
        """The x of the middle of the door."""
        return PITCH_M * self.index + PITCH_M / 2

    @property
    def door(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The counting line from a to b; the shop lies on its left."""
        return (self.centre_m - DOOR_HALF_M, 0.0), (self.centre_m + DOOR_HALF_M, 0.0)

    @property
    def window(self) -> Box:
        """The strip of corridor before the shop window."""
        return Box(self.centre_m + 1.5, -0.75, self.centre_m + 3.4, -0.15)

    @property
    def shelf(self) -> Box:
        """Where people browse."""
        return Box(self.centre_m - 3.4, 1.2, self.centre_m - 0.9, 5.0)

    @property
    def till(self) -> Box:
        """Where people queue; the line runs across the camera's view so that nobody hides."""
        return Box(self.centre_m - 0.5, 3.6, self.centre_m + 3.4, 4.8)

    @property
    def zones(self) -> dict[str, Box]:
        """The unit's zones by their id in the space file."""
        boxes = {"window": self.window, "shelf": self.shelf, "till": self.till}
        return {f"{kind}-{self.unit_id}": box for kind, box in boxes.items()}

    @property
    def view(self) -> Box:
        """The floor on which the camera delivers foot points."""
        return Box(self.centre_m - 3.6, -2.9, self.centre_m + 3.6, 5.3)

    @property
    def camera(self) -> Pinhole:
        """The camera; its image holds the whole of `view`."""
        return Pinhole((self.centre_m, -6.8, 4.5), (self.centre_m, 0.7, 0.0))

    def queue_slot(self, place: int) -> tuple[float, float]:
        """Where the customer at a place of the line stands; 0 is being served.

        Places beyond the last slot share it.
        """
        place = min(place, QUEUE_SLOTS - 1)
        return self.centre_m + 2.9 - QUEUE_STEP_M * place, 4.2

    def homography(self) -> Rows:
        """Six rows (u, v, x, y) that tie pixels to floor metres, to a thousandth of a pixel."""
        c = self.centre_m
        floor = [(c - 3.4, -2.6), (c + 3.4, -2.6), (c + 3.4, 5.0), (c - 3.4, 5.0)]
        floor += [(c - 1.2, 0.0), (c + 1.2, 0.0)]
        seen = self.camera.project(np.array([(x, y, 0.0) for x, y in floor]))
        return tuple(
            (round(float(u), 3), round(float(v), 3), round(x, 3), round(y, 3))
            for (u, v, _), (x, y) in zip(seen, floor, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Mall:
    """The whole site: `units` shops in a row.

    Raises:
        ConfigError: E_SANDBOX when units is not between 1 and 99.
    """

    units: int

    def __post_init__(self) -> None:
        if not 1 <= self.units <= 99:
            raise ConfigError(
                f"The demo mall was asked for {self.units} units; it has room for 1 to 99. "
                "Nothing was written. Ask for a number in that range.",
                code="E_SANDBOX",
            )

    @property
    def shops(self) -> tuple[Shop, ...]:
        """The shops from west to east."""
        return tuple(Shop(index) for index in range(self.units))

    @property
    def ends_m(self) -> tuple[float, float]:
        """The x at which people appear and vanish, west and east."""
        return -CORRIDOR_END_M, PITCH_M * self.units + CORRIDOR_END_M

    @property
    def corridor(self) -> Box:
        """The common corridor before the shops."""
        return Box(0.0, CORRIDOR_Y_M[0], PITCH_M * self.units, CORRIDOR_Y_M[1])
