"""A simulated day: what is delivered agrees with the truth, and faults are faults."""

import hashlib
import json
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.geometry import signed_side
from ksi_pipeline.core.ticket_row import read_amounts
from ksi_pipeline.core.time import Window, hour_start_utc, local_hours
from ksi_pipeline.sandbox.days import simulate_day, special_of_first_day
from ksi_pipeline.sandbox.home import MallTruth, simulate_mall
from ksi_pipeline.sandbox.mall import Mall
from ksi_pipeline.sandbox.space_file import ZONE
from video_ingest.contract import COVERAGE, TRACKLET_POINTS, TRACKLETS

FIRST_DAY = date(2026, 3, 27)


@pytest.fixture(scope="module")
def mall(tmp_path_factory) -> MallTruth:
    """One Friday, two units and a minute of video."""
    return simulate_mall(tmp_path_factory.mktemp("mall"), video_minutes=1)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> MallTruth:
    """A Sunday on which the clocks go forward, one unit, no video."""
    home = tmp_path_factory.mktemp("small")
    return simulate_mall(home, first_day=date(2026, 3, 29), units=1, video_minutes=0)


def delivered(mall: MallTruth, name: str) -> pa.Table:
    return pa.concat_tables([pq.read_table(d / f"{name}.parquet") for d in mall.delivery_dirs])


def walks_of(points: pa.Table):
    """Yield (tracklet_id, instants in microseconds, xy) of each tracklet."""
    ids = points["tracklet_id"].combine_chunks().dictionary_encode()
    code = ids.indices.to_numpy()
    names = ids.dictionary.to_pylist()
    at_us = points["ts_utc"].cast(pa.int64()).to_numpy()
    xy = np.stack([points["x_m"].to_numpy(), points["y_m"].to_numpy()], axis=1)
    cuts = np.flatnonzero(np.diff(code)) + 1
    for start, end in pairwise([0, *cuts, len(code)]):
        yield names[code[start]], at_us[start:end], xy[start:end]


def door_crossings(mall: MallTruth, points: pa.Table):
    """Yield (unit, tracklet, direction, instant) of each change of side through a door."""
    doors = {shop.camera_id: shop for shop in Mall(len(mall.unit_ids)).shops}
    for tracklet_id, at_us, xy in walks_of(points):
        shop = doors[tracklet_id[:8]]
        a, b = np.array(shop.door)
        is_in = signed_side(xy, a, b) > 0
        for i in np.flatnonzero(np.diff(is_in)):
            share = xy[i, 1] / (xy[i, 1] - xy[i + 1, 1])
            x = xy[i, 0] + share * (xy[i + 1, 0] - xy[i, 0])
            if a[0] <= x < b[0]:
                at = at_us[i] + share * (at_us[i + 1] - at_us[i])
                when = datetime.fromtimestamp(at / 1e6, UTC)
                yield shop.unit_id, tracklet_id, "in" if is_in[i + 1] else "out", when


