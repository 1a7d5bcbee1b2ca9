"""A change of the space puts new counts beside the old, on the days that it touches."""

import json
import shutil

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from ksi_pipeline.core.schemas import COUNT_VERSIONS
from ksi_pipeline.defs.steps.count_days import count_days
from ksi_pipeline.defs.steps.events import update_events
from ksi_pipeline.defs.steps.recount import recount
from ksi_pipeline.store.count_versions import recipes, versions_table

from .homes import make_workspace
from .shop_days import (
    AFTER,
    BEFORE,
    DAYS,
    FIRST,
    MONDAY,
    MOVED,
    THURSDAY,
    TUESDAY,
    WEDNESDAY,
    WHOLE,
    at,
    draw,
    forget_touched,
    space_file,
    touched_hours,
    versions,
    walk_in,
)

# local midnight of Wednesday in Madrid is 23:00 of Tuesday in UTC
FROM_WEDNESDAY = space_file((FIRST, ", to: 2026-03-04"), (MOVED, ", from: 2026-03-04"))


@pytest.fixture
def shop(counted, tmp_path):
    """A copy of those four days."""
    shutil.copytree(counted, tmp_path, dirs_exist_ok=True)
    return make_workspace(tmp_path)


def files(workspace) -> dict[tuple[str, str, str], tuple[int, str]]:
    """Which file of the ledger, with which bytes, counts for each dataset and day."""
    return {
        (dataset, row["source"], row["partition"]): (row["file_id"], row["sha256"])
        for dataset in ("visits", "line_crossings", "zone_occupancy")
        for row in workspace.store.ledger.live_files(dataset)
    }


def hashes(workspace) -> dict[tuple[str, str, str], str]:
    return {key: sha256 for key, (_, sha256) in files(workspace).items()}


def entries(workspace, version: dict) -> int:
    """Entries in the file that a version names."""
    path = version["line_crossings_path"]
    if path is None:
        return 0
    return pq.read_table(workspace.home.root / path).num_rows


def test_a_moved_line_gives_a_new_version_and_the_old_one_stays_readable_beside_it(shop):
    draw(shop.home.root, AFTER)
    recount(shop, *WHOLE)
    now, before = versions(shop, MONDAY)
    assert (now["is_current"], entries(shop, now)) == (True, 1)
    assert (before["is_current"], entries(shop, before)) == (False, 2)
    assert now["space_version"] != before["space_version"]
    assert now["points_version"] == before["points_version"]


def test_former_counts_are_in_no_current_view(shop):
    draw(shop.home.root, AFTER)
    recount(shop, *WHOLE)
    crossings = shop.store.read("line_crossings")
    assert crossings.num_rows == len(DAYS)
    assert set(crossings["x_m"].to_pylist()) == {6.0}


def test_a_line_moved_from_a_date_on_leaves_the_days_before_alone_file_for_file(shop):
    before = files(shop)
    draw(shop.home.root, FROM_WEDNESDAY)
    report = recount(shop, *WHOLE)
    # Tuesday in UTC ends an hour after Wednesday begins in Madrid
    assert report.counted == [("shop", str(day)) for day in (TUESDAY, WEDNESDAY, THURSDAY)]
    after = files(shop)
    assert {k: v for k, v in after.items() if k[2] <= "2026-03-03"} == {
        k: v for k, v in before.items() if k[2] <= "2026-03-03"
    }
    assert all(
        after[key] != before[key]
        for key in after
        if key[0] == "line_crossings" and key[2] > "2026-03-03"
    )
    assert len(versions(shop, MONDAY)) == 1
    assert len(versions(shop, WEDNESDAY)) == 2


def test_days_outside_the_range_wait_for_the_next_run(shop):
    draw(shop.home.root, AFTER)
    report = recount(shop, TUESDAY, WEDNESDAY)
    assert [day for _, day in report.counted] == ["2026-03-03", "2026-03-04"]
    assert len(versions(shop, MONDAY)) == 1
    assert update_events(shop).days_counted == 2
    assert len(versions(shop, MONDAY)) == 2


