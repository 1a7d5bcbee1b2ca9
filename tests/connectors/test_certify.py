"""Each probe finds the one fault it is for, in a real server that has it."""

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from ksi_pipeline.cli import app
from ksi_pipeline.connectors.certify import Prober
from ksi_pipeline.connectors.certify_remedies import REMEDIES
from ksi_pipeline.core.secret import Token
from ksi_pipeline.core.time import Window, parse_instant
from ksi_pipeline.http import HttpClient, HttpLimits
from ksi_pipeline.sandbox.pos_api import Fault, PosApi

SECRET = "s3cret-Token.42"
MADRID = ZoneInfo("Europe/Madrid")
START, END = "2026-03-27T10:00:00+01:00", "2026-03-27T14:00:00+01:00"
NOW = datetime(2026, 3, 30, tzinfo=UTC)
ROWS = [
    {"time": f"2026-03-27T{hour}:00:00+01:00", "ext_ref_code": code, "num_tickets": hour}
    for hour in (10, 11, 12)
    for code in ("0001", "0002")
] + [
    {"time": f"2025-10-26T02:00:00+0{offset}:00", "ext_ref_code": "0001", "num_tickets": 1}
    for offset in (2, 1)
]
ROWS.append({"time": "2025-03-30T03:00:00+02:00", "ext_ref_code": "0001", "num_tickets": 1})


class Till(PosApi):
    """A till whose answers can be spoilt by a function of query and rows."""

    spoil = staticmethod(lambda _query, rows: rows)

    def truth(self, query: str) -> bytes:
        return json.dumps(self.spoil(query, json.loads(super().truth(query)))).encode()


class OpenTill(PosApi):
    """A till that asks for no token, or lets any token in; what it lets in is a function."""

    lets_in = staticmethod(lambda _sent: True)

    def answer(self, target, headers):
        right = {**headers, "authorization": f"Bearer {SECRET}"}
        return super().answer(target, right if self.lets_in(headers.get("authorization")) else {})


def findings(api: PosApi, codes=("0001", "0002")) -> dict:
    limits = HttpLimits(max_attempts=1, read_timeout_s=5, allow_private=True)
    prober = Prober(
        url=api.url,
        token=Token(SECRET),
        http=HttpClient(limits),
        codes=codes,
        zone=MADRID,
        window=Window(parse_instant(START), parse_instant(END)),
        clock=lambda: NOW,
    )
    return {finding.probe: finding for finding in prober.probe()}


def failed(found: dict) -> set[str]:
    return {name for name, finding in found.items() if finding.verdict == "failed"}


def spoilt(spoil) -> dict:
    with Till(ROWS, token=SECRET) as api:
        api.spoil = spoil
        return findings(api)


def test_a_till_that_keeps_the_contract_passes_every_probe():
    with PosApi(ROWS, token=SECRET) as api:
        found = findings(api)
    assert {name: f.verdict for name, f in found.items()} == dict.fromkeys(REMEDIES, "passed")


def only_last_code(query, rows):
    last = query.rpartition("ext_ref_codes=")[2]
    return [row for row in rows if row["ext_ref_code"] == last]


def with_next_hour(query, rows):
    """A toTime that is taken for the start of the next hour."""
    if "toTime=2026-03-27T11:59:59" in query:
        return [*rows, {**ROWS[0], "time": "2026-03-27T12:00:00+01:00"}]
    return rows


def twice_in_autumn(query, rows):
    is_autumn = "fromTime=2025-10-26" in query
    return (
        [{**row, "time": row["time"].replace("+01", "+02")} for row in rows] if is_autumn else rows
    )


@pytest.mark.parametrize(
    ("spoil", "probes"),
    [
        pytest.param(only_last_code, {"repeated_keys"}, id="one key only"),
        pytest.param(with_next_hour, {"inclusive_end"}, id="inclusive end"),
        pytest.param(
            lambda query, rows: [] if "%2B05:45" in query else rows, {"plus_offset"}, id="plus"
        ),
        pytest.param(twice_in_autumn, {"autumn_day"}, id="autumn"),
        pytest.param(
            lambda query, rows: rows or [ROWS[0]] if "2026-04" in query else rows,
            {"empty_list"},
            id="hours to come",
        ),
        pytest.param(
            lambda query, rows: [] if "no-such-code" in query else rows,
            {"unknown_code"},
            id="unknown code",
        ),
        pytest.param(lambda _query, rows: rows + rows[:1], {"duplicate_hour"}, id="duplicate"),
        pytest.param(
            lambda _query, rows: [{**r, "num_tickets": str(r["num_tickets"])} for r in rows],
            {"rows"},
            id="text for a number",
        ),
        pytest.param(
            lambda _query, rows: [{**r, "time": r["time"][:-6]} for r in rows],
            {"hours"},
            id="naive",
        ),
    ],
)
def test_a_till_with_one_fault_fails_the_probe_that_is_for_it(spoil, probes):
    found = spoilt(spoil)
    assert probes <= failed(found)
    for name in probes:
        assert found[name].remedy
        assert found[name].asked.startswith("http://")


