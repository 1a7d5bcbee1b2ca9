"""Files of every make give the same tickets, or say what is wrong with them."""

import csv
import gzip
import io
import json
import zipfile
from datetime import datetime
from decimal import Decimal

import polars as pl
import pytest
from sqlalchemy import select

from ksi_pipeline.store.tables import QUARANTINE

from .homes import HEADER, MAPPING, balanced, hours, lines, load, make_home, tickets

ROWS = [
    ["store", "no", "time", "sku", "qty", "net"],
    ["0001", "A1", "2026-03-27 10:15:00", "tea", "2", "7.5"],
    ["0001", "A1", "2026-03-27 10:15:00", 'cup; "blue"\nlarge', "1", "12.34"],
    ["0001", "A2", "2026-03-27 11:05:30", "café", "1", "3.2"],
]


def as_csv(delimiter=",", rows=ROWS, newline="\r\n"):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=newline).writerows(rows)
    return text.getvalue()


def workbook(rows):
    """The smallest XLSX: text as inline strings, numbers as numbers."""

    def cell(value):
        if isinstance(value, str):
            escaped = value.replace("&", "&amp;").replace("<", "&lt;")
            return f'<c t="inlineStr"><is><t xml:space="preserve">{escaped}</t></is></c>'
        return f"<c><v>{value}</v></c>"

    sheet = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    rel = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    parts = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/'
        'content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-'
        'package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>'
        "</Types>",
        "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
        f'relationships"><Relationship Id="r1" Type="{rel}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {main} xmlns:r="{rel}"><sheets><sheet name="Sales" '
        'sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/'
        f'package/2006/relationships"><Relationship Id="r1" Type="{rel}/worksheet" '
        'Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f"<worksheet {main}><sheetData>{sheet}</sheetData></worksheet>",
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return file.getvalue()


def parquet(rows=ROWS):
    frame = pl.DataFrame(rows[1:], schema=rows[0], orient="row").with_columns(
        pl.col("time").str.to_datetime(),
        pl.col("qty").cast(pl.Int32),
        pl.col("net").cast(pl.Float64),
    )
    file = io.BytesIO()
    frame.write_parquet(file)
    return file.getvalue()


def typed(row):
    return [row[0], row[1], row[2], row[3], int(row[4]), float(row[5])]


JSON_LINES = "\n".join(json.dumps(dict(zip(ROWS[0], typed(r), strict=True))) for r in ROWS[1:])


def zipped(content, name="s.csv", more=()):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for other in ("folder/", "__MACOSX/._s.csv", *more):
            archive.writestr(other, b"")
        archive.writestr(f"folder/{name}", content)
    return file.getvalue()


MAKES = {
    "comma": ("s.csv", as_csv().encode(), ""),
    "semicolon": ("s.csv", as_csv(";").encode(), ""),
    "tab": ("s.tsv", as_csv("\t").encode(), ""),
    "pipe-named": ("s.txt", as_csv("|").encode(), 'delimiter: "|"\n'),
    "byte-order-mark": ("s.csv", as_csv().encode("utf-8-sig"), ""),
    "cp1252": ("s.csv", as_csv().encode("cp1252"), "encoding: cp1252\n"),
    "utf-16": ("s.csv", as_csv().encode("utf-16"), ""),
    "gzip": ("s.csv.gz", gzip.compress(as_csv().encode()), ""),
    "zip": ("export.zip", zipped(as_csv().encode()), ""),
    "zip-utf-16": ("EXPORT.ZIP", zipped(as_csv(";").encode("utf-16"), "S.TXT"), ""),
    "zip-parquet": ("s.zip", zipped(parquet(), "s.parquet"), ""),
    "gzip-utf-16": ("s.csv.gz", gzip.compress(as_csv(";").encode("utf-16")), ""),
    "json-lines": ("s.jsonl", JSON_LINES.encode(), ""),
    "json-lines-gzip": ("s.ndjson.gz", gzip.compress(JSON_LINES.encode()), ""),
    "parquet": ("s.parquet", parquet(), ""),
    "xlsx": ("s.xlsx", workbook([ROWS[0], *map(typed, ROWS[1:])]), ""),
}


