"""Answers in any order, number and layout of files end in the same tickets."""

import gzip
import hashlib
import json
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ksi_pipeline.core.ticket_revisions import current_revisions
from ksi_pipeline.core.time import Window
from ksi_pipeline.defs.steps import parse
from ksi_pipeline.defs.steps.parse import parse_answers, reconcile
from ksi_pipeline.defs.steps.ticket_replay import replay_tickets
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.store.asked import answers_of
from ksi_pipeline.store.raw import RawAnswer, keep_raw
from ksi_pipeline.store.store import Change

from .homes import build_mart, make_workspace, query_build

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# The last hours of February and the first of March, by UTC and by the site's clock.
START = datetime(2026, 2, 28, 21, tzinfo=UTC)
SPACE = """\
schema: 1
site: {id: shop, name: Shop, timezone: Europe/Madrid, currency: EUR}
units: [{id: "0001"}, {id: "0002"}]
links:
  - {connector: pos-main, ext_ref_code: "0001", unit: "0001"}
  - {connector: pos-main, ext_ref_code: "0002", unit: "0002"}
"""
CONNECTORS = """\
connectors:
  - {id: pos-main, kind: hourly_api, url: "https://pos.example.com", token_env: T,
      absent_means: zero, active: true}
"""


def a_home(folder: Path, connectors: str = CONNECTORS, space: str = SPACE) -> Workspace:
    (folder / "spaces").mkdir(parents=True)
    (folder / "spaces" / "shop.yaml").write_text(space)
    (folder / "connectors.yaml").write_text(connectors)
    return make_workspace(folder)


def came(
    workspace: Workspace,
    rows: list[dict],
    fetched: datetime,
    window: Window,
    connector: str = "pos-main",
    codes: tuple[str, ...] = ("0001", "0002"),
) -> None:
    """Keep an answer; each has other bytes, as if something beside the tickets had changed."""
    body = json.dumps(rows).encode() + b" " * (fetched - START).seconds
    answer = RawAnswer(
        connector_id=connector,
        site_id="shop",
        window=window,
        codes=codes,
        url="https://pos.example.com",
        body=body,
        sha256=hashlib.sha256(body).hexdigest(),
        fetched_at_utc=fetched,
    )
    assert keep_raw(workspace.store, answer, timedelta(hours=72))


def sold(hour: int, num_tickets: int, code: str = "0001", **more: object) -> dict:
    time = (START + hour * HOUR).isoformat()
    return {"time": time, "ext_ref_code": code, "num_tickets": num_tickets, **more}


def holds(workspace: Workspace) -> list[dict]:
    rows = current_revisions(workspace.store.read("ticket_hours"))
    return rows.drop(["fetched_at_utc", "raw_sha256", "row_number"]).to_pylist()


def said(workspace: Workspace, dataset: str) -> list[dict]:
    """Give every revision, whatever files they lie in."""
    return sorted(workspace.store.read(dataset).to_pylist(), key=str)


