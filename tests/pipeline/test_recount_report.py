"""What a recount says, in its report and on the command line, and what it refuses."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from ksi_pipeline.cli import app
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.defs.steps.recount import recount
from ksi_pipeline.store.lock import only_run

from .homes import make_workspace
from .shop_days import (
    AFTER,
    BEFORE,
    MONDAY,
    THURSDAY,
    TUESDAY,
    WHOLE,
    draw,
    versions,
    walk_in,
)


@pytest.fixture
def shop(counted, tmp_path):
    """A copy of those four days."""
    shutil.copytree(counted, tmp_path, dirs_exist_ok=True)
    return make_workspace(tmp_path)


def test_the_report_puts_the_counts_before_beside_those_now(shop):
    draw(shop.home.root, AFTER)
    report = recount(shop, *WHOLE)
    assert len(report.counted) == len(report.pairs) == 4
    (line,), (zone,) = report.lines.values(), report.zones.values()
    assert line.before == {"in": 8, "out": 0}
    assert line.now == {"in": 4, "out": 0}
    assert zone.before == zone.now == {"visits": 8, "dwell_s": pytest.approx(8 * 0.75)}


def test_points_that_changed_with_the_space_are_said(shop):
    draw(shop.home.root, AFTER)
    walk_in(shop, MONDAY, [2], hour=15)
    report = recount(shop, *WHOLE)
    assert [pair.day for pair in report.pairs if not pair.is_same_points] == ["2026-03-02"]


def test_a_zone_removed_is_said_as_not_counted_and_not_as_zero(shop):
    start, end = BEFORE.index("zones:"), BEFORE.index("lines:")
    without = (BEFORE[:start] + BEFORE[end:]).replace("sees: [hall, door]", "sees: [door]")
    draw(shop.home.root, without)
    hall = recount(shop, *WHOLE).zones["shop", "hall"]
    assert hall.before is not None
    assert hall.now is None


def test_deleted_former_counts_are_said_and_stop_nothing(shop):
    draw(shop.home.root, AFTER)
    recount(shop, *WHOLE)
    former = versions(shop, MONDAY)[1]
    (shop.home.root / former["line_crossings_path"]).unlink()
    report = recount(shop, *WHOLE)
    assert (report.gone_count, len(report.pairs)) == (1, 3)


def test_a_site_that_no_space_file_describes_is_refused(shop):
    with pytest.raises(ConfigError) as caught:
        recount(shop, *WHOLE, site_id="mall")
    assert caught.value.code == "E_SITE"
    assert "shop" in str(caught.value)


def ksi(*arguments: object):
    return CliRunner().invoke(app, ["events", *map(str, arguments)])


def test_the_command_prints_the_counts_before_beside_those_now(shop):
    draw(shop.home.root, AFTER)
    result = ksi("--recount", "--from", MONDAY, "--to", THURSDAY, "--dir", shop.home.root)
    assert result.exit_code == 0, result.output
    said = " ".join(result.stdout.split())
    assert "shop │ door │ 8 │ 4 │ 0 │ 0" in said
    assert "Days counted anew: 4; untouched: 0; with counts before: 4." in said
    for version in (row["space_version"] for row in versions(shop, MONDAY)):
        assert version in said


def test_the_command_gives_the_same_as_json(shop):
    draw(shop.home.root, AFTER)
    result = ksi("--recount", "--from", MONDAY, "--dir", shop.home.root, "--json")
    told = json.loads(result.stdout)
    assert told["counted"] == [{"site_id": "shop", "day": "2026-03-02"}]
    (line,) = told["lines"]
    assert (line["line_id"], line["before"]["in"], line["now"]["in"]) == ("door", 2, 1)
    now, before = versions(shop, MONDAY)
    (day,) = told["days"]
    assert day["before"]["count_version"] == before["count_version"]
    assert day["now"]["count_version"] == now["count_version"]


def test_a_recount_waits_for_no_other_run_and_counts_nothing_beside_it(shop):
    draw(shop.home.root, AFTER)
    with only_run(shop.home):
        result = ksi("--recount", "--from", MONDAY, "--dir", shop.home.root)
    assert result.exit_code == 1
    assert "E_RUN_LOCKED" in result.stderr
    assert len(versions(shop, MONDAY)) == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(("--recount",), "E_EVENTS_MODE", id="a recount without days"),
        pytest.param(
            ("--recount", "--from", MONDAY, "--points", "x", "--space", "y", "--out", "z"),
            "E_EVENTS_MODE",
            id="both modes",
        ),
        pytest.param(("--from", MONDAY), "E_EVENTS_MODE", id="days without a recount"),
        pytest.param(("--points", "x"), "E_EVENTS_MODE", id="half of the mode of a file"),
        pytest.param(
            ("--recount", "--from", TUESDAY, "--to", MONDAY), "E_DAYS", id="days backwards"
        ),
        pytest.param(("--recount", "--from", "Monday"), "E_BAD_TIME", id="a day that is none"),
        pytest.param(
            ("--recount", "--from", MONDAY, "--site", "mall"), "E_SITE", id="an unknown site"
        ),
    ],
)
def test_a_call_that_means_nothing_exits_2_and_counts_nothing(shop, arguments, code):
    draw(shop.home.root, AFTER)
    recounts = "--recount" in arguments
    result = ksi(*arguments, *(["--dir", shop.home.root] if recounts else []))
    assert (result.exit_code, code in result.stderr) == (2, True), result.output
    assert len(versions(shop, MONDAY)) == 1
