"""What a run or a pull cannot use is said, each with its code, and never with exit code 0 alone."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from ksi_pipeline.cli import app
from ksi_pipeline.sandbox.pos_api import Fault, PosApi

TOKEN = "a-token-of-its-own"
SPACE = """\
schema: 1
site: {id: shop, name: Shop, timezone: Europe/Madrid, currency: EUR}
units: [{id: "0001"}]
cameras: [{id: cam-1}]
links:
  - {connector: pos, ext_ref_code: "1", unit: "0001"}
  - {connector: html, ext_ref_code: "1", unit: "0001"}
  - {connector: object, ext_ref_code: "1", unit: "0001"}
  - {connector: no-token, ext_ref_code: "1", unit: "0001"}
"""
HOURS = ("--from", "2026-03-02T10:00:00+01:00", "--to", "2026-03-02T12:00:00+01:00")
ROWS = [
    {"time": "2026-03-02T10:00:00+01:00", "ext_ref_code": "1", "num_tickets": 25},
    {"time": "2026-03-02T11:00:00+01:00", "ext_ref_code": "1", "num_tickets": "30"},
]


NO_LIST = {
    "html": (b"<html>Sign in</html>", "E_NOT_JSON"),
    "object": (b'{"rows": []}', "E_NOT_LIST"),
}
SET_ASIDE = {
    "shop/cam-1/20260302T090000.mp4": "E_CHUNK_NAME",
    "shop/cam-9/20260302T090000Z.mp4": "E_UNKNOWN_CAMERA",
    "shop/cam-1/20990302T090000Z.mp4": "E_CHUNK_TIME",
    "shop/cam-1/20260302T080000Z.mp4": "E_CHUNK_UNREADABLE",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_home(tmp_path)


def make_home(path: Path) -> Path:
    (path / "spaces").mkdir()
    (path / "spaces" / "shop.yaml").write_text(SPACE)
    return path


def connect(home: Path, **urls: str) -> None:
    entry = (
        '  - {{id: {}, kind: hourly_api, url: "{}", token_env: KSI_TEST_TOKEN, '
        "absent_means: zero, allow_http: true, allow_private: true, active: true, "
        "max_attempts: 1}}\n"
    )
    entries = "".join(entry.format(*item) for item in urls.items())
    entries += (
        "  - {id: no-token, kind: hourly_api, url: https://till.example/sales, "
        "token_env: KSI_NO_SUCH_TOKEN, absent_means: zero, active: true}\n"
    )
    (home / "connectors.yaml").write_text("connectors:\n" + entries)


def put_chunk(home: Path, name: str) -> None:
    path = home / "chunks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"no video")


def ksi(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture(scope="module", autouse=True)
def _token() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KSI_TEST_TOKEN", TOKEN)
        yield


@dataclass(frozen=True)
class Ran:
    """Three runs of one home: with what cannot be used, without news, and with one file more.

    Two tills answer no list whenever they are asked, and one has no token; the run without news
    has no till.
    """

    first: Result
    without_news: subprocess.CompletedProcess[str]
    last: Result


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, _token: None) -> Ran:
    home = make_home(tmp_path_factory.mktemp("ran"))
    run = ("run", "--dir", str(home))
    with ExitStack() as stack:
        urls = {
            name: stack.enter_context(
                PosApi(ROWS, token=TOKEN, faults=[Fault(body=body, times=9)])
            ).url
            for name, (body, _) in NO_LIST.items()
        }
        for name in SET_ASIDE:
            put_chunk(home, name)
        (home / "deliveries" / "shop" / "cam-1" / "20260302T100000Z").mkdir(parents=True)
        connect(home, **urls)
        first = ksi(*run, "--from", "2026-03-02")
        (home / "connectors.yaml").unlink()
        command = [sys.executable, "-c", "from ksi_pipeline.cli import main; main()", *run]
        without_news = subprocess.run(command, capture_output=True, text=True, check=True)
        connect(home, **urls)
        put_chunk(home, "shop/cam-9/20260302T100000Z.mp4")
        last = ksi(*run, "--from", "2026-03-02", "--json")
    return Ran(first, without_news, last)


def test_a_run_with_connectors_that_fail_goes_on_and_exits_1(ran):
    report = json.loads(ran.last.stdout)
    assert (ran.first.exit_code, ran.last.exit_code) == (1, 1)
    assert report["failures"] == []
    assert "E_TOKEN_MISSING" in report["warnings"][0]
    assert not any(line.startswith("failed") for line in ran.first.stderr.splitlines())
    assert "Results: " in ran.first.stdout
    assert "snapshot unchanged" not in " ".join(ran.first.stdout.split())
    assert not report["changed_nothing"]


@pytest.mark.parametrize("till", NO_LIST)
def test_a_till_that_answers_no_list_fails_each_time_it_is_asked(home, till):
    body, code = NO_LIST[till]
    with PosApi(ROWS, token=TOKEN, faults=[Fault(body=body, times=9)]) as api:
        connect(home, **{till: api.url})
        for _ in range(2):
            result = ksi("tickets", "pull", till, *HOURS, "--dir", home, "--json")
            assert result.exit_code == 1
            assert json.loads(result.stdout)["failed"][till].startswith(code)


def test_a_till_that_answers_no_list_fails_each_run(ran):
    report = json.loads(ran.last.stdout)
    assert (ran.first.exit_code, ran.last.exit_code, report["is_success"]) == (1, 1, False)
    for _, code in NO_LIST.values():
        assert code in ran.first.stderr
        assert code in report["warnings"][0]


def test_the_codes_of_rows_that_were_set_aside_are_counted(home):
    with PosApi(ROWS, token=TOKEN) as api:
        connect(home, pos=api.url)
        result = ksi("tickets", "pull", "pos", *HOURS, "--dir", home, "--json")
    assert json.loads(result.stdout)["codes"] == {"E_NUM_TICKETS_TYPE": 1}


def test_the_codes_of_rows_that_were_set_aside_are_printed(home):
    with PosApi(ROWS, token=TOKEN) as api:
        connect(home, pos=api.url)
        result = ksi("tickets", "pull", "pos", *HOURS, "--dir", home)
    assert result.exit_code == 0
    assert "Set aside: E_NUM_TICKETS_TYPE 1." in result.stdout


def test_a_run_names_each_file_that_it_set_aside_and_says_so_once(ran):
    for code in (*SET_ASIDE.values(), "E_DELIVERY_INCOMPLETE"):
        assert f"set aside {code}" in ran.first.stderr
    assert "chunks decoded 0, unreadable 1" in " ".join(ran.first.stdout.split())
    assert "set aside" not in ran.without_news.stderr


def test_json_lists_what_a_run_set_aside(ran):
    (found,) = json.loads(ran.last.stdout)["set_aside"]
    assert found["code"] == "E_UNKNOWN_CAMERA"
    assert "cam-9" in found["message"]


def test_a_run_without_news_prints_nothing_of_dagster_and_no_broken_lines(ran):
    assert ran.without_news.stdout == (
        "Nothing new: no chunk was decoded, no row was written, the marts are as they were.\n"
    )
    assert "asset check" not in ran.without_news.stderr
