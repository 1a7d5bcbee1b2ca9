"""Pictures of the demo mall: what a shop's camera would film of the simulated people.

The one module outside video_ingest that may use OpenCV. A scene is a fixed background, made once
per camera, with people of about 1.7 m drawn on it from far to near through the same pinhole camera
that made the homography rows of the space file, and a little sensor noise. No shadows, no glare,
and shop fronts are open: easier than a real mall.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from os import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from numpy.typing import NDArray

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.time import Window
from ksi_pipeline.sandbox.deliver import compact
from ksi_pipeline.sandbox.figure import Figure, figure_of
from ksi_pipeline.sandbox.mall import DEPTH_M, PITCH_M, FloatArray, Pinhole, Shop
from ksi_pipeline.sandbox.trail import Walk

Image = NDArray[np.uint8]
FPS = 10
CHUNK_S = 30
_WALL_M = 3.0
_CEILING = np.array([84.0, 80.0, 76.0])
_NOISE_SD = 3.0
_NOISE_MARGIN_PX = 64
# cv2 takes fixed-point coordinates: this many binary digits after the point.
_SHIFT = 4


def render_chunks(
    folder: Path,
    shop: Shop,
    walks: Sequence[Walk],
    midnight: datetime,
    window: Window,
    seed: int,
    progress: Callable[[float], None],
) -> list[Path]:
    """Film a window in chunks of 30 s, 10 frames/s, 640 x 480, and give the files in order.

    A chunk that is there already is kept: same parameters, same film. Files appear whole or not at
    all. Frame k of a chunk shows the instant chunk start + k / 10 s.

    Args:
        folder: chunks/<site>; files are <camera>/<compact UTC start>.mp4 below it.
        shop: the unit whose camera films.
        walks: everybody who may be in the picture.
        midnight: the instant that the walks' times count from.
        window: what to film; its length is cut to whole frames.
        seed: of the background and the noise.
        progress: told the share done, 0 to 1, after each chunk.

    Raises:
        ConfigError: E_SANDBOX when this OpenCV cannot write MP4.
    """
    target = folder / shop.camera_id
    target.mkdir(parents=True, exist_ok=True)
    scene = Scene(shop, seed)
    chunks = list(window.split(timedelta(seconds=CHUNK_S)))
    paths = []
    for number, chunk in enumerate(chunks):
        path = target / f"{compact(chunk.start)}.mp4"
        if not path.exists():
            start_s = (chunk.start - midnight).total_seconds()
            frames = round((chunk.end - chunk.start).total_seconds() * FPS)
            _write_chunk(path, scene, walks, start_s + np.arange(frames) / FPS)
        paths.append(path)
        progress((number + 1) / len(chunks))
    return paths


class Scene:
    """One camera's view: its background, its noise, and how people are drawn in it."""

    def __init__(self, shop: Shop, seed: int) -> None:
        """Build the background, which never changes, and a sheet of noise to cut frames from."""
        self.shop = shop
        self.camera = shop.camera
        self._seed = seed
        self._axes = self.camera.axes()
        rng = np.random.default_rng([seed, 3, shop.index])
        self.background = _background(shop, rng)
        height, width = self.background.shape[:2]
        sheet = (height + _NOISE_MARGIN_PX, width + _NOISE_MARGIN_PX, 3)
        self._noise = np.rint(rng.normal(0.0, _NOISE_SD, sheet)).astype(np.int16)

    def frame(self, walks: Sequence[Walk], t_s: float) -> Image:
        """Draw everybody who is out and in sight at an instant; shape (480, 640, 3), BGR."""
        image = self.background.copy()
        figures = [figure_of(walk, t_s) for walk in walks if walk.t_s[0] <= t_s <= walk.t_s[-1]]
        in_sight = [figure for figure in figures if self._is_in_sight(figure)]
        for figure in sorted(in_sight, key=lambda f: -f.y_m):
            self._draw(image, figure)
        # From the instant and not from a stream: a chunk rendered alone has the same noise.
        cut = np.random.default_rng([self._seed, round(t_s * 1000)])
        down, right = cut.integers(_NOISE_MARGIN_PX, size=2)
        height, width = image.shape[:2]
        noise = self._noise[down : down + height, right : right + width]
        noisy: Image = cv2.add(image, noise, dtype=cv2.CV_8U)
        return noisy

    def _is_in_sight(self, figure: Figure) -> bool:
        """Neighbouring shops lie behind walls; the corridor is open to both sides."""
        x_m = abs(figure.x_m - self.shop.centre_m)
        return x_m < PITCH_M / 2 if figure.y_m > 0 else x_m < 1.5 * PITCH_M

    def _draw(self, image: Image, figure: Figure) -> None:
        for part in figure.parts(self._axes[0]):
            seen = self.camera.project(part.points_m)
            points = np.rint(seen[:, :2] * (1 << _SHIFT)).astype(np.int32)
            px_per_m = self.camera.focal_px / float(seen[0, 2])
            thick = max(1, round(part.width_m * px_per_m))
            if len(points) == 1:
                radius = round(part.width_m / 2 * px_per_m * (1 << _SHIFT))
                centre = (int(points[0, 0]), int(points[0, 1]))
                cv2.circle(image, centre, radius, part.bgr, -1, cv2.LINE_AA, _SHIFT)
            elif part.is_filled:
                cv2.fillConvexPoly(image, points, part.bgr, cv2.LINE_AA, _SHIFT)
            else:
                cv2.polylines(image, [points], False, part.bgr, thick, cv2.LINE_AA, _SHIFT)


