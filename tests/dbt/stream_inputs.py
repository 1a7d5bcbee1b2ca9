"""What may arrive at two small sites, one thing after the other: each an input as the world has it.

Nothing here says which hours an input touches: it goes through the steps of the pipeline, and they
say it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.core.time import LocalHour, Window, local_hours

DAYS = 3
CODES = ("0001", "0002", "b1")
# of files, whose tickets have lines
FILE_CODE = "f1"
CAMERAS = {"cam-1": "mall", "cam-2": "mall", "cam-b": "shop"}
# floor metres: each camera's unit has a place of its own
_Y = {"cam-1": 1.0, "cam-2": 11.0, "cam-b": 1.0}
SITES = ("mall", "shop")

# what may be drawn into a space file, and how many ways there are of each; the first is the usual
CHOICES: Mapping[str, int] = {
    "area": 3,
    "tenancy": 4,
    "links": 4,
    "opening": 5,
    "hall": 4,
    "door": 4,
    "staff": 2,
    "day_start": 2,
    "currency": 2,
    "sees": 3,
    "second_unit": 2,
    "line": 2,
    "is_gone": 2,
    "zone": 2,
    "goods": 4,
    "street": 3,
    "file_link": 4,
    "behind": 2,
}

_STOPS: Mapping[str, tuple[tuple[float, float], ...]] = {
    # (x, seconds) where somebody stands after coming in by the door
    "enters": ((5.5, 1.0),),
    "queues": ((1.0, 118.0), (2.5, 60.0)),
    "gives up": ((1.0, 60.0), (-2.0, 1.0)),
    "clerk": ((3.5, 1200.0),),
    "stays": ((2.5, 5400.0), (-2.0, 1.0)),
    "passes": ((-4.0, 1.0),),
}
PEOPLE = tuple(_STOPS)
SOLD = (
    "nothing",
    "count",
    "amount",
    "dollars",
    "no currency",
    "categories",
    "no total",
    "damaged",
)
DROPPED = ("lines", "void", "damaged")
ANSWERS = ("true", "refused", "no list")


@dataclass(frozen=True)
class Calendar:
    """The local hours of both sites that the inputs are about."""

    first: date
    zones: Mapping[str, str]

    def hours(self, site_id: str) -> list[LocalHour]:
        """Every local hour of the days, in order."""
        zone = ZoneInfo(self.zones[site_id])
        start, end = (self.midnight(site_id, n) for n in (0, DAYS))
        return list(local_hours(Window(start, end), zone))

    def midnight(self, site_id: str, number: int) -> datetime:
        """When a day of the site begins."""
        day = self.first + timedelta(days=number)
        return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(self.zones[site_id]))


def sold(kind: str, code: str, hour: LocalHour, zone: str, count: int) -> list[dict[str, object]]:
    """Rows of a till for one hour of a code."""
    key = {"time": hour.start_utc.astimezone(ZoneInfo(zone)).isoformat(), "ext_ref_code": code}
    net = 10 * count + 0.25
    money = {"net_sales": net, "gross_sales": net + 1.5, "tax_included": True}
    if kind == "nothing":
        return []
    if kind == "count":
        return [{**key, "num_tickets": count}]
    if kind == "damaged":
        return [{**key, "num_tickets": -1}]
    if kind in ("categories", "no total"):
        total = [{**key, "num_tickets": 2 * count, "currency": "EUR", **money}]
        half = {"net_sales": net / 2, "gross_sales": net / 2, "tax_included": True}
        return (total if kind == "categories" else []) + [
            {**key, "category": name, "num_tickets": count, "currency": "EUR", **half}
            for name in ("hats", "shoes")[: 1 + count % 2]
        ]
    currency = {"dollars": {"currency": "USD"}, "no currency": {}}.get(kind, {"currency": "EUR"})
    return [{**key, "num_tickets": count, "num_returns": 1, **currency, **money}]


def dropped(kind: str, day: date, count: int) -> str:
    """Give a file that holds every ticket of a day of the file's code, with lines."""
    rows = ["store,no,time,kind,category,qty,net,currency"]
    for number in range(count):
        hour = (9, 10, 23)[number % 3]
        ticket = f"{FILE_CODE},{day}-{number},{day} {hour:02}:{number:02}:00"
        word = "void" if kind == "void" and number % 2 else "sale"
        rows.append(f"{ticket},{word},{('hats', 'shoes', '')[count % 3]},1,{number + 5}.50,EUR")
        if number % 2:
            rows.append(f"{ticket},{word},shoes,2,7.25,EUR")
    if kind == "damaged":
        rows.append(f"{FILE_CODE},{day}-x,{day} 10:30:00,sale,hats,1,much,EUR")
    return "\n".join([*rows, ""])


MAPPING = """\
grain: line
covers: days
complete: true
columns:
  ext_ref_code: store
  ticket_id: "no"
  at: {column: time, zone: site}
  kind: kind
  category: category
  quantity: qty
  net: net
  currency: currency
  tax_included: {value: "yes"}
"""


