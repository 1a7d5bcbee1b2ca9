"""Plain rows read as columns: exactly what the row-wise rules give, for whatever bytes."""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.hour_grid import hour_grid, whole_hours
from ksi_pipeline.core.instants import to_us
from ksi_pipeline.core.ticket_scan import sent_rows
from ksi_pipeline.core.tickets import Fetch, parse_hourly_answer
from ksi_pipeline.core.time import Window

HOUR = timedelta(hours=1)
WINDOWS = {
    # four quiet hours, the night of 25 hours, the day of 23, quarter-hour zone, half-hour change
    "America/Santiago": (datetime(2023, 2, 8, 12, tzinfo=UTC), 4),
    "Europe/Madrid": (datetime(2026, 10, 24, 22, tzinfo=UTC), 25),
    "Europe/Berlin": (datetime(2026, 3, 28, 23, tzinfo=UTC), 23),
    "Asia/Kathmandu": (datetime(2026, 3, 2, 3, 15, tzinfo=UTC), 5),
    "Australia/Lord_Howe": (datetime(2026, 4, 4, 13, tzinfo=UTC), 8),
}


def a_fetch(zone: str = "America/Santiago", asked=("0001", "0002")) -> Fetch:
    start, hours = WINDOWS[zone]
    return Fetch(
        connector_id="pos-main",
        raw_sha256="ab" * 32,
        fetched_at_utc=start + 100 * HOUR,
        window=Window(start, start + hours * HOUR),
        zone=ZoneInfo(zone),
        asked_codes=asked,
    )


def said(body: bytes, fetch: Fetch, *, is_small: bool) -> object:
    """Everything that reading a body says, as plain values."""
    known = {"0001", "0002", "0003"}
    try:
        answer = parse_hourly_answer(body, fetch, known_codes=known, is_small=is_small)
    except ContractError as error:
        return error.code, str(error)
    assert answer.rows.schema.names == list(answer.rows.to_pydict())
    answer.rows.validate(full=True)
    return (
        answer.rows.to_pylist(),
        answer.rejected,
        answer.refused_hours,
        answer.unmatched_count,
        answer.extra_fields,
    )


def both_ways(body: bytes, fetch: Fetch | None = None) -> object:
    fetch = fetch or a_fetch()
    columns, by_row = (said(body, fetch, is_small=small) for small in (False, True))
    assert columns == by_row
    return columns


@cache
def written_times(zone: str) -> list[str]:
    start, hours = WINDOWS[zone]
    local = [(start + n * HOUR).astimezone(ZoneInfo(zone)) for n in range(-1, hours + 1)]
    plain = [at.isoformat() for at in local]
    zulu = [(start + n * HOUR).isoformat().replace("+00:00", "Z") for n in range(hours)]
    odd = [f"{at:%Y-%m-%dT%H:%M:%S}.000{at:%z}" for at in local[:2]] + [
        f"{local[1]:%Y-%m-%d %H:%M:%S}+0000",
        f"{local[1]:%Y-%m-%d %H:%M:%S}-00:00",
        f"{local[1]:%Y-%m-%dT%H:%M:%S}.000Z",
        f"{local[1]:%Y-%m-%dT%H:%M:%S}.0001Z",
        f"{local[1]:%Y-%m-%dT%H:%M:%S}.000001Z",
        f"{local[1]:%Y-%m-%dT%H:15:%S}Z",
        f"{local[1]:%Y-%m-%dT%H:%M:%S}",
        f"{local[1]:%Y-%m-%dT%H:%M:%S}+24:00",
        f"{local[1]:%Y-%m-%dT24:%M:%S}Z",
        f"{local[1]:%Y-%m-%d}",
        f"{local[1]:%Y-02-30T%H:%M:%S}Z",
        f"{local[1]:1900-02-29T%H:%M:%S}Z",
        "2000-02-29T00:00:00Z",
        "9999-12-31T23:00:00-14:00",
        "0001-01-01T00:00:00+14:00",
        "",
    ]
    return [json.dumps(text) for text in [*plain, *plain, *zulu, *odd]]


CODES = ['"0001"', '"0002"', '"0003"', '"9999"', '"caja ñ"', '"a\\u00f1o"', '"\\ud800"']
CODES += ['""', '" "', '"\u3000"', "1", "null", '["0001"]', '"tab\\tin"']
NUMBERS = [
    "0",
    "7",
    "25",
    "150",
    "-1",
    "-0",
    "25.0",
    "25.5",
    '"25"',
    "1e2",
    "1E400",
    "true",
    "null",
]
NUMBERS += ["9223372036854775807", "9223372036854775808", "99999999999999", "100000000000000"]
NUMBERS += ["[1]", '{"a": 1, "a": 2}', "-3", "00", "1.", ".5", "+1", "NaN", "1" * 5000]
MONEY = ["0", "12", "12.5", "-12.3456", "0.00001", "1.50000", "99999999999999.9999", "-0.0", "1e3"]
MONEY += ["100000000000000", '"12.50"', "null", "true", "-99999999999999.9999", "0.1234"]
OTHERS = {
    "category": ['"shoes"', '"bags"', '"ñ"', '"\\u0062ags"', '" "', "3", "null"],
    "num_returns": NUMBERS,
    "gross_sales": MONEY,
    "returns_amount": MONEY,
    "net_sales": MONEY,
    "units": NUMBERS,
    "currency": ['"EUR"', '"CLP"', '"eur"', '"EU"', "null", '"ÑUR"', "1"],
    "tax_included": ["true", "false", "null", "1", '"yes"', "truely"],
    "till": ["3", '"x"', "null", "[1, {}]", "-1.5", '"a\\"b"', "1e5", "tru"],
    "extra ñ": ["3"],
    "t\\u0069me": ['"again"', "3"],
    "num_tickets": ["3"],
}
SPACES = ["", "", " ", "\n  ", "\t", "\u00a0"]


