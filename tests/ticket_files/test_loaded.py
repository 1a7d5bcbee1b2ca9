"""What files do to tickets and hours: revisions, unknown codes, coverage, replay."""

from decimal import Decimal

import pytest
from sqlalchemy import select

from ksi_pipeline.core.instants import from_us
from ksi_pipeline.defs.steps.space import load_spaces
from ksi_pipeline.defs.steps.ticket_files import parse_ticket_files, reconcile_files
from ksi_pipeline.store.lake_views import pending_seq
from ksi_pipeline.store.tables import AFFECTED_HOURS

from .homes import (
    CONNECTORS,
    H09,
    H10,
    H11,
    HEADER,
    KIND_HEADER,
    KINDS,
    MAPPING,
    SPACE,
    at,
    balanced,
    coverage,
    hours,
    lines,
    load,
    make_home,
    row,
    tickets,
)

CATEGORIES = MAPPING + "  category: kind\n"


def test_a_line_of_another_category_touches_its_hour_though_the_total_is_as_it_was(tmp_path):
    workspace = make_home(tmp_path, CATEGORIES)
    header = HEADER.replace("\n", ",kind\n")
    two_hours = [row("A1"), row("A2", "11:59:59")]
    first = "".join(line.replace("\n", ",tea\n") for line in two_hours)
    load(workspace, first, header=header)
    newest = pending_seq(workspace.store)
    load(workspace, first.replace("tea\n", "leaf\n", 1), header=header)
    touched = workspace.store.ledger.rows(
        select(AFFECTED_HOURS).where(AFFECTED_HOURS.c.seq > newest)
    )
    assert {from_us(hour["hour_start_utc"]) for hour in touched} == {H09}


def test_tickets_roll_up_to_the_local_hours_of_their_site(tmp_path):
    workspace = make_home(tmp_path)
    report = load(workspace, row("A1") + row("A1", sku="cup", net="4") + row("A2", "11:59:59"))
    found = hours(workspace)
    assert set(found) == {("0001", H09), ("0001", H10)}
    first = found["0001", H09]
    assert (first["num_tickets"], first["units"], first["utc_offset_s"]) == (1, 2, 3600)
    assert (first["gross_sales"], first["returns_amount"]) == (Decimal("6.5000"), 0)
    assert (report.tickets, report.rows_loaded) == (2, 3)


def test_the_same_file_again_changes_nothing_at_all(tmp_path):
    workspace = make_home(tmp_path)
    content = row("A1") + row("A1", sku="cup") + row("A2")
    load(workspace, content)
    before = (tickets(workspace), lines(workspace), hours(workspace), coverage(workspace))
    report = load(workspace, content)
    assert (report.rows_loaded, report.rows_unchanged) == (0, 3)
    assert (tickets(workspace), lines(workspace), hours(workspace), coverage(workspace)) == before


def test_lines_in_another_order_are_the_same_ticket(tmp_path):
    workspace = make_home(tmp_path)
    load(workspace, row("A1") + row("A1", sku="cup", net="4"))
    report = load(workspace, row("A1", sku="cup", net="4") + row("A1"))
    assert (report.rows_loaded, report.rows_unchanged) == (0, 2)


def test_a_ticket_sent_again_with_another_line_replaces_it_whole(tmp_path):
    workspace = make_home(tmp_path)
    load(workspace, row("A1") + row("A1", sku="cup") + row("A2"))
    report = load(workspace, row("A1") + row("A1", sku="mug"))
    assert (report.rows_loaded, report.rows_unchanged) == (2, 0)
    revisions = [t["line_count"] for t in tickets(workspace) if t["ticket_id"] == "A1"]
    assert revisions == [2, 2]
    assert hours(workspace)["0001", H09]["num_tickets"] == 2


def test_a_ticket_that_moves_to_another_hour_leaves_the_first(tmp_path):
    workspace = make_home(tmp_path)
    load(workspace, row("A1"))
    load(workspace, row("A1", "12:00:00"))
    found = {hour: r["num_tickets"] for (_, hour), r in hours(workspace).items()}
    assert found == {H09: 0, H11: 1}


def test_an_old_revision_sent_again_holds_again(tmp_path):
    workspace = make_home(tmp_path)
    for net in ("2", "3", "2"):
        load(workspace, row("A1", net=net))
    assert hours(workspace)["0001", H09]["net_sales"] == Decimal("2.0000")
    assert [t["net"] for t in tickets(workspace)] == [2, 3, 2]


