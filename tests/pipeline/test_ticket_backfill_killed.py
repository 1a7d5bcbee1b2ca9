"""What a backfill leaves that is killed or has others beside it: hours that wait, and its step."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, select

from ksi_pipeline.core.gaps import Question
from ksi_pipeline.core.instants import to_us
from ksi_pipeline.core.time import Window
from ksi_pipeline.defs.steps.backfill import backfill
from ksi_pipeline.defs.steps.backfill_steps import backfill_step
from ksi_pipeline.defs.steps.calendar import build_calendars
from ksi_pipeline.defs.steps.holding import Holding
from ksi_pipeline.defs.steps.parse import parse_answers
from ksi_pipeline.defs.steps.pull import pull_answers
from ksi_pipeline.defs.steps.space import load_spaces
from ksi_pipeline.sandbox.pos_api import Fault, PosApi
from ksi_pipeline.store.affected import HELD
from ksi_pipeline.store.lake_views import pending_seq
from ksi_pipeline.store.store import Change
from ksi_pipeline.store.tables import AFFECTED_HOURS

from .homes import TOKEN, make_workspace
from .test_ticket_backfill import FIRST, NOW, rows_from, write_home

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


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


class Killed(BaseException):
    """The process ends here."""


def kill_after_the_first_batch(workspace) -> None:
    began = []

    def look(what: str, _share: float) -> None:
        if what.startswith("backfill"):
            began.append(what)
        if len(began) == 2:
            raise Killed

    workspace.progress = look
    with pytest.raises(Killed):
        backfill(workspace, "pos-main")
    workspace.progress = lambda *_: None


@pytest.fixture
def killed(workspace, monkeypatch):
    """A home with its live hours, whose backfill was killed after four weeks of its past."""
    monkeypatch.setattr("ksi_pipeline.defs.steps.backfill._BATCH", 4)
    pull_answers(workspace, Window(NOW - 7 * DAY, NOW))
    parse_answers(workspace)
    kill_after_the_first_batch(workspace)
    return workspace


def rename_connector(workspace) -> None:
    for path in (workspace.home.connectors, workspace.home.spaces / "shop.yaml"):
        path.write_text(path.read_text().replace("pos-main", "pos-new"))
    load_spaces(workspace)


def held_hours(workspace) -> int:
    held = select(AFFECTED_HOURS).where(AFFECTED_HOURS.c.build_id == HELD)
    return len(workspace.store.ledger.rows(held))


FAILS_LATER = [*[Fault(latency_s=0)] * 3, Fault(status=500, times=20)]


@pytest.mark.parametrize("faults", [[], FAILS_LATER], ids=["answered", "failed"])
def test_wherever_it_is_killed_its_hours_are_held_and_its_step_says_so(workspace, till, faults):
    till.script(*faults)
    states = set()

    def look(_connection) -> None:
        """See what a process would leave that is killed before it commits."""
        is_pending = pending_seq(workspace.store) is not None
        steps = workspace.store.ledger.steps("tickets backfill:")
        states.add((is_pending, held_hours(workspace) > 0, bool(steps)))

    event.listen(workspace.store.ledger.engine, "commit", look)
    backfill(workspace, "pos-main")
    event.remove(workspace.store.ledger.engine, "commit", look)
    nothing, began, holds = (False, False, False), (False, False, True), (False, True, True)
    assert states == {nothing, began, holds}
    assert pending_seq(workspace.store) is not None
    assert held_hours(workspace) == 0
    assert workspace.store.ledger.steps("tickets backfill:") == []


def test_what_others_touch_beside_it_does_not_wait_for_it(workspace):
    def correct(what: str, _share: float) -> None:
        if what.startswith("tickets pos-main 2024-02"):  # while a batch is asked for
            change = Change(cause="recount")
            change.affect([("shop", "0001", datetime(2024, 2, 1, 10, tzinfo=UTC))])
            workspace.store.commit(change)
            workspace.progress = lambda *_: None

    workspace.progress = correct
    backfill(workspace, "pos-main")
    noted = select(AFFECTED_HOURS.c.build_id).where(AFFECTED_HOURS.c.cause == "recount")
    assert [row["build_id"] for row in workspace.store.ledger.rows(noted)] == [None]


@pytest.mark.parametrize(
    ("other", "is_held"),
    [
        pytest.param({}, True, id="the-question"),
        pytest.param({"codes": '["0002"]'}, True, id="one-of-its-codes"),
        pytest.param({"codes": '["0002", "0003"]'}, False, id="a-code-not-asked-for"),
        pytest.param({"to_utc": to_us(NOW + HOUR)}, False, id="hours-not-asked-for"),
        pytest.param({"site_id": "mall"}, False, id="another-site"),
        pytest.param({"connector_id": "pos-new"}, False, id="another-connector"),
    ],
)
def test_only_answers_to_its_own_questions_hold_their_hours(other, is_held):
    asked = Question(Window(NOW - DAY, NOW), ("0001", "0002"))
    fetch = {
        "connector_id": "pos-main",
        "site_id": "shop",
        "from_utc": to_us(NOW - DAY),
        "to_utc": to_us(NOW),
        "codes": '["0001", "0002"]',
    }
    held = Holding("pos-main", "shop", [asked], before=NOW).hold_before({**fetch, **other})
    assert held == (NOW if is_held else None)


def test_one_that_was_killed_keeps_the_calendar_short_until_it_is_run_to_its_end(killed):
    assert build_calendars(killed)["shop"] < 24 * 10
    backfill(killed, "pos-main")
    assert build_calendars(killed)["shop"] > 24 * 80


def test_answers_that_were_not_read_when_it_was_killed_are_read_though_nothing_is_left_to_ask(
    workspace, till, monkeypatch
):
    def die_with_answers(*arguments, **named):
        if workspace.store.ledger.unparsed_fetches():
            raise Killed
        return parse_answers(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr("ksi_pipeline.defs.steps.backfill.parse_answers", die_with_answers)
        with pytest.raises(Killed):
            backfill(workspace, "pos-main")
    assert workspace.store.read("ticket_hours").num_rows == 0
    till.requests.clear()
    report = backfill(workspace, "pos-main")
    assert (report.requests, till.requests) == (0, [])
    assert workspace.store.read("ticket_hours").num_rows == report.rows_loaded > 0


def test_one_that_was_killed_lets_go_once_its_connector_is_renamed(killed):
    rename_connector(killed)
    assert backfill(killed, "pos-new").requests_left == 0
    assert build_calendars(killed)["shop"] > 24 * 80


def test_without_another_backfill_a_connector_that_is_gone_holds_nothing(killed):
    assert held_hours(killed) > 0
    rename_connector(killed)
    build_calendars(killed)
    assert held_hours(killed) == 0
    assert killed.store.ledger.steps("tickets backfill:") == []


def test_a_connector_that_is_gone_does_not_end_the_backfill_of_another(killed):
    before = held_hours(killed)
    gone = backfill_step("shop", "pos-old")
    killed.store.commit(Change(steps={gone: "2024-03-25T00:00:00+00:00"}))
    build_calendars(killed)
    assert killed.store.ledger.steps("tickets backfill:") == [backfill_step("shop", "pos-main")]
    assert held_hours(killed) == before > 0
