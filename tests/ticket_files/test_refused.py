"""What of a file is refused, with which code, and what that leaves of it."""

from decimal import Decimal

import pyarrow.compute as pc
import pytest

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.defs.steps.ticket_files import parse_ticket_files

from .homes import (
    CONNECTORS,
    H09,
    H10,
    H11,
    KIND_HEADER,
    KINDS,
    MAPPING,
    SPACE,
    balanced,
    coverage,
    hours,
    lines,
    load,
    make_home,
    row,
    tickets,
)


def test_a_return_written_without_minus_is_refused_unless_the_mapping_says_so(tmp_path):
    content = row("1", net="30").rstrip("\n") + ",R\n"
    refused = make_home(tmp_path / "a", KINDS)
    assert load(refused, content, header=KIND_HEADER).codes == {"E_RETURN_SIGN": 1}
    turned = make_home(tmp_path / "b", "returns: positive\n" + KINDS)
    load(turned, content, header=KIND_HEADER)
    (hour,) = hours(turned).values()
    assert (hour["num_returns"], hour["returns_amount"], hour["units"]) == (1, 30, -1)
    assert lines(turned)[0]["net"] == -30


def test_one_refused_line_refuses_its_ticket_and_leaves_its_hour_open(tmp_path):
    workspace = make_home(tmp_path)
    report = load(
        workspace,
        row("1") + row("2", "11:15:00") + row("2", "11:15:00", net="?") + row("3", "12:15:00"),
    )
    assert report.codes == {"E_MONEY_TYPE": 1, "E_TICKET_INCOMPLETE": 1}
    assert [t["ticket_id"] for t in tickets(workspace)] == ["1", "3"]
    assert [(a, b) for a, _, *b in coverage(workspace)] == [
        (H09, ["complete", None]),
        (H10, ["refused", "E_MONEY_TYPE"]),
        (H11, ["complete", None]),
    ]


def test_a_refused_ticket_without_a_time_leaves_every_hour_open_that_no_ticket_fills(tmp_path):
    workspace = make_home(tmp_path)
    load(workspace, row("1") + row("2", "25:00:00") + row("3", "12:15:00"))
    assert [(a, b) for a, _, *b in coverage(workspace)] == [
        (H09, ["complete", None]),
        (H10, ["refused", "E_BAD_TIME"]),
        (H11, ["complete", None]),
    ]


def test_one_refused_row_refuses_the_rows_of_its_ticket_that_lie_apart(tmp_path):
    workspace = make_home(tmp_path)
    report = load(workspace, row("1") + row("2") + row("1", net="?"))
    assert [t["ticket_id"] for t in tickets(workspace)] == ["2"]
    assert [line["ticket_id"] for line in lines(workspace)] == ["2"]
    assert report.codes == {"E_MONEY_TYPE": 1, "E_TICKET_INCOMPLETE": 1}
    assert balanced(report)


def test_two_rows_for_one_ticket_of_a_file_of_tickets_are_both_refused(tmp_path):
    mapping = (
        MAPPING.replace("line", "ticket").replace("quantity", "units").replace("  sku: sku\n", "")
    )
    workspace = make_home(tmp_path, mapping)
    report = load(workspace, row("1") + row("2") + row("1"))
    assert [t["ticket_id"] for t in tickets(workspace)] == ["2"]
    assert report.codes == {"E_DUP_TICKET": 2}
    assert lines(workspace) == []


def test_lines_of_two_kinds_in_one_ticket_are_refused(tmp_path):
    workspace = make_home(tmp_path, KINDS)
    content = row("1").strip() + ",S\n" + row("1", net="-1").strip() + ",R\n"
    assert load(workspace, content, header=KIND_HEADER).codes == {"E_TICKET_MIXED": 2}


def test_a_ticket_of_the_future_is_refused(tmp_path):
    workspace = make_home(tmp_path)
    assert load(workspace, row("1", day="2027-03-27")).codes == {"E_BAD_TIME": 1}


def test_columns_of_people_are_reported_and_reach_neither_lake_nor_quarantine(tmp_path):
    workspace = make_home(tmp_path)
    header = "store,no,time,sku,qty,net,CustomerEmail,Phone,note,Gift card name\n"
    who = "ann@example.com,+34 600 111 222,bob@example.com,blue"
    rows = row("1").strip() + f",{who}\n" + row("2", net="?").strip() + f",{who}\n"
    report = load(workspace, rows, header=header)
    assert report.personal["sales.csv"] == {
        "CustomerEmail": "its header",
        "Phone": "its header",
        "note": "values like e-mail addresses",
    }
    for path in workspace.home.root.rglob("*"):
        if path.is_file() and path.parent.name not in {"files", "incoming"}:
            assert b"example.com" not in path.read_bytes(), path


