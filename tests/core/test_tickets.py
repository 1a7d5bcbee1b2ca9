"""Reading an hourly answer: strict, nothing lost, nothing guessed."""

import contextlib
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.schemas import TICKET_HOURS
from ksi_pipeline.core.tickets import Fetch, ParsedAnswer, parse_hourly_answer
from ksi_pipeline.core.time import Window

SANTIAGO = ZoneInfo("America/Santiago")
NINE = datetime(2023, 2, 8, 12, tzinfo=UTC)  # 09:00-03:00
HOUR = timedelta(hours=1)


def a_fetch(**changes) -> Fetch:
    usual = {
        "connector_id": "pos-main",
        "raw_sha256": "ab" * 32,
        "fetched_at_utc": datetime(2023, 2, 9, 6, tzinfo=UTC),
        "window": Window(NINE, NINE + 4 * HOUR),
        "zone": SANTIAGO,
        "asked_codes": ("0001", "0002"),
    }
    return Fetch(**{**usual, **changes})


def a_row(hour: int = 9, code: object = "0001", num_tickets: object = 25, **more) -> dict:
    time = f"2023-02-08T{hour:02d}:00:00-03:00"
    return {"time": time, "ext_ref_code": code, "num_tickets": num_tickets, **more}


def parse(*rows: object, known=("0001", "0002"), **changes) -> ParsedAnswer:
    return parse_hourly_answer(
        json.dumps(rows).encode(), a_fetch(**changes), known_codes=set(known)
    )


def codes_of(answer: ParsedAnswer) -> list[str]:
    return [row.code for row in answer.rejected]


def hours_left_open(answer: ParsedAnswer) -> dict:
    return {
        (code, start.astimezone(answer.fetch.zone).hour): reason
        for (code, start), reason in answer.refused_hours.items()
    }


def test_the_contracts_example_gives_four_rows_and_435_tickets():
    answer = parse(
        a_row(9, "0001", 25), a_row(10, "0001", 30), a_row(9, "0002", 150), a_row(10, "0002", 230)
    )
    assert answer.rows.schema == TICKET_HOURS
    assert sum(answer.rows["num_tickets"].to_pylist()) == 435
    assert answer.rows["hour_start_utc"].to_pylist() == [NINE, NINE + HOUR] * 2
    assert set(answer.rows["utc_offset_s"].to_pylist()) == {-3 * 3600}
    assert answer.rows["row_number"].to_pylist() == [0, 1, 2, 3]
    assert (answer.rejected, answer.refused_hours, answer.unmatched_count) == ((), {}, 0)


def test_an_empty_list_is_an_answer():
    answer = parse()
    assert (answer.rows.num_rows, answer.rejected) == (0, ())
    assert answer.rows.schema == TICKET_HOURS


def test_a_byte_order_mark_is_borne():
    body = b"\xef\xbb\xbf" + json.dumps([a_row()]).encode()
    assert parse_hourly_answer(body, a_fetch(), known_codes={"0001"}).rows.num_rows == 1


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"<html><body>Sign in</body></html>", id="html"),
        pytest.param(b"", id="empty"),
        pytest.param(b'[{"time": ', id="cut"),
        pytest.param(b"[1] [2]", id="two-lists"),
        pytest.param(b"[1,]", id="comma-at-the-end"),
        pytest.param(b"[1", id="not-closed"),
        pytest.param(b"[NaN]", id="nan"),
        pytest.param('[{"ext_ref_code": "ñ"}]'.encode("latin-1"), id="not-utf-8"),
        pytest.param(b"[" * 100_000, id="endless-nesting"),
    ],
)
def test_what_is_no_json_is_refused_whole_and_quoted(body):
    with pytest.raises(ContractError) as refused:
        parse_hourly_answer(body, a_fetch(), known_codes=set())
    assert refused.value.code == "E_NOT_JSON"
    assert "'pos-main'" in str(refused.value)
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize("body", [b'{"data": []}', b" null", b'"[]"', b"3", b'{"a":1,"a":2}'])
def test_what_is_no_list_is_refused_whole(body):
    with pytest.raises(ContractError) as refused:
        parse_hourly_answer(body, a_fetch(), known_codes=set())
    assert refused.value.code == "E_NOT_LIST"


