"""An edited space file touches the hours that it can change, and the marts end as if built anew."""

from datetime import datetime

import pytest
from sqlalchemy import select

from ksi_pipeline.core.instants import from_us
from ksi_pipeline.definitions import make_definitions
from ksi_pipeline.defs.run import run_main_job
from ksi_pipeline.defs.steps.calendar import build_calendars
from ksi_pipeline.defs.steps.events import update_events
from ksi_pipeline.defs.steps.space import load_spaces
from ksi_pipeline.store.tables import AFFECTED_HOURS

from .homes import dagster_instance, make_workspace, marts_of, run
from .shop_days import FIRST, MONDAY, MOVED, at, draw, space_file, walk_in
from .test_recount import DAYS, WEDNESDAY, forget_touched

TEXT = space_file((FIRST, "")).replace('  - {id: "0001"}', '  - {id: "0001"}\n  - {id: "0002"}')
# local midnight of Wednesday in Madrid
WEDNESDAY_BEGINS = at(WEDNESDAY, -1)


@pytest.fixture
def shop(tmp_path):
    """A shop with four days, up to date and nothing pending."""
    draw(tmp_path, TEXT)
    workspace = make_workspace(tmp_path)
    for day in DAYS:
        walk_in(workspace, day, [1, 2, 6])
    load_spaces(workspace)
    update_events(workspace)
    build_calendars(workspace)
    load_spaces(workspace)
    forget_touched(workspace)
    return workspace


def hours(workspace) -> list[datetime]:
    return sorted(workspace.store.read("site_hours")["hour_start_utc"].to_pylist())


def touched(workspace, text: str) -> set[tuple[str, datetime]]:
    """Which unit-hours the dimensions touch when the space file becomes this one."""
    assert text != TEXT
    draw(workspace.home.root, text)
    load_spaces(workspace)
    rows = workspace.store.ledger.rows(select(AFFECTED_HOURS))
    return {(row["unit_id"], from_us(row["hour_start_utc"])) for row in rows}


def test_a_link_added_from_a_date_on_touches_the_hours_of_its_unit_from_there(shop):
    text = TEXT + 'links:\n  - {connector: p, ext_ref_code: "1", unit: "0002", from: 2026-03-04}\n'
    expected = {("0002", hour) for hour in hours(shop) if hour >= WEDNESDAY_BEGINS}
    assert len(expected) < len(hours(shop))
    assert touched(shop, text) == expected


def test_a_line_that_changes_its_role_touches_all_hours_of_its_unit(shop):
    text = TEXT.replace("role: entrance", "role: passage")
    assert touched(shop, text) == {("0001", hour) for hour in hours(shop)}


def test_another_currency_touches_all_hours_of_all_units(shop):
    text = TEXT.replace("EUR", "USD")
    units = ("_common", "0001", "0002")
    assert touched(shop, text) == {(unit, hour) for hour in hours(shop) for unit in units}


def test_what_a_camera_sees_from_a_date_on_touches_the_hours_from_there(shop):
    entry = TEXT[TEXT.index("  - id: cam-1") :]
    again = entry.replace("sees: [hall, door]", "sees: [door]\n    from: 2026-03-04")
    text = TEXT.replace("sees: [hall, door]", "sees: [hall, door]\n    to: 2026-03-04") + again
    assert {hour for _, hour in touched(shop, text)} == {
        hour for hour in hours(shop) if hour >= WEDNESDAY_BEGINS
    }


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            TEXT.replace("a: [0, 0], b: [4, 0]", "a: [4, 0], b: [8, 0]"), id="a line redrawn"
        ),
        pytest.param(
            space_file((FIRST, ", to: 2026-03-04"), (MOVED, ", from: 2026-03-04")).replace(
                '  - {id: "0001"}', '  - {id: "0001"}\n  - {id: "0002"}'
            ),
            id="a line moved from a date on",
        ),
        pytest.param(TEXT + "# a remark\n", id="a remark"),
    ],
)
def test_a_drawing_touches_only_the_last_hour_so_that_dimensions_are_built(shop, text):
    assert {hour for _, hour in touched(shop, text)} == {hours(shop)[-1]}


def anew(workspace) -> dict[str, list[tuple]]:
    with dagster_instance() as instance:
        report = run_main_job(
            make_definitions(workspace),
            instance,
            MONDAY,
            MONDAY,
            home=workspace.home.root,
            full_refresh=True,
        )
    assert report.is_success
    return marts_of(workspace.home.root)


@pytest.mark.slow
def test_a_run_after_edits_of_the_space_file_ends_in_the_marts_of_a_full_build(tmp_path):
    draw(tmp_path, TEXT)
    workspace = make_workspace(tmp_path)
    for day in DAYS:
        walk_in(workspace, day, [1, 2, 6])
    assert run(workspace).is_success
    redrawn = TEXT.replace("a: [0, 0], b: [4, 0]", "a: [1.5, 0], b: [4, 0]")
    # from Wednesday on the door is that of another unit, so the days before it keep the first edit
    handed_over = redrawn.replace("inside: left}", "inside: left, to: 2026-03-04}").replace(
        "cameras:",
        '  - {id: door, unit: "0002", role: entrance, a: [4, 0], b: [8, 0], inside: left, '
        "from: 2026-03-04}\ncameras:",
    )
    for text in (redrawn, handed_over):
        before = marts_of(tmp_path)
        draw(tmp_path, text)
        assert run(workspace).is_success
        assert marts_of(tmp_path)["fct_traffic_hourly"] != before["fct_traffic_hourly"]
    after = marts_of(tmp_path)
    assert after == anew(workspace)
