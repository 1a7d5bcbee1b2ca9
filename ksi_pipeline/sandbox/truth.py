"""What really happened in the simulated mall, counted from the walks and not from any camera."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from ksi_pipeline.core.time import LocalHour, Window
from ksi_pipeline.sandbox.mall import CATEGORIES, SITE_ID, Shop
from ksi_pipeline.sandbox.trail import Walk
from video_ingest.contract import UTC_US

# entries, exits, tickets: all that happened, outages or not. entries_seen, exits_seen: those at
# whose instant the unit's camera looked, which is what a perfect pipeline measures.
# is_camera_dark: the camera was dark for the whole hour; camera_dark_s: for how long it was.
# is_feed_silent: the feed has no row for this unit-hour. net_sales: euros with tax, of the tickets;
# units: goods on them. Open hours only.
UNIT_HOURS = pa.schema(
    [
        pa.field("site_id", pa.string(), nullable=False),
        pa.field("unit_id", pa.string(), nullable=False),
        pa.field("hour_start_utc", UTC_US, nullable=False),
        pa.field("local_hour", pa.timestamp("us"), nullable=False),
        pa.field("entries", pa.int64(), nullable=False),
        pa.field("exits", pa.int64(), nullable=False),
        pa.field("tickets", pa.int64(), nullable=False),
        pa.field("net_sales", pa.decimal128(18, 4), nullable=False),
        pa.field("units", pa.int64(), nullable=False),
        pa.field("entries_seen", pa.int64(), nullable=False),
        pa.field("exits_seen", pa.int64(), nullable=False),
        pa.field("camera_dark_s", pa.float64(), nullable=False),
        pa.field("is_camera_dark", pa.bool_(), nullable=False),
        pa.field("is_feed_silent", pa.bool_(), nullable=False),
    ]
)

# What the till of a unit that tells its goods apart took of each category in each open hour, 0
# where nothing was sold: tickets with such goods, net_sales and units of them.
CATEGORY_HOURS = pa.schema(
    [
        pa.field("site_id", pa.string(), nullable=False),
        pa.field("unit_id", pa.string(), nullable=False),
        pa.field("category", pa.string(), nullable=False),
        pa.field("hour_start_utc", UTC_US, nullable=False),
        pa.field("tickets", pa.int64(), nullable=False),
        pa.field("net_sales", pa.decimal128(18, 4), nullable=False),
        pa.field("units", pa.int64(), nullable=False),
        pa.field("is_feed_silent", pa.bool_(), nullable=False),
    ]
)

# One row per person who entered a unit; paid_at_utc is null for those who bought nothing.
WALKERS = pa.schema(
    [
        pa.field("site_id", pa.string(), nullable=False),
        pa.field("unit_id", pa.string(), nullable=False),
        pa.field("entered_at_utc", UTC_US, nullable=False),
        pa.field("left_at_utc", UTC_US, nullable=False),
        pa.field("paid_at_utc", UTC_US),
    ]
)


@dataclass(frozen=True, slots=True)
class Outages:
    """Faults made on purpose, as windows by unit id; units without faults are absent."""

    camera_dark: Mapping[str, tuple[Window, ...]]
    feed_silent: Mapping[str, tuple[Window, ...]]

    def as_json(self) -> dict[str, list[dict[str, str]]]:
        """Give the faults for truth/outages.json, instants as ISO 8601 in UTC."""
        return {
            "camera_dark": list(_fault_rows(self.camera_dark)),
            "feed_silent": list(_fault_rows(self.feed_silent)),
        }


@dataclass(frozen=True, slots=True)
class VideoCrossing:
    """One person going through one door while the video camera ran; direction is in or out."""

    unit_id: str
    line_id: str
    direction: str
    at_utc: datetime

    def as_json(self) -> dict[str, str]:
        """Give the crossing for truth/video.json."""
        return {
            "unit_id": self.unit_id,
            "line_id": self.line_id,
            "direction": self.direction,
            "at_utc": self.at_utc.isoformat(),
        }


def unit_hours(
    shops: Sequence[Shop],
    hours: Sequence[LocalHour],
    walks: Sequence[Walk],
    midnight: datetime,
    outages: Outages,
) -> list[dict[str, Any]]:
    """Count one day's unit-hours, rows of UNIT_HOURS by unit and hour."""
    rows = []
    for shop in shops:
        mine = [walk for walk in walks if walk.shop == shop.index]
        entered = [_instant(midnight, walk.entered_s) for walk in mine]
        left = [_instant(midnight, walk.left_s) for walk in mine]
        dark = outages.camera_dark.get(shop.unit_id, ())
        for hour, window, sold, is_silent in _till_hours(shop, hours, mine, midnight, outages):
            ins = [at for at in entered if window.contains(at)]
            outs = [at for at in left if window.contains(at)]
            overlaps = [o for o in (window.overlap(span) for span in dark) if o is not None]
            dark_s = sum((o.end - o.start).total_seconds() for o in overlaps)
            rows.append(
                {
                    "site_id": SITE_ID,
                    "unit_id": shop.unit_id,
                    "hour_start_utc": hour.start_utc,
                    "local_hour": hour.local_hour,
                    "entries": len(ins),
                    "exits": len(outs),
                    **_sold(sold),
                    "entries_seen": _outside(ins, dark),
                    "exits_seen": _outside(outs, dark),
                    "camera_dark_s": dark_s,
                    "is_camera_dark": dark_s >= (window.end - window.start).total_seconds(),
                    "is_feed_silent": is_silent,
                }
            )
    return rows