BAD_ROWS = [
    ("E_ROW_TYPE", 7),
    ("E_ROW_TYPE", [1]),
    ("E_ROW_TYPE", None),
    ("E_FIELD_MISSING", {"time": "2023-02-08T09:00:00-03:00", "ext_ref_code": "0001"}),
    ("E_FIELD_MISSING", {"ext_ref_code": "0001", "num_tickets": 1}),
    ("E_NUM_TICKETS_TYPE", a_row(num_tickets="25")),
    ("E_NUM_TICKETS_TYPE", a_row(num_tickets=25.5)),
    ("E_NUM_TICKETS_TYPE", a_row(num_tickets=25.0)),
    ("E_NUM_TICKETS_TYPE", a_row(num_tickets=True)),
    ("E_NUM_TICKETS_TYPE", a_row(num_tickets=None)),
    ("E_NUM_TICKETS_TYPE", a_row(num_tickets=2**63)),
    ("E_NUM_TICKETS_NEGATIVE", a_row(num_tickets=-1)),
    ("E_CODE_TYPE", a_row(code=1)),
    ("E_CODE_TYPE", a_row(code="")),
    ("E_CODE_TYPE", a_row(code="\ud800")),
    ("E_BAD_TIME", a_row() | {"time": "nine o'clock"}),
    ("E_BAD_TIME", a_row() | {"time": 1675857600}),
    ("E_BAD_TIME", a_row() | {"time": None}),
    ("E_NAIVE_TIME", a_row() | {"time": "2023-02-08T09:00:00"}),
    ("E_NAIVE_TIME", a_row() | {"time": "2023-02-08"}),
    ("E_NOT_HOUR_START", a_row() | {"time": "2023-02-08T10:15:00-03:00"}),
    ("E_NOT_HOUR_START", a_row() | {"time": "2023-02-08T09:00:00.000001-03:00"}),
    ("E_OUTSIDE_WINDOW", a_row(8)),
    ("E_OUTSIDE_WINDOW", a_row(13)),
    ("E_OUTSIDE_WINDOW", a_row() | {"time": "0001-01-01T00:00:00+14:00"}),
    ("E_OUTSIDE_WINDOW", a_row() | {"time": "9999-12-31T23:00:00-14:00"}),
    ("E_V2_TYPE", a_row(category=3)),
    ("E_V2_TYPE", a_row(num_returns=-1)),
    ("E_V2_TYPE", a_row(units=1.5)),
    ("E_V2_TYPE", a_row(currency="eur")),
    ("E_V2_TYPE", a_row(tax_included="yes")),
    ("E_MONEY_TYPE", a_row(net_sales="12.50")),
    ("E_MONEY_TYPE", a_row(net_sales=True)),
    ("E_MONEY_TYPE", a_row(gross_sales=0.00001)),
    ("E_MONEY_TYPE", a_row(returns_amount=1e15)),
]


@pytest.mark.parametrize(("code", "bad"), BAD_ROWS, ids=lambda value: str(value)[:60])
def test_a_bad_row_is_refused_with_its_code_and_the_others_load(code, bad):
    answer = parse(a_row(9, "0002", 150), bad, a_row(12, "0002", 230))
    assert answer.rows["num_tickets"].to_pylist() == [150, 230]
    (rejected,) = answer.rejected
    assert (rejected.code, rejected.row_number) == (code, 1)
    assert rejected.raw_value == json.dumps(bad)
    assert "row 1" in rejected.message
    assert "'pos-main'" in rejected.message


@pytest.mark.parametrize("number", ["1e400", "1e99999999999999999999", "-1e400"])
def test_a_number_beyond_any_type_spoils_only_its_row(number):
    body = json.dumps([a_row(), a_row(10, net_sales=0)]).replace(
        '"net_sales": 0', f'"net_sales": {number}'
    )
    answer = parse_hourly_answer(body.encode(), a_fetch(), known_codes={"0001"})
    assert codes_of(answer) == ["E_MONEY_TYPE"]
    assert answer.rows.num_rows == 1


def test_a_row_that_names_a_field_twice_is_refused():
    body = json.dumps([a_row(units=1)]).replace("units", "num_tickets").encode()
    assert codes_of(parse_hourly_answer(body, a_fetch(), known_codes={"0001"})) == ["E_ROW_TYPE"]