def test_a_recount_marks_exactly_the_unit_hours_whose_counts_differ(shop):
    forget_touched(shop)
    draw(shop.home.root, FROM_WEDNESDAY)
    recount(shop, *WHOLE)
    # everybody walks in within the hour from 10:00 UTC, which is a local hour of Madrid too
    assert touched_hours(shop) == {("0001", at(day, 10)) for day in (WEDNESDAY, THURSDAY)}


def test_a_chunk_that_comes_late_makes_no_version(shop):
    (before,) = versions(shop, MONDAY)
    walk_in(shop, MONDAY, [1], hour=15)
    assert update_events(shop).days_counted == 1
    (now,) = versions(shop, MONDAY)
    assert now["count_version"] == before["count_version"]
    assert now["points_version"] != before["points_version"]
    assert (entries(shop, before), entries(shop, now)) == (2, 3)


def test_a_late_chunk_that_lasts_into_another_lines_time_makes_no_version(tmp_path):
    utc = space_file((FIRST, ", to: 2026-03-03"), (MOVED, ", from: 2026-03-03")).replace(
        "Europe/Madrid", "UTC"
    )
    draw(tmp_path, utc)
    workspace = make_workspace(tmp_path)
    walk_in(workspace, MONDAY, [1])
    update_events(workspace)
    walk_in(workspace, MONDAY, [2], hour=23.9, until=0.5)
    assert update_events(workspace).days_counted == 1
    (now,) = versions(workspace, MONDAY)
    recipe = json.loads(recipes(workspace.store.ledger)[now["count_version"]])
    assert [line["to"] for line in recipe["lines"]] == [
        "2026-03-03T00:00:00+00:00",
        None,
    ]


def test_recounting_twice_counts_nothing_the_second_time_and_compares_the_same(shop):
    draw(shop.home.root, AFTER)
    first = recount(shop, *WHOLE)
    before, parquet = files(shop), sorted(shop.home.root.rglob("*.parquet"))
    forget_touched(shop)
    second = recount(shop, *WHOLE)
    assert second.counted == []
    assert second.untouched_count == 4
    assert (second.pairs, second.lines, second.zones) == (first.pairs, first.lines, first.zones)
    assert files(shop) == before
    assert sorted(shop.home.root.rglob("*.parquet")) == parquet
    assert touched_hours(shop) == set()


def test_going_back_to_the_old_space_file_gives_the_old_files_back_bit_for_bit(shop):
    before, (old,) = hashes(shop), versions(shop, MONDAY)
    draw(shop.home.root, AFTER)
    recount(shop, *WHOLE)
    assert hashes(shop) != before
    draw(shop.home.root, BEFORE)
    recount(shop, *WHOLE)
    assert hashes(shop) == before
    now, former = versions(shop, MONDAY)
    assert now == old
    assert former["space_version"] != old["space_version"]


def test_going_back_ends_the_same_when_the_former_files_were_deleted(shop):
    before = hashes(shop)
    draw(shop.home.root, AFTER)
    recount(shop, *WHOLE)
    for day in DAYS:
        (former,) = versions(shop, day)[1:]
        (shop.home.root / former["line_crossings_path"]).unlink()
    draw(shop.home.root, BEFORE)
    recount(shop, *WHOLE)
    assert hashes(shop) == before


def test_a_former_count_of_other_points_is_not_taken_back(shop):
    draw(shop.home.root, AFTER)
    update_events(shop)
    walk_in(shop, MONDAY, [2], hour=15)
    update_events(shop)
    draw(shop.home.root, BEFORE)
    (pair,) = (p for p in recount(shop, MONDAY, MONDAY).pairs)
    assert pair.is_same_points
    assert [entries(shop, version) for version in versions(shop, MONDAY)] == [3, 1]


class Killed(Exception):
    """Stands for a process that ends in the middle."""


