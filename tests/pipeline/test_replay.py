"""The same inputs in any order, once or twice, end in the same tables."""

from datetime import timedelta
from itertools import permutations
from pathlib import Path

import pyarrow as pa
import pytest
from sqlalchemy import select

from ksi_pipeline.core.errors import TransientError
from ksi_pipeline.core.instants import to_us
from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.core.ticket_revisions import as_of, current_revisions
from ksi_pipeline.defs.steps.calendar import build_calendars
from ksi_pipeline.defs.steps.events import update_events
from ksi_pipeline.defs.steps.parse import parse_answers
from ksi_pipeline.defs.steps.pull import pull_answers
from ksi_pipeline.defs.steps.space import load_spaces
from ksi_pipeline.defs.steps.video import ingest_chunks
from ksi_pipeline.sandbox.home import write_connectors
from ksi_pipeline.sandbox.pos_api import PosApi
from ksi_pipeline.store.store import Change
from ksi_pipeline.store.tables import AFFECTED_HOURS

from .homes import NOW, TOKEN, make_workspace
from .test_bad_input import DAY, MORNING, ROWS, START, chunk_path, film


def tables(workspace) -> dict[str, list[dict]]:
    update_events(workspace)
    keys = {
        "tracklet_points": ("tracklet_id", "ts_utc"),
        "coverage": ("from_utc", "to_utc"),
        "line_crossings": ("at_utc", "tracklet_id"),
    }
    return {
        name: workspace.store.read(name).sort_by([(k, "ascending") for k in key]).to_pylist()
        for name, key in keys.items()
    }


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("films")
    return [
        film(folder / chunk_path(folder, START + timedelta(seconds=4 * n)).name) for n in range(3)
    ]


def arrive(home: Path, video: Path) -> None:
    target = home / "chunks" / "shop" / "cam-1" / video.name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(video.read_bytes())


def test_chunks_that_arrive_in_any_order_end_in_the_tables_of_one_pass(shop, films):
    together = make_workspace(shop("together"))
    for video in films:
        arrive(together.home.root, video)
    ingest_chunks(together, DAY, DAY)
    wanted = tables(together)
    assert wanted["tracklet_points"]
    for number, order in enumerate(permutations(films)):
        one_by_one = make_workspace(shop(f"order-{number}"))
        for video in order:
            arrive(one_by_one.home.root, video)
            ingest_chunks(one_by_one, DAY, DAY)
            update_events(one_by_one)
        assert tables(one_by_one) == wanted


def test_a_chunk_sent_again_with_other_bytes_replaces_what_the_first_gave(shop, films, tmp_path):
    workspace = make_workspace(shop())
    for video in films:
        arrive(workspace.home.root, video)
    ingest_chunks(workspace, DAY, DAY)
    wanted = tables(workspace)
    other = film(tmp_path / films[1].name, seconds=2)
    arrive(workspace.home.root, other)
    assert ingest_chunks(workspace, DAY, DAY).done_count >= 1
    assert tables(workspace) != wanted
    arrive(workspace.home.root, films[1])
    ingest_chunks(workspace, DAY, DAY)
    assert tables(workspace) == wanted


def test_video_deleted_after_it_was_counted_still_counts_and_still_hands_on_its_state(shop, films):
    kept, tidied = make_workspace(shop("kept")), make_workspace(shop("tidied"))
    for workspace in (kept, tidied):
        for video in films[:2]:
            arrive(workspace.home.root, video)
        ingest_chunks(workspace, DAY, DAY)
    for path in (tidied.home.chunks).rglob("*.avi"):
        path.unlink()
    for workspace in (kept, tidied):
        arrive(workspace.home.root, films[2])
        assert ingest_chunks(workspace, DAY, DAY).done_count == 1
    assert tables(tidied) == tables(kept)


def affected(workspace) -> set[tuple[str, int]]:
    rows = workspace.store.ledger.rows(select(AFFECTED_HOURS))
    return {(row["unit_id"], row["hour_start_utc"]) for row in rows}


def poll(workspace, api, rows, at) -> None:
    api.replace_rows(rows)
    workspace.clock = lambda: at
    pull_answers(workspace, MORNING)
    parse_answers(workspace)


def test_a_restated_hour_adds_a_revision_and_touches_only_that_hour(shop):
    home = shop()
    restated = [{**ROWS[0], "num_tickets": 27}, ROWS[1]]
    with PosApi(ROWS, token=TOKEN) as api:
        path = write_connectors(home, api.url)
        path.write_text(path.read_text().replace("missing", "zero"))
        workspace = make_workspace(home)
        poll(workspace, api, ROWS, NOW)
        before = affected(workspace)
        with workspace.store.ledger.transaction() as connection:
            connection.execute(AFFECTED_HOURS.delete())
        poll(workspace, api, restated, NOW + timedelta(hours=1))
    assert before == {("0001", to_us(MORNING.start + timedelta(hours=h))) for h in range(2)}
    assert affected(workspace) == {("0001", to_us(MORNING.start))}
    rows = workspace.store.read("ticket_hours")
    assert [r["num_tickets"] for r in as_of(rows, NOW).to_pylist()] == [25, 30]
    assert [r["num_tickets"] for r in current_revisions(rows).to_pylist()] == [27, 30]


