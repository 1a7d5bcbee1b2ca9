"""Feeds asked over real HTTP, tick by tick on a clock that the test moves."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import dagster as dg
import pytest
from sqlalchemy import select

from ksi_pipeline.definitions import make_definitions
from ksi_pipeline.defs.automation import CONNECTORS, CONNECTORS_DUE, HOURLY, main_job
from ksi_pipeline.defs.steps.asking import due_connectors
from ksi_pipeline.defs.steps.build import plan_build
from ksi_pipeline.defs.steps.calendar import build_calendars
from ksi_pipeline.defs.steps.parse import parse_answers
from ksi_pipeline.defs.steps.pull import pull_due
from ksi_pipeline.defs.steps.space import load_spaces
from ksi_pipeline.sandbox.pos_api import Fault, PosApi
from ksi_pipeline.store.lock import only_run
from ksi_pipeline.store.tables import AFFECTED_HOURS

from .homes import SPACE, TOKEN, finish, make_workspace, query, run

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START = datetime(2026, 5, 10, tzinfo=UTC)
NOON = datetime(2026, 5, 20, 12, 5, tzinfo=UTC)
ROWS = [
    {
        "time": (START + n * HOUR).isoformat(),
        "ext_ref_code": code,
        "num_tickets": n % 7,
    }
    for n in range(24 * 20)
    for code in ("0001", "0009")
]


def entry(name: str, api: PosApi, settings: str = "") -> str:
    return f"""\
  - id: {name}
    kind: hourly_api
    url: {api.url}
    token_env: KSI_POS_MAIN_TOKEN
    absent_means: missing
    active: true
    allow_http: true
    allow_private: true
    max_attempts: 1
{settings}"""


class Shop:
    """A data home, its till, and a clock."""

    def __init__(self, home, api: PosApi, settings: str) -> None:
        self.api, self.home = api, home
        self.now = NOON
        self.connect(entry("pos-main", api, settings))
        self.workspace = make_workspace(home, clock=lambda: self.now)
        load_spaces(self.workspace)

    def connect(self, *entries: str) -> None:
        (self.home / "connectors.yaml").write_text("connectors:\n" + "".join(entries))

    def tick(self, after: timedelta = HOUR, **changes):
        self.now += after
        pulled = pull_due(self.workspace, **changes)
        parse_answers(self.workspace)
        return pulled

    def asked(self) -> list[tuple[datetime, datetime, tuple[str, ...]]]:
        """What arrived at the till since the last look: first hour, end, codes."""
        found = []
        for request in self.api.requests:
            query = parse_qs(request.target.decode().partition("?")[2])
            start, end = (
                datetime.fromisoformat(query[name][0]).astimezone(UTC)
                for name in ("fromTime", "toTime")
            )
            found.append((start, end + timedelta(seconds=1), tuple(query["ext_ref_codes"])))
        self.api.requests.clear()
        return found

    def complete(self, code: str = "0001") -> set[datetime]:
        """The hours of a code that its feed answered."""
        hours = set()
        for row in self.workspace.store.read("coverage").to_pylist():
            if row["key"] == code and row["status"] == "complete":
                start = row["from_utc"]
                while start < row["to_utc"]:
                    hours.add(start)
                    start += HOUR
        return hours

    def lacking(self, first: datetime, code: str = "0001") -> set[datetime]:
        """The hours from `first` on that are over and were not answered."""
        over = self.now.replace(minute=0)
        return {first + n * HOUR for n in range((over - first) // HOUR)} - self.complete(code)


@pytest.fixture
def open_shop(shop) -> Iterator:
    with PosApi(ROWS, token=TOKEN) as api:
        yield lambda settings="    since: 2026-05-10\n": Shop(shop(), api, settings)


# local midnight in Madrid
SINCE = START - 2 * HOUR


def test_the_first_tick_asks_for_everything_since_the_day_that_the_connector_names(open_shop):
    till = open_shop()
    assert till.tick(timedelta(0)).failed == {}
    assert till.lacking(START) == set()
    assert min(start for start, _, _ in till.asked()) == SINCE


def test_six_hours_out_of_order_are_filled_by_the_next_tick(open_shop):
    till = open_shop()
    till.tick()
    till.tick(7 * HOUR)
    assert till.lacking(START) == set()


def test_twelve_days_out_of_order_are_filled_without_a_human(open_shop):
    till = open_shop("")
    till.tick(-8 * DAY)
    till.tick()
    before = till.now
    till.tick(12 * DAY)
    assert before.replace(minute=0) in till.complete()
    assert till.lacking(before.replace(minute=0) - 12 * HOUR) == set()


def test_in_the_steady_state_a_tick_is_one_request(open_shop):
    till = open_shop()
    till.tick()
    till.asked()
    for _ in range(5):
        till.tick()
        assert len(till.asked()) == 1


def test_what_failed_is_asked_again_until_the_feed_answers(open_shop):
    till = open_shop()
    till.api.script(Fault(status=500, times=2))
    assert "pos-main" in till.tick().failed
    till.api.faults.clear()
    assert till.tick().failed == {}
    assert till.lacking(START) == set()


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b"{}"], ids=["web-page", "object"])
def test_an_answer_that_is_no_list_counts_as_none_however_old_its_hours_are(open_shop, body):
    till = open_shop("    since: 2026-05-10\n    parallel_requests: 1\n")
    till.api.script(Fault(body=body, times=9))
    assert "pos-main" in till.tick().failed
    assert till.lacking(START) != set()
    till.api.faults.clear()
    till.tick(9 * DAY)
    till.tick()
    assert till.lacking(START) == set()


def test_a_code_linked_later_and_back_dated_gets_its_past_and_only_it(open_shop):
    till = open_shop()
    till.tick()
    till.asked()
    late = '\n  - {connector: pos-main, ext_ref_code: "0009", unit: "0001", from: 2026-05-12}\n'
    (till.home / "spaces" / "shop.yaml").write_text(SPACE + late.lstrip("\n"))
    till.tick()
    past = [asked for asked in till.asked() if asked[0] < till.now - 4 * DAY]
    assert {codes for _, _, codes in past} == {("0009",)}
    assert till.lacking(datetime(2026, 5, 12, tzinfo=UTC), "0009") == set()


def test_a_connector_that_fails_leaves_the_others_alone(open_shop, shop):
    till = open_shop()
    with PosApi([], token="another") as refuses:
        till.connect(entry("pos-bad", refuses), entry("pos-main", till.api))
        text = SPACE + '  - {connector: pos-bad, ext_ref_code: "0002", unit: "0001"}\n'
        (till.home / "spaces" / "shop.yaml").write_text(text)
        pulled = till.tick()
    assert set(pulled.failed) == {"pos-bad"}
    assert till.lacking(till.now.replace(minute=0) - 3 * DAY) == set()


def test_one_hour_that_changed_touches_that_unit_hour_and_no_other(open_shop):
    till = open_shop()
    till.tick()
    till.tick(timedelta(minutes=1))
    ledger = till.workspace.store.ledger
    before = len(ledger.rows(select(AFFECTED_HOURS)))
    changed = datetime(2026, 5, 19, 10, tzinfo=UTC)
    rows = json.loads(json.dumps(ROWS))
    for row in rows:
        if row["time"] == changed.isoformat():
            row["num_tickets"] = 99
    till.api.replace_rows(rows)
    till.tick(timedelta(minutes=1))
    touched = ledger.rows(select(AFFECTED_HOURS).order_by(AFFECTED_HOURS.c.seq))[before:]
    hours = {(row["unit_id"], row["hour_start_utc"] // 1_000_000) for row in touched}
    assert hours == {("0001", int(changed.timestamp()))}


def test_a_connector_with_an_interval_is_asked_once_for_each_tick_of_it(open_shop):
    till = open_shop("    every: 1d\n")
    till.tick()
    till.asked()
    till.tick()
    assert till.asked() == []
    till.tick(till.now.replace(hour=22, minute=1) - till.now)  # past midnight in Madrid
    assert len(till.asked()) == 2  # the young hours, and the rest of the seven days
    till.tick()
    assert till.asked() == []
    till.tick(is_by_hand=True)
    assert len(till.asked()) == 1


def test_an_interval_that_cannot_be_read_fails_its_connector_only(open_shop):
    till = open_shop()
    bad = entry("pos-bad", till.api, "    every: '99 * * * *'\n")
    till.connect(bad, entry("pos-main", till.api))
    text = SPACE + '  - {connector: pos-bad, ext_ref_code: "0002", unit: "0001"}\n'
    (till.home / "spaces" / "shop.yaml").write_text(text)
    till.tick()
    assert due_connectors(till.workspace).ids == []
    pulled = till.tick()
    assert pulled.failed["pos-bad"].startswith("E_EVERY")
    assert pulled.answer_count == 1


@pytest.mark.slow
def test_a_run_of_the_sensor_asks_what_is_due_and_publishes_it(open_shop):
    till = open_shop("    since: 2026-05-19\n    every: 15m\n")
    job = make_definitions(till.workspace).resolve_job_def("tickets_job")
    with dg.DagsterInstance.ephemeral() as instance:
        tags = evaluate(till, instance).tags
        assert job.execute_in_process(instance=instance, tags=tags).success
    hours = query(
        till.home,
        "select count(*) from fct_conversion_hourly where ticket_count is not null "
        "and hour_start_utc >= '2026-05-19'",
    )
    assert hours == [(36,)]


def evaluate(till: Shop, instance: dg.DagsterInstance):
    with dg.build_sensor_context(
        instance=instance, resources={"workspace": till.workspace}
    ) as context:
        return CONNECTORS_DUE(context)


def test_the_sensor_starts_one_run_for_the_connectors_whose_time_has_come(open_shop):
    till = open_shop("    every: 15m\n")
    with dg.DagsterInstance.ephemeral() as instance:
        request = evaluate(till, instance)
        assert request.tags[CONNECTORS] == "pos-main"
        till.tick(timedelta(0))
        assert isinstance(evaluate(till, instance), dg.SkipReason)
        till.now += timedelta(minutes=14)
        assert evaluate(till, instance).tags[CONNECTORS] == "pos-main"


def test_the_sensor_adds_no_run_while_one_is_not_done(open_shop):
    till = open_shop("    every: 1m\n")
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(
            dg.Definitions(jobs=[NOTHING]).resolve_job_def("nothing"),
            status=dg.DagsterRunStatus.STARTED,
            tags=main_job.tags,
        )
        assert run.run_id in evaluate(till, instance).skip_message
        instance.report_run_failed(run)
        assert evaluate(till, instance).tags[CONNECTORS] == "pos-main"


@pytest.mark.slow
def test_a_run_by_hand_that_was_killed_keeps_no_scheduled_run_waiting(open_shop):
    till = open_shop("    every: 1m\n")
    till.tick()
    build_calendars(till.workspace)
    finish(till.workspace, plan_build(till.workspace, full_refresh=False))
    with dg.DagsterInstance.ephemeral() as instance:
        run(till.workspace, NOON.date(), instance=instance)
        (by_hand,) = instance.get_runs()
        instance.create_run_for_job(
            dg.Definitions(jobs=[NOTHING]).resolve_job_def("nothing"),
            status=dg.DagsterRunStatus.STARTED,
            tags=by_hand.tags,
        )
        till.now += HOUR
        assert evaluate(till, instance).tags[CONNECTORS] == "pos-main"


def test_nothing_is_started_while_ksi_run_works_on_the_data_home(open_shop):
    till = open_shop("    every: 1m\n")
    with dg.DagsterInstance.local_temp() as instance, only_run(till.workspace.home):
        assert "ksi run" in evaluate(till, instance).skip_message
        with dg.build_schedule_context(
            instance=instance, resources={"workspace": till.workspace}
        ) as context:
            assert "ksi run" in HOURLY(context).skip_message


def test_the_hourly_schedule_lets_one_run_wait_and_no_second(open_shop):
    till = open_shop()
    with dg.DagsterInstance.local_temp() as instance:
        waiting = instance.create_run_for_job(
            dg.Definitions(jobs=[NOTHING]).resolve_job_def("nothing"),
            status=dg.DagsterRunStatus.NOT_STARTED,
            tags=main_job.tags,
        )
        with dg.build_schedule_context(
            instance=instance,
            resources={"workspace": till.workspace},
            scheduled_execution_time=NOON,
        ) as context:
            assert waiting.run_id in HOURLY(context).skip_message
            instance.report_run_failed(waiting)
            assert isinstance(HOURLY(context), dg.RunRequest)


@dg.job(name="nothing")
def NOTHING():
    """Does nothing."""