@pytest.mark.parametrize("make", MAKES)
def test_every_make_of_file_gives_the_same_tickets_and_lines(tmp_path, make):
    name, content, settings = MAKES[make]
    workspace = make_home(tmp_path, settings + MAPPING)
    report = load(workspace, content, name)
    assert (report.rows_in, report.rows_loaded, report.failed) == (3, 3, {})
    assert [
        (t["ticket_id"], t["net"], t["units"], t["line_count"]) for t in tickets(workspace)
    ] == [
        ("A1", Decimal("19.8400"), 3, 2),
        ("A2", Decimal("3.2000"), 1, 1),
    ]
    assert [line["sku"] for line in lines(workspace)] == ["tea", 'cup; "blue"\nlarge', "café"]


def test_a_decimal_comma_and_grouped_thousands_are_read_as_they_are_meant(tmp_path):
    workspace = make_home(tmp_path, 'decimal: ","\nthousands: "."\n' + MAPPING)
    rows = [ROWS[0], ["0001", "A1", "2026-03-27 10:15:00", "tea", "1", "1.234,50"]]
    load(workspace, as_csv(";", rows).encode())
    assert tickets(workspace)[0]["net"] == Decimal("1234.5000")


@pytest.mark.parametrize(("amount", "meant"), [("1.234,50-", "-1234.5"), ("3-", "-3")])
def test_a_minus_that_stands_last_is_a_minus(tmp_path, amount, meant):
    workspace = make_home(tmp_path, 'decimal: ","\nthousands: "."\n' + MAPPING)
    rows = [ROWS[0], ["0001", "A1", "2026-03-27 10:15:00", "tea", "1-", amount]]
    load(workspace, as_csv(";", rows).encode())
    (line,) = lines(workspace)
    assert (line["net"], line["quantity"]) == (Decimal(meant), -1)


@pytest.mark.parametrize("amount", ["12.50", "1.23,4", "1.2345,6", "1.23,4-"])
def test_a_point_that_groups_no_thousands_is_refused_and_never_taken_out(tmp_path, amount):
    workspace = make_home(tmp_path, 'decimal: ","\nthousands: "."\n' + MAPPING)
    rows = [ROWS[0], ["0001", "A1", "2026-03-27 10:15:00", "tea", "1", amount]]
    report = load(workspace, as_csv(";", rows).encode())
    assert (report.rows_loaded, report.codes["E_MONEY_TYPE"]) == (0, 1)


@pytest.mark.parametrize(
    ("amount", "exact"),
    [
        ("0.1", "0.1000"),
        ("-3", "-3.0000"),
        ("999999999.9999", "999999999.9999"),
        ("99999999999.9999", "99999999999.9999"),
        ("12345678901.23", "12345678901.2300"),
        ("0.30000000000000004", "0.3000"),
    ],
)
def test_money_is_exact_to_the_last_of_its_digits(tmp_path, amount, exact):
    workspace = make_home(tmp_path)
    load(workspace, f"0001,A1,2026-03-27 10:15:00,tea,1,{amount}\n")
    assert lines(workspace)[0]["net"] == Decimal(exact)


@pytest.mark.parametrize(
    "amount",
    [
        "1,5",
        "n/a",
        "100000000000",
        "99999999999999.9999",
        "1.23456",
        "1.00000001",
        "123456789012345",
        "NaN",
        "inf",
        "1 5",
        "-5-",
        "5--",
        "-",
    ],
)
def test_what_is_no_amount_is_refused_with_its_cells(tmp_path, amount):
    workspace = make_home(tmp_path)
    report = load(workspace, f'0001,A1,2026-03-27 10:15:00,tea,1,"{amount}"\n')
    assert (report.rows_loaded, report.codes["E_MONEY_TYPE"]) == (0, 1)
    (row,) = workspace.store.ledger.rows(select(QUARANTINE))
    assert json.loads(row["raw_value"])["net"] == amount
    assert (row["row_number"], row["source"]) == (0, "tickets:till")


def test_an_amount_that_was_not_sent_is_null_and_never_zero(tmp_path):
    workspace = make_home(tmp_path)
    load(workspace, "0001,A1,2026-03-27 10:15:00,tea,,\n0001,A1,2026-03-27 10:15:00,cup,1,2\n")
    (ticket,) = tickets(workspace)
    (hour,) = hours(workspace).values()
    assert (ticket["net"], ticket["units"]) == (None, None)
    assert (hour["num_tickets"], hour["net_sales"], hour["units"]) == (1, None, None)


