"""Draws the plan of a site as a PNG that people who plan stores understand.

Which shapes and where their labels go is decided in plan_shapes and plan_labels. Importing this
module imports matplotlib, which takes half a second: import it where a picture is asked for. It
needs no display and touches no state of matplotlib's own.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Polygon
from matplotlib.patheffects import withStroke
from matplotlib.text import Text

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.report.foot_points import FootPoints
from ksi_pipeline.report.plan_labels import Box, Label, boxes_along, place_labels
from ksi_pipeline.report.plan_shapes import (
    PlanShapes,
    Point,
    arrow_onto_inside,
    calibrated_floor,
    units_of,
)
from ksi_pipeline.report.plan_sheet import (
    CAMERA,
    FILL_ALPHA,
    FOOT,
    INK,
    LINE_STYLES,
    ROLE_COLOURS,
    UNIT,
    Sheet,
)
from ksi_pipeline.space.load import Space
from ksi_pipeline.space.model import Camera, Zone
from ksi_pipeline.store.files import write_atomically

_ARROW_POINTS = 40.0
_HALO = [withStroke(linewidth=2.2, foreground="white")]


def draw_plan(space: Space, shapes: PlanShapes, points: FootPoints | None, path: Path) -> list[str]:
    """Write the picture; replaces what was there.

    Args:
        space: the site.
        shapes: what to draw.
        points: foot points to show, or None.
        path: the PNG; its folder is made when missing.

    Returns:
        What found no room for its label, such as `zone shelf`; empty when everything is labelled.

    Raises:
        ConfigError: E_PLOT, the name does not end in .png, no shape is valid on that day, or the
            file cannot be written.
    """
    if path.suffix.lower() != ".png":
        raise ConfigError(
            f"The picture was to be written to {path}, and it is a PNG; nothing was written. Name "
            "a file that ends in .png.",
            code="E_PLOT",
        )
    if not shapes.corners:
        raise ConfigError(
            f"Drawing {space.name}: no zone, no line and no calibrated camera is valid on "
            f"{shapes.day}, so nothing was drawn. Name a day on which some are with --at.",
            code="E_PLOT",
        )
    sheet = Sheet(shapes)
    _draw_shapes(sheet.axes, shapes, points)
    taken = _draw_lines(sheet, shapes)
    left_out = _write_labels(sheet, _texts(space, shapes), taken, _camera_strokes(sheet, shapes))
    sheet.write_margins(space, shapes, points)
    try:
        write_atomically(path, sheet.save)
    except OSError as error:
        raise ConfigError(
            f"The picture {path} cannot be written: {error}. Name a file that can.", code="E_PLOT"
        ) from error
    return left_out


@dataclass(frozen=True, slots=True)
class _Text:
    """What is written about one shape: (text, size in points) of each way, the best first."""

    name: str
    ways: tuple[tuple[str, float], ...]
    spots: list[list[Point]]
    area: list[Point] | None = None
    colour: str = INK
    weight: str = "normal"


def _draw_shapes(axes: Axes, shapes: PlanShapes, points: FootPoints | None) -> None:
    for corners in units_of(shapes).values():
        axes.add_patch(Polygon(corners, facecolor=UNIT))
    for zone in shapes.zones:
        colour = ROLE_COLOURS[zone.role]
        axes.add_patch(Polygon(zone.polygon, facecolor=(colour, FILL_ALPHA), zorder=2))
        axes.add_patch(
            Polygon(zone.polygon, facecolor="none", edgecolor=colour, linewidth=1.6, zorder=2.5)
        )
    for camera in shapes.cameras:
        axes.add_patch(
            Polygon(
                calibrated_floor(camera), facecolor="none", edgecolor=CAMERA, linewidth=1.4,
                linestyle=(0, (1, 1.6)), zorder=3,
            )
        )  # fmt: skip
    if points is not None:
        x, y = points.xy_m.T
        axes.plot(x, y, ",", color=FOOT, alpha=0.35, zorder=3.5, scalex=False, scaley=False)


def _draw_lines(sheet: Sheet, shapes: PlanShapes) -> list[Box]:
    """Draw counting lines and their arrows; give where nothing may be written."""
    taken: list[Box] = []
    for line in shapes.lines:
        sheet.axes.plot(
            [line.a[0], line.b[0]], [line.a[1], line.b[1]], color=INK, linewidth=3, zorder=5,
            linestyle=LINE_STYLES[line.role], solid_capstyle="butt", scalex=False, scaley=False,
        )  # fmt: skip
        tail, head = arrow_onto_inside(
            line.a, line.b, line.inside, _ARROW_POINTS / sheet.points_per_m
        )
        sheet.axes.add_patch(
            FancyArrowPatch(
                tail, head, arrowstyle="-|>", mutation_scale=14, linewidth=1.8, color=INK,
                shrinkA=0, shrinkB=0, zorder=5,
            )
        )  # fmt: skip
        on_paper = [(float(x), float(y)) for x, y in sheet.on_paper([line.a, line.b, tail, head])]
        taken += boxes_along(on_paper[0], on_paper[1], 5.0)
        taken += boxes_along(on_paper[2], on_paper[3], 9.0)
        taken.append(_write_in(sheet, on_paper[2], on_paper[3]))
    return taken


def _camera_strokes(sheet: Sheet, shapes: PlanShapes) -> list[Box]:
    boxes: list[Box] = []
    for camera in shapes.cameras:
        corners = [(float(x), float(y)) for x, y in sheet.on_paper(calibrated_floor(camera))]
        for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
            boxes += boxes_along(a, b, 4.0)
    return boxes


def _write_in(sheet: Sheet, tail: tuple[float, float], head: tuple[float, float]) -> Box:
    """Write `in` before the head of an arrow; give where it stands."""
    along = np.subtract(head, tail) / _ARROW_POINTS
    x, y = np.add(head, 9.0 * along)
    text = sheet.axes.text(
        *sheet.on_floor(float(x), float(y)), "in", size=10, weight="bold", color=INK,
        ha="center", va="center", path_effects=_HALO, zorder=6,
    )  # fmt: skip
    width, height = _size(sheet, text)
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _texts(space: Space, shapes: PlanShapes) -> list[_Text]:
    names = {unit.id: unit.name for unit in space.file.units}
    return [
        *(_zone_text(zone) for zone in shapes.zones),
        *(
            _Text(f"line {line.id}", ((line.id, 9.0),), [[line.a], [line.b]], weight="bold")
            for line in shapes.lines
        ),
        *(_unit_text(unit, names[unit], at) for unit, at in units_of(shapes).items()),
        *(_camera_text(camera) for camera in shapes.cameras),
    ]


def _zone_text(zone: Zone) -> _Text:
    both = f"{zone.id}\n{zone.role}"
    ways = ((both, 10.0), (both, 8.0), (zone.id, 8.0))
    return _Text(f"zone {zone.id}", ways, [zone.polygon], zone.polygon)


def _camera_text(camera: Camera) -> _Text:
    ways = ((f"camera {camera.id}", 9.0), (camera.id, 8.0))
    spots = [[corner] for corner in calibrated_floor(camera)]
    return _Text(f"camera {camera.id}", ways, spots, colour=CAMERA)


def _unit_text(unit_id: str, name: str | None, corners: list[Point]) -> _Text:
    texts = [f"unit {unit_id}: {name}"] if name else []
    ways = tuple((text, 11.0) for text in (*texts, f"unit {unit_id}"))
    return _Text(f"unit {unit_id}", ways, [corners], weight="bold")


def _write_labels(
    sheet: Sheet, texts: list[_Text], taken: list[Box], avoided: list[Box]
) -> list[str]:
    labels = [
        Label(
            [_size(sheet, _artist(sheet, text, way)) for way in range(len(text.ways))],
            [sheet.on_paper(spot) for spot in text.spots],
            None if text.area is None else sheet.on_paper(text.area),
        )
        for text in texts
    ]
    left_out = []
    places = place_labels(labels, taken, avoided, sheet.frame)
    for text, place in zip(texts, places, strict=True):
        if place is None:
            left_out.append(text.name)
            continue
        artist = _artist(sheet, text, place.way)
        artist.set_position(sheet.on_floor(place.x, place.y))
        sheet.axes.add_artist(artist)
        if place.lead_to is not None:
            (x0, y0), (x1, y1) = sheet.on_floor(*place.lead_to), artist.get_position()
            sheet.axes.plot(
                [x0, x1], [y0, y1], color=INK, linewidth=0.6, zorder=6, scalex=False, scaley=False
            )
    return left_out


def _artist(sheet: Sheet, text: _Text, way: int) -> Text:
    written, size = text.ways[way]
    # No mathtext: a name may hold dollar signs.
    return Text(
        0, 0, written, size=size, weight=text.weight, color=text.colour, ha="center", va="center",
        multialignment="center", linespacing=1.1, path_effects=_HALO, parse_math=False, zorder=7,
        transform=sheet.axes.transData, figure=sheet.figure,
    )  # fmt: skip


def _size(sheet: Sheet, text: Text) -> tuple[float, float]:
    box = text.get_window_extent(sheet.canvas.get_renderer())
    return box.width * 72 / sheet.figure.dpi, box.height * 72 / sheet.figure.dpi