def test_hours_are_made_of_the_tickets_of_several_files(tmp_path):
    workspace = make_home(tmp_path)
    load(workspace, row("A1") + row("A2", "10:20:00"))
    load(workspace, row("A3", "10:50:00") + row("A4", "11:10:00"))
    found = {hour: r["num_tickets"] for (_, hour), r in hours(workspace).items()}
    assert found == {H09: 3, H10: 1}


def test_returns_voids_and_exchanges_are_counted_as_the_rule_says(tmp_path):
    workspace = make_home(tmp_path, KINDS)
    rows = [("1", "2", "50", "S"), ("2", "1", "30", "S"), ("3", "1", "20", "S")]
    rows += [("4", "-1", "-30", "R"), ("5", "1", "100", "V"), ("6", "0", "5", "X")]
    content = "".join(
        row(no, qty=qty, net=net).rstrip("\n") + f",{kind}\n" for no, qty, net, kind in rows
    )
    load(workspace, content, header=KIND_HEADER)
    (hour,) = hours(workspace).values()
    assert (hour["num_tickets"], hour["num_returns"], hour["units"]) == (3, 1, 3)
    assert (hour["gross_sales"], hour["returns_amount"], hour["net_sales"]) == (105, 30, 75)


def test_without_kinds_a_ticket_below_zero_is_a_return(tmp_path):
    workspace = make_home(tmp_path)
    load(workspace, row("1", net="-3") + row("2", net="0"))
    assert [t["kind"] for t in tickets(workspace)] == ["return", "sale"]


def test_a_gift_card_is_no_sale_and_no_unit(tmp_path):
    gift = "  gift_card: {column: sku, values: {GIFT: yes}, otherwise: no}\n"
    workspace = make_home(tmp_path, MAPPING + gift)
    load(workspace, row("1") + row("1", sku="GIFT", net="50") + row("2", sku="GIFT", net="25"))
    (hour,) = hours(workspace).values()
    assert (hour["num_tickets"], hour["net_sales"], hour["units"]) == (1, Decimal("2.5"), 1)
    assert [(t["kind"], t["gift_card"]) for t in tickets(workspace)] == [
        *(("sale", 50), ("gift_card", 25))
    ]


def test_a_value_of_the_mapping_stands_in_every_ticket(tmp_path):
    values = "  kind: {value: return}\n  tax_included: {value: yes}\n  channel: {value: online}\n"
    workspace = make_home(tmp_path, MAPPING + values)
    load(workspace, row("1", net="-2"))
    (ticket,) = tickets(workspace)
    assert [ticket[name] for name in ("kind", "tax_included", "channel")] == [
        *("return", True, "online")
    ]


def test_goods_by_weight_are_one_unit_a_line(tmp_path):
    workspace = make_home(tmp_path)
    load(workspace, row("1", qty="0.453") + row("1", qty="3"))
    assert tickets(workspace)[0]["units"] == 4
    assert lines(workspace)[0]["quantity"] == Decimal("0.4530")


def test_amounts_of_two_currencies_are_never_added_up(tmp_path):
    workspace = make_home(tmp_path, MAPPING.replace("sku: sku", "currency: sku"))
    load(workspace, row("1", sku="EUR") + row("2", sku="CHF"))
    (hour,) = hours(workspace).values()
    assert (hour["num_tickets"], hour["net_sales"], hour["currency"]) == (2, None, None)
    assert [t["currency"] for t in tickets(workspace)] == ["EUR", "CHF"]


def test_an_hour_of_more_money_than_an_hour_can_hold_has_none(tmp_path):
    workspace = make_home(tmp_path)
    rows = [row(str(n), net="99999999999.9999") for n in range(1_001)]
    load(workspace, "".join([*rows, row("x", time="11:15:00")]))
    amounts = [(hour["num_tickets"], hour["net_sales"]) for hour in hours(workspace).values()]
    assert sorted(amounts, key=str) == [(1, Decimal("2.5000")), (1_001, None)]


def test_rows_of_a_ticket_that_lie_apart_are_one_ticket(tmp_path):
    workspace = make_home(tmp_path)
    report = load(workspace, row("1") + row("2") + row("1", "10:14:00", sku="cup", net="4"))
    found = {t["ticket_id"]: (t["net"], t["line_count"]) for t in tickets(workspace)}
    assert found == {"2": (Decimal("2.5"), 1), "1": (Decimal("6.5"), 2)}
    assert hours(workspace)["0001", H09]["num_tickets"] == 2
    assert balanced(report)
    assert load(workspace, row("1", "10:14:00", sku="cup", net="4") + row("1")).rows_loaded == 0