def campaigns_file(calendar: Calendar, way: int) -> str | None:
    """The campaigns as they are told now; None where there is no file."""
    if way == 0:
        return None
    days = [(calendar.first + timedelta(days=n)).isoformat() for n in range(DAYS)]
    campaign: dict[str, object] = {
        "id": "window",
        "treated": ["mall/1"],
        "control": ["mall/2"] if way < 3 else "same_category",
        "before": {"from": days[0], "to": days[0]},
        "during": {"from": days[1], "to": days[way % 2 + 1]},
        "metrics": ["net_sales", "ticket_count", "conversion_rate"][: 1 + way],
    }
    if way == 2:
        campaign |= {"margin_rate": 0.4, "cost": 10, "currency": "EUR"}
    return json.dumps({"campaigns": [campaign]}, indent=1)


def space_file(site_id: str, calendar: Calendar, chosen: Mapping[str, int]) -> str | None:
    """The space file of a site as it is drawn now; None where it is taken away."""
    if chosen["is_gone"]:
        return None
    later = {"from": (calendar.first + timedelta(days=1)).isoformat()}
    before = {"to": later["from"]}
    site = {
        "id": site_id,
        "name": site_id,
        "timezone": (calendar.zones[site_id], "Asia/Tokyo")[chosen["zone"]],
        "currency": ("EUR", "USD")[chosen["currency"]],
        "business_day_start": ("00:00", "05:00")[chosen["day_start"]],
        **_opening(chosen["opening"], later["from"]),
    }
    parts = _mall(chosen, later, before) if site_id == "mall" else _shop(chosen, later, before)
    drawn = {
        "schema": 1,
        "site": site,
        "counting": {"max_gap_s": 100000},
        **({"staff": {"min_s": 600}} if site_id == "mall" and chosen["staff"] == 0 else {}),
        **parts,
    }
    # JSON is YAML
    return json.dumps(drawn, indent=1)


def _opening(way: int, later: str) -> dict[str, object]:
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    if way == 0:
        return {}
    if way == 4:
        early, late = ([hours] for hours in ("08:00-20:00", "10:30-23:00"))
        versions = [
            {**dict.fromkeys(days, early), "to": later},
            {**dict.fromkeys(days, late), "from": later},
        ]
        return {"opening_hours": versions}
    spans = [["09:00-21:00"], ["09:00-21:00"], ["08:30-12:15", "22:00-02:00"]][way - 1]
    opened: dict[str, object] = {"opening_hours": dict.fromkeys(days, spans)}
    return {**opened, "closed": [later]} if way == 2 else opened


def _unit(unit_id: str, chosen: Mapping[str, int], later: dict, before: dict) -> dict:
    areas = [
        [{"gla_m2": 120}],
        [{"gla_m2": 120, **before}, {"gla_m2": 200, "selling_m2": 90, **later}],
        [],
    ]
    who = {"tenant": f"T{unit_id}", "operator": f"OP{unit_id}", "category": "fashion"}
    other = {**who, "tenant": "T9"}
    tenancies = [
        [who],
        [{**who, **before}, {**other, **later}],
        [],
        [{**who, **before}, {**who, "share": 0.25, **later}, {**other, "share": 0.75, **later}],
    ]
    return {
        "id": unit_id,
        "areas": areas[chosen["area"]],
        "tenancies": tenancies[chosen["tenancy"]],
    }


def _zone(zone_id: str, unit: str, role: str, x: tuple[float, float], y: float, **more) -> dict:
    polygon = [[x[0], y], [x[1], y], [x[1], y + 2], [x[0], y + 2]]
    return {"id": zone_id, "unit": unit, "role": role, "polygon": polygon, **more}


def _door(line_id: str, unit: str, y: float, role: str = "entrance", **more) -> dict:
    return _line(line_id, unit, role, -1, y, **more)


def _line(line_id: str, unit: str, role: str, x: float, y: float, **more) -> dict:
    ends = {"a": [x, y], "b": [x, y + 2], "inside": "right"}
    return {"id": line_id, "unit": unit, "role": role, **ends, **more}