def test_a_row_with_another_number_of_fields_takes_the_tickets_beside_it(tmp_path):
    workspace = make_home(tmp_path)
    report = load(
        workspace,
        "0001,A1,2026-03-27 10:00:00,tea,1,1\n"
        "0001,A2,2026-03-27 10:01:00,tea,1,1\n"
        "0001,A3,2026-03-27 10:02:00\n"
        "0001,A4,2026-03-27 10:03:00,tea,1,1\n"
        "0001,A5,2026-03-27 10:04:00,tea,1,1,7\n"
        "\n"
        "0001,A6,2026-03-27 10:05:00,tea,1,1\n"
        "0001,A7,2026-03-27 10:06:00,tea,1,1\n",
    )
    assert [t["ticket_id"] for t in tickets(workspace)] == ["A1", "A7"]
    assert report.codes == {"E_ROW_FIELDS": 2, "E_TICKET_INCOMPLETE": 3}
    assert balanced(report)
    rows = workspace.store.ledger.rows(select(QUARANTINE).order_by(QUARANTINE.c.row_number))
    assert [(row["row_number"], row["raw_value"] is None) for row in rows] == [
        *((1, False), (2, True), (3, False), (4, True), (5, False))
    ]


def test_a_broken_json_line_is_set_aside_alone_with_those_beside_it(tmp_path):
    workspace = make_home(
        tmp_path,
        MAPPING.replace("line", "ticket")
        .replace("  sku: sku\n", "")
        .replace("  quantity: qty\n", "  units: qty\n"),
    )
    good = '{"store": "0001", "no": %d, "time": "2026-03-27 10:00:00", "qty": 1, "net": 1}'
    report = load(workspace, f"{good % 1}\n{{oops\n[1]\n{good % 2}".encode(), "s.jsonl")
    assert [t["ticket_id"] for t in tickets(workspace)] == ["1", "2"]
    assert report.codes == {"E_ROW_TYPE": 2}


WHOLE_FILES = {
    "E_FILE_TYPE": ("s.pdf", b"%PDF", ""),
    "E_FILE_EMPTY": ("s.csv", b"", ""),
    "E_FILE_ENCODING": ("s.csv", as_csv().encode("cp1252"), ""),
    "E_FILE_UNREADABLE": ("s.csv.gz", gzip.compress(as_csv().encode())[:-12], ""),
    "E_MAPPING_COLUMN": ("s.csv", b"a,b\n1,2\n", ""),
}


@pytest.mark.parametrize("code", WHOLE_FILES)
def test_a_file_that_cannot_be_read_is_set_aside_whole_and_says_why(tmp_path, code):
    name, content, settings = WHOLE_FILES[code]
    workspace = make_home(tmp_path, settings + MAPPING)
    report = load(workspace, content, name)
    assert report.codes == {code: 1}
    assert code in report.failed[f"till/{name}"]
    assert tickets(workspace) == []
    (row,) = workspace.store.ledger.rows(select(QUARANTINE))
    assert (row["code"], row["row_number"]) == (code, -1)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (zipped(as_csv().encode(), more=["t.csv"]), "2 files"),
        (zipped(as_csv().encode() * 90)[:-200], "not a zip file"),
        (gzip.compress(as_csv().encode()), "not a zip file"),
    ],
    ids=["two-members", "cut-off", "gzip"],
)
def test_an_archive_without_one_whole_file_is_set_aside_whole(tmp_path, content, says):
    workspace = make_home(tmp_path)
    report = load(workspace, content, "s.zip")
    assert report.codes == {"E_FILE_UNREADABLE": 1}
    assert says in report.failed["till/s.zip"]


@pytest.mark.parametrize(("name", "pack"), [("s.zip", zipped), ("s.csv.gz", gzip.compress)])
def test_a_packed_file_that_was_changed_on_its_way_is_set_aside_whole(tmp_path, name, pack):
    workspace = make_home(tmp_path)
    rows = "".join(f"0001,A{n},2026-03-27 10:00:00,tea,1,{n}\n" for n in range(9999))
    content = bytearray(pack((HEADER + rows).encode()))
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(40)
    assert load(workspace, bytes(content), name).codes == {"E_FILE_UNREADABLE": 1}


@pytest.mark.parametrize("name", ["s.parquet", "s.xlsx"])
def test_rubbish_in_a_binary_format_is_set_aside_whole(tmp_path, name):
    workspace = make_home(tmp_path)
    assert load(workspace, b"rubbish", name).codes == {"E_FILE_UNREADABLE": 1}


def test_a_file_with_a_header_only_is_read_and_holds_nothing(tmp_path):
    workspace = make_home(tmp_path)
    report = load(workspace, "")
    assert (report.file_count, report.rows_in, report.failed) == (1, 0, {})