def test_a_recount_killed_between_days_and_started_again_ends_the_same(shop, tmp_path):
    draw(shop.home.root, AFTER)

    def stop_on_wednesday(what: str, _share: float) -> None:
        if "counting" in what and str(WEDNESDAY) in what:
            raise Killed

    shop.progress = stop_on_wednesday
    with pytest.raises(Killed):
        recount(shop, *WHOLE)
    assert [len(versions(shop, day)) for day in DAYS] == [2, 2, 1, 1]
    again = make_workspace(shop.home.root)
    assert len(recount(again, *WHOLE).counted) == 2
    anew = make_workspace(tmp_path / "anew")
    draw(anew.home.root, AFTER)
    for day in DAYS:
        walk_in(anew, day, [1, 2, 6])
    update_events(anew)
    assert hashes(again) == hashes(anew)


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda text: text + "# a remark\n", id="a remark"),
        pytest.param(
            lambda text: text.replace("role: entrance", "role: passage"), id="the role of a line"
        ),
        pytest.param(
            lambda text: text.replace('  - {id: "0001"}', '  - {id: "0001"}\n  - {id: "0002"}'),
            id="a unit",
        ),
        pytest.param(
            lambda text: text.replace("sees: [hall, door]", "sees: [door, hall]"),
            id="the order of what a camera sees",
        ),
        pytest.param(
            lambda text: text.replace("inside: left", "inside: left, from: 2026-02-01"),
            id="a date before all days",
        ),
    ],
)
def test_an_edit_that_can_change_no_count_touches_no_day(shop, edit):
    text = edit(BEFORE)
    assert text != BEFORE
    draw(shop.home.root, text)
    assert recount(shop, *WHOLE).counted == []


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda text: text.replace("Europe/Madrid", "Asia/Kathmandu"), id="time zone"),
        pytest.param(
            lambda text: text.replace("units:", "counting: {confirm_samples: 2}\nunits:"), id="rule"
        ),
        pytest.param(
            lambda text: text.replace("sees: [hall, door]", "sees: [door]"), id="what is seen"
        ),
        pytest.param(lambda text: text.replace("[4, 2]", "[4, 3]"), id="the shape of a zone"),
        pytest.param(lambda text: text.replace("inside: left", "inside: right"), id="the inside"),
    ],
)
def test_an_edit_that_can_change_counts_makes_a_version_of_every_day(shop, edit):
    draw(shop.home.root, edit(BEFORE))
    assert len(recount(shop, *WHOLE).counted) == 4
    assert [len(versions(shop, day)) for day in DAYS] == [2, 2, 2, 2]


def test_a_line_added_from_a_date_on_leaves_the_days_before_alone(shop):
    added = BEFORE.replace("sees: [hall, door]", "sees: [hall, door, gate]").replace(
        "cameras:",
        '  - {id: gate, unit: "0001", role: entrance, a: [5, 0], b: [7, 0], inside: left, '
        "from: 2026-03-05}\ncameras:",
    )
    draw(shop.home.root, added)
    report = recount(shop, *WHOLE)
    assert [day for _, day in report.counted] == ["2026-03-04", "2026-03-05"]
    gate = report.lines["shop", "gate"]
    assert (gate.before, gate.now) == (None, {"in": 1, "out": 0})


def test_person_seconds_of_a_stay_over_three_midnights_add_up_to_its_dwell(tmp_path):
    draw(tmp_path, space_file((FIRST, ""), rules="counting: {max_gap_s: 1000000.0}"))
    workspace = make_workspace(tmp_path)
    walk_in(workspace, MONDAY, [1], until=70)
    update_events(workspace)
    (dwell,) = workspace.store.read("visits")["dwell_s"].to_pylist()
    assert dwell > 69 * 3600
    minutes = workspace.store.read("zone_occupancy")
    assert pc.sum(minutes["person_seconds"]).as_py() == pytest.approx(dwell)
    assert len({m.date() for m in minutes["minute_utc"].to_pylist()}) == 4
    walk_in(workspace, MONDAY, [1])
    update_events(workspace)
    dwell = pc.sum(workspace.store.read("visits")["dwell_s"]).as_py()
    minutes = workspace.store.read("zone_occupancy")
    assert pc.sum(minutes["person_seconds"]).as_py() == pytest.approx(dwell)


def test_the_versions_are_listed_in_the_schema_of_the_contract(shop):
    table = versions_table(shop.store.ledger)
    assert table.schema == COUNT_VERSIONS
    assert table["is_current"].to_pylist() == [True] * 4


def test_every_space_file_that_was_counted_with_is_kept(shop):
    draw(shop.home.root, AFTER)
    count_days(shop, shop.spaces()[0])
    kept = sorted(path.read_text() for path in (shop.home.raw_spaces / "shop").iterdir())
    assert kept == sorted([BEFORE, AFTER])