def _mall(chosen: Mapping[str, int], later: dict, before: dict) -> dict:
    has_second = chosen["second_unit"] == 0
    second = "2" if has_second else "1"
    doors = [
        [_door("door", "1", 0)],
        [_door("door", "1", 0, role="passage")],
        [_door("door", "1", 0, **before), _door("door", second, 0.5, **later)],
        [_door("door", "1", 0, **later)],
    ]
    halls = [
        [_zone("hall", "_common", "passage", (0, 6), 10)],
        [_zone("hall", second, "selling", (0, 6), 10, categories=["hats", "shoes"])],
        [_zone("hall", "_common", "passage", (0, 6), 10, **later)],
        [_zone("hall", "_common", "passage", (1, 4), 10)],
    ]
    shelf = partial(_zone, "shelf", "1", "selling", (0, 6), 0)
    shelves = [
        [shelf(categories=["shoes"])],
        [shelf(categories=["hats", "shoes"])],
        [shelf()],
        [shelf(categories=["hats"], **before), shelf(categories=["shoes"], **later)],
    ]
    street = partial(_line, "street", "1", "outside", -3, 0)
    streets = [[street()], [], [street(**later)]]
    joins = {"leads_to": ["till"]} if chosen["line"] == 0 else {}
    zones = [
        *halls[chosen["hall"]],
        *shelves[chosen["goods"]],
        _zone("line", "1", ("queue", "passage")[chosen["line"]], (0, 2), 0, **joins),
        _zone("till", "1", "service", (2, 4), 0),
        _zone("behind", "1", "staff", ((3, 6), (4, 6))[chosen["behind"]], 0),
        # whom cam-1 sees in another unit has come through the door of this one
        _zone("rack", second, "display", (3, 4), 0),
    ]
    outside = ["street"] if streets[chosen["street"]] else []
    seen = ["line", "till", "behind", "shelf", "rack", "door", *outside]
    sees = [
        [{"id": "cam-1", "sees": seen}],
        [{"id": "cam-1", "sees": ["line", "till"]}],
        [{"id": "cam-1", "sees": seen, **before}, {"id": "cam-1", "sees": ["door"], **later}],
    ]
    first = {"connector": "pos", "ext_ref_code": "0001", "unit": "1"}
    other = {"connector": "pos", "ext_ref_code": "0002", "unit": second}
    links = [
        [first, other],
        [{**first, **before}, {**first, "unit": second, **later}, other],
        [],
        [first, {**other, "unit": "1"}],
    ]
    of_file = {"connector": "till", "ext_ref_code": FILE_CODE, "unit": "1"}
    file_links = [[of_file], [], [{**of_file, **later}], [{**of_file, "unit": second}]]
    units = [_unit("1", chosen, later, before)]
    units += [_unit("2", chosen, later, before)] if has_second else []
    return {
        "units": units,
        "zones": zones,
        "lines": [*doors[chosen["door"]], *streets[chosen["street"]], _door("door2", second, 10)],
        "cameras": [*sees[chosen["sees"]], {"id": "cam-2", "sees": ["hall", "door2"]}],
        "links": [*links[chosen["links"]], *file_links[chosen["file_link"]]],
    }


def _shop(chosen: Mapping[str, int], later: dict, before: dict) -> dict:
    link = {"connector": "pos", "ext_ref_code": "b1", "unit": "b"}
    links = [[link], [{**link, **before}], [], [{**link, **later}]]
    return {
        "units": [_unit("b", chosen, later, before)],
        "zones": [_zone("floor", "b", "selling", (0, 6), 0)],
        "lines": [_door("door", "b", 0)],
        "cameras": [{"id": "cam-b", "sees": ["door", "floor"]}],
        "links": links[chosen["links"]],
    }


def write_delivery(
    folder, camera: str, start: datetime, hours: int, people: Sequence[str], status: str
) -> None:
    """Write what a host beside a camera delivers of some hours, whole and anew."""
    target = folder / CAMERAS[camera] / camera / f"{start.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    target.mkdir(parents=True, exist_ok=True)
    whole = hours * 3600.0
    coverage = {
        "site_id": CAMERAS[camera],
        "source_kind": "camera",
        "source_id": camera,
        "key": target.name,
        "from_utc": start,
        "to_utc": start + timedelta(hours=hours),
        "status": status,
        "reason": None if status == "complete" else "E_CHUNK_TRUNCATED",
        "observed_s": {"complete": whole, "partial": whole / 3}.get(status, 0.0),
        "expected_s": whole,
        "fetched_at_utc": None,
    }
    points, heads = [], []
    for number, kind in enumerate(people if status != "unreadable" else ()):
        walk = list(_walk(kind, start + timedelta(seconds=97 + 600 * number)))
        key = {"site_id": CAMERAS[camera], "camera_id": camera}
        key["tracklet_id"] = f"{camera}-{walk[0][0].astimezone(UTC):%Y%m%dT%H%M%S}-{number}"
        points += [
            {**key, "ts_utc": at, "x_m": x, "y_m": _Y[camera], "confidence": 1.0} for at, x in walk
        ]
        heads.append(
            {
                **key,
                "first_utc": walk[0][0],
                "last_utc": walk[-1][0],
                "sample_count": len(walk),
                "detector": "motion",
                "tracker_version": "1",
                "camera_version": "1",
                "chunk_ids": [target.name],
            }
        )
    tables = {
        "tracklet_points": [{**point, "is_observed": True} for point in points],
        "tracklets": heads,
        "coverage": [coverage],
    }
    for name, rows in tables.items():
        pq.write_table(pa.Table.from_pylist(rows, DATASETS[name]), target / f"{name}.parquet")


def _walk(kind: str, at: datetime):
    yield at, -2.0
    for x, seconds in _STOPS[kind]:
        yield at + timedelta(seconds=1), x
        at += timedelta(seconds=1 + seconds)
        yield at, x