def test_rows_that_the_mapping_skips_are_counted_and_count_nowhere(tmp_path):
    workspace = make_home(tmp_path, "skip: {sku: [NONE]}\n" + MAPPING)
    report = load(workspace, row("1") + row("2", sku="NONE") + row("1", sku="NONE"))
    assert (report.rows_skipped, report.tickets) == (2, 1)
    assert balanced(report)


def test_an_unknown_code_waits_and_is_loaded_once_it_is_linked(tmp_path):
    content = row("1") + row("2", store="0009") + row("3", store="0009", net="?")
    waiting = make_home(tmp_path / "later")
    report = load(waiting, content)
    assert (report.rows_unmatched, report.rows_loaded, report.rows_quarantined) == (2, 1, 0)
    load(waiting, row("2", store="0009", net="7"))
    linked = SPACE + '  - {connector: till, ext_ref_code: "0009", unit: u2}\n'
    (waiting.home.spaces / "shop.yaml").write_text(linked)
    load_spaces(waiting)
    replayed = parse_ticket_files(waiting)
    assert (replayed.rows_loaded, replayed.rows_quarantined, replayed.rows_unmatched) == (2, 1, 0)
    assert hours(waiting)["0009", H09]["net_sales"] == 7
    totals = reconcile_files(waiting)
    assert totals["rows_in"] == 4
    assert (totals["rows_unmatched"], totals["rows_quarantined"]) == (0, 1)
    assert 2 * totals["rows_in"] == sum(totals.values())
    assert parse_ticket_files(waiting).file_count == 0

    known = make_home(tmp_path / "before", space=linked)
    load(known, content)
    load(known, row("2", store="0009", net="7"))

    def told(workspace):
        keep = ("num_tickets", "net_sales", "units")
        return {key: [r[k] for k in keep] for key, r in hours(workspace).items()}

    assert told(waiting) == told(known)


def test_a_corrected_mapping_reads_every_kept_file_again(tmp_path):
    workspace = make_home(tmp_path, MAPPING.replace("net: net", "net: qty"))
    load(workspace, row("1"))
    load(workspace, row("1") + row("2", net="4"))
    assert hours(workspace)["0001", H09]["net_sales"] == 2
    (workspace.home.mappings / "till.yaml").write_text(MAPPING)
    parse_ticket_files(workspace)
    replayed = (hours(workspace), tickets(workspace), lines(workspace), coverage(workspace))

    clean = make_home(tmp_path / "clean")
    load(clean, row("1"))
    load(clean, row("1") + row("2", net="4"))
    assert (hours(clean), tickets(clean), lines(clean), coverage(clean)) == replayed
    assert hours(clean)["0001", H09]["net_sales"] == Decimal("6.5")


@pytest.mark.parametrize(
    ("absent_means", "covers", "between"),
    [
        ("zero", "hours", [("complete", 3)]),
        ("missing", "hours", [("complete", 1), ("silent", 1), ("complete", 1)]),
        ("zero", "days", [("complete", 24)]),
    ],
)
def test_a_file_covers_what_the_connector_and_the_mapping_say(
    tmp_path, absent_means, covers, between
):
    connectors = CONNECTORS.replace("zero", absent_means)
    workspace = make_home(tmp_path, f"covers: {covers}\n" + MAPPING, connectors=connectors)
    load(workspace, row("1") + row("2", "12:15:00"))
    found = [(status, (b - a).total_seconds() / 3600) for a, b, status, _ in coverage(workspace)]
    assert found == between


def test_an_hour_that_was_not_over_when_the_file_was_written_is_not_covered(tmp_path):
    workspace = make_home(tmp_path)
    # the file is written at 07:00 local time
    load(workspace, row("1", "06:59:00", day="2026-04-20") + row("2", "07:00:00", day="2026-04-20"))
    assert [b for _, b, *_ in coverage(workspace)] == [at("2026-04-20 05:00")]
    assert len(hours(workspace)) == 2


def test_every_row_names_the_bytes_that_it_came_from(tmp_path):
    workspace = make_home(tmp_path)
    load(workspace, row("1") + row("2"))
    import hashlib

    import pyarrow as pa

    (kept,) = (workspace.home.raw_tickets / "till" / "files").iterdir()
    with pa.input_stream(str(kept), "zstd") as stream:
        content = stream.read()
    assert {t["raw_sha256"] for t in tickets(workspace)} == {hashlib.sha256(content).hexdigest()}
    assert content.splitlines()[1 + tickets(workspace)[1]["row_number"]].startswith(b"0001,2,")