def _write_chunk(path: Path, scene: Scene, walks: Sequence[Walk], times_s: FloatArray) -> None:
    near = [w for w in walks if w.t_s[0] <= times_s[-1] and w.t_s[-1] >= times_s[0]]
    with TemporaryDirectory(dir=path.parent, prefix=".render-") as scratch:
        unfinished = Path(scratch) / path.name
        size = (scene.camera.width_px, scene.camera.height_px)
        writer = cv2.VideoWriter(str(unfinished), cv2.VideoWriter.fourcc(*"mp4v"), FPS, size)
        if not writer.isOpened():
            raise ConfigError(
                f"Rendering {path.name} of {scene.shop.camera_id} failed: this OpenCV has no MP4 "
                "writer. The chunk was not written. Install opencv-python as pinned in "
                "constraints.txt, or simulate with video_minutes=0.",
                code="E_SANDBOX",
            )
        for t_s in times_s:
            writer.write(scene.frame(near, float(t_s)))
        writer.release()
        replace(unfinished, path)


def _background(shop: Shop, rng: np.random.Generator) -> Image:
    camera = shop.camera
    image = _floor(camera, rng)
    c, half = shop.centre_m, PITCH_M / 2
    west, east, far = c - half, c + half, 3 * PITCH_M
    back = [(west, DEPTH_M), (east, DEPTH_M)]
    _wall(image, camera, back, _WALL_M, (176, 190, 196), rng)
    for x_m, tone in ((west, (150, 164, 172)), (east, (160, 174, 180))):
        _wall(image, camera, [(x_m, 0.0), (x_m, DEPTH_M)], _WALL_M, tone, rng)
    _wall(image, camera, [(c - far, 0.0), (west, 0.0)], _WALL_M, (132, 140, 150), rng)
    _wall(image, camera, [(east, 0.0), (c + far, 0.0)], _WALL_M, (132, 140, 150), rng)
    # A rack along the west wall, the till's counter and a mat in the door; nobody walks there.
    _block(image, camera, (west + 0.05, 1.2, west + 0.5, 5.0), 1.2, (92, 128, 160), rng)
    _block(image, camera, (c + 2.2, 4.85, c + 3.7, 5.35), 1.0, (120, 104, 92), rng)
    a, b = shop.door
    _line(image, camera, [(*a, 0.01), (*b, 0.01)], 0.12, (90, 90, 96))
    for x_m in (west, a[0], b[0], east):
        _line(image, camera, [(x_m, 0.0, 0.0), (x_m, 0.0, 2.2)], 0.05, (96, 96, 100))
    return image


