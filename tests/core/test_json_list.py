"""The quick check of a body says what reading it says."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.json_list import read_list, require_list

ROW = b'{"time": "2026-03-27T10:00:00+01:00", "ext_ref_code": "0001", "num_tickets": 2.50}'
BODIES = {
    "rows": b"[" + ROW + b", " + ROW + b"]",
    "empty": b" [ ]\n",
    "byte order mark": b"\xef\xbb\xbf[]",
    "key twice": b'[{"a": 1, "a": 2}]',
    "huge exponent": b"[1e999999999999999999999]",
    "wrapper": b'{"data": []}',
    "null": b"null",
    "page": b"<html>",
    "nothing": b"",
    "cut": b"[" + ROW,
    "comma": b"[1,]",
    "more behind": b"[] []",
    "NaN": b'[{"a": NaN}]',
    "not UTF-8": b'["\xff"]',
    "deep": b"[" * 100_000,
    "long number": b"[" + b"9" * 5000 + b"]",
}


def outcome(reader, body):
    try:
        reader(body, "the feed")
    except ContractError as error:
        return str(error), error.code
    return None


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_the_check_refuses_what_reading_refuses_in_the_same_words(body):
    assert outcome(require_list, body) == outcome(read_list, body)


def test_both_verdicts_occur():
    assert {outcome(require_list, body) is None for body in BODIES.values()} == {True, False}


@given(
    value=st.lists(st.dictionaries(st.text(max_size=3), st.none() | st.integers() | st.text())),
    cut=st.integers(0, 40),
    put=st.sampled_from([b"", b"]", b",", b"{", b'"', b"NaN", b"\x00", b"-"]),
)
def test_the_check_and_reading_agree_on_damaged_lists(value, cut, put):
    body = json.dumps(value).encode()
    damaged = body[:cut] + put + body[cut:]
    assert outcome(require_list, damaged) == outcome(read_list, damaged)