def a_row(dice: Random, zone: str) -> str:
    fields = [
        ("time", dice.choice(written_times(zone))),
        ("ext_ref_code", dice.choice(CODES[:3] * 6 + CODES)),
        ("num_tickets", dice.choice(NUMBERS[:4] * 8 + NUMBERS)),
    ]
    for name in dice.choices(list(OTHERS), k=dice.randint(0, 4)):
        fields.append((name, dice.choice(OTHERS[name])))
    if dice.random() < 0.1:
        fields.pop(dice.randrange(len(fields)))
    if dice.random() < 0.5:
        dice.shuffle(fields)
    space = dice.choice(SPACES) if dice.random() < 0.25 else ""
    inside = f",{space}".join(f'{space}"{name}":{space}{value}' for name, value in fields)
    return f"{{{inside}{space}}}"


JUNK = [
    "7",
    "null",
    '"text"',
    "[]",
    "{}",
    "[1, [2]]",
    '{"a": {"b": "]}"}}',
    "{]",
    "{",
    '"',
    "x",
    "",
]


def a_body(dice: Random) -> tuple[bytes, Fetch]:
    zone = dice.choice(list(WINDOWS))
    rows = [a_row(dice, zone) for _ in range(dice.randint(0, 10))]
    if dice.random() < 0.2:
        rows.insert(dice.randint(0, len(rows)), dice.choice(JUNK))
    gap = dice.choice([",", ", ", ",\n", " ,"])
    body = f"[{gap.join(rows)}]".encode()
    spoilt = dice.randint(0, 11)
    if spoilt == 0:
        body = body[: dice.randint(0, len(body))]
    elif spoilt == 1:
        place = dice.randrange(len(body))
        body = body[:place] + dice.randbytes(1) + body[place + 1 :]
    elif spoilt == 2:
        body = dice.choice([b"\xef\xbb\xbf", b" \n", b"\xff"]) + body
    elif spoilt == 3:
        body += dice.choice([b" ", b"]", b",", b"\x00", b"1"])
    asked = dice.choice([("0001", "0002"), ("0001",), ()])
    return body, a_fetch(zone, asked)


# One draw for a whole body: to draw each field takes most of the time.
DICE = st.integers(0, 2**64 - 1).map(Random)


@given(DICE)
@settings(max_examples=1500, deadline=None)
def test_whatever_an_answer_holds_columns_and_rows_say_the_same(dice):
    both_ways(*a_body(dice))


@given(st.binary(max_size=80))
@settings(deadline=None)
def test_any_bytes_are_judged_the_same(body):
    both_ways(b"[" + body)
    both_ways(body)


def plain(hour: int = 9, code: str = "0001", **more) -> dict:
    time = f"2023-02-08T{hour:02d}:00:00-03:00"
    return {"time": time, "ext_ref_code": code, "num_tickets": 25, **more}


def others_in(body: bytes) -> list[int]:
    return [number for number, _, _ in sent_rows(body, "Test", is_small=False).others]


def test_rows_of_the_contract_need_no_verdict_and_odd_ones_do():
    money = {"net_sales": 12.5, "currency": "EUR", "tax_included": True, "till": "3"}
    rows = [plain(), plain(10, num_tickets="25"), plain(11, **money), 7, plain(12, till={})]
    assert others_in(json.dumps(rows).encode()) == [1, 3, 4]


def test_an_answer_of_many_rows_and_one_bad_one_says_what_row_by_row_says():
    rows = [plain(9 + n % 4, f"{10 + n // 4:04d}", category="a") for n in range(4000)]
    rows[2001]["num_tickets"] = -1
    rows[3000] = rows[2999]
    _, rejected, *_ = both_ways(json.dumps(rows).encode())
    assert {row.row_number for row in rejected if row.code != "E_UNKNOWN_CODE"} == {
        2001,
        2999,
        3000,
    }


def test_more_names_outside_the_contract_than_the_scan_follows_are_all_named():
    rows = [plain(9 + n % 4, **{f"field {n}-{k}": k for k in range(30)}) for n in range(4)]
    *_, names = both_ways(json.dumps(rows).encode())
    assert len(names) == 120


def test_more_elements_that_are_no_objects_than_expected_are_all_refused():
    _, rejected, *_ = both_ways(b"[" + b"1," * 3000 + b"2]")
    assert len(rejected) == 3001


@pytest.mark.parametrize("zone", list(WINDOWS))
@pytest.mark.parametrize("shift", [timedelta(0), timedelta(minutes=10)])
def test_the_grid_of_a_window_is_its_whole_local_hours(zone, shift):
    start, hours = WINDOWS[zone]
    window = Window(start + shift, start + hours * HOUR)
    expected = whole_hours(window, ZoneInfo(zone)).values()
    grid = hour_grid(window, ZoneInfo(zone))
    assert grid.starts.tolist() == [to_us(hour.start_utc) for hour in expected]
    assert grid.firsts.tolist() == [to_us(hour.from_utc) for hour in expected]
    assert grid.ends.tolist() == [to_us(hour.end_utc) for hour in expected]
    assert grid.offsets_s.tolist() == [hour.utc_offset_s for hour in expected]


def test_an_instant_that_begins_no_hour_has_no_place_in_the_grid():
    start, _ = WINDOWS["Asia/Kathmandu"]
    grid = hour_grid(Window(start, start + 2 * HOUR), ZoneInfo("Asia/Kathmandu"))
    asked = [to_us(at) for at in (start + HOUR, start, start + HOUR / 4, start + 2 * HOUR)]
    assert grid.places_of(np.array(asked)).tolist() == [1, 0, -1, -1]
