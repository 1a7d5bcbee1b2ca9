"""The past of a feed, asked over real HTTP: killed, gone on with, and beside live runs."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from ksi_pipeline.cli import app
from ksi_pipeline.core.errors import ConfigError, TransientError
from ksi_pipeline.definitions import make_definitions
from ksi_pipeline.defs.steps.backfill import backfill
from ksi_pipeline.defs.steps.backfill_steps import backfill_step
from ksi_pipeline.defs.steps.calendar import build_calendars
from ksi_pipeline.defs.steps.parse import parse_answers
from ksi_pipeline.defs.steps.pull import pull_due
from ksi_pipeline.defs.steps.space import load_spaces
from ksi_pipeline.sandbox.pos_api import Fault, PosApi
from ksi_pipeline.store.lake_views import pending_seq
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.lock import only_backfill, only_run
from ksi_pipeline.store.store import Change
from ksi_pipeline.store.tables import FETCHES, FILES

from .homes import TOKEN, make_workspace
from .processes import kill_when, started

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CODES = ("0001", "0002", "0003")
FIRST = date(2024, 1, 1)
NOW = datetime(2024, 4, 1, 12, 5, tzinfo=UTC)
SPACE = """\
schema: 1
site: {{id: shop, name: Shop, timezone: Europe/Madrid, currency: EUR}}
units: [{units}]
links: [{links}]
"""
CONNECTORS = """\
connectors:
  - {{id: pos-main, kind: hourly_api, url: "{url}", token_env: KSI_POS_MAIN_TOKEN,
      absent_means: zero, active: true, allow_http: true, allow_private: true, since: {since},
      max_attempts: 1}}