def test_two_rows_for_one_hour_are_both_refused_even_when_one_is_bad_or_both_agree():
    assert codes_of(parse(a_row(9), a_row(9, num_tickets=26))) == ["E_DUP_HOUR"] * 2
    assert codes_of(parse(a_row(9), a_row(9))) == ["E_DUP_HOUR"] * 2
    assert codes_of(parse(a_row(9), a_row(9, num_tickets="26"))) == [
        "E_DUP_HOUR",
        "E_NUM_TICKETS_TYPE",
    ]


def test_the_same_instant_in_another_offset_is_the_same_hour():
    zulu = a_row(9) | {"time": "2023-02-08T12:00:00Z"}
    assert parse(zulu).rows["hour_start_utc"].to_pylist() == [NINE]
    assert codes_of(parse(a_row(9), zulu)) == ["E_DUP_HOUR"] * 2


def test_categories_of_one_hour_are_several_rows_of_one_set():
    answer = parse(a_row(9, category="shoes"), a_row(9, category="bags"), a_row(9))
    assert answer.rows["category"].to_pylist() == ["shoes", "bags", None]


def test_a_refused_row_takes_the_rest_of_its_hour_with_it():
    answer = parse(a_row(9, category="shoes"), a_row(9, num_tickets=-1, category="bags"))
    assert codes_of(answer) == ["E_HOUR_INCOMPLETE", "E_NUM_TICKETS_NEGATIVE"]
    half_hours = parse(a_row(10), a_row(10) | {"time": "2023-02-08T10:30:00-03:00"})
    assert codes_of(half_hours) == ["E_HOUR_INCOMPLETE", "E_NOT_HOUR_START"]


def test_a_refused_row_leaves_its_own_hour_open():
    assert hours_left_open(parse(a_row(10, num_tickets=-1))) == {
        ("0001", 10): "E_NUM_TICKETS_NEGATIVE"
    }


def test_a_row_without_a_readable_time_leaves_every_hour_of_its_code_open_that_has_no_row():
    answer = parse(a_row(9), a_row() | {"time": "2023-02-08T10:00:00"})
    assert set(hours_left_open(answer)) == {("0001", 10), ("0001", 11), ("0001", 12)}


def test_a_row_without_a_readable_code_leaves_its_hour_open_for_every_code_without_a_row():
    answer = parse(a_row(9, "0001"), a_row(9, 2))
    assert hours_left_open(answer) == {("0002", 9): "E_CODE_TYPE"}


def test_a_row_outside_the_window_leaves_nothing_open():
    assert parse(a_row(8)).refused_hours == {}


def test_an_unknown_code_is_kept_as_unmatched_and_reported_with_what_to_do():
    answer = parse(a_row(9, "B-017", 3), a_row(10, "B-017", 4), a_row(9, "0001", 25))
    assert answer.rows["ext_ref_code"].to_pylist() == ["B-017", "B-017", "0001"]
    assert answer.unmatched_count == 2
    assert codes_of(answer) == ["E_UNKNOWN_CODE"] * 2
    assert "2 of 3 rows carry ext_ref_code 'B-017'" in answer.rejected[0].message
    assert "links:" in answer.rejected[0].message


def test_a_code_without_its_leading_zeros_is_another_code():
    assert codes_of(parse(a_row(9, "1"))) == ["E_UNKNOWN_CODE"]


@pytest.mark.parametrize("is_small", [True, False])
def test_a_code_that_was_not_asked_for_is_left_to_the_request_it_had_before(is_small):
    fetch = a_fetch(asked_codes=("0001",))
    answer = parse_hourly_answer(
        json.dumps([a_row(9, "0002"), a_row(10, "0002")]).encode(),
        fetch,
        known_codes={"0001", "0002"},
        asked_before=lambda: {"0002": [Window(NINE, NINE + HOUR)]},
        is_small=is_small,
    )
    assert [(row.row_number, row.code) for row in answer.rejected] == [(0, "E_NOT_ASKED")]
    assert answer.rows["row_number"].to_pylist() == [1]
    assert answer.refused_hours == {}


def test_whether_a_code_is_linked_does_not_decide_what_is_loaded():
    rows = [
        parse(a_row(9, "0002"), known=known, asked_codes=("0001",)).rows
        for known in (["0001"], ["0001", "0002"])
    ]
    assert rows[0].num_rows == 1
    assert rows[0].equals(rows[1])


