"""The counting rule on a real street: 148 people, counted by brute force elsewhere."""

import json
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest

from ksi_pipeline.core.events import count_events
from ksi_pipeline.core.occupancy import zone_occupancy
from ksi_pipeline.space.load import load_space

pytestmark = pytest.mark.data
START_US = 1_772_442_000_000_000  # 2026-03-02T09:00:00Z, second 0 of the truth


@pytest.fixture(scope="module")
def case(test_data: Path):
    folder = test_data / "trajectories" / "ucy_zara01"
    truth = json.loads((folder / "traj_ucy_zara01.json").read_text())
    plan = load_space(folder / "case" / "space.yaml").plan()
    return truth, count_events(pq.read_table(folder / "case" / "points.parquet"), plan)


def seconds(table, column):
    return [(us - START_US) / 1e6 for us in table[column].cast("int64").to_pylist()]


@pytest.mark.parametrize("zone_id", ["window", "quad", "promenade_L"])
def test_every_visit_has_its_true_person_entry_exit_and_censoring(case, zone_id):
    truth, events = case
    visits = events.visits.filter(events.visits["zone_id"].to_numpy() == zone_id)
    found = sorted(
        zip(
            map(int, visits["tracklet_id"].to_pylist()),
            seconds(visits, "entered_at_utc"),
            seconds(visits, "left_at_utc"),
            visits["dwell_s"].to_pylist(),
            visits["is_start_censored"].to_pylist(),
            visits["is_end_censored"].to_pylist(),
            strict=True,
        )
    )
    true = sorted(
        (v["id"], v["enter_s"], v["exit_s"], v["dwell_s"], v["starts_inside"], v["ends_inside"])
        for v in truth["zones"][zone_id]["visit_list"]
    )
    assert [(f[0], f[4], f[5]) for f in found] == [(t[0], t[4], t[5]) for t in true]
    for f, t in zip(found, true, strict=True):
        assert f[1:4] == pytest.approx(t[1:4], abs=1e-3)


@pytest.mark.parametrize("line_id", ["shop_door", "street_y13", "oblique"])
def test_every_crossing_has_its_true_person_instant_and_direction(case, line_id):
    truth, events = case
    crossings = events.line_crossings
    crossings = crossings.filter(crossings["line_id"].to_numpy() == line_id)
    found = list(
        zip(
            map(int, crossings["tracklet_id"].to_pylist()),
            crossings["direction"].to_pylist(),
            seconds(crossings, "at_utc"),
            strict=True,
        )
    )
    true = [(e["id"], e["direction"], e["t_s"]) for e in truth["lines"][line_id]["events"]]
    assert sorted(found)[0][:2] == sorted(true)[0][:2]
    assert [f[:2] for f in sorted(found)] == [t[:2] for t in sorted(true)]
    assert [f[2] for f in sorted(found)] == pytest.approx([t[2] for t in sorted(true)], abs=1e-3)


@pytest.mark.parametrize("zone_id", ["window", "quad", "promenade_L"])
def test_every_minute_has_its_true_person_seconds_peak_and_people(case, zone_id):
    truth, events = case
    table = zone_occupancy(events.visits, ZoneInfo("Europe/Madrid")).to_pylist()
    rows = {
        int((row["minute_utc"].timestamp() * 1e6 - START_US) // 60_000_000): row
        for row in table
        if row["zone_id"] == zone_id
    }
    for minute in truth["zones"][zone_id]["per_minute"]:
        row = rows.get(minute["minute"])
        if row is None:
            assert minute["person_seconds"] == 0
            continue
        assert row["person_seconds"] == pytest.approx(minute["person_seconds"], abs=1e-3)
        assert row["max_occupancy"] == minute["max_occupancy"]
        assert row["distinct_count"] == minute["distinct_people"]
