"""What a pull covers: silence is 0 only in hours of which every ticket was asked for."""

from datetime import date

import pytest

from ksi_pipeline.core.errors import FeedUnavailable
from ksi_pipeline.core.time import Window
from ksi_pipeline.defs.steps import sql_pull

from ..ticket_files.homes import at, coverage, hours
from .homes import Home, current

UPDATED = {"column": "written", "kind": "updated_at", "zone": "UTC"}
NUMBERED = {"column": "id", "kind": "integer"}


def said(home, text):
    """What is known of the hour of code 0001 that begins at an instant: the last word."""
    instant = at(text)
    found = [
        (status, reason) for low, high, status, reason in _in_order(home) if low <= instant < high
    ]
    return found[-1] if found else None


def _in_order(home):
    rows = home.workspace.store.read("coverage").to_pylist()
    for row in sorted(rows, key=lambda row: row["fetched_at_utc"]):
        if row["key"] == "0001":
            yield row["from_utc"], row["to_utc"], row["status"], row["reason"]


COMPLETE = ("complete", None)
SILENT = ("silent", "feed_absent_hour")


@pytest.mark.parametrize(("means", "word"), [("zero", COMPLETE), ("missing", SILENT)])
@pytest.mark.parametrize("watermark", [None, UPDATED, NUMBERED], ids=["time", "updated", "number"])
def test_an_hour_without_a_ticket_is_what_the_connector_says(tmp_path, watermark, means, word):
    settings = {"absent_means": means}
    if watermark:
        settings |= {"watermark": watermark, "complete_from": date(2026, 3, 20)}
    if watermark is NUMBERED:
        settings["since"] = 0
    home = Home(tmp_path, **settings)
    home.sell(("A1", "2026-03-21 10:15:00", 1), ("A2", "2026-03-27 10:15:00", 1))
    home.sql("update lines set id = rowid")
    home.pull()
    assert said(home, "2026-03-21 09:00") == COMPLETE
    assert said(home, "2026-03-27 09:00") == COMPLETE
    assert said(home, "2026-03-24 03:00") == word
    assert said(home, "2026-03-27 16:00") == word


@pytest.mark.parametrize("watermark", [None, UPDATED], ids=["time", "updated"])
def test_an_hour_that_is_not_over_and_one_before_since_are_not_covered(tmp_path, watermark):
    home = Home(tmp_path, **({"watermark": watermark} if watermark else {}))
    home.sell(("A0", "2026-03-19 10:15:00", 1, "2026-03-27 10:00:00"))
    home.sell(("A1", "2026-03-27 18:40:00", 1, "2026-03-27 17:45:00"))
    home.at("2026-03-27 17:50")
    home.pull()
    assert said(home, "2026-03-27 17:00") is None
    assert said(home, "2026-03-19 09:00") is None
    assert said(home, "2026-03-27 16:00") == COMPLETE
    assert said(home, "2026-03-20 00:00") == COMPLETE
    home.at("2026-03-27 18:20")
    home.pull()
    assert said(home, "2026-03-27 17:00") == COMPLETE


def test_hours_after_the_last_row_are_covered_though_nothing_new_came(tmp_path):
    settings = {"watermark": NUMBERED, "since": 0, "complete_from": date(2026, 3, 20)}
    home = Home(tmp_path, **settings)
    home.sell(("A1", "2026-03-27 10:15:00", 1))
    home.sql("update lines set id = rowid")
    home.pull()
    assert said(home, "2026-03-27 18:00") is None
    home.at("2026-03-27 19:00")
    asked, _ = home.pull()
    assert (asked.row_count, asked.new_count) == (1, 1)
    assert said(home, "2026-03-27 18:00") == COMPLETE
    home.at("2026-03-27 19:10")
    assert home.pull()[0].new_count == 0


def test_a_window_asked_by_hand_does_not_stand_in_for_that_of_the_schedule(tmp_path):
    home = Home(tmp_path, watermark=UPDATED)
    home.sell(("A1", "2026-03-27 10:15:00", 1))
    home.pull(only="till", window=Window(at("2026-03-27 00:00"), at("2026-03-28 00:00")))
    assert said(home, "2026-03-27 09:00") is None
    home.pull()
    assert said(home, "2026-03-27 09:00") == COMPLETE


def test_a_day_without_any_ticket_is_covered(tmp_path):
    home = Home(tmp_path)
    home.sell(("A1", "2026-03-21 10:15:00", 1))
    home.pull()
    assert {said(home, f"2026-03-25 {hour:02}:00") for hour in range(24)} == {COMPLETE}
    assert list(hours(home.workspace)) == [("0001", at("2026-03-21 09:00"))]


