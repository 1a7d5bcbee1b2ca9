"""The sheet a plan is drawn on: floor metres at one scale, title, scale bar and legend."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from ksi_pipeline.report.foot_points import FootPoints
from ksi_pipeline.report.plan_shapes import PlanShapes, Point, round_length_m, units_of
from ksi_pipeline.space.load import Space

# Okabe and Ito's colours, which people with any colour vision tell apart; labels say the role too.
ROLE_COLOURS: Final = {
    "outside": "#999999",
    "passage": "#F0E442",
    "selling": "#56B4E9",
    "display": "#E69F00",
    "fitting": "#CC79A7",
    "queue": "#D55E00",
    "service": "#009E73",
    "staff": "#0072B2",
}
LINE_STYLES: Final[dict[str, Literal["solid"] | tuple[float, Sequence[float]]]] = {
    "entrance": "solid",
    "passage": (0, (4, 1.5)),
    "outside": (0, (1, 1)),
}
INK, CAMERA, UNIT, FOOT = "#1a1a1a", "#6a3d9a", "#efefef", "#333333"
FILL_ALPHA = 0.45
_DPI = 110
_MARGIN_IN, _LEFT_IN, _RIGHT_IN, _BOTTOM_IN, _TOP_IN = 0.65, 0.75, 2.75, 0.85, 0.65
_LONGEST_IN, _SHORTEST_IN, _LEGEND_IN, _BAR_IN = 36.0, 8.0, 4.6, 2.2
# A zone this wide on paper holds the usual label.
_ZONE_IN = 1.05


class Sheet:
    """Paper in points (1/72 inch) from the lower left of the axes, and the floor under it."""

    def __init__(self, shapes: PlanShapes) -> None:
        """Choose scale and size of the paper so that every shape lies on it."""
        corners = np.array(shapes.corners)
        low, high = corners.min(axis=0), corners.max(axis=0)
        size_m = np.maximum(high - low, 1.0)
        self.points_per_m = 72 * _inch_per_m(shapes, float(size_m.max()))
        size_m = size_m + 2 * _MARGIN_IN * 72 / self.points_per_m
        self._low: NDArray[np.float64] = (low + high) / 2 - size_m / 2
        width, height = size_m * self.points_per_m / 72
        self.frame = (0.0, 0.0, float(width) * 72, float(height) * 72)
        room = max(float(height), _LEGEND_IN)
        self._paper_in = (float(width) + _LEFT_IN + _RIGHT_IN, room + _BOTTOM_IN + _TOP_IN)
        self.figure = Figure(figsize=self._paper_in, dpi=_DPI, facecolor="white")
        self.canvas = FigureCanvasAgg(self.figure)
        x, y = self._share(_LEFT_IN, _BOTTOM_IN + room - float(height))
        self.axes = self.figure.add_axes((x, y, *self._share(float(width), float(height))))
        self.axes.set_xlim(self._low[0], self._low[0] + size_m[0])
        self.axes.set_ylim(self._low[1], self._low[1] + size_m[1])

    def on_paper(self, points: Sequence[Point]) -> NDArray[np.float64]:
        """Turn floor metres into points on paper, shape (N, 2)."""
        paper: NDArray[np.float64] = (np.array(points, dtype=np.float64) - self._low) * (
            self.points_per_m
        )
        return paper

    def on_floor(self, x: float, y: float) -> Point:
        """Turn a place on paper into floor metres."""
        floor = np.array([x, y]) / self.points_per_m + self._low
        return float(floor[0]), float(floor[1])

    def write_margins(self, space: Space, shapes: PlanShapes, points: FootPoints | None) -> None:
        """Write axes, title, scale bar, legend, and how many foot points are shown."""
        self._write_axes()
        site = space.file.site
        title = f"{site.name} ({site.id}): plan on {shapes.day}"
        self._write_row(title, self._paper_in[1] - 0.3, 14, "bold")
        if points is not None:
            self._write_row(self._what_the_dots_are(points), 0.2, 9, "normal")
        self._write_scale_bar()
        self.figure.legend(
            handles=_legend(shapes, points),
            loc="upper left",
            bbox_to_anchor=self._share(self._right_in, self._paper_in[1] - _TOP_IN),
            borderaxespad=0.0,
            frameon=False,
            fontsize=9,
            labelspacing=0.6,
            labelcolor=INK,
        )

    def save(self, path: Path) -> None:
        """Write the PNG; the same plan gives the same bytes."""
        self.figure.savefig(path, format="png", metadata={"Software": None})

    def _write_axes(self) -> None:
        axes = self.axes
        axes.set_xlabel("x, floor metres", fontsize=9, color=INK)
        axes.set_ylabel("y, floor metres", fontsize=9, color=INK)
        axes.tick_params(labelsize=8, colors=INK)
        axes.grid(color="#e4e4e4", linewidth=0.5)
        axes.set_axisbelow(True)
        for spine in axes.spines.values():
            spine.set_color("#bbbbbb")

    def _what_the_dots_are(self, points: FootPoints) -> str:
        low, high = np.array([self.on_floor(*self.frame[:2]), self.on_floor(*self.frame[2:])])
        beyond = int((~((points.xy_m >= low) & (points.xy_m <= high)).all(axis=1)).sum())
        count = len(points.xy_m)
        text = f"Dots: {count:,} of the {points.sample_count:,} foot points of {points.day}"
        return f"{text}; {beyond:,} of them lie beyond the picture." if beyond else f"{text}."

    def _write_row(self, text: str, y_in: float, size: float, weight: str) -> None:
        """Write one row over or under the plan, smaller where it would leave the paper."""
        # No mathtext: a name may hold dollar signs.
        row = self.figure.text(
            *self._share(_LEFT_IN, y_in), text, size=size, weight=weight, color=INK, va="center",
            parse_math=False,
        )  # fmt: skip
        width_in = row.get_window_extent(self.canvas.get_renderer()).width / _DPI
        row.set_fontsize(size * min(1.0, (self._paper_in[0] - _LEFT_IN - 0.1) / width_in))

    def _write_scale_bar(self) -> None:
        inch_per_m = self.points_per_m / 72
        length = round_length_m(_BAR_IN / inch_per_m)
        (x0, y), (x1, _) = (
            self._share(self._right_in + x, _BOTTOM_IN + 0.35) for x in (0, length * inch_per_m)
        )
        bar = Line2D(
            [x0, x1], [y, y], color=INK, linewidth=4, solid_capstyle="butt",
            transform=self.figure.transFigure,
        )  # fmt: skip
        self.figure.add_artist(bar)
        for text, y_in in ((f"{length:g} m", 0.5), ("North is not known.", 0.05)):
            at = self._share(self._right_in, _BOTTOM_IN + y_in)
            self.figure.text(*at, text, size=9, color=INK, va="center")

    @property
    def _right_in(self) -> float:
        return self._paper_in[0] - _RIGHT_IN + 0.15

    def _share(self, x_in: float, y_in: float) -> tuple[float, float]:
        return x_in / self._paper_in[0], y_in / self._paper_in[1]


def _inch_per_m(shapes: PlanShapes, longest_m: float) -> float:
    """Wide enough for the labels of most zones, on paper that a screen still shows."""
    widths = [
        max(np.ptp([x for x, _ in zone.polygon]), np.ptp([y for _, y in zone.polygon]))
        for zone in shapes.zones
    ]
    wanted = _ZONE_IN / float(np.quantile(widths, 0.25)) if widths else 0.0
    return float(np.clip(wanted, _SHORTEST_IN / longest_m, _LONGEST_IN / longest_m))


def _legend(shapes: PlanShapes, points: FootPoints | None) -> list[Artist]:
    zone_roles = {zone.role for zone in shapes.zones}
    line_roles = {line.role for line in shapes.lines}
    entries: list[Artist] = [
        Patch(facecolor=(colour, FILL_ALPHA), edgecolor=colour, label=f"{role} zone")
        for role, colour in ROLE_COLOURS.items()
        if role in zone_roles
    ]
    entries += [
        Line2D([], [], color=INK, linewidth=3, linestyle=style, label=f"{role} line")
        for role, style in LINE_STYLES.items()
        if role in line_roles
    ]
    if shapes.lines:
        entries.append(
            Line2D([], [], color=INK, marker=r"$\rightarrow$", markersize=13, linestyle="none",
                   label="walking this way\ncounts as in")
        )  # fmt: skip
    if shapes.cameras:
        entries.append(
            Line2D([], [], color=CAMERA, linewidth=1.4, linestyle=(0, (1, 1.6)),
                   label="floor a camera was\ncalibrated on")
        )  # fmt: skip
    if units_of(shapes):
        entries.append(Patch(facecolor=UNIT, label="around the zones and lines\nof one unit"))
    if points is not None:
        entries.append(
            Line2D([], [], color=FOOT, marker=".", markersize=3, alpha=0.6, linestyle="none",
                   label="foot point")
        )  # fmt: skip
    return entries
