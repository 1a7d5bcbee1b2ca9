"""An edited space file touches the hours that it can change, and the marts end as if built anew."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from ksi_pipeline.core.instants import from_us
from ksi_pipeline.defs.steps.after_python import PYTHON_STEPS, mark_all_built, needs_no_dbt
from ksi_pipeline.defs.steps.build import (
    AFTER_PYTHON,
    mark_first_built,
    plan_build,
    publish_marts,
)
from ksi_pipeline.defs.steps.calendar import build_calendars
from ksi_pipeline.defs.steps.events import update_events
from ksi_pipeline.defs.steps.space import load_spaces
from ksi_pipeline.store.tables import AFFECTED_HOURS

from .homes import make_workspace, marts_of, query
from .shop_days import DAYS, FIRST, MOVED, WEDNESDAY, at, draw, forget_touched, space_file, walk_in

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


def touched(workspace, text: str, *, calendar: bool = False) -> set[tuple[str, datetime]]:
    """Which unit-hours the dimensions touch when the space file becomes this one.

    Or the calendar: whatever the file, the dimensions touch its last hour.
    """
    assert text != TEXT
    draw(workspace.home.root, text)
    load_spaces(workspace)
    if calendar:
        forget_touched(workspace)
        build_calendars(workspace)
    rows = workspace.store.ledger.rows(select(AFFECTED_HOURS))
    return {(row["unit_id"], from_us(row["hour_start_utc"])) for row in rows}


def test_a_link_added_from_a_date_on_touches_the_hours_of_its_unit_from_there(shop):
    text = TEXT + 'links:\n  - {connector: p, ext_ref_code: "1", unit: "0002", from: 2026-03-04}\n'
    expected = {("0002", hour) for hour in hours(shop) if hour >= WEDNESDAY_BEGINS}
    assert len(expected) < len(hours(shop))
    assert touched(shop, text) == expected


ZONE = '{id: corner, unit: "0002", role: display, polygon: [[5, 0], [6, 0], [6, 1]]}'


@pytest.mark.parametrize(
    ("place", "entry", "other"),
    [
        pytest.param(
            '{id: "0002", areas: [ENTRIES]}', "{gla_m2: 100}", "{gla_m2: 80}", id="floor area"
        ),
        pytest.param(
            '{id: "0002", tenancies: [ENTRIES]}',
            "{tenant: T1, operator: OP1}",
            "{tenant: T2, operator: OP1}",
            id="tenancy",
        ),
        pytest.param(
            '{id: "0002"}\nlinks: [ENTRIES]',
            '{connector: p, ext_ref_code: "1", unit: "0002"}',
            '{connector: p, ext_ref_code: "2", unit: "0002"}',
            id="link",
        ),
    ],
)
def test_what_becomes_another_from_a_date_on_touches_its_unit_from_there(shop, place, entry, other):
    def text(entries: str) -> str:
        return TEXT.replace('{id: "0002"}', place.replace("ENTRIES", entries))

    touched(shop, text(entry))
    forget_touched(shop)
    until, since = f"{entry[:-1]}, to: 2026-03-04}}", f"{other[:-1]}, from: 2026-03-04}}"
    expected = {("0002", hour) for hour in hours(shop) if hour >= WEDNESDAY_BEGINS}
    assert touched(shop, text(f"{until}, {since}")) == expected


def test_a_zone_that_becomes_another_from_a_date_on_touches_its_unit_from_there(shop):
    def text(*zones: str) -> str:
        return TEXT.replace("zones:", "\n  - ".join(["zones:", *zones]))

    touched(shop, text(ZONE))
    forget_touched(shop)
    until = f"{ZONE[:-1]}, to: 2026-03-04}}"
    since = f"{ZONE[:-1]}, from: 2026-03-04}}".replace("display", "selling")
    expected = {("0002", hour) for hour in hours(shop) if hour >= WEDNESDAY_BEGINS}
    assert touched(shop, text(until, since)) == expected


OPEN = ", ".join(f'{day}: ["09:00-21:00"]' for day in ("mon", "tue", "wed", "thu", "fri"))


def opened(*keys: str) -> str:
    """The space file with these keys of the site."""
    return TEXT.replace("currency: EUR", ", ".join(["currency: EUR", *keys]))


@pytest.mark.parametrize(
    ("keys", "local_hours"),
    [
        pytest.param(
            [
                f"opening_hours: [{{to: 2026-03-04, {OPEN}}}, "
                f"{{from: 2026-03-04, {OPEN.replace('09:00-21:00', '10:00-22:00')}}}]"
            ],
            {"04 09", "04 21", "05 09", "05 21"},
            id="another week from a date on",
        ),
        pytest.param(
            [f"opening_hours: [{{to: 2026-03-04, {OPEN}}}, {{from: 2026-03-04, {OPEN}}}]"],
            set(),
            id="the same week in two parts",
        ),
        pytest.param(
            [f"opening_hours: {{{OPEN}}}", 'special: {2026-03-04: ["09:00-19:30"]}'],
            {"04 19", "04 20"},
            id="special hours of a date",
        ),
        pytest.param(
            [f"opening_hours: {{{OPEN}}}", "special: {2026-12-24: []}"], set(), id="a later date"
        ),
        pytest.param(
            [f"opening_hours: [{{to: 2026-03-05, {OPEN}}}]"],
            {f"05 {hour:02}" for hour in range(24)},
            id="a day that becomes unknown",
        ),
    ],
)
def test_opening_hours_touch_only_hours_that_are_open_otherwise(shop, keys, local_hours):
    touched(shop, opened(f"opening_hours: {{{OPEN}}}"), calendar=True)
    forget_touched(shop)
    found = touched(shop, opened(*keys), calendar=True)
    madrid = ZoneInfo("Europe/Madrid")
    assert {f"{hour.astimezone(madrid):%d %H}" for _, hour in found} == local_hours
    assert {unit for unit, _ in found} == ({"_common", "0001", "0002"} if local_hours else set())


def test_a_line_that_changes_its_role_touches_all_hours_of_its_unit(shop):
    text = TEXT.replace("role: entrance", "role: passage")
    assert touched(shop, text) == {("0001", hour) for hour in hours(shop)}


def test_a_zone_that_becomes_one_of_staff_touches_all_units_whose_staff_a_camera_may_tell(shop):
    def text(zone: str) -> str:
        return TEXT.replace("zones:", f"zones:\n  - {zone}")

    touched(shop, text(ZONE))
    forget_touched(shop)
    units = ("_common", "0001", "0002")
    expected = {(unit, hour) for hour in hours(shop) for unit in units}
    assert touched(shop, text(ZONE.replace("display", "staff"))) == expected


def test_another_currency_touches_all_hours_of_all_units(shop):
    text = TEXT.replace("EUR", "USD")
    units = ("_common", "0001", "0002")
    assert touched(shop, text) == {(unit, hour) for hour in hours(shop) for unit in units}


def test_other_categories_of_a_zone_from_a_date_on_touch_the_hours_of_its_unit_from_there(shop):
    zone = TEXT[TEXT.index("  - {id: hall") : TEXT.index("lines:")]
    before, after = (
        zone.replace("}\n", f", {more}}}\n")
        for more in ("to: 2026-03-04", "from: 2026-03-04, categories: [shoes]")
    )
    expected = {("0001", hour) for hour in hours(shop) if hour >= WEDNESDAY_BEGINS}
    assert touched(shop, TEXT.replace(zone, before + after)) == expected


def test_what_a_camera_sees_from_a_date_on_touches_the_hours_from_there(shop):
    entry = TEXT[TEXT.index("  - id: cam-1") :]
    again = entry.replace("sees: [hall, door]", "sees: [door]\n    from: 2026-03-04")
    text = TEXT.replace("sees: [hall, door]", "sees: [hall, door]\n    to: 2026-03-04") + again
    assert {hour for _, hour in touched(shop, text)} == {
        hour for hour in hours(shop) if hour >= WEDNESDAY_BEGINS
    }


def test_a_zone_drawn_larger_touches_all_hours_of_its_unit(shop):
    text = TEXT.replace("[[0, 0], [4, 0], [4, 2], [0, 2]]", "[[0, 0], [4, 0], [4, 3], [0, 3]]")
    assert touched(shop, text) == {("0001", hour) for hour in hours(shop)}


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
        pytest.param(
            TEXT.replace("[[0, 0], [4, 0], [4, 2], [0, 2]]", "[[4, 0], [8, 0], [8, 2], [4, 2]]"),
            id="a zone moved",
        ),
        pytest.param(TEXT + "# a remark\n", id="a remark"),
    ],
)
def test_a_drawing_touches_only_the_last_hour_so_that_dimensions_are_built(shop, text):
    assert {hour for _, hour in touched(shop, text)} == {hours(shop)[-1]}


# what the second edit of the slow test changes besides the door
FROM_WEDNESDAY = {
    "currency: EUR": f"currency: EUR, opening_hours: [{{from: 2026-03-04, {OPEN}}}]",
    '{id: "0002"}': '{id: "0002", areas: [{gla_m2: 80, from: 2026-03-04}], '
    "tenancies: [{tenant: T1, operator: OP1, from: 2026-03-04}]}",
    "zones:": f"zones:\n  - {ZONE[:-1]}, from: 2026-03-04}}",
    "cameras:": 'links:\n  - {connector: p, ext_ref_code: "1", unit: "0002", from: 2026-03-04}\n'
    "cameras:",
}


def facts(home: Path, side: str) -> dict[str, list[tuple]]:
    """The rows of facts by hour and by day, and of the hours, before Wednesday ("<") or since."""
    by = {"hour_start_utc": f"timestamp '{WEDNESDAY_BEGINS:%Y-%m-%d %H:%M}'"}
    by["business_date"] = f"date '{WEDNESDAY}'"
    keyed = query(
        home,
        # views name who rents a unit now
        "select table_name, max(column_name) from information_schema.columns where column_name in "
        "('hour_start_utc', 'business_date') and table_name not like 'v\\_%' escape '\\' "
        "group by table_name",
    )
    return {
        name: query(home, f"select * from {name} where {column} {side} {by[column]} order by all")
        for name, column in keyed
    }


def bring_up_to_date(workspace, dbt, *, full_refresh: bool = False) -> None:
    """Do what a run does of its steps; dbt, which it would start, is in this process."""
    load_spaces(workspace)
    update_events(workspace)
    build_calendars(workspace)
    views = ["config.materialized:view"] if workspace.home.build_db.exists() else []
    plan = plan_build(workspace, full_refresh=full_refresh)
    told = ["--full-refresh"] if full_refresh else []
    dbt(workspace.home.build_db, "run", *told, "--exclude", f"{AFTER_PYTHON}+", *views)
    mark_first_built(workspace, plan)
    for step in PYTHON_STEPS:
        step.update(workspace)
    assert needs_no_dbt(workspace)
    mark_all_built(workspace)
    publish_marts(workspace)


@pytest.mark.slow
def test_a_run_after_edits_from_a_date_on_leaves_rows_before_it_and_ends_as_a_full_build(
    dbt, tmp_path
):
    draw(tmp_path, TEXT)
    workspace = make_workspace(tmp_path)
    for day in DAYS:
        walk_in(workspace, day, [1, 2, 6])
    bring_up_to_date(workspace, dbt)
    redrawn = TEXT.replace("a: [0, 0], b: [4, 0]", "a: [1.5, 0], b: [4, 0]")
    # from Wednesday on the door is that of another unit, and everything else that has validity is
    # another, so the days before it keep the first edit
    handed_over = redrawn.replace("inside: left}", "inside: left, to: 2026-03-04}").replace(
        "cameras:",
        '  - {id: door, unit: "0002", role: entrance, a: [4, 0], b: [8, 0], inside: left, '
        "from: 2026-03-04}\ncameras:",
    )
    for old, new in FROM_WEDNESDAY.items():
        assert old in handed_over
        handed_over = handed_over.replace(old, new, 1)
    for text in (redrawn, handed_over):
        before, past = marts_of(tmp_path), facts(tmp_path, "<")
        since = facts(tmp_path, ">=")
        draw(tmp_path, text)
        bring_up_to_date(workspace, dbt)
        assert marts_of(tmp_path)["fct_traffic_hourly"] != before["fct_traffic_hourly"]
    assert facts(tmp_path, "<") == past
    changed = {name for name, rows in facts(tmp_path, ">=").items() if rows != since[name]}
    assert changed >= {"fct_traffic_hourly", "fct_zone_hourly", "fct_sales_hourly", "dim_hour"}
    tenants = "select tenant_id, is_current from dim_tenant order by tenant_id"
    assert query(tmp_path, tenants) == [("T1", True)]
    after = marts_of(tmp_path)
    bring_up_to_date(workspace, dbt, full_refresh=True)
    assert after == marts_of(tmp_path)
