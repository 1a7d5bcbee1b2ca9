"""The sandbox's till system is as strict as a real one, and tells what it was asked."""

import http.client
import json
import socket

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ksi_pipeline.core.errors import ConfigError, ContractError
from ksi_pipeline.sandbox.pos_api import Fault, PosApi

TOKEN = "a-token"
ROWS = [
    {"time": f"2026-03-02T{hour:02d}:00:00+01:00", "ext_ref_code": code, "num_tickets": hour}
    for code in ("0001", "0002")
    for hour in (9, 10, 11)
]
FROM, TO = "fromTime=2026-03-02T09:00:00%2B01:00", "toTime=2026-03-02T10:59:59%2B01:00"


def get(api: PosApi, target: str, token: str = TOKEN) -> tuple[int, object]:
    host, _, path = api.url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=5)
    try:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request("GET", f"/{path}{target}", headers=headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_it_answers_the_codes_and_hours_that_were_asked_for():
    with PosApi(ROWS, token=TOKEN) as api:
        status, rows = get(api, f"?{FROM}&{TO}&ext_ref_codes=0002")
    assert (status, rows) == (200, ROWS[3:5])


def test_to_time_is_inclusive():
    ten = "toTime=2026-03-02T10:00:00%2B01:00"
    with PosApi(ROWS, token=TOKEN) as api:
        assert get(api, f"?{FROM}&{ten}&ext_ref_codes=0001") == (200, ROWS[:2])


def test_a_code_it_does_not_know_is_an_empty_list():
    with PosApi(ROWS, token=TOKEN) as api:
        assert get(api, f"?{FROM}&{TO}&ext_ref_codes=1") == (200, [])


@pytest.mark.parametrize("token", ["", "another"])
def test_without_the_right_token_it_answers_401(token):
    with PosApi(ROWS, token=TOKEN) as api:
        status, body = get(api, f"?{FROM}&{TO}&ext_ref_codes=0001", token)
    assert (status, list(body)) == (401, ["error"])
    assert not api.requests[0].is_authorized


@pytest.mark.parametrize(
    ("query", "text"),
    [
        pytest.param(f"?{FROM}&{TO}", "ext_ref_codes", id="no-codes"),
        pytest.param(f"?{TO}&ext_ref_codes=1", "fromTime", id="no-start"),
        pytest.param(f"?{FROM}&{FROM}&{TO}&ext_ref_codes=1", "once", id="two-starts"),
        pytest.param(f"?{FROM.replace('%2B', '+')}&{TO}&ext_ref_codes=1", "%2B", id="plus"),
        pytest.param(f"?fromTime=2026-03-02T09:00:00&{TO}&ext_ref_codes=1", "offset", id="naive"),
        pytest.param(f"?fromTime=today&{TO}&ext_ref_codes=1", "ISO", id="no-time"),
        pytest.param(
            f"?{FROM}&toTime=2026-03-01T09:00:00%2B01:00&ext_ref_codes=1", "before", id="backwards"
        ),
    ],
)
def test_a_question_it_cannot_take_literally_is_answered_400(query, text):
    with PosApi(ROWS, token=TOKEN) as api:
        status, body = get(api, query)
    assert status == 400
    assert text in body["error"]


def test_another_path_is_answered_404():
    with PosApi(ROWS, token=TOKEN) as api:
        assert get(api, f"/v2?{FROM}&{TO}&ext_ref_codes=0001")[0] == 404


def test_it_records_what_arrived_without_the_token():
    with PosApi(ROWS, token=TOKEN) as api:
        get(api, f"?{FROM}&{TO}&ext_ref_codes=0001&ext_ref_codes=0002")
    (request,) = api.requests
    assert request.target == f"/sales?{FROM}&{TO}&ext_ref_codes=0001&ext_ref_codes=0002".encode()
    assert request.is_authorized
    assert TOKEN not in repr(request)


def test_faults_come_in_order_and_then_the_truth():
    faults = [Fault(status=500, body=b"{}", times=2), Fault(status=503, body=b"{}")]
    with PosApi(ROWS, token=TOKEN, faults=faults) as api:
        statuses = [get(api, f"?{FROM}&{TO}&ext_ref_codes=0001")[0] for _ in range(4)]
    assert statuses == [500, 500, 503, 200]


def test_files_of_rows_are_served_like_rows(tmp_path):
    as_json, as_parquet = tmp_path / "rows.json", tmp_path / "rows.parquet"
    as_json.write_text(json.dumps(ROWS))
    pq.write_table(pa.Table.from_pylist(ROWS), as_parquet)
    for path in (as_json, as_parquet):
        with PosApi(path, token=TOKEN) as api:
            assert get(api, f"?{FROM}&{TO}&ext_ref_codes=0001") == (200, ROWS[:2])
    with pytest.raises(ConfigError, match=r"\.csv"):
        PosApi(tmp_path / "rows.csv", token=TOKEN)


def test_a_row_without_an_offset_is_refused_at_the_start():
    with pytest.raises(ContractError):
        PosApi([{**ROWS[0], "time": "2026-03-02T09:00:00"}], token=TOKEN)


def test_it_listens_on_this_machine_only_and_stops_when_the_block_ends():
    with PosApi(ROWS, token=TOKEN) as api:
        assert api.url.startswith("http://127.0.0.1:")
        port = int(api.url.split(":")[2].partition("/")[0])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_a_terminal_is_told_a_line_for_each_request():
    lines: list[str] = []
    with PosApi(ROWS, token=TOKEN, on_request=lines.append) as api:
        get(api, f"?{FROM}&{TO}&ext_ref_codes=0001")
    assert lines == [f"200 GET /sales?{FROM}&{TO}&ext_ref_codes=0001"]