def category_hours(
    shops: Sequence[Shop],
    hours: Sequence[LocalHour],
    walks: Sequence[Walk],
    midnight: datetime,
    outages: Outages,
) -> list[dict[str, Any]]:
    """Add up one day's goods by category, rows of CATEGORY_HOURS by unit, hour and category."""
    rows = []
    for shop in shops:
        if not shop.categories:
            continue
        mine = [walk for walk in walks if walk.shop == shop.index]
        for hour, _, sold, is_silent in _till_hours(shop, hours, mine, midnight, outages):
            for number, category in enumerate(shop.categories):
                of_it = [[one for one in goods if one.category == number] for goods in sold]
                rows.append(
                    {
                        "site_id": SITE_ID,
                        "unit_id": shop.unit_id,
                        "category": category,
                        "hour_start_utc": hour.start_utc,
                        **_sold([goods for goods in of_it if goods]),
                        "is_feed_silent": is_silent,
                    }
                )
    return rows


def feed_rows(hours: Iterable[Mapping[str, Any]], zone: ZoneInfo) -> list[dict[str, Any]]:
    """Turn hours into what the till feed reports: the contract's fields, and amounts.

    Rows of CATEGORY_HOURS have their category; those of UNIT_HOURS are the totals. Every open hour
    has a row, with 0 where nothing was sold; silent hours have none. Ordered by time, then code,
    the total first.
    """
    return [
        {
            "time": hour["hour_start_utc"].astimezone(zone).isoformat(),
            "ext_ref_code": hour["unit_id"],
            **({"category": hour["category"]} if "category" in hour else {}),
            "num_tickets": hour["tickets"],
            # cents have a short decimal form, so that the float is written as the amount is
            "net_sales": float(hour["net_sales"]),
            "units": hour["units"],
            "currency": "EUR",
            "tax_included": True,
        }
        for hour in sorted(hours, key=lambda h: (h["hour_start_utc"], h["unit_id"]))
        if not hour["is_feed_silent"]
    ]


def walker_rows(
    shops: Sequence[Shop], walks: Iterable[Walk], midnight: datetime
) -> list[dict[str, Any]]:
    """Give one day's rows of WALKERS, by instant of entry."""
    rows: list[dict[str, Any]] = [
        {
            "site_id": SITE_ID,
            "unit_id": shops[walk.shop].unit_id,
            "entered_at_utc": _instant(midnight, walk.entered_s),
            "left_at_utc": _instant(midnight, walk.left_s),
            "paid_at_utc": None if walk.paid_s is None else _instant(midnight, walk.paid_s),
        }
        for walk in walks
        if walk.shop is not None
    ]
    return sorted(rows, key=lambda row: (row["entered_at_utc"], row["unit_id"]))


def video_crossings(walkers: Iterable[Mapping[str, Any]], video: Window) -> list[VideoCrossing]:
    """Give the door crossings within the video's window, by instant."""
    found = [
        VideoCrossing(row["unit_id"], f"door-{row['unit_id']}", direction, row[column])
        for row in walkers
        for direction, column in (("in", "entered_at_utc"), ("out", "left_at_utc"))
        if video.contains(row[column])
    ]
    return sorted(found, key=lambda crossing: (crossing.at_utc, crossing.unit_id))


def _fault_rows(faults: Mapping[str, Sequence[Window]]) -> Iterator[dict[str, str]]:
    for unit_id, windows in faults.items():
        for window in windows:
            yield {
                "unit_id": unit_id,
                "from_utc": window.start.astimezone(UTC).isoformat(),
                "to_utc": window.end.astimezone(UTC).isoformat(),
            }


def _instant(midnight: datetime, seconds: float | None) -> datetime:
    """Give the instant so many seconds after midnight; only shoppers' instants come here."""
    return midnight + timedelta(microseconds=round((seconds or 0.0) * 1e6))


class _Good(NamedTuple):
    """One piece of goods: its price, and the number of its category among CATEGORIES."""

    cents: int
    category: int


def _till_hours(
    shop: Shop,
    hours: Sequence[LocalHour],
    walks: Iterable[Walk],
    midnight: datetime,
    outages: Outages,
) -> Iterator[tuple[LocalHour, Window, list[list[_Good]], bool]]:
    """Yield each hour with what each of its buyers paid for, and whether the feed is silent."""
    paid = [(_instant(midnight, w.paid_s), _basket(w)) for w in walks if w.paid_s is not None]
    silent = outages.feed_silent.get(shop.unit_id, ())
    for hour in hours:
        window = Window(hour.from_utc, hour.end_utc)
        sold = [goods for at, goods in paid if window.contains(at)]
        yield hour, window, sold, any(window.overlap(span) for span in silent)


def _basket(walk: Walk) -> list[_Good]:
    """Give a buyer's goods, by dice of their own so that nobody walks or pays anew."""
    prices, kinds = (np.random.default_rng([walk.looks, stream]) for stream in (1, 2))
    units = 1 + int(prices.poisson(1.2))
    cents = np.clip(prices.lognormal(7.3, 0.5, units), 199, 19_900).astype(np.int64)
    categories = kinds.integers(len(CATEGORIES), size=units)
    return [_Good(*one) for one in zip(cents.tolist(), categories.tolist(), strict=True)]


def _sold(baskets: Sequence[Sequence[_Good]]) -> dict[str, Any]:
    """Add baskets up; amounts in euros."""
    goods = [good for basket in baskets for good in basket]
    return {
        "tickets": len(baskets),
        "net_sales": Decimal(sum(good.cents for good in goods)).scaleb(-2),
        "units": len(goods),
    }


def _outside(instants: Iterable[datetime], windows: Sequence[Window]) -> int:
    return sum(not any(window.contains(at) for window in windows) for at in instants)
