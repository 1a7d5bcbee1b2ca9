"""Simulates a small mall into a folder: what its cameras and tills delivered, and the truth.

spaces/demo-mall.yaml              the space file
connectors.yaml                    the ticket feed, at the address of `ksi sandbox`
chunks/demo-mall/<camera>/         rendered video of the first minutes after 10:00
deliveries/demo-mall/<camera>/     tracklets, points and coverage of all other open time
sandbox/pos_feed.json              rows for the fake POS API
truth/                             simulation, outages and video .json; unit_hours, walkers and
zone_visits .parquet: what really happened

Only a folder of its own is written to: one that holds anybody else's space files, connectors or
ledger is refused. A space file or a connectors.yaml that was edited afterwards is kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.time import DAY, Window, local_midnight_utc
from ksi_pipeline.sandbox.days import (
    Day,
    deliver_day,
    nothing_special,
    simulate_day,
    special_of_first_day,
)
from ksi_pipeline.sandbox.folder import claim, write_json, write_where_missing
from ksi_pipeline.sandbox.mall import SITE_ID, Mall
from ksi_pipeline.sandbox.render import render_chunks
from ksi_pipeline.sandbox.space_file import (
    OPENING,
    SANDBOX_URL,
    ZONE,
    space_yaml,
    write_connectors,
)
from ksi_pipeline.sandbox.stays import ZONE_VISITS, zone_visit_rows
from ksi_pipeline.sandbox.truth import (
    CATEGORY_HOURS,
    UNIT_HOURS,
    WALKERS,
    Outages,
    VideoCrossing,
    category_hours,
    feed_rows,
    unit_hours,
    video_crossings,
    walker_rows,
)
from ksi_pipeline.store.layout import DataHome

__all__ = ["SANDBOX_URL", "MallTruth", "simulate_mall", "write_connectors"]

# How long a camera's minute takes to render, in days of walkers and tracklets (1.1 s to 2.2 s).
_DAYS_PER_CAMERA_MINUTE = 1.0

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class MallTruth:
    """Where everything lies and what really happened.

    Attributes:
        window: from the first local midnight to the end of the last day.
        video_window: what the chunks show; None without video.
        chunk_paths: rendered chunks, by camera and time.
        delivery_dirs: folders with tracklet_points, tracklets and coverage, by day, camera, time.
        unit_hours: the table of truth/unit_hours.parquet (truth.py says what its columns mean).
        category_hours: the table of truth/category_hours.parquet.
        walkers: the table of truth/walkers.parquet, one row per person who entered a unit.
        zone_visits: the table of truth/zone_visits.parquet, one row per stay in a unit's zone.
        crossings_in_video: true door crossings in the video window, by instant.
        outages: the faults made on purpose.
    """

    home: Path
    site_id: str
    unit_ids: tuple[str, ...]
    window: Window
    video_window: Window | None
    space_path: Path
    connectors_path: Path
    feed_path: Path
    chunk_paths: tuple[Path, ...]
    delivery_dirs: tuple[Path, ...]
    unit_hours: pa.Table
    category_hours: pa.Table
    walkers: pa.Table
    zone_visits: pa.Table
    crossings_in_video: tuple[VideoCrossing, ...]
    outages: Outages


def simulate_mall(
    home: Path,
    *,
    first_day: date = date(2026, 3, 27),
    days: int = 1,
    units: int = 2,
    seed: int = 1,
    video_minutes: int = 2,
    progress: Progress | None = None,
) -> MallTruth:
    """Simulate a mall in Europe/Madrid and write it into a folder.

    The same arguments write the same tables and the same pictures, so a run that was broken off can
    be repeated; chunks that are there already are kept. Days of 23 and 25 hours come out right.

    Args:
        home: made when missing; may hold an earlier simulation with the same arguments.
        first_day: local date; the faults (days.py) and the video are on it.
        days: number of local dates, at least 1.
        units: number of shops, 1 to 99.
        seed: of everything random, at least 0.
        video_minutes: length of the video from 10:00 local, 0 to 60.
        progress: told what is being done and the share of the whole done, 0 to 1.

    Raises:
        ConfigError: E_SANDBOX when an argument is out of range, the mall is closed on the first
            day, the folder holds a simulation with other arguments, or anything else that a
            pipeline works on.
    """
    mall = Mall(units)
    _check(first_day, days, seed, video_minutes)
    arguments = {"days": days, "units": units, "seed": seed, "video_minutes": video_minutes}
    claim(home, {"first_day": first_day.isoformat(), **arguments})
    walk_share = days / (days + _DAYS_PER_CAMERA_MINUTE * units * video_minutes)

    def tell(what: str, share: float) -> None:
        if progress is not None:
            progress(what, share)

    special = special_of_first_day(mall, first_day, video_minutes)
    writer = _Truth(home, mall, special.outages, special.video)
    for index in range(days):
        tell("walkers and tracklets", walk_share * index / days)
        about = nothing_special() if index else special
        day = simulate_day(mall, first_day + index * DAY, index, seed, about)
        writer.add(day, deliver_day(home / "deliveries", mall, day, seed))
        if index == 0:
            opening_day = day
    chunks = _film(
        home / "chunks" / SITE_ID,
        mall,
        opening_day,
        seed,
        lambda share: tell("video", walk_share + (1 - walk_share) * share),
    )
    window = Window(opening_day.midnight, local_midnight_utc(first_day + days * DAY, ZONE))
    truth = writer.write(window, chunks)
    tell("done", 1.0)
    return truth


def _check(first_day: date, days: int, seed: int, video_minutes: int) -> None:
    if days < 1 or seed < 0 or not 0 <= video_minutes <= 60:
        raise ConfigError(
            f"A simulation of {days} days with {video_minutes} minutes of video and seed {seed} "
            "was asked for. Nothing was written. Ask for at least 1 day, 0 to 60 minutes and a "
            "seed of at least 0.",
            code="E_SANDBOX",
        )
    if first_day in OPENING.closed:
        raise ConfigError(
            f"A simulation from {first_day} was asked for, but the demo mall is closed on that "
            "day. Nothing was written. Choose another first day.",
            code="E_SANDBOX",
        )


def _film(
    folder: Path, mall: Mall, day: Day, seed: int, tell: Callable[[float], None]
) -> list[Path]:
    chunks: list[Path] = []
    video = day.special.video
    if video is None:
        return chunks
    for shop in mall.shops:

        def tell_one(share: float, done: int = shop.index) -> None:
            tell((done + share) / mall.units)

        chunks += render_chunks(folder, shop, day.walks, day.midnight, video, seed, tell_one)
    return chunks


class _Truth:
    """Gathers the truth day by day and writes it at the end."""

    def __init__(self, home: Path, mall: Mall, outages: Outages, video: Window | None) -> None:
        self._home, self._mall, self._outages, self._video = home, mall, outages, video
        self._hours: list[dict[str, Any]] = []
        self._categories: list[dict[str, Any]] = []
        self._walkers: list[dict[str, Any]] = []
        self._zone_visits: list[dict[str, Any]] = []
        self._delivered: list[Path] = []

    def add(self, day: Day, delivered: Sequence[Path]) -> None:
        """Count one day."""
        shops, outages = self._mall.shops, day.special.outages
        self._hours += unit_hours(shops, day.hours, day.walks, day.midnight, outages)
        self._categories += category_hours(shops, day.hours, day.walks, day.midnight, outages)
        self._walkers += walker_rows(shops, day.walks, day.midnight)
        self._zone_visits += zone_visit_rows(shops, day.walks, day.midnight)
        self._delivered += delivered

    def write(self, window: Window, chunks: Sequence[Path]) -> MallTruth:
        """Write truth, feed, space file and connectors, and say where everything lies."""
        truth, video = self._home / "truth", self._video
        crossings = video_crossings(self._walkers, video) if video else []
        hours = pa.Table.from_pylist(self._hours, schema=UNIT_HOURS)
        categories = pa.Table.from_pylist(self._categories, schema=CATEGORY_HOURS)
        walkers = pa.Table.from_pylist(self._walkers, schema=WALKERS)
        pq.write_table(hours, truth / "unit_hours.parquet")
        pq.write_table(categories, truth / "category_hours.parquet")
        pq.write_table(walkers, truth / "walkers.parquet")
        zone_visits = pa.Table.from_pylist(self._zone_visits, schema=ZONE_VISITS)
        pq.write_table(zone_visits, truth / "zone_visits.parquet")
        write_json(truth / "outages.json", self._outages.as_json())
        write_json(truth / "video.json", _video_json(video, crossings))
        feed_path = self._home / "sandbox" / "pos_feed.json"
        write_json(feed_path, feed_rows([*self._hours, *self._categories], ZONE))
        space_path = self._home / "spaces" / f"{SITE_ID}.yaml"
        write_where_missing(space_path, space_yaml(self._mall))
        connectors_path = DataHome(self._home).connectors
        if not connectors_path.exists():
            write_connectors(self._home, SANDBOX_URL)
        return MallTruth(
            home=self._home,
            site_id=SITE_ID,
            unit_ids=tuple(shop.unit_id for shop in self._mall.shops),
            window=window,
            video_window=video,
            space_path=space_path,
            connectors_path=connectors_path,
            feed_path=feed_path,
            chunk_paths=tuple(chunks),
            delivery_dirs=tuple(self._delivered),
            unit_hours=hours,
            category_hours=categories,
            walkers=walkers,
            zone_visits=zone_visits,
            crossings_in_video=tuple(crossings),
            outages=self._outages,
        )


def _video_json(video: Window | None, crossings: Sequence[VideoCrossing]) -> dict[str, object]:
    return {
        "from_utc": video.start.isoformat() if video else None,
        "to_utc": video.end.isoformat() if video else None,
        "crossings": [crossing.as_json() for crossing in crossings],
    }