def test_a_mapping_that_reads_a_person_is_refused(tmp_path):
    workspace = make_home(tmp_path, MAPPING.replace("sku: sku", "till: cashier_name"))
    report = load(workspace, row("1"), header="store,no,time,cashier_name,qty,net\n")
    assert report.codes == {"E_PERSONAL_FIELD": 1}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (MAPPING.replace("grain: line", "grain: day"), "grain"),
        (MAPPING.replace("  net: net", "  nett: net"), "nett"),
        (MAPPING.replace("zone: site", "zone: Mars/Base"), "Mars/Base"),
        (MAPPING + "  units: qty\n", "units"),
        (MAPPING + "  currency: {value: euro}\n", "currency"),
        (MAPPING + "  tax_included: {value: perhaps}\n", "tax_included"),
        ("encoding: klingon\n" + MAPPING, "klingon"),
        ("complete: true\n" + MAPPING, "covers: days"),
        ("- a\n", "grain"),
        ("grain: [", "line"),
        (MAPPING + "  kind: {column: sku, values: {S: sold}}\n", "sold"),
        (MAPPING.replace("net: net", "net: {column: net, value: 3}"), "either column: or value:"),
    ],
)
def test_a_wrong_mapping_is_named_with_everything_that_is_wrong(tmp_path, wrong, says):
    workspace = make_home(tmp_path, wrong)
    with pytest.raises(ConfigError) as refused:
        load(workspace, row("1"))
    assert refused.value.code == "E_MAPPING"
    assert says in str(refused.value)
    assert "till.yaml" in str(refused.value)


def test_a_connector_loads_nothing_before_it_is_said_what_absence_means(tmp_path):
    workspace = make_home(tmp_path, connectors=CONNECTORS.replace("absent_means: zero, ", ""))
    with pytest.raises(ConfigError) as refused:
        load(workspace, row("1"))
    assert refused.value.code == "E_ABSENT_MEANS_UNSET"


def test_one_code_at_sites_of_two_time_zones_is_refused(tmp_path):
    workspace = make_home(tmp_path)
    other = SPACE.replace("shop", "isle").replace("Europe/Madrid", "Atlantic/Canary")
    other = other.replace("unit: u1}", "unit: u1, from: 2026-04-01}")
    first = SPACE.replace("unit: u1}", "unit: u1, to: 2026-04-01}")
    (workspace.home.spaces / "shop.yaml").write_text(first)
    (workspace.home.spaces / "isle.yaml").write_text(other)
    with pytest.raises(ConfigError) as refused:
        load(workspace, row("1"))
    assert refused.value.code == "E_CODE_ZONES"


def test_a_wrong_mapping_of_one_connector_leaves_the_others_alone(tmp_path):
    two = CONNECTORS + CONNECTORS.splitlines()[1].replace("till", "kiosk") + "\n"
    workspace = make_home(tmp_path, connectors=two)
    load(workspace, row("1"))
    (workspace.home.root / "drops" / "kiosk").mkdir()
    from ksi_pipeline.store.ticket_files import SeenFile, keep_ticket_file

    path = workspace.home.root / "incoming" / "sales.csv"
    keep_ticket_file(
        workspace.store, "kiosk", path, SeenFile.look(path, "x.csv"), workspace.clock()
    )
    load_more = row("1") + row("2")
    path.write_text("store,no,time,sku,qty,net\n" + load_more)
    keep_ticket_file(workspace.store, "till", path, SeenFile.look(path, "y.csv"), workspace.clock())
    report = parse_ticket_files(workspace)
    assert "E_MAPPING" in report.failed["kiosk"]
    assert report.rows_loaded == 1
    assert pc.sum(workspace.store.read("ticket_hours")["num_tickets"]).as_py() == 1 + 2


def test_many_tickets_whose_rows_lie_apart_are_joined_each_and_refused_each(tmp_path):
    workspace = make_home(tmp_path)
    first = "".join(row(f"{n}") for n in range(40))
    again = "".join(row(f"{n}", sku="cup", net="?" if n >= 20 else "4") for n in range(40))
    report = load(workspace, first + again)
    found = {t["ticket_id"]: (t["net"], t["line_count"]) for t in tickets(workspace)}
    assert found == {f"{n}": (Decimal("6.5"), 2) for n in range(20)}
    assert report.codes == {"E_MONEY_TYPE": 20, "E_TICKET_INCOMPLETE": 20}
