"""What the pipeline makes of each fault of `ksi sandbox`, and how it heals once that is gone."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from ksi_pipeline.core.time import Window, parse_instant
from ksi_pipeline.defs.steps.parse import parse_answers, reconcile
from ksi_pipeline.defs.steps.pull import pull_answers
from ksi_pipeline.sandbox import faults
from ksi_pipeline.sandbox.faults import NAMED, Chance
from ksi_pipeline.sandbox.pos_api import PosApi

from .homes import NOW, TOKEN, make_workspace
from .test_bad_input import quarantine, spans

DAYS = Window(
    parse_instant("2026-03-02T00:00:00+01:00"), parse_instant("2026-03-06T00:00:00+01:00")
)
TRUTH = {
    parse_instant(f"2026-03-{day:02d}T{hour}:00:00+01:00"): day + hour
    for day in range(2, 6)
    for hour in (10, 11, 12)
}
ROWS = [
    {"time": hour.isoformat(), "ext_ref_code": "0001", "num_tickets": number}
    for hour, number in TRUTH.items()
]
CONNECTOR = """\
connectors:
  - {{id: pos-main, kind: hourly_api, url: "{url}", token_env: KSI_POS_MAIN_TOKEN,
      absent_means: zero, allow_http: true, allow_private: true, active: true,
      longest_window_days: 1, parallel_requests: {parallel}, max_attempts: {attempts},
      read_timeout_s: 2}}