def test_rows_by_their_writing_cover_nothing_before_all_of_them_are_kept(tmp_path, monkeypatch):
    home = Home(tmp_path, watermark=UPDATED, longest_window_days=2)
    # of one hour, one ticket was written when it was made, the other days after
    home.sell(
        ("A1", "2026-03-20 10:15:00", 1, "2026-03-20 10:00:00"),
        ("A2", "2026-03-20 10:20:00", 1, "2026-03-26 10:00:00"),
    )
    with monkeypatch.context() as patch:
        real, left = sql_pull._land, [2]

        def breaks_off(*args):
            left[0] -= 1
            if left[0] < 0:
                raise FeedUnavailable("gone", code="E_SQL_UNREACHABLE")
            return real(*args)

        patch.setattr(sql_pull, "_land", breaks_off)
        assert home.failure() == "E_SQL_UNREACHABLE: gone"
    assert hours(home.workspace)["0001", at("2026-03-20 09:00")]["num_tickets"] == 1
    assert coverage(home.workspace) == []
    home.pull()
    assert hours(home.workspace)["0001", at("2026-03-20 09:00")]["num_tickets"] == 2
    assert said(home, "2026-03-20 09:00") == COMPLETE


@pytest.mark.parametrize("watermark", [None, UPDATED], ids=["time", "updated"])
def test_a_refused_ticket_leaves_its_hour_open_until_it_comes_right(tmp_path, watermark):
    home = Home(tmp_path, **({"watermark": watermark} if watermark else {}))
    home.sell(
        ("A1", "2026-03-25 10:15:00", "cheap"),
        ("A2", "2026-03-25 10:20:00", 1),
        ("A3", "2026-03-25 12:20:00", 1),
    )
    home.pull()
    assert said(home, "2026-03-25 09:00") == ("refused", "E_MONEY_TYPE")
    assert said(home, "2026-03-25 10:00") == COMPLETE
    home.at("2026-03-27 19:00")
    home.pull()
    assert said(home, "2026-03-25 09:00") == ("refused", "E_MONEY_TYPE")
    home.sql("update lines set net = 2, written = '2026-03-27 18:30:00' where no = 'A1'")
    home.at("2026-03-27 20:00")
    home.pull()
    assert said(home, "2026-03-25 09:00") == COMPLETE
    assert hours(home.workspace)["0001", at("2026-03-25 09:00")]["num_tickets"] == 2


def test_hours_stop_being_provisional_once_they_were_asked_for_when_they_were_final(tmp_path):
    home = Home(tmp_path)
    home.sell(("A1", "2026-03-26 10:15:00", 1))
    for day in (27, 28, 29, 30, 31):
        home.sell((f"B{day}", f"2026-03-{day} 10:15:00", 1))
        home.at(f"2026-03-{day} 18:00")
        home.pull()
    final = at("2026-03-29 10:00")
    rows = home.workspace.store.read("coverage").to_pylist()
    hour = at("2026-03-26 09:00")
    asked = [row["fetched_at_utc"] for row in rows if row["from_utc"] <= hour < row["to_utc"]]
    assert max(asked) >= final


def test_hours_of_a_zone_off_the_hour_are_whole(tmp_path):
    space = (
        "schema: 1\nsite: {id: shop, name: Shop, timezone: Asia/Kathmandu, currency: NPR}\n"
        "units: [{id: u1}]\nlinks: [{connector: till, ext_ref_code: '0001', unit: u1}]\n"
    )
    home = Home(tmp_path, space=space)
    home.sell(("A1", "2026-03-26 05:50:00", 1), ("A2", "2026-03-26 05:40:00", 1))
    home.pull()
    assert {key[1]: row["num_tickets"] for key, row in hours(home.workspace).items()} == {
        at("2026-03-25 23:15"): 2
    }
    assert said(home, "2026-03-25 23:15") == COMPLETE
    assert said(home, "2026-03-25 23:59") == COMPLETE
    # midnight UTC, at which windows end, is in the middle of it
    assert said(home, "2026-03-24 23:30") == COMPLETE


def test_a_ticket_that_began_before_a_window_by_hand_does_not_cover_its_hour(tmp_path):
    home = Home(tmp_path)
    home.sell(("A1", "2026-03-26 00:30:00", 1), ("A1", "2026-03-26 03:30:00", 2))
    home.pull(only="till", window=Window(at("2026-03-26 00:00"), at("2026-03-26 12:00")))
    assert said(home, "2026-03-26 02:00") == COMPLETE
    assert current(home.workspace) == {"A1": "3"}
    assert said(home, "2026-03-25 22:00") is None


def test_a_code_that_is_not_linked_then_is_not_spoken_for(tmp_path):
    from ..ticket_files.homes import SPACE

    space = SPACE.replace('"0001", unit: u1', '"0001", unit: u1, from: 2026-03-25')
    home = Home(tmp_path, space=space)
    home.sell(("A1", "2026-03-27 10:15:00", 1))
    home.pull()
    assert said(home, "2026-03-22 10:00") is None
    assert said(home, "2026-03-26 10:00") == COMPLETE