"""


def rows_from(first: date, days: int) -> list[dict[str, object]]:
    """A till that sold something in every hour but those that divide by five."""
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    return [
        {"time": (start + n * HOUR).isoformat(), "ext_ref_code": code, "num_tickets": n % 11}
        for n in range(24 * days)
        for code in CODES
        if n % 5
    ]


def write_home(home: Path, url: str, since: date = FIRST) -> Path:
    (home / "spaces").mkdir(parents=True)
    units = ", ".join(f'{{id: "{code}"}}' for code in CODES)
    links = ", ".join(
        f'{{connector: pos-main, ext_ref_code: "{code}", unit: "{code}"}}' for code in CODES
    )
    (home / "spaces" / "shop.yaml").write_text(SPACE.format(units=units, links=links))
    (home / "connectors.yaml").write_text(CONNECTORS.format(url=url, since=since))
    return home


@pytest.fixture(scope="module")
def till() -> Iterator[PosApi]:
    with PosApi(rows_from(FIRST - DAY, 95), token=TOKEN) as api:
        yield api


@pytest.fixture
def workspace(till, tmp_path):
    till.faults.clear()
    found = make_workspace(write_home(tmp_path / "home", till.url), clock=lambda: NOW)
    load_spaces(found)
    return found


def tickets_of(workspace) -> list[tuple[object, ...]]:
    """Every revision, without when it came."""
    columns = ["connector_id", "ext_ref_code", "hour_start_utc", "num_tickets", "raw_sha256"]
    rows = workspace.store.read("ticket_hours", columns=columns).to_pylist()
    return sorted(tuple(row.values()) for row in rows)


def covered(workspace) -> dict[tuple[str, datetime], str]:
    """What coverage says of each hour of each code."""
    found = {}
    for row in workspace.store.read("coverage").to_pylist():
        start = row["from_utc"]
        while start < row["to_utc"]:
            assert (row["key"], start) not in found
            found[row["key"], start] = row["status"]
            start += HOUR
    return found


def test_a_backfill_asks_for_every_hour_from_since_to_the_live_ones(workspace):
    report = backfill(workspace, "pos-main")
    assert report.failed is None
    assert report.requests_left == 0
    hours = {hour for _, hour in covered(workspace)}
    live_from = NOW.replace(minute=0) - 7 * DAY
    assert (min(hours), max(hours)) == (datetime(2023, 12, 31, 23, tzinfo=UTC), live_from - HOUR)
    assert len(covered(workspace)) == len(CODES) * ((live_from - min(hours)) // HOUR)
    assert report.rows_in == report.rows_loaded == len(tickets_of(workspace)) > 0


def test_run_again_it_asks_nothing(workspace, till):
    backfill(workspace, "pos-main")
    till.requests.clear()
    report = backfill(workspace, "pos-main")
    assert (report.requests, report.rows_in, till.requests) == (0, 0, [])


def test_days_that_are_named_bound_it_on_the_clock_of_the_site(workspace):
    backfill(workspace, "pos-main", date(2024, 2, 3), date(2024, 2, 4))
    hours = sorted({hour for _, hour in covered(workspace)})
    assert hours[0] == datetime(2024, 2, 2, 23, tzinfo=UTC)
    assert len(hours) == 48


def test_a_feed_that_fails_ends_it_with_one_line_and_it_goes_on_later(workspace, till):
    till.script(*[Fault(latency_s=0)] * 3, Fault(status=500, times=20))
    report = backfill(workspace, "pos-main")
    assert report.failed.startswith("E_")
    assert report.requests_left > 0
    till.faults.clear()
    assert backfill(workspace, "pos-main").requests_left == 0
    assert set(covered_last(workspace).values()) == {"complete"}


def covered_last(workspace) -> dict[tuple[str, datetime], str]:
    """What the best coverage row says: complete wins."""
    found: dict[tuple[str, datetime], str] = {}
    for row in workspace.store.read("coverage").to_pylist():
        start = row["from_utc"]
        while start < row["to_utc"]:
            if found.get((row["key"], start)) != "complete":
                found[row["key"], start] = row["status"]
            start += HOUR
    return found


def test_its_hours_wait_while_it_works_and_are_built_once_at_its_end(workspace):
    pending_meanwhile = set()

    def look(what: str, _share: float) -> None:
        if what.startswith("backfill"):  # between two batches
            pending_meanwhile.add(pending_seq(workspace.store))

    pull_due(workspace)
    parse_answers(workspace)
    live = pending_seq(workspace.store)
    workspace.progress = look
    report = backfill(workspace, "pos-main")
    assert pending_meanwhile == {live}
    assert pending_seq(workspace.store) > live
    assert report.unit_hours == report.requests * 7 * 24 * len(CODES) > 0


def test_the_calendar_grows_into_the_past_only_at_its_end(workspace):
    pull_due(workspace)
    parse_answers(workspace)
    live = build_calendars(workspace)["shop"]
    step = backfill_step("shop", "pos-main")
    live_from = (NOW.replace(minute=0) - 7 * DAY).isoformat()
    backfill(workspace, "pos-main")
    workspace.store.commit(Change(steps={step: live_from}))  # as while it works
    assert build_calendars(workspace)["shop"] <= live + 48
    workspace.store.commit(Change(dropped_steps=[step]))
    assert build_calendars(workspace)["shop"] > 24 * 80


def test_it_works_beside_a_run_but_not_beside_another_backfill(workspace):
    with only_run(workspace.home):
        backfill(workspace, "pos-main", date(2024, 2, 3), date(2024, 2, 4))
    with only_backfill(workspace.home), pytest.raises(TransientError) as refused:
        backfill(workspace, "pos-main")
    assert refused.value.code == "E_RUN_LOCKED"


def test_without_a_first_day_it_is_refused(workspace):
    path = workspace.home.connectors
    path.write_text(path.read_text().replace("since: 2024-01-01,", ""))
    with pytest.raises(ConfigError) as refused:
        backfill(workspace, "pos-main")
    assert refused.value.code == "E_DAYS"


def test_the_backfill_job_is_apart_from_the_live_jobs(workspace):
    definitions = make_definitions(workspace)
    steps = {
        name: set(definitions.resolve_job_def(name).graph.node_dict)
        for name in ("main_job", "tickets_job", "backfill_job")
    }
    assert steps["backfill_job"] == {"ticket_backfill"}
    assert "ticket_backfill" not in steps["main_job"] | steps["tickets_job"]
    job = definitions.resolve_job_def("backfill_job")
    config = {"connector": "pos-main", "from_day": "2024-02-03", "to_day": "2024-02-04"}
    with dg.DagsterInstance.ephemeral() as instance:
        done = job.execute_in_process(
            instance=instance, run_config={"ops": {"ticket_backfill": {"config": config}}}
        )
    (event,) = done.get_asset_materialization_events()
    metadata = event.step_materialization_data.materialization.metadata
    assert metadata["rows_loaded"].value == len(tickets_of(workspace)) > 0


def test_beside_a_run_the_command_leaves_the_marts_to_the_next_one(till, tmp_path, monkeypatch):
    monkeypatch.setenv("KSI_POS_MAIN_TOKEN", TOKEN)
    home = write_home(tmp_path / "home", till.url)
    days = ("--from", "2024-02-03", "--to", "2024-02-04")
    with only_run(DataHome(home)):
        result = CliRunner().invoke(
            app, ["tickets", "backfill", "pos-main", *days, "--dir", str(home)]
        )
    assert result.exit_code == 0, result.output
    assert "the next one builds the marts" in result.output
    assert "unit-hours to build 144" in " ".join(result.output.split())


# about 57 requests in four batches, and no hour more when the clock of this machine strikes one
DAYS = ("--from", "2024-01-01", "--to", "2025-02-03")
BACKFILL = ("tickets", "backfill", "pos-main", *DAYS, "--no-build")


@pytest.mark.slow
def test_400_days_killed_three_times_equal_an_undisturbed_backfill_row_for_row(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("KSI_POS_MAIN_TOKEN", TOKEN)
    asked = select(func.count().label("n")).select_from(FETCHES)
    loaded = select(func.count().label("n")).where(FILES.c.dataset == "ticket_hours")
    with PosApi(rows_from(FIRST - DAY, 402), token=TOKEN) as api:
        killed = write_home(tmp_path / "killed", api.url)
        whole = write_home(tmp_path / "whole", api.url)
        ledger = make_workspace(killed).store.ledger

        def count(query) -> int:
            (row,) = ledger.rows(query)
            return int(row["n"] or 0)

        moments = [
            lambda: count(asked) > 3,  # in the middle of asking
            lambda: count(loaded) > 6,  # right after a batch was read
            lambda: count(asked) > 40,  # in a later batch
        ]
        for moment in moments:
            with started(*BACKFILL, "--dir", str(killed)) as process:
                kill_when(process, moment)
        with started(*BACKFILL, "--dir", str(killed)) as done:
            output = done.communicate()[0].decode()
        assert done.returncode == 0, output
        undisturbed = CliRunner().invoke(app, [*BACKFILL, "--dir", str(whole)])
        assert undisturbed.exit_code == 0, undisturbed.output
    workspaces = [make_workspace(home) for home in (killed, whole)]
    assert len(tickets_of(workspaces[1])) > 3 * 365 * 19
    assert tickets_of(workspaces[0]) == tickets_of(workspaces[1])
    assert covered(workspaces[0]) == covered(workspaces[1])