def _floor(camera: Pinhole, rng: np.random.Generator) -> Image:
    """Tiles in the corridor, planks in the shop, the stains of years; dark above the far wall."""
    v, u = np.mgrid[: camera.height_px, : camera.width_px].astype(np.float64)
    xy_m = camera.floor(np.stack([u.ravel(), v.ravel()], axis=1))
    xy_m = np.clip(np.nan_to_num(xy_m, nan=99.0), -999.0, 999.0)
    shape = (camera.height_px, camera.width_px)
    x, y = xy_m[:, 0].reshape(shape), xy_m[:, 1].reshape(shape)
    tiles = (np.floor(x / 0.6) + np.floor(y / 0.6)) % 2
    planks = np.floor(x / 0.18).astype(np.int64) % 16
    tone = rng.uniform(-7.0, 7.0, 16)[planks]
    in_shop = (y > 0)[..., None]
    wood = np.array([138.0, 166.0, 188.0]) + tone[..., None]
    stone = np.array([188.0, 194.0, 198.0]) + (tiles[..., None] - 0.5) * 12.0
    stains = cv2.GaussianBlur(rng.normal(0.0, 60.0, shape), (0, 0), 9.0)
    grain = rng.normal(0.0, 2.0, shape)
    floor = np.where(in_shop, wood, stone)
    picture = np.where((y > DEPTH_M)[..., None], _CEILING, floor) + (stains + grain)[..., None]
    image: Image = np.clip(picture, 0, 255).astype(np.uint8)
    return image


def _wall(
    image: Image,
    camera: Pinhole,
    foot_m: Sequence[tuple[float, float]],
    height_m: float,
    bgr: tuple[int, int, int],
    rng: np.random.Generator,
) -> None:
    """Paint an upright plane over two floor points, with a skirting board."""
    (ax, ay), (bx, by) = foot_m
    corners = [(ax, ay, 0.0), (bx, by, 0.0), (bx, by, height_m), (ax, ay, height_m)]
    _fill(image, camera, corners, bgr, rng)
    _line(image, camera, [corners[0], corners[1]], 0.06, (110, 116, 120))


def _block(
    image: Image,
    camera: Pinhole,
    base_m: tuple[float, float, float, float],
    height_m: float,
    bgr: tuple[int, int, int],
    rng: np.random.Generator,
) -> None:
    """Paint a box on the floor: the two sides and the top that the camera can see."""
    x0, y0, x1, y1 = base_m
    low, high = 0.0, height_m
    side_x = x1 if x1 < camera.position[0] else x0
    dark = (round(bgr[0] * 0.72), round(bgr[1] * 0.72), round(bgr[2] * 0.72))
    side = [(side_x, y0, low), (side_x, y1, low), (side_x, y1, high), (side_x, y0, high)]
    _fill(image, camera, side, dark, rng)
    front = [(x0, y0, low), (x1, y0, low), (x1, y0, high), (x0, y0, high)]
    _fill(image, camera, front, bgr, rng)
    light = (min(255, bgr[0] + 30), min(255, bgr[1] + 30), min(255, bgr[2] + 30))
    top = [(x0, y0, high), (x1, y0, high), (x1, y1, high), (x0, y1, high)]
    _fill(image, camera, top, light, rng)


def _fill(
    image: Image,
    camera: Pinhole,
    corners_m: Sequence[tuple[float, float, float]],
    bgr: tuple[int, int, int],
    rng: np.random.Generator,
) -> None:
    mask = np.zeros(image.shape[:2], np.uint8)
    points = np.rint(camera.project(np.array(corners_m))[:, :2]).astype(np.int32)
    cv2.fillConvexPoly(mask, points, 255)
    texture = cv2.GaussianBlur(rng.normal(0.0, 30.0, mask.shape), (0, 0), 6.0)
    paint = np.clip(np.array(bgr, np.float64) + texture[..., None], 0, 255).astype(np.uint8)
    image[mask > 0] = paint[mask > 0]


def _line(
    image: Image,
    camera: Pinhole,
    points_m: Sequence[tuple[float, float, float]],
    width_m: float,
    bgr: tuple[int, int, int],
) -> None:
    seen = camera.project(np.array(points_m))
    thick = max(1, round(width_m * camera.focal_px / float(seen[0, 2])))
    points = np.rint(seen[:, :2] * (1 << _SHIFT)).astype(np.int32)
    cv2.polylines(image, [points], False, bgr, thick, cv2.LINE_AA, _SHIFT)