def test_correcting_the_time_zone_reads_the_kept_answers_anew(shop):
    wrong, right = shop("wrong"), shop("right")
    space = wrong / "spaces" / "shop.yaml"
    text = space.read_text()
    space.write_text(text.replace("Europe/Madrid", "Asia/Kathmandu"))
    with PosApi(ROWS, token=TOKEN) as api:
        for home in (wrong, right):
            path = write_connectors(home, api.url)
            path.write_text(path.read_text().replace("missing", "zero"))
            poll(make_workspace(home), api, ROWS, NOW)
    assert make_workspace(wrong).store.read("ticket_hours").num_rows == 0
    space.write_text(text)
    workspace = make_workspace(wrong)
    parse_answers(workspace)
    columns = ["ext_ref_code", "hour_start_utc", "num_tickets"]
    expected = make_workspace(right).store.read("ticket_hours", columns=columns).to_pylist()
    # the window that was asked for was cut by the wrong zone, so its edges may miss an hour
    found = workspace.store.read("ticket_hours", columns=columns).to_pylist()
    assert found
    assert all(row in expected for row in found)


def test_changing_what_absence_means_takes_the_zeros_back(shop):
    home = shop()
    with PosApi(ROWS[:1], token=TOKEN) as api:
        path = write_connectors(home, api.url)
        path.write_text(path.read_text().replace("missing", "zero"))
        workspace = make_workspace(home)
        poll(workspace, api, ROWS[:1], NOW)
        assert {r["status"] for r in workspace.store.read("coverage").to_pylist()} == {"complete"}
        path.write_text(path.read_text().replace("zero", "missing"))
        parse_answers(workspace)
    statuses = sorted(r["status"] for r in workspace.store.read("coverage").to_pylist())
    assert statuses == ["complete", "silent"]


def test_two_writers_of_the_same_rows_never_both_count(shop):
    workspace = make_workspace(shop())
    one, two = Change(cause="one"), Change(cause="two")
    for change, unit in ((one, "a"), (two, "b")):
        row = {"site_id": "shop", "unit_id": unit, "floor": None, "name": None}
        table = pa.Table.from_pylist([row], schema=DATASETS["space_unit"])
        workspace.store.replace(change, "space_unit", table, source="space:shop")
    workspace.store.commit(one)
    with pytest.raises(TransientError) as caught:
        workspace.store.commit(two)
    assert caught.value.code == "E_LEDGER_CONFLICT"
    assert workspace.store.read("space_unit")["unit_id"].to_pylist() == ["a"]


def test_a_site_whose_file_is_removed_leaves_and_comes_back_with_it(shop, films):
    workspace = make_workspace(shop())
    arrive(workspace.home.root, films[0])
    load_spaces(workspace)
    ingest_chunks(workspace, DAY, DAY)
    build_calendars(workspace)
    calendar = workspace.store.read("site_hours").to_pylist()
    space = workspace.home.spaces / "shop.yaml"
    text = space.read_text()
    space.unlink()
    load_spaces(workspace)
    assert workspace.store.read("space_unit").num_rows == 0
    assert workspace.store.read("site_hours").num_rows == 0
    space.write_text(text)
    load_spaces(workspace)
    build_calendars(workspace)
    assert workspace.store.read("site_hours").to_pylist() == calendar


def test_a_camera_that_is_aimed_elsewhere_later_does_not_count_the_past(shop, films):
    home = shop()
    space = home / "spaces" / "shop.yaml"
    text = space.read_text()
    blind = text.replace("sees: [door]", "sees: []\n    to: 2026-04-01")
    entry = text[text.index("  - id: cam-1") : text.index("links:")]
    space.write_text(blind.replace("links:", entry + "    from: 2026-04-01\nlinks:"))
    workspace = make_workspace(home)
    arrive(home, films[0])
    ingest_chunks(workspace, DAY, DAY)
    assert tables(workspace)["line_crossings"] == []


def test_asking_again_writes_nothing_and_touches_nothing(shop):
    home = shop()
    with PosApi(ROWS, token=TOKEN) as api:
        path = write_connectors(home, api.url)
        path.write_text(path.read_text().replace("missing", "zero"))
        workspace = make_workspace(home)
        poll(workspace, api, ROWS, NOW)
        files = sorted(home.rglob("*.parquet"))
        before = affected(workspace)
        poll(workspace, api, ROWS, NOW + timedelta(hours=1))
    assert sorted(home.rglob("*.parquet")) == files
    assert affected(workspace) == before