def digests(home: Path) -> dict[str, str]:
    files = [p for p in sorted(home.rglob("*")) if p.suffix in (".parquet", ".json", ".yaml")]
    return {str(p.relative_to(home)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_the_same_arguments_give_the_same_bytes(small, tmp_path):
    arguments = {"first_day": date(2026, 3, 29), "units": 1, "video_minutes": 0}
    simulate_mall(tmp_path, **arguments)
    assert digests(tmp_path) == digests(small.home)
    assert len(digests(tmp_path)) > 30


def test_a_folder_with_another_simulation_is_refused_and_left_alone(small):
    before = digests(small.home)
    with pytest.raises(ConfigError, match="would mix two malls"):
        simulate_mall(small.home, first_day=date(2026, 3, 29), units=1, seed=2, video_minutes=0)
    assert digests(small.home) == before


@pytest.mark.parametrize(
    "wrong",
    [{"days": 0}, {"units": 0}, {"video_minutes": 61}, {"first_day": date(2026, 12, 25)}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_impossible_arguments_are_refused_before_anything_is_written(wrong, tmp_path):
    with pytest.raises(ConfigError, match="Nothing was written"):
        simulate_mall(tmp_path / "home", **wrong)
    assert not (tmp_path / "home").exists()


def test_delivered_tracklets_cross_each_door_exactly_as_often_as_people_did(mall):
    counted = Counter(
        (unit, direction, hour_start_utc(at, ZONE))
        for unit, _, direction, at in door_crossings(mall, delivered(mall, "tracklet_points"))
    )
    filmed = Counter(
        (c.unit_id, c.direction, hour_start_utc(c.at_utc, ZONE)) for c in mall.crossings_in_video
    )
    for hour in mall.unit_hours.to_pylist():
        for direction, column in (("in", "entries_seen"), ("out", "exits_seen")):
            key = (hour["unit_id"], direction, hour["hour_start_utc"])
            assert counted[key] + filmed[key] == hour[column], key


def test_nobody_crosses_a_door_twice_in_one_direction(mall):
    crossings = door_crossings(mall, delivered(mall, "tracklet_points"))
    times = Counter((tracklet, direction) for _, tracklet, direction, _ in crossings)
    assert set(times.values()) == {1}


def test_the_filmed_people_go_through_the_door_when_the_truth_says_so(mall):
    special = special_of_first_day(Mall(2), FIRST_DAY, 1)
    day = simulate_day(Mall(2), FIRST_DAY, 0, 1, special)
    entered = [w for w in day.walks if w.is_staged and w.shop is not None]
    by_instant = {
        round(walk.entered_s, 6): walk.at(walk.entered_s + np.array([-0.1, 0.1]))[:, 1]
        for walk in entered
    }
    ins = [c for c in mall.crossings_in_video if c.direction == "in"]
    for crossing in ins:
        before, after = by_instant[round((crossing.at_utc - day.midnight).total_seconds(), 6)]
        assert before < 0 < after


def test_several_people_cross_each_door_on_film(mall):
    ways = Counter((c.unit_id, c.direction) for c in mall.crossings_in_video)
    for unit in mall.unit_ids:
        assert ways[unit, "in"] >= 2
        assert ways[unit, "out"] >= 1


def test_the_film_is_in_chunks_of_half_a_minute_at_ten_frames_a_second(mall):
    assert [path.stem for path in mall.chunk_paths] == ["20260327T090000Z", "20260327T090030Z"] * 2
    assert {path.parent.name for path in mall.chunk_paths} == {"cam-0001", "cam-0002"}
    film = cv2.VideoCapture(str(mall.chunk_paths[-1]))
    frames = 0
    while film.grab():
        frames += 1
    assert (frames, film.get(cv2.CAP_PROP_FPS)) == (300, 10.0)


def test_nothing_is_delivered_where_the_film_is_or_the_camera_was_dark(mall):
    dark = {"cam-0002": mall.outages.camera_dark["0002"]}
    for tracklet in delivered(mall, "tracklets").to_pylist():
        seen = Window(tracklet["first_utc"], tracklet["last_utc"])
        for window in (mall.video_window, *dark.get(tracklet["camera_id"], ())):
            assert seen.overlap(window) is None


def test_coverage_is_all_open_time_but_the_film_and_the_outages(mall):
    seconds = Counter()
    for row in delivered(mall, "coverage").to_pylist():
        assert row["status"] == "complete"
        assert row["observed_s"] == (row["to_utc"] - row["from_utc"]).total_seconds()
        seconds[row["source_id"]] += row["observed_s"]
    assert seconds == {"cam-0001": 12 * 3600 - 60, "cam-0002": 12 * 3600 - 60 - 4800}


def test_the_hour_with_the_film_is_delivered_from_where_the_film_ends(mall):
    names = [d.name for d in mall.delivery_dirs if d.parent.name == "cam-0002"]
    assert "20260327T090100Z" in names
    assert "20260327T090000Z" not in names
    # dark from 16:00 to 17:00 local: no delivery, which is not the same as an empty one
    assert "20260327T150000Z" not in names
    assert len(names) == 11


def test_a_tracklet_over_the_hour_lies_whole_in_the_delivery_of_its_first_sample(mall):
    spanning = 0
    for folder in mall.delivery_dirs:
        start = datetime.strptime(folder.name, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        end = hour_start_utc(start, ZONE) + timedelta(hours=1)
        tracklets = pq.read_table(folder / "tracklets.parquet").to_pylist()
        points = pq.read_table(folder / "tracklet_points.parquet")
        lengths = Counter(points["tracklet_id"].to_pylist())
        assert lengths == {t["tracklet_id"]: t["sample_count"] for t in tracklets}
        assert all(start <= t["first_utc"] < end for t in tracklets)
        over = [t for t in tracklets if t["last_utc"] >= end]
        spanning += len(over)
        assert all(len(t["chunk_ids"]) == 2 for t in over if not _is_video_hour(mall, folder))
    assert spanning > 5


def _is_video_hour(mall: MallTruth, folder: Path) -> bool:
    return folder.name == mall.video_window.end.strftime("%Y%m%dT%H%M%SZ")


def test_deliveries_keep_the_contract_and_tracklet_ids_are_unique(mall):
    for name, schema in (
        ("tracklet_points", TRACKLET_POINTS),
        ("tracklets", TRACKLETS),
        ("coverage", COVERAGE),
    ):
        assert delivered(mall, name).schema.equals(schema)
    ids = delivered(mall, "tracklets")["tracklet_id"].to_pylist()
    assert len(ids) == len(set(ids))
    first = delivered(mall, "tracklets").to_pylist()[0]
    assert first["tracklet_id"].startswith(f"cam-0001-{first['first_utc']:%Y%m%dT%H%M%SZ}-")


def test_samples_come_at_4_hz_and_nobody_runs(mall):
    folder = mall.delivery_dirs[3]
    for _, at_us, xy in walks_of(pq.read_table(folder / "tracklet_points.parquet")):
        assert set(np.diff(at_us)) == {250_000}
        # 1.5 m/s is the fastest walker; 2 cm of noise at both ends of 0.25 s adds up to 0.5 m/s
        assert np.hypot(*np.diff(xy, axis=0).T).max() / 0.25 < 2.1


def test_the_feed_reports_the_true_tickets_of_every_open_hour_but_the_silent_one(mall):
    rows = [row for row in fed_rows(mall) if "category" not in row]
    fed = {
        (row["ext_ref_code"], datetime.fromisoformat(row["time"])): row["num_tickets"]
        for row in rows
    }
    true = {
        (hour["unit_id"], hour["hour_start_utc"]): hour["tickets"]
        for hour in mall.unit_hours.to_pylist()
        if not hour["is_feed_silent"]
    }
    assert fed == true
    assert len(rows) == len(fed) == 23
    assert rows[0]["time"] == "2026-03-27T09:00:00+01:00"
    silent = [h["local_hour"].hour for h in mall.unit_hours.to_pylist() if h["is_feed_silent"]]
    assert silent == [18]


def test_the_feed_reports_amounts_to_the_cent_and_goods_in_the_form_of_the_contract(mall):
    fed = {
        (row["ext_ref_code"], datetime.fromisoformat(row["time"])): read_amounts(row)
        for row in fed_rows(mall)
        if "category" not in row
    }
    for hour in mall.unit_hours.to_pylist():
        if hour["is_feed_silent"]:
            continue
        told = fed[hour["unit_id"], hour["hour_start_utc"]]
        assert (told.net_sales, told.units) == (hour["net_sales"], hour["units"])
        assert (told.currency, told.tax_included) == ("EUR", True)
        assert hour["units"] >= hour["tickets"]
        least, most = Decimal("1.99"), Decimal("199.00")
        assert least * hour["units"] <= hour["net_sales"] <= most * hour["units"]


def test_every_second_till_tells_its_goods_apart_and_the_parts_add_up_to_its_hours(mall):
    totals = {(h["unit_id"], h["hour_start_utc"]): h for h in mall.unit_hours.to_pylist()}
    parts = defaultdict(list)
    for row in fed_rows(mall):
        if "category" in row:
            parts[row["ext_ref_code"], datetime.fromisoformat(row["time"])].append(row)
    assert {unit_id for unit_id, _ in parts} == {"0002"}
    assert len(parts) == 12
    for key, rows in parts.items():
        total = totals[key]
        amounts = [read_amounts(row) for row in rows]
        assert [row["category"] for row in rows] == ["sneakers", "boots"]
        assert sum(one.net_sales for one in amounts) == total["net_sales"]
        assert sum(one.units for one in amounts) == total["units"]
        # a ticket with goods of both is one of either
        counts = [row["num_tickets"] for row in rows]
        assert max(counts) <= total["tickets"] <= sum(counts)
    sums = [sum(row["num_tickets"] for row in rows) for rows in parts.values()]
    assert sum(sums) > sum(totals[key]["tickets"] for key in parts)


def fed_rows(mall):
    return json.loads(mall.feed_path.read_text(encoding="utf-8"), parse_float=Decimal)


def test_stays_begin_inside_the_visit_of_whoever_entered_except_at_the_window(mall):
    inside = [v for v in mall.zone_visits.to_pylist() if not v["zone_id"].startswith("window")]
    for unit in mall.unit_ids:
        spans = sorted(
            (w["entered_at_utc"], w["left_at_utc"])
            for w in mall.walkers.to_pylist()
            if w["unit_id"] == unit
        )
        mine = [v for v in inside if v["unit_id"] == unit]
        assert len(mine) > len(spans)
        assert all(
            any(a < v["entered_at_utc"] < v["left_at_utc"] < b for a, b in spans) for v in mine
        )


def test_everybody_pays_inside_and_truth_tables_agree(mall):
    walkers = mall.walkers.to_pylist()
    hours = mall.unit_hours.to_pylist()
    paid = [w for w in walkers if w["paid_at_utc"] is not None]
    assert all(w["entered_at_utc"] < w["paid_at_utc"] < w["left_at_utc"] for w in paid)
    assert sum(hour["tickets"] for hour in hours) == len(paid)
    assert sum(hour["entries"] for hour in hours) == len(walkers)
    assert sum(hour["exits"] for hour in hours) == len(walkers)
    assert all(20 <= hour["entries"] <= 150 for hour in hours)


def test_a_partly_dark_hour_says_how_long_it_was_dark(mall):
    dark = {
        h["local_hour"].hour: (h["camera_dark_s"], h["is_camera_dark"])
        for h in mall.unit_hours.to_pylist()
        if h["unit_id"] == "0002" and h["camera_dark_s"] > 0
    }
    assert dark == {13: (1200.0, False), 16: (3600.0, True)}


def test_a_day_of_23_hours_is_open_from_ten_to_eight_in_summer_time(small):
    assert len(list(local_hours(small.window, ZONE))) == 23
    hours = small.unit_hours.to_pylist()
    assert [h["local_hour"].hour for h in hours] == list(range(10, 20))
    assert [h["hour_start_utc"].hour for h in hours] == list(range(8, 18))
    feed = json.loads(small.feed_path.read_text(encoding="utf-8"))
    assert feed[0]["time"] == "2026-03-29T10:00:00+02:00"
    assert small.delivery_dirs[0].name == "20260329T080000Z"


def test_several_days_have_faults_on_the_first_one_only(tmp_path):
    mall = simulate_mall(tmp_path, first_day=date(2026, 3, 28), days=2, video_minutes=0)
    hours = mall.unit_hours.to_pylist()
    assert {h["local_hour"].day for h in hours if h["camera_dark_s"]} == {28}
    assert {h["local_hour"].day for h in hours if h["is_feed_silent"]} == {28}
    assert Counter(h["local_hour"].day for h in hours) == {28: 24, 29: 20}
    assert mall.window.end - mall.window.start == timedelta(hours=47)


def test_progress_goes_from_nothing_to_all(tmp_path):
    told = []
    simulate_mall(
        tmp_path,
        first_day=date(2026, 3, 29),
        units=1,
        video_minutes=0,
        progress=lambda what, share: told.append((what, share)),
    )
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert told[-1] == ("done", 1.0)