def complete_hours(workspace: Workspace) -> set[tuple[str, datetime]]:
    return {
        (row["key"], row["from_utc"] + n * HOUR)
        for row in workspace.store.read("coverage").to_pylist()
        if row["status"] == "complete"
        for n in range((row["to_utc"] - row["from_utc"]) // HOUR)
    }


def partitions(workspace: Workspace, dataset: str = "ticket_hours") -> list[str]:
    return [row["partition"] for row in workspace.store.ledger.live_files(dataset)]


@st.composite
def polls(draw) -> list[tuple[list[dict], datetime, Window]]:
    result = []
    for number in range(draw(st.integers(2, 5))):
        first, hours = draw(st.integers(0, 2)), draw(st.integers(2, 4))
        asked = st.tuples(st.integers(first, first + hours - 1), st.sampled_from(["0001", "0002"]))
        counts = draw(st.dictionaries(asked, st.integers(0, 2), max_size=5))
        rows = [sold(hour, count, code) for (hour, code), count in counts.items()]
        window = Window(START + first * HOUR, START + (first + hours) * HOUR)
        result.append((rows, START + DAY + number * timedelta(seconds=1), window))
    return result


@given(polls(), st.data())
@settings(max_examples=25, deadline=None)
def test_in_whatever_order_and_number_answers_are_read_the_same_was_said(answers, data):
    with tempfile.TemporaryDirectory() as folder:
        together, pieces = (a_home(Path(folder, name)) for name in ("together", "pieces"))
        for answer in answers:
            came(together, *answer)
        parse_answers(together)
        for answer in data.draw(st.permutations(answers)):
            came(pieces, *answer)
            if data.draw(st.booleans()):
                parse_answers(pieces, rows_at_once=data.draw(st.sampled_from([1, 3, 100])))
        parse_answers(pieces, rows_at_once=2)
        assert said(pieces, "ticket_hours") == said(together, "ticket_hours")
        assert said(pieces, "coverage") == said(together, "coverage")
        assert reconcile(pieces).is_balanced
        assert reconcile(pieces).rows_in == sum(len(rows) for rows, *_ in answers)
        assert parse_answers(pieces).rows_in == 0
        pieces.store.ledger.engine.dispose()
        together.store.ledger.engine.dispose()


WINDOW = Window(START, START + 6 * HOUR)


def test_an_answer_that_turns_up_late_does_not_hide_a_later_one_that_was_no_news(tmp_path):
    workspace = a_home(tmp_path / "home")
    for second, tickets in ((1, 25), (3, 25), (2, 27)):
        came(workspace, [sold(0, tickets)], START + DAY + second * timedelta(seconds=1), WINDOW)
        parse_answers(workspace)
    assert [row["num_tickets"] for row in holds(workspace)] == [25]
    assert reconcile(workspace).is_balanced


def test_what_only_repeats_a_late_answer_is_no_revision_any_more(tmp_path):
    workspace = a_home(tmp_path / "home")
    wide = Window(START, START + 7 * HOUR)
    came(workspace, [sold(0, 5), sold(6, 2)], START + DAY + 2 * HOUR, wide)
    parse_answers(workspace)
    came(workspace, [sold(0, 5)], START + DAY + HOUR, WINDOW)
    parse_answers(workspace)
    rows = workspace.store.read("ticket_hours").sort_by("hour_start_utc").to_pylist()
    assert [row["fetched_at_utc"] - START - DAY for row in rows] == [HOUR, 2 * HOUR]
    assert replay_tickets(workspace).is_equal
    assert reconcile(workspace).is_balanced


def test_an_answer_of_the_same_moment_as_a_later_one_keeps_what_it_covers(tmp_path):
    workspace = a_home(tmp_path / "home")
    one, other = Window(START, START + 2 * HOUR), Window(START + HOUR, START + 3 * HOUR)
    at = START + DAY + HOUR
    came(workspace, [sold(0, 5)], at, one, codes=("0001",))
    came(workspace, [sold(1, 6)], at, other, codes=("0001",))
    parse_answers(workspace)
    came(workspace, [sold(0, 5)], START + DAY, Window(START, START + HOUR), codes=("0001",))
    parse_answers(workspace)
    assert complete_hours(workspace) == {("0001", START + n * HOUR) for n in range(3)}
    assert replay_tickets(workspace).is_equal


def test_an_answer_that_is_applied_again_alone_keeps_its_other_hours(tmp_path, monkeypatch):
    monkeypatch.setattr(parse, "ANSWERS_AT_ONCE", 4)
    workspace = a_home(tmp_path / "home")
    second, one = timedelta(seconds=1), Window(START, START + HOUR)
    for rows, at, window in (([sold(0, 1)], 1, one), ([sold(0, 1), sold(1, 5)], 50, WINDOW)):
        came(workspace, rows, START + DAY + at * second, window)
        parse_answers(workspace)
    for number in range(4):
        came(workspace, [sold(0, 9 + number)], START + DAY + (2 + number) * second, one)
    parse_answers(workspace)
    assert [row["num_tickets"] for row in holds(workspace)] == [1, 5]


def test_an_answer_over_the_end_of_a_month_lies_in_two_partitions(tmp_path):
    workspace = a_home(tmp_path / "home")
    came(workspace, [sold(hour, 5) for hour in range(6)], START + DAY, WINDOW)
    parse_answers(workspace)
    assert partitions(workspace) == ["2026-02", "2026-03"]
    assert sorted(partitions(workspace, "coverage")) == ["2026-02", "2026-03"]
    assert len(complete_hours(workspace)) == 2 * 6


def test_a_home_of_one_partition_is_parted_and_holds_what_it_held(tmp_path):
    old, new = a_home(tmp_path / "old"), a_home(tmp_path / "new")
    for workspace in (old, new):
        came(workspace, [sold(hour, 5) for hour in range(6)], START + DAY, WINDOW)
        parse_answers(workspace)
    change = Change()
    for dataset in ("ticket_hours", "coverage"):
        rows = old.store.retire(change, dataset, prefix="answer:")
        old.store.replace(change, dataset, rows, source="answer:pos-main/shop/1-2-3")
    old.store.commit(change)
    assert set(partitions(old)) == {"all"}
    for workspace in (old, new):
        came(workspace, [sold(1, 7), sold(4, 7)], START + 2 * DAY, WINDOW)
        parse_answers(workspace)
    assert holds(old) == holds(new)
    assert complete_hours(old) == complete_hours(new)
    assert set(partitions(old)) == {"2026-02", "2026-03"}


def test_many_files_of_a_month_become_one_and_all_revisions_stay(tmp_path):
    workspace = a_home(tmp_path / "home")
    window = Window(START, START + HOUR)
    for number in range(34):
        came(workspace, [sold(0, number)], START + DAY + number * timedelta(seconds=1), window)
        parse_answers(workspace)
    assert len(partitions(workspace)) < 5
    rows = workspace.store.read("ticket_hours")
    assert rows["num_tickets"].to_pylist() == list(range(34))
    assert [row["num_tickets"] for row in holds(workspace)] == [33]


TWO_TILLS = """\
connectors:
  - {id: pos-main, kind: hourly_api, url: "https://pos.example.com", token_env: T,
      absent_means: zero, active: true, currency: EUR, tax_included: true}
  - {id: pos-other, kind: hourly_api, url: "https://other.example.com", token_env: T,
      absent_means: zero, active: true, currency: USD, tax_included: false}
"""
TWO_LINKS = SPACE.replace(
    '{connector: pos-main, ext_ref_code: "0002"', '{connector: pos-other, ext_ref_code: "0001"'
)


def amounts(workspace: Workspace) -> dict:
    names = ("num_tickets", "net_sales", "currency", "tax_included")
    return {
        (row["connector_id"], row["hour_start_utc"]): tuple(row[name] for name in names)
        for row in holds(workspace)
    }


def test_amounts_without_a_currency_get_their_own_connectors(tmp_path):
    workspace = a_home(tmp_path / "home", TWO_TILLS, TWO_LINKS)
    rows = [sold(0, 1, net_sales=10), sold(1, 2, net_sales=20, currency="CLP"), sold(2, 3)]
    for connector in ("pos-main", "pos-other"):
        came(workspace, rows, START + DAY, WINDOW, connector, ("0001",))
    parse_answers(workspace)
    said = amounts(workspace)
    assert said["pos-main", START] == (1, 10, "EUR", True)
    assert said["pos-other", START] == (1, 10, "USD", False)
    # what a row says holds, and a row without an amount has no currency
    assert said["pos-other", START + HOUR] == (2, 20, "CLP", False)
    assert said["pos-other", START + 2 * HOUR] == (3, None, None, None)


def test_a_currency_set_later_reaches_the_answers_read_before(tmp_path):
    workspace = a_home(tmp_path / "home")
    came(workspace, [sold(0, 1, net_sales=10)], START + DAY, WINDOW)
    parse_answers(workspace)
    assert amounts(workspace)["pos-main", START] == (1, 10, None, None)
    path = workspace.home.connectors
    path.write_text(path.read_text().replace("active: true", "active: true, currency: EUR"))
    parse_answers(workspace)
    assert amounts(workspace)["pos-main", START] == (1, 10, "EUR", None)


def test_kept_rows_of_a_code_that_is_linked_later_and_back_dated_count(dbt, tmp_path):
    workspace = a_home(tmp_path / "home")
    rows = [sold(0, 5), sold(1, 6), sold(2, 4, "B-017"), sold(3, 7, "B-017"), sold(4, -1, "B-017")]
    came(workspace, rows, START + DAY, WINDOW)
    report = parse_answers(workspace)
    assert (report.rows_in, report.rows_loaded, report.rows_quarantined) == (5, 4, 1)
    assert report.rows_unmatched == 2
    space = workspace.home.spaces / "shop.yaml"
    linked = '  - {connector: pos-main, ext_ref_code: "B-017", unit: "0003", from: 2026-02-01}\n'
    text = space.read_text().replace('{id: "0002"}]', '{id: "0002"}, {id: "0003"}]') + linked
    space.write_text(text)
    build_mart(workspace, dbt, "fct_conversion_hourly")
    assert query_build(
        workspace,
        "select hour_start_utc, ticket_count from marts.fct_conversion_hourly "
        "where unit_id = '0003' and ticket_count is not null order by 1",
    ) == [((START + hour * HOUR).replace(tzinfo=None), n) for hour, n in ((2, 4), (3, 7))]
    assert reconcile(workspace).is_balanced
    assert reconcile(workspace).rows_in == 5


def link(workspace: Workspace, code: str) -> None:
    path = workspace.home.spaces / "shop.yaml"
    line = f'  - {{connector: pos-main, ext_ref_code: "{code}", unit: "0002"}}\n'
    path.write_text(path.read_text() + line)


def test_rows_of_a_code_that_is_linked_later_stay_when_their_answer_is_read_anew(tmp_path):
    workspace = a_home(tmp_path / "home")
    came(workspace, [sold(0, 5), sold(0, 7, "0009")], START + DAY, WINDOW, codes=("0001",))
    parse_answers(workspace)
    link(workspace, "0009")
    path = workspace.home.connectors
    path.write_text(path.read_text().replace("active: true", "active: true, currency: EUR"))
    parse_answers(workspace)
    assert [(row["ext_ref_code"], row["num_tickets"]) for row in holds(workspace)] == [
        ("0001", 5),
        ("0009", 7),
    ]
    assert replay_tickets(workspace).is_equal


def test_what_is_sent_unasked_does_not_change_an_hour_that_was_asked_for_before(tmp_path):
    workspace = a_home(tmp_path / "home")
    later = START + DAY + HOUR
    came(workspace, [sold(0, 6, "0002")], START + DAY, WINDOW, codes=("0002",))
    came(workspace, [sold(0, 5), sold(0, 7, "0002")], later, WINDOW, codes=("0001",))
    report = parse_answers(workspace)
    assert [row["num_tickets"] for row in holds(workspace)] == [5, 6]
    assert report.codes == {"E_NOT_ASKED": 1}


def test_a_damaged_kept_answer_stops_no_other_and_is_read_once_the_feed_sends_it_again(tmp_path):
    workspace = a_home(tmp_path / "home")
    came(workspace, [sold(0, 5)], START + DAY, Window(START, START + HOUR))
    (path,) = workspace.home.raw_tickets.rglob("*.json.gz")
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    came(workspace, [sold(1, 6)], START + DAY, Window(START + HOUR, START + 2 * HOUR))
    report = parse_answers(workspace)
    assert (report.codes, path.name in report.messages[0]) == ({"E_RAW_DAMAGED": 1}, True)
    assert [row["num_tickets"] for row in holds(workspace)] == [6]
    assert len(answers_of(workspace.store, "pos-main", "shop")) == 1
    body = gzip.decompress(whole)
    window, codes = Window(START, START + HOUR), ("0001", "0002")
    sha256, again = hashlib.sha256(body).hexdigest(), START + DAY + HOUR
    answer = RawAnswer("pos-main", "shop", window, codes, "u", body, sha256, again)
    keep_raw(workspace.store, answer, timedelta(hours=72))
    parse_answers(workspace)
    assert [row["num_tickets"] for row in holds(workspace)] == [5, 6]
    assert len(answers_of(workspace.store, "pos-main", "shop")) == 2


def test_an_answer_that_waits_to_be_read_is_counted_and_makes_no_replay_unequal(tmp_path):
    workspace = a_home(tmp_path / "home")
    came(workspace, [sold(0, 5)], START + DAY, WINDOW)
    parse_answers(workspace)
    came(workspace, [sold(0, 6)], START + DAY + HOUR, WINDOW)
    found = replay_tickets(workspace)
    assert (found.is_equal, found.rows["ticket_hours"], found.waiting) == (True, 1, 1)
