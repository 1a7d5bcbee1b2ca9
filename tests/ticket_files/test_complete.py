"""Where a file holds every ticket of its days, one that it leaves out is taken back."""

from decimal import Decimal

import pytest

from .homes import MAPPING, at, balanced, hours, lines, load, make_home, tickets

COMPLETE = "covers: days\ncomplete: true\n" + MAPPING
H09, H10 = at("2026-03-27 09:00"), at("2026-03-27 10:00")


def row(no, time="10:15:00", net="2.5", day="2026-03-27", store="0001"):
    return f"{store},{no},{day} {time},tea,1,{net}\n"


def counted(workspace):
    return {hour: r["num_tickets"] for (_, hour), r in hours(workspace).items()}


def kinds(workspace, no):
    return [t["kind"] for t in tickets(workspace) if t["ticket_id"] == no]


def test_a_ticket_that_a_later_file_of_its_day_leaves_out_is_taken_back(tmp_path):
    workspace = make_home(tmp_path, COMPLETE)
    load(workspace, row("A") + row("B", "11:15:00", "4"))
    report = load(workspace, row("A"))
    assert counted(workspace) == {H09: 1, H10: 0}
    assert balanced(report)
    assert (report.tickets, report.rows_unchanged) == (0, 1)
    assert "1 tickets of its days" in report.messages[0]
    void = tickets(workspace)[-1]
    assert (void["kind"], void["net"], void["units"], void["line_count"]) == ("void", None, None, 0)
    assert (void["hour_start_utc"], void["row_number"]) == (H10, -1)


def test_what_was_taken_back_is_still_there_for_who_asks_as_of_then(tmp_path):
    workspace = make_home(tmp_path, COMPLETE)
    load(workspace, row("A") + row("B"))
    load(workspace, row("A"))
    assert kinds(workspace, "B") == ["sale", "void"]
    assert [line["ticket_id"] for line in lines(workspace)] == ["A", "B"]
    sales = [r["net_sales"] for r in workspace.store.read("ticket_hours").to_pylist()]
    assert sales == [Decimal("5.0"), Decimal("2.5")]


def test_a_ticket_that_is_sent_again_after_it_was_taken_back_counts_again(tmp_path):
    workspace = make_home(tmp_path, COMPLETE)
    for content in (row("A") + row("B"), row("A"), row("A"), row("A") + row("B")):
        load(workspace, content)
    assert kinds(workspace, "B") == ["sale", "void", "sale"]
    assert counted(workspace) == {H09: 2}


@pytest.mark.parametrize(
    "other", [row("C", day="2026-03-28"), row("C", store="0009"), ""], ids=["day", "code", "none"]
)
def test_a_file_takes_back_nothing_of_days_and_codes_that_it_does_not_speak_of(tmp_path, other):
    workspace = make_home(tmp_path, COMPLETE)
    load(workspace, row("A"))
    load(workspace, other)
    assert kinds(workspace, "A") == ["sale"]


def test_the_day_is_the_local_one(tmp_path):
    workspace = make_home(tmp_path, COMPLETE)
    # 00:15 in Madrid is still the day before in UTC
    load(workspace, row("A", "00:15:00") + row("B", "00:15:00", day="2026-03-28"))
    load(workspace, row("C", "23:15:00"))
    assert (kinds(workspace, "A"), kinds(workspace, "B")) == (["sale", "void"], ["sale"])


def test_a_refused_ticket_is_not_taken_back(tmp_path):
    workspace = make_home(tmp_path, COMPLETE)
    load(workspace, row("A") + row("B") + row("C"))
    load(workspace, row("A") + row("B", net="?"))
    assert (kinds(workspace, "B"), kinds(workspace, "C")) == (["sale"], ["sale", "void"])


@pytest.mark.parametrize("spoilt", ["0001,B\n", row(""), row("B", "25:00:00")])
def test_a_row_that_may_be_of_any_ticket_keeps_all_of_them(tmp_path, spoilt):
    workspace = make_home(tmp_path, COMPLETE)
    load(workspace, row("A") + row("B") + row("C") + row("D", "12:00:00"))
    load(workspace, row("A") + row("E", "11:00:00") + row("D", "12:00:00") + spoilt)
    assert kinds(workspace, "C") == ["sale"]


def test_without_it_a_ticket_that_is_left_out_stays(tmp_path):
    workspace = make_home(tmp_path, "covers: days\n" + MAPPING)
    load(workspace, row("A") + row("B"))
    load(workspace, row("A"))
    assert counted(workspace) == {H09: 2}