def test_a_wrapper_around_the_list_ends_the_probes():
    found = spoilt(lambda _query, rows: {"data": rows})
    assert failed(found) == {"bare_list"}
    assert "E_NOT_LIST" in found["bare_list"].said
    assert found["repeated_keys"].verdict == "skipped"


@pytest.mark.parametrize(
    ("lets_in", "probes"),
    [
        pytest.param(lambda _sent: True, {"wrong_token", "no_token"}, id="anybody"),
        pytest.param(lambda sent: sent is not None, {"wrong_token"}, id="any token"),
        pytest.param(lambda sent: sent in (None, f"Bearer {SECRET}"), {"no_token"}, id="no token"),
    ],
)
def test_a_till_that_is_open_fails_the_probe_of_the_token_that_it_lets_in(lets_in, probes):
    with OpenTill(ROWS, token=SECRET) as api:
        api.lets_in = lets_in
        found = findings(api)
    assert failed(found) == probes
    for name in probes:
        assert "gets the sales as well" in found[name].said
        assert "401" in found[name].remedy


def test_a_token_that_comes_back_is_a_fault_with_a_remedy_of_its_own():
    with PosApi(ROWS, token=SECRET, faults=[Fault(body=f'["{SECRET}"]'.encode())]) as api:
        found = findings(api)
    assert failed(found) == {"answer"}
    assert "E_FEED_ECHO" in found["answer"].said
    assert "Never repeat the token" in found["answer"].remedy
    assert SECRET not in str(found)


def test_a_till_that_refuses_everything_fails_once_and_the_rest_is_skipped():
    with PosApi(ROWS, token="another") as api:
        found = findings(api)
    assert failed(found) == {"answer"}
    assert "E_FEED_AUTH" in found["answer"].said
    assert sum(finding.verdict == "skipped" for finding in found.values()) == len(REMEDIES) - 1


@pytest.mark.parametrize(
    ("later", "verdict", "said"),
    [
        pytest.param([{**ROWS[0], "num_tickets": 99}, *ROWS[1:6]], "passed", "1 of", id="restated"),
        pytest.param(ROWS[1:6], "failed", "1 went", id="gone"),
    ],
)
def test_a_restated_hour_is_no_fault_and_an_hour_that_goes_is_one(later, verdict, said):
    base = "fromTime=2026-03-27T10:00:00%2B01:00&toTime=2026-03-27T13:59:59%2B01:00"
    seen = []

    def restating(query, rows):
        seen.append(query == f"{base}&ext_ref_codes=0001&ext_ref_codes=0002")
        # asked to see an answer, to read it, and to compare it
        return later if seen[-1] and sum(seen) == 3 else rows

    found = spoilt(restating)["same_twice"]
    assert (found.verdict, said in found.said) == (verdict, True)


def test_with_one_code_and_no_rows_what_cannot_be_seen_is_skipped_and_no_pass():
    with PosApi([], token=SECRET) as api:
        found = findings(api, codes=("0001",))
    skipped = {name for name, finding in found.items() if finding.verdict == "skipped"}
    assert failed(found) == set()
    assert {"rows", "hours", "duplicate_hour", "repeated_keys", "inclusive_end"} <= skipped
    assert {"spring_day", "autumn_day"} <= skipped


def test_keys_repeated_for_a_code_without_rows_show_nothing():
    with PosApi(ROWS, token=SECRET) as api:
        assert findings(api, codes=("0001", "0009"))["repeated_keys"].verdict == "skipped"


def certify(*arguments: str):
    options = ["--token-env", "KSI_TEST_TOKEN", "--code", "0001", "--timezone", "Europe/Madrid"]
    return CliRunner().invoke(app, ["connector", "certify", *arguments, *options])


def test_the_report_names_question_and_change_and_never_the_token(monkeypatch):
    monkeypatch.setenv("KSI_TEST_TOKEN", SECRET)
    here = ("--from", START, "--to", END, "--allow-http", "--allow-private")
    echo = Fault(status=404, body=SECRET.encode())
    with PosApi(ROWS, token=SECRET) as api:
        said = ""
        for how in ([], ["--json"]):
            good = certify(api.url, *here, *how)
            assert good.exit_code == 0, good.output
            api.script(echo)
            bad = certify(api.url, *here, *how)
            assert bad.exit_code == 1
            said += good.output + bad.output
    assert "change: Answer GET with status 200" in said
    assert "asked:  GET http://127.0.0.1" in said
    assert SECRET not in said


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(["http://till.example/"], "E_HTTP_NOT_ALLOWED", id="http"),
        pytest.param(["till.example"], "E_URL", id="no address"),
        pytest.param(["https://till.example/", "--from", START], "E_DAYS", id="half a window"),
        pytest.param(["https://till.example/"], "E_TOKEN_MISSING", id="no token"),
    ],
)
def test_a_wrong_call_asks_nothing(arguments, code, monkeypatch):
    monkeypatch.delenv("KSI_TEST_TOKEN", raising=False)
    result = certify(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(code)