"""


def ticking(hours: int) -> Callable[[], datetime]:
    """A clock on which every answer comes a second after the one before."""
    seconds = count(hours * 3600)
    return lambda: NOW + timedelta(seconds=next(seconds))


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """A slow answer is just slower than the time-out of these tests."""
    monkeypatch.setattr(faults, "NAMED", {**NAMED, "slow": faults.Fault(latency_s=2.5)})


def asked(home: Path, api: PosApi, later: int = 0, **settings: int):
    """Ask for four days, day by day, and read what came."""
    used = {"attempts": 1, "parallel": 1, **settings}
    (home / "connectors.yaml").write_text(CONNECTOR.format(url=api.url, **used))
    workspace = make_workspace(home, clock=ticking(later))
    return workspace, pull_answers(workspace, DAYS), parse_answers(workspace)


def current(workspace) -> dict[datetime, int]:
    """The latest figure of each hour."""
    rows = workspace.store.read("ticket_hours").to_pylist()
    latest = {}
    for row in sorted(rows, key=lambda row: row["fetched_at_utc"]):
        latest[row["hour_start_utc"]] = row["num_tickets"]
    return {hour: number for hour, number in latest.items() if number}


def covered(workspace) -> tuple[set[str], float]:
    """Why hours were refused, and how many hours a complete answer covers."""
    told = spans(workspace, "feed")
    complete = sum(seconds for status, _, seconds in told if status == "complete")
    return {reason for status, reason, _ in told if status == "refused"}, complete / 3600


@pytest.mark.parametrize(
    ("name", "failed_as", "refused_as", "lost"),
    [
        pytest.param("429", "E_FEED_UNAVAILABLE", "E_FEED_UNAVAILABLE", 96, id="429"),
        pytest.param("500", "E_FEED_UNAVAILABLE", "E_FEED_UNAVAILABLE", 96, id="500"),
        pytest.param("408", "E_FEED_TIMEOUT", "E_FEED_TIMEOUT", 96, id="408"),
        pytest.param("403", "E_FEED_AUTH", "E_FEED_AUTH", 96, id="403"),
        pytest.param("404", "E_FEED_REFUSED", "E_FEED_REFUSED", 96, id="404"),
        pytest.param("drop", "E_FEED_UNAVAILABLE", "E_FEED_UNAVAILABLE", 96, id="drop"),
        pytest.param("slow", "E_FEED_TIMEOUT", "E_FEED_TIMEOUT", 96, id="slow"),
        pytest.param("huge", "E_FEED_TOO_LARGE", "E_FEED_TOO_LARGE", 96, id="huge"),
        pytest.param("html", "E_NOT_JSON", "E_NOT_JSON", 96, id="html"),
        pytest.param("object", "E_NOT_LIST", "E_NOT_LIST", 96, id="object"),
        pytest.param("wrong-hours", None, "E_NOT_HOUR_START", 12, id="wrong-hours"),
        pytest.param("duplicate-hour", None, "E_DUP_HOUR", 4, id="duplicate-hour"),
    ],
)
def test_a_fault_refuses_its_hours_and_a_run_after_it_heals_to_the_truth(
    shop, name, failed_as, refused_as, lost
):
    home = shop()
    with PosApi(ROWS, token=TOKEN, chance=Chance([name])) as api:
        workspace, pulled, parsed = asked(home, api)
        failures = {said.partition(":")[0] for said in pulled.failed.values()}
        assert failures == ({failed_as} if failed_as else set())
        assert covered(workspace) == ({refused_as}, 96 - lost)
        assert current(workspace).items() < TRUTH.items()
        assert bool(parsed.codes) == (refused_as in quarantine(workspace))
        assert reconcile(workspace).is_balanced
        api.chance = Chance(())
        workspace, pulled, _ = asked(home, api, later=1)
    assert pulled.failed == {}
    assert current(workspace) == TRUTH
    assert covered(workspace)[1] == 96
    assert reconcile(workspace).is_balanced


def test_an_hour_that_is_restated_is_replaced_and_the_older_figure_is_kept(shop):
    home = shop()
    wrong = {hour: number + (number == hour.day + 12) for hour, number in TRUTH.items()}
    with PosApi(ROWS, token=TOKEN, chance=Chance(["restate"])) as api:
        workspace, _, _ = asked(home, api)
        assert current(workspace) == wrong
        api.chance = Chance(())
        workspace, _, parsed = asked(home, api, later=1)
    assert (parsed.rows_loaded, parsed.rows_unchanged) == (4, 8)
    assert current(workspace) == TRUTH
    assert workspace.store.read("ticket_hours").num_rows == 16


def test_faults_that_pass_are_borne_within_the_run(shop):
    with PosApi(ROWS, token=TOKEN, chance=Chance(["500:0.2", "drop:0.1"], seed=3)) as api:
        workspace, pulled, _ = asked(shop(), api, attempts=6, parallel=4)
        assert len(api.requests) > 4
    assert pulled.failed == {}
    assert current(workspace) == TRUTH
    assert covered(workspace) == (set(), 96)


def test_a_host_that_three_connectors_found_down_is_not_asked_by_the_fourth(shop):
    home = shop()
    ids = ["pos-a", "pos-b", "pos-c", "pos-d"]
    space = home / "spaces" / "shop.yaml"
    link = '  - {connector: pos-main, ext_ref_code: "0001", unit: "0001"}\n'
    text = space.read_text()
    space.write_text(text + "".join(link.replace("pos-main", one) for one in ids))
    with PosApi(ROWS, token=TOKEN, chance=Chance(["503"])) as api:
        one = CONNECTOR.format(url=api.url, attempts=1, parallel=1).partition("\n")[2]
        entries = "".join(one.replace("pos-main", name) for name in ids)
        (home / "connectors.yaml").write_text(f"connectors:\n{entries}")
        pulled = pull_answers(make_workspace(home), DAYS)
        assert len(api.requests) == 3
    codes = {name: said.partition(":")[0] for name, said in pulled.failed.items()}
    assert codes == dict.fromkeys(ids[:3], "E_FEED_UNAVAILABLE") | {"pos-d": "E_FEED_RESTS"}


@pytest.mark.parametrize(
    ("is_refused", "failed_as", "lost"),
    [
        pytest.param(True, {"E_FEED_AUTH"}, 96, id="refused"),
        pytest.param(False, set(), 0, id="left out"),
    ],
)
def test_a_tenants_token_brings_no_ticket_of_another_tenant(shop, is_refused, failed_as, lost):
    other = [{**row, "ext_ref_code": "0002"} for row in ROWS]
    tenants = {TOKEN: {"0002"}}
    with PosApi(
        [*ROWS, *other], token="all", tenants=tenants, is_foreign_refused=is_refused
    ) as api:
        workspace, pulled, _ = asked(shop(), api)
    assert {said.partition(":")[0] for said in pulled.failed.values()} == failed_as
    assert current(workspace) == {}
    assert covered(workspace)[1] == 96 - lost
