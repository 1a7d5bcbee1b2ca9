"""The demo mall's space file and connector file, as the text a person would write.

Not a general YAML writer: the shapes are few and known, and lines stay readable.
"""

import json
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.time import OpeningHours
from ksi_pipeline.sandbox.mall import COMMON_UNIT, DEPTH_M, PITCH_M, SITE_ID, Box, Mall, Shop
from ksi_pipeline.store.files import write_atomically
from ksi_pipeline.store.layout import DataHome

TIMEZONE: Final = "Europe/Madrid"
ZONE: Final = ZoneInfo(TIMEZONE)
CONNECTOR_ID: Final = "pos-main"
# Where `ksi sandbox` listens when nobody says otherwise.
SANDBOX_URL: Final = "http://127.0.0.1:8899/sales"
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SUNDAY = 6
_CATEGORIES = ("fashion", "shoes", "books", "toys", "sports")
_FROM = "2025-01-01"
_CLOSED = date(2026, 12, 25)
OPENING: Final = OpeningHours(
    weekly={day: ((600, 1200),) if day == _SUNDAY else ((540, 1260),) for day in range(7)},
    closed=frozenset({_CLOSED}),
)


def space_yaml(mall: Mall) -> str:
    """Give the text of the space file (docs/reference/space-model.md)."""
    shops = mall.shops
    lines = [
        "# A simulated mall: shops side by side above a common corridor. Floor metres.",
        "schema: 1",
        f"site: {{id: {SITE_ID}, name: Demo mall, timezone: {TIMEZONE}, currency: EUR, "
        f'business_day_start: "05:00", opening_hours: {{{_opening()}}}, '
        f"closed: [{_CLOSED.isoformat()}]}}",
        "counting: {max_gap_s: 1.0, confirm_samples: 1, min_inside_s: 0.0, exit_inertia_s: 0.0}",
        "units:",
        *(_unit(shop) for shop in shops),
        "zones:",
        *(line for shop in shops for line in _zones(shop)),
        _zone("corridor", COMMON_UNIT, "passage", mall.corridor),
        "lines:",
        *(_door(shop) for shop in shops),
        "cameras:",
        *(_camera(shop) for shop in shops),
        "links:",
        *(
            f'  - {{connector: {CONNECTOR_ID}, ext_ref_code: "{shop.unit_id}", '
            f'unit: "{shop.unit_id}", from: {_FROM}}}'
            for shop in shops
        ),
    ]
    return "\n".join(lines) + "\n"


def require_own_connectors(home: Path) -> None:
    """Refuse a connectors.yaml that is not, but for its port, what `write_connectors` writes.

    Raises:
        ConfigError: E_SANDBOX, naming the file.
    """
    path = DataHome(home).connectors
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8899", text)
    ours = _connectors_yaml(SANDBOX_URL)
    # a folder that was simulated before allow_private was asked for
    if text not in (ours, ours.replace("    allow_private: true\n", "")):
        raise ConfigError(
            f"Pointing {path} at the simulated till would overwrite what somebody wrote there. "
            "Nothing was written. Choose another folder with --dir, or move the file away.",
            code="E_SANDBOX",
        )


def write_connectors(home: Path, url: str) -> Path:
    """Write `connectors.yaml`, which points the pipeline at the fake POS API.

    Absent rows mean missing here, not zero: the simulated feed sends an explicit row for every open
    hour, so an hour without one is an hour that nobody reported.

    Args:
        home: the folder of the demo.
        url: the whole address, for example http://127.0.0.1:8123/sales.

    Raises:
        ConfigError: E_SANDBOX, the file that is there is somebody else's.
    """
    require_own_connectors(home)
    path = DataHome(home).connectors
    write_atomically(
        path, lambda temporary: temporary.write_text(_connectors_yaml(url), encoding="utf-8")
    )
    return path


def _connectors_yaml(url: str) -> str:
    return (
        "connectors:\n"
        f"  - id: {CONNECTOR_ID}\n"
        "    kind: hourly_api\n"
        f"    url: {json.dumps(url)}\n"
        "    token_env: KSI_POS_MAIN_TOKEN\n"
        "    absent_means: missing\n"
        "    allow_http: true\n"
        "    allow_private: true\n"
        "    active: true\n"
    )


def _opening() -> str:
    spans = {
        day: ", ".join(f'"{_clock(a)}-{_clock(b)}"' for a, b in OPENING.weekly[i])
        for i, day in enumerate(_DAYS)
    }
    return ", ".join(f"{day}: [{span}]" for day, span in spans.items())


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _unit(shop: Shop) -> str:
    area = f"gla_m2: {PITCH_M * DEPTH_M:g}, selling_m2: {PITCH_M * DEPTH_M - 12:g}, from: {_FROM}"
    tenant = (
        f"tenant: T{shop.index + 1}, operator: OP{shop.index + 1}, "
        f"category: {_CATEGORIES[shop.index % len(_CATEGORIES)]}, from: {_FROM}"
    )
    return (
        f'  - {{id: "{shop.unit_id}", floor: "0", areas: [{{{area}}}], tenancies: [{{{tenant}}}]}}'
    )


def _zones(shop: Shop) -> list[str]:
    return [
        _zone(f"window-{shop.unit_id}", shop.unit_id, "display", shop.window),
        _zone(f"shelf-{shop.unit_id}", shop.unit_id, "selling", shop.shelf, shop.categories[:1]),
        _zone(f"till-{shop.unit_id}", shop.unit_id, "queue", shop.till),
    ]


def _zone(zone_id: str, unit_id: str, role: str, box: Box, categories: Sequence[str] = ()) -> str:
    corners = ", ".join(_point(corner) for corner in box.polygon())
    shows = f"categories: [{', '.join(categories)}], " if categories else ""
    return (
        f'  - {{id: {zone_id}, unit: "{unit_id}", role: {role}, polygon: [{corners}], '
        f"{shows}from: {_FROM}}}"
    )


def _door(shop: Shop) -> str:
    a, b = shop.door
    return (
        f'  - {{id: door-{shop.unit_id}, unit: "{shop.unit_id}", role: entrance, '
        f"a: {_point(a)}, b: {_point(b)}, inside: left, from: {_FROM}}}"
    )


def _camera(shop: Shop) -> str:
    sees = [f"{kind}-{shop.unit_id}" for kind in ("window", "shelf", "till", "door")]
    rows = ", ".join(f"[{u:.3f}, {v:.3f}, {x:.3f}, {y:.3f}]" for u, v, x, y in shop.homography())
    return (
        f"  - {{id: {shop.camera_id}, sees: [{', '.join([*sees, 'corridor'])}], "
        f"homography: [{rows}], clock_offset_s: 0.0, from: {_FROM}}}"
    )


def _point(point: tuple[float, float]) -> str:
    return f"[{point[0]:.3f}, {point[1]:.3f}]"