def test_money_is_read_from_the_text_and_never_as_a_float():
    body = json.dumps([a_row(net_sales=0, gross_sales=12)]).replace(
        '"net_sales": 0', '"net_sales": 99999999999999.9999'
    )
    (row,) = parse_hourly_answer(body.encode(), a_fetch(), known_codes={"0001"}).rows.to_pylist()
    assert row["net_sales"] == Decimal("99999999999999.9999")
    assert row["gross_sales"] == Decimal("12.0000")
    assert row["returns_amount"] is None


def test_all_v2_fields_are_read_and_null_means_not_sent():
    more = {
        "category": "shoes",
        "num_returns": 2,
        "gross_sales": 100.5,
        "returns_amount": 20.25,
        "net_sales": -80.25,
        "units": -3,
        "currency": "EUR",
        "tax_included": True,
    }
    (row,) = parse(a_row(**more)).rows.to_pylist()
    assert {name: row[name] for name in more} == more
    nothing = parse(a_row(**dict.fromkeys(more)))
    assert nothing.rejected == ()
    assert {nothing.rows[name][0].as_py() for name in more} == {None}


def test_unknown_fields_are_named_and_do_no_harm():
    answer = parse(a_row(till="3", support="x"), a_row(10, colour=1))
    assert answer.extra_fields == ("colour", "support", "till")
    assert answer.rows.num_rows == 2


@pytest.mark.parametrize(
    "time", ["2026-03-02T09:00:00+05:45", "2026-03-02T03:15:00Z"], ids=["own-offset", "utc"]
)
def test_an_hour_of_kathmandu_starts_at_a_quarter_past_in_utc(time):
    start = datetime(2026, 3, 2, 3, 15, tzinfo=UTC)
    changes = {"zone": ZoneInfo("Asia/Kathmandu"), "window": Window(start, start + HOUR)}
    answer = parse(a_row() | {"time": time}, **changes)
    assert answer.rows["hour_start_utc"].to_pylist() == [start]
    assert answer.rows["utc_offset_s"].to_pylist() == [20_700]
    whole_utc_hour = parse(a_row() | {"time": "2026-03-02T04:00:00Z"}, **changes)
    assert codes_of(whole_utc_hour) == ["E_NOT_HOUR_START"]


def test_the_two_two_o_clocks_of_an_autumn_night_are_two_hours():
    madrid = ZoneInfo("Europe/Madrid")
    midnight = datetime(2026, 10, 24, 22, tzinfo=UTC)
    answer = parse(
        a_row() | {"time": "2026-10-25T02:00:00+02:00", "num_tickets": 5},
        a_row() | {"time": "2026-10-25T02:00:00+01:00", "num_tickets": 7},
        zone=madrid,
        window=Window(midnight, midnight + 25 * HOUR),
    )
    assert answer.rows["num_tickets"].to_pylist() == [5, 7]
    assert answer.rows["utc_offset_s"].to_pylist() == [7200, 3600]


KEY = ("ext_ref_code", "hour_start_utc", "category")
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)
GOOD_ROWS = st.builds(
    a_row,
    st.integers(8, 13),
    st.sampled_from(["0001", "0002", "0003", "9999"]),
    st.integers(0, 500),
)
MUTATED_ROWS = st.builds(
    lambda row, name, value: row | {name: value},
    GOOD_ROWS,
    st.sampled_from(["time", "ext_ref_code", "num_tickets", "category", "net_sales", "units"]),
    JSON_VALUES | st.sampled_from(["2023-02-08T10:00:00-03:00", "2023-02-08T10:15:00-03:00"]),
)


@given(st.lists(GOOD_ROWS | MUTATED_ROWS | JSON_VALUES, max_size=12))
@settings(max_examples=300, deadline=None)
def test_whatever_an_answer_holds_no_row_is_lost_and_none_is_used_twice(rows):
    answer = parse(*rows, known=("0001", "0002", "0003"))
    refused = [row.row_number for row in answer.rejected if row.code != "E_UNKNOWN_CODE"]
    used = answer.rows["row_number"].to_pylist()
    assert sorted(refused + used) == list(range(len(rows)))
    keys = zip(*(answer.rows[name].to_pylist() for name in KEY), strict=True)
    assert len(set(keys)) == len(used)
    for row in answer.rejected:
        assert json.loads(row.raw_value) == rows[row.row_number]


@given(st.binary(max_size=60))
@settings(deadline=None)
def test_any_bytes_are_read_or_refused_as_a_broken_contract(body):
    with contextlib.suppress(ContractError):
        parse_hourly_answer(body, a_fetch(), known_codes=set())
