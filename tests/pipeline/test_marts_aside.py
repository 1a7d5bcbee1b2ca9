"""The marts can be asked for by the space file of now and by those before it."""

import hashlib
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from ksi_pipeline.cli import app
from ksi_pipeline.defs.steps.calendar import build_calendars
from ksi_pipeline.defs.steps.marts_aside import build_marts_aside
from ksi_pipeline.defs.steps.recount import recount
from ksi_pipeline.defs.steps.space import load_spaces

from .homes import make_workspace
from .shop_days import (
    DAYS,
    FIRST,
    MONDAY,
    MOVED,
    WEDNESDAY,
    WHOLE,
    draw,
    forget_touched,
    space_file,
    touched_hours,
    walk_in,
)

BEFORE = space_file((FIRST, ""))
# names and business days change as well, so that dimensions and calendar have to follow
AFTER = (
    space_file((FIRST, ", to: 2026-03-04"), (MOVED, ", from: 2026-03-04"))
    .replace('{id: "0001"}', '{id: "0001", name: Renamed}')
    .replace("currency: EUR", 'currency: EUR, business_day_start: "05:00"')
)

pytestmark = pytest.mark.slow


def version_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def marts_in(path: Path) -> dict[str, list[tuple]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        names = [row[0] for row in connection.execute("show tables").fetchall()]
        return {n: connection.execute(f"from {n} order by all").fetchall() for n in names}


def traffic(path: Path) -> dict[tuple, int]:
    sql = "select unit_id, hour_start_utc, entry_count from fct_traffic_hourly"
    with duckdb.connect(str(path), read_only=True) as connection:
        return {(unit, hour): count for unit, hour, count in connection.execute(sql).fetchall()}


def contents(home: Path) -> dict[str, str]:
    """Everything in a data home, but for what SQLite writes when a ledger is opened."""
    return {
        str(p.relative_to(home)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in home.rglob("*")
        if p.is_file() and ".sqlite" not in p.name
    }


def count_all(workspace) -> None:
    load_spaces(workspace)
    recount(workspace, *WHOLE)
    build_calendars(workspace)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The marts before a change; then the line moved, a chunk came late, and both asked for."""
    home, out = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("out")
    draw(home, BEFORE)
    workspace = make_workspace(home)
    for day in DAYS:
        walk_in(workspace, day, [1, 2, 6])
    count_all(workspace)
    build_marts_aside(workspace, version_of(BEFORE), out / "published.duckdb")
    draw(home, AFTER)
    forget_touched(workspace)
    recount(workspace, *WHOLE)
    touched = touched_hours(workspace)
    count_all(workspace)
    before = contents(home)
    reports = {
        name: build_marts_aside(workspace, version_of(text), out / f"{name}.duckdb")
        for name, text in (("before", BEFORE), ("after", AFTER))
    }
    return {"out": out, "touched": touched, "reports": reports, "home": (before, contents(home))}


def test_the_marts_of_the_former_space_file_are_those_of_before_the_change(built):
    published = marts_in(built["out"] / "published.duckdb")
    assert sum(map(len, published.values())) > 100
    assert marts_in(built["out"] / "before.duckdb") == published


def test_the_two_differ_in_exactly_the_unit_hours_that_the_change_touched(built):
    before, after = (traffic(built["out"] / f"{name}.duckdb") for name in ("before", "after"))
    differ = {key for key in before | after if before.get(key) != after.get(key)}
    assert differ == {(unit, hour.replace(tzinfo=None)) for unit, hour in built["touched"]}
    assert [(before[key], after[key]) for key in sorted(differ)] == [(2, 1), (2, 1)]


def test_it_says_how_many_days_count_otherwise(built):
    reports = built["reports"]
    assert (reports["before"].days_counted, reports["after"].days_counted) == (3, 0)
    assert reports["before"].row_counts["fct_traffic_hourly"] > 0


def test_the_data_home_stays_as_it_was(built):
    before, after = built["home"]
    assert after == before


def test_a_day_whose_points_changed_since_is_counted_from_the_points_of_now(tmp_path):
    home = tmp_path / "home"
    draw(home, BEFORE)
    workspace = make_workspace(home)
    walk_in(workspace, WEDNESDAY, [1])
    count_all(workspace)
    draw(home, AFTER)
    count_all(workspace)
    walk_in(workspace, WEDNESDAY, [2], hour=15)
    count_all(workspace)
    build_marts_aside(workspace, version_of(BEFORE), tmp_path / "out.duckdb")
    counts = {hour.hour: n for (_, hour), n in traffic(tmp_path / "out.duckdb").items() if n}
    assert counts == {10: 1, 15: 1}


def ksi(home: Path, *arguments: object):
    words = ["marts", "--dir", home, *arguments]
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_version_that_was_never_counted_with_exits_2_and_lists_those_that_were(tmp_path):
    home = tmp_path / "home"
    draw(home, BEFORE)
    workspace = make_workspace(home)
    walk_in(workspace, MONDAY, [1])
    count_all(workspace)
    result = ksi(home, "--space-version", "0123456789ab", "--out", tmp_path / "x.duckdb")
    assert result.exit_code == 2
    assert "E_SPACE_VERSION" in result.stderr
    assert version_of(BEFORE) in result.stderr
    assert not (tmp_path / "x.duckdb").exists()


def test_nothing_in_the_data_home_is_written_over(tmp_path):
    draw(tmp_path, BEFORE)
    current = tmp_path / "published" / "current.duckdb"
    result = ksi(tmp_path, "--space-version", version_of(BEFORE), "--out", current)
    assert result.exit_code == 2
    assert "E_MARTS_OUT" in result.stderr
