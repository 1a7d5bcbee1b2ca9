"""Draws docs/images/counting.png: one walk, and what counting makes of it.

Every mark is where `count_events` puts it, so the picture shows the rule as it is. Run it after a
change of the rule; tests/docs holds the story that the captions tell.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from ksi_pipeline.core.events import Events, count_events
from ksi_pipeline.core.plan import CountingRules, LineShape, SitePlan, ZoneShape
from ksi_pipeline.core.schemas import TRACKLET_POINTS
from ksi_pipeline.report.plan_shapes import arrow_onto_inside

PICTURE = Path(__file__).resolve().parent / "images" / "counting.png"
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
STEP_S, GAP_S, GAP_AFTER = 0.5, 3.0, 8
WALK = [
    (1.5, 2.9), (2.3, 2.5), (3.0, 2.2), (3.8, 2.0), (4.6, 1.95), (5.6, 2.0), (6.4, 2.1),
    (7.4, 2.3), (8.1, 2.5), (9.2, 1.5), (9.9, 1.5), (10.7, 1.7), (11.5, 1.9), (12.4, 2.0),
    (11.7, 2.5), (11.9, 3.0), (12.9, 3.0), (13.7, 2.8),
]  # fmt: skip
ZONES = {
    "shelf": (0.6, 0.6, 3.5, 3.5),
    "window": (4.95, 0.9, 5.3, 3.2),
    "queue": (7.0, 0.6, 10.3, 3.5),
}
DOOR = LineShape("door", "0001", "entrance", (12.4, 0.6), (12.4, 3.5), "right")
_COLOURS = {"shelf": "#56B4E9", "window": "#E69F00", "queue": "#D55E00"}
_INK, _BAND = "#1a1a1a", "#0072B2"


def seconds() -> list[float]:
    """Give the second of each sample of the walk."""
    return [STEP_S * i + (GAP_S - STEP_S) * (i > GAP_AFTER) for i in range(len(WALK))]


def count() -> Events:
    """Count the walk with the default rules."""
    rows = [
        {
            "site_id": "s", "camera_id": "c", "tracklet_id": "t", "confidence": 1.0,
            "ts_utc": START + timedelta(seconds=second), "x_m": x, "y_m": y, "is_observed": True,
        }
        for second, (x, y) in zip(seconds(), WALK, strict=True)
    ]  # fmt: skip
    zones = tuple(
        ZoneShape(name, "0001", "selling", ((x0, y0), (x1, y0), (x1, y1), (x0, y1)))
        for name, (x0, y0, x1, y1) in ZONES.items()
    )
    sees = {"c": frozenset({*ZONES, "door"})}
    plan = SitePlan("s", ZoneInfo("UTC"), CountingRules(), zones, (DOOR,), sees)
    return count_events(pa.Table.from_pylist(rows, schema=TRACKLET_POINTS), plan)


def draw(path: Path) -> None:
    """Write the picture."""
    events = count()
    figure = Figure(figsize=(13.6, 5.5), dpi=110, facecolor="white")
    axes = figure.add_axes((0.005, 0.01, 0.99, 0.98))
    axes.set_xlim(0.1, 14.6)
    axes.set_ylim(-0.85, 5.0)
    axes.set_aspect("equal")
    axes.axis("off")
    _draw_plan(axes)
    _draw_walk(axes)
    for visit in events.visits.to_pylist():
        _draw_visit(axes, visit)
    (crossing,) = events.line_crossings.to_pylist()
    axes.plot(crossing["x_m"], crossing["y_m"], "*", color=_INK, markersize=17, zorder=6)
    _write_captions(axes, events)
    figure.savefig(path, format="png", metadata={"Software": None})


def _place(second: float) -> np.ndarray:
    """Where the walk is at a second; not to be asked within the gap."""
    x, y = np.array(WALK).T
    return np.array([np.interp(second, seconds(), x), np.interp(second, seconds(), y)])


def _draw_plan(axes: Axes) -> None:
    for name, (x0, y0, x1, y1) in ZONES.items():
        axes.add_patch(
            Rectangle((x0, y0), x1 - x0, y1 - y0, facecolor=(_COLOURS[name], 0.25),
                      edgecolor=_COLOURS[name], linewidth=2)
        )  # fmt: skip
        # The narrow one is named below, because a caption comes from above.
        y = y0 - 0.2 if x1 - x0 < 1 else y1 + 0.2
        axes.text((x0 + x1) / 2, y, name, ha="center", va="center", size=11, weight="bold")
    (ax, ay), (bx, by) = DOOR.a, DOOR.b
    axes.plot([ax, bx], [ay, by], color=_INK, linewidth=4, solid_capstyle="butt", zorder=2)
    axes.text(bx, by + 0.2, "door, a line", ha="right", va="center", size=11, weight="bold")
    _, head = arrow_onto_inside(DOOR.a, DOOR.b, DOOR.inside, 1.0)
    tail = (head[0] - 0.7, head[1] - 1.0)
    head = (head[0], head[1] - 1.0)
    axes.add_patch(
        FancyArrowPatch(tail, head, arrowstyle="-|>", mutation_scale=18, linewidth=2, color=_INK)
    )
    axes.text(head[0] + 0.1, head[1], "in", size=12, weight="bold", va="center")


def _draw_walk(axes: Axes) -> None:
    x, y = np.array(WALK).T
    first, then = slice(0, GAP_AFTER + 1), slice(GAP_AFTER + 1, None)
    for part in (first, then):
        axes.plot(x[part], y[part], color="#777777", linewidth=1.4, zorder=3)
    axes.plot(x[GAP_AFTER : GAP_AFTER + 2], y[GAP_AFTER : GAP_AFTER + 2], ":", color="#777777")
    axes.plot(x, y, "o", color=_INK, markeredgecolor="white", markersize=8, zorder=5)
    axes.text(x[-1] + 0.15, y[-1], "last seen", size=10, va="center")


def _draw_visit(axes: Axes, visit: dict) -> None:
    """A band along the walk from enter to leave, with a bar where each is on the boundary."""
    low, high = (
        (visit[name] - START).total_seconds() for name in ("entered_at_utc", "left_at_utc")
    )
    inner = [second for second in seconds() if low < second < high]
    band = np.array([_place(second) for second in (low, *inner, high)])
    axes.plot(*band.T, color=_BAND, alpha=0.55, linewidth=10, solid_capstyle="butt", zorder=2.5)
    for second, is_censored in (
        (low, visit["is_start_censored"]),
        (high, visit["is_end_censored"]),
    ):
        if not is_censored:
            axes.plot(*_place(second), "D", color="white", markeredgecolor=_BAND,
                      markeredgewidth=2.2, markersize=8, zorder=6)  # fmt: skip


def _write_captions(axes: Axes, events: Events) -> None:
    dwell = {
        (v["zone_id"], v["is_start_censored"]): v["dwell_s"] for v in events.visits.to_pylist()
    }
    captions = [
        ("Visit 1: first seen inside, so start\n"
         f"censored. {dwell['shelf', True]:.3g} s were seen;\nit was longer", (1.9, 4.5), WALK[0]),
        ("it ends where the walk meets\nthe edge, between two samples",
         (2.9, -0.4), _place(1.3125)),
        (f"Visit 2: walked through\nbetween two samples,\n{dwell['window', False]:.3g} s",
         (5.1, 4.5), _place(2.25)),
        ("a sample, every 0.5 s", (5.9, -0.4), WALK[6]),
        (f"Visit 3: entered, then lost;\nend censored, {dwell['queue', False]:.3g} s",
         (7.4, 4.5), _place(3.5)),
        (f"a gap of {GAP_S:g} s, longer than max_gap_s:\nnothing is assumed, no time is counted",
         (8.7, -0.4), (8.6, 2.05)),
        (f"Visit 4: found again;\nstart censored, {dwell['queue', True]:.3g} s",
         (9.9, 4.5), (9.6, 1.52)),
        ("a sample exactly on the line keeps\nthe side of the one before: going\n"
         "back again is no crossing", (12.1, -0.45), WALK[13]),
        ("Crossing, in: the walk changes\nsides between two samples", (13.0, 4.5), (12.4, 3.05)),
    ]  # fmt: skip
    for text, at, to in captions:
        axes.annotate(
            text, xy=tuple(to), xytext=at, ha="center", va="center", size=10, color=_INK,
            linespacing=1.25, zorder=7,
            arrowprops={"arrowstyle": "-", "color": "#999999", "linewidth": 0.9, "shrinkB": 7},
        )  # fmt: skip


if __name__ == "__main__":
    draw(PICTURE)
