"""The same inputs in any order, once or twice, end in the same tables."""

from datetime import timedelta
from itertools import permutations
from pathlib import Path

import pytest
from sqlalchemy import select

from ksi_pipeline.core.ticket_revisions import as_of, current_revisions
from ksi_pipeline.defs.steps.events import update_events
from ksi_pipeline.defs.steps.parse import parse_answers
from ksi_pipeline.defs.steps.pull import pull_answers
from ksi_pipeline.defs.steps.video import ingest_chunks
from ksi_pipeline.sandbox.home import write_connectors
from ksi_pipeline.sandbox.pos_api import PosApi
from ksi_pipeline.store.store import to_us
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