def test_a_till_number_that_begins_again_is_made_unique_from_several_columns(tmp_path):
    workspace = make_home(tmp_path, MAPPING.replace("ticket_id: no", "ticket_id: [sku, no]"))
    load(
        workspace,
        "0001,1,2026-03-27 10:00:00,T1,1,1\n0001,1,2026-03-27 10:00:00,T2,1,1\n"
        "0001,1,2026-03-27 10:00:00,,1,1\n",
    )
    assert [t["ticket_id"] for t in tickets(workspace)] == ["T1-1", "T2-1"]


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-03-27 10:15:00", "2026-03-27 09:15:00"),
        ("2026-03-27T10:15", "2026-03-27 09:15:00"),
        ("2026-03-27T10:15:00.250", "2026-03-27 09:15:00.250"),
        ("2026-03-27T10:15:00+05:45", "2026-03-27 04:30:00"),
        ("2026-03-27T10:15:00-0300", "2026-03-27 13:15:00"),
        ("2026-03-27T10:15:00Z", "2026-03-27 10:15:00"),
    ],
)
def test_a_time_is_an_instant_by_its_offset_or_else_by_the_zone_of_the_site(tmp_path, text, utc):
    workspace = make_home(tmp_path)
    load(workspace, f"0001,A1,{text},tea,1,1\n")
    assert tickets(workspace)[0]["at_utc"].replace(tzinfo=None) == datetime.fromisoformat(utc)


def test_a_time_without_offset_is_refused_where_the_mapping_names_no_zone(tmp_path):
    workspace = make_home(tmp_path, MAPPING.replace(", zone: site", ""))
    report = load(
        workspace,
        "0001,A1,2026-03-27 10:15:00,tea,1,1\n0001,A2,2026-03-27T10:15:00Z,tea,1,1\n",
    )
    assert [t["ticket_id"] for t in tickets(workspace)] == ["A2"]
    assert report.codes == {"E_NAIVE_TIME": 1}


def test_a_format_is_followed_where_iso_would_read_another_day(tmp_path):
    mapping = MAPPING.replace("column: time", 'column: time, format: "%d/%m/%Y %H:%M"')
    workspace = make_home(tmp_path, mapping)
    report = load(workspace, "0001,A1,04/03/2026 10:15,tea,1,1\n0001,A2,13/13/2026 10:15,tea,1,1\n")
    assert tickets(workspace)[0]["at_utc"].isoformat() == "2026-03-04T09:15:00+00:00"
    assert report.codes == {"E_BAD_TIME": 1}


def test_times_of_a_night_of_clock_changes_follow_the_stated_rule(tmp_path):
    rows = "0001,gap,2026-03-29 02:30:00,tea,1,1\n0001,fold,2025-10-26 02:30:00,tea,1,1\n"
    wanted = {
        ("earlier", "shift"): {"gap": "2026-03-29T01:30", "fold": "2025-10-26T00:30"},
        ("later", "refuse"): {"fold": "2025-10-26T01:30"},
        ("refuse", "shift"): {"gap": "2026-03-29T01:30"},
    }
    for (fold, gap), instants in wanted.items():
        workspace = make_home(tmp_path / f"{fold}-{gap}", f"fold: {fold}\ngap: {gap}\n" + MAPPING)
        report = load(workspace, rows)
        found = {t["ticket_id"]: t["at_utc"].isoformat()[:16] for t in tickets(workspace)}
        assert found == instants
        assert report.rows_quarantined == 2 - len(instants)


def test_header_and_separator_do_not_depend_on_the_size_of_the_pieces(tmp_path, monkeypatch):
    from ksi_pipeline.connectors.ticket_files import text

    rows = "".join(
        f"0001,A{n // 3},2026-03-27 {10 + n // 240:02}:00:00,tea,1,{'x' if n == 50 else n}\n"
        for n in range(600)
    )
    broken = rows.replace("0001,A120,", "0001,A120,,", 1)
    whole = make_home(tmp_path / "whole")
    load(whole, broken)
    monkeypatch.setattr(text, "BLOCK_BYTES", 400)
    cut = make_home(tmp_path / "cut")
    load(cut, broken)

    def told(workspace):
        keep = ("ticket_id", "net", "line_count", "row_number")
        return [[t[k] for k in keep] for t in tickets(workspace)], [
            (r["code"], r["row_number"], r["raw_value"])
            for r in workspace.store.ledger.rows(
                select(QUARANTINE).order_by(QUARANTINE.c.row_number)
            )
        ]

    assert told(cut) == told(whole)
    assert len(tickets(cut)) == 200 - 3
    assert HEADER.startswith("store")
