"""What a run or a pull cannot use is said, each with its code, and never with exit code 0 alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ksi_pipeline.cli import app
from ksi_pipeline.sandbox.pos_api import Fault, PosApi

TOKEN = "a-token-of-its-own"
SPACE = """\
schema: 1
site: {id: shop, name: Shop, timezone: Europe/Madrid, currency: EUR}
units: [{id: "0001"}]
cameras: [{id: cam-1}]
links: [{connector: pos, ext_ref_code: "1", unit: "0001"}]
"""
HOURS = ("--from", "2026-03-02T10:00:00+01:00", "--to", "2026-03-02T12:00:00+01:00")
ROWS = [
    {"time": "2026-03-02T10:00:00+01:00", "ext_ref_code": "1", "num_tickets": 25},
    {"time": "2026-03-02T11:00:00+01:00", "ext_ref_code": "1", "num_tickets": "30"},
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "spaces").mkdir()
    (tmp_path / "spaces" / "shop.yaml").write_text(SPACE)
    return tmp_path


def connect(home: Path, url: str) -> None:
    (home / "connectors.yaml").write_text(
        f'connectors:\n  - {{id: pos, kind: hourly_api, url: "{url}", token_env: KSI_TEST_TOKEN, '
        "absent_means: zero, allow_http: true, allow_private: true, active: true, "
        "max_attempts: 1}\n"
    )


def ksi(*arguments: object):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture(autouse=True)
def _token(monkeypatch):
    monkeypatch.setenv("KSI_TEST_TOKEN", TOKEN)


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"<html>Sign in</html>", "E_NOT_JSON"), (b'{"rows": []}', "E_NOT_LIST")],
    ids=["html", "object"],
)
def test_a_till_that_answers_no_list_fails_each_time_it_is_asked(home, body, code):
    with PosApi(ROWS, token=TOKEN, faults=[Fault(body=body, times=9)]) as api:
        connect(home, api.url)
        for _ in range(2):
            result = ksi("tickets", "pull", "pos", *HOURS, "--dir", home, "--json")
            assert result.exit_code == 1
            assert json.loads(result.stdout)["failed"]["pos"].startswith(code)
        run = ksi("run", "--dir", home, "--from", "2026-03-02", "--json")
    assert run.exit_code == 1
    report = json.loads(run.stdout)
    assert code in report["warnings"][0]
    assert not report["is_success"]


def test_the_codes_of_rows_that_were_set_aside_are_counted(home):
    with PosApi(ROWS, token=TOKEN) as api:
        connect(home, api.url)
        result = ksi("tickets", "pull", "pos", *HOURS, "--dir", home, "--json")
    assert json.loads(result.stdout)["codes"] == {"E_NUM_TICKETS_TYPE": 1}


def test_the_codes_of_rows_that_were_set_aside_are_printed(home):
    with PosApi(ROWS, token=TOKEN) as api:
        connect(home, api.url)
        result = ksi("tickets", "pull", "pos", *HOURS, "--dir", home)
    assert result.exit_code == 0
    assert "Set aside: E_NUM_TICKETS_TYPE 1." in result.stdout


def test_a_run_names_each_file_that_it_set_aside_and_says_so_once(home):
    for name in (
        "shop/cam-1/20260302T090000.mp4",
        "shop/cam-9/20260302T090000Z.mp4",
        "shop/cam-1/20990302T090000Z.mp4",
        "shop/cam-1/20260302T080000Z.mp4",
    ):
        path = home / "chunks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no video")
    (home / "deliveries" / "shop" / "cam-1" / "20260302T100000Z").mkdir(parents=True)
    first = ksi("run", "--dir", home)
    codes = ("E_CHUNK_NAME", "E_UNKNOWN_CAMERA", "E_CHUNK_TIME", "E_DELIVERY_INCOMPLETE")
    for code in (*codes, "E_CHUNK_UNREADABLE"):
        assert f"set aside {code}" in first.stderr
    assert "chunks decoded 0, unreadable 1" in " ".join(first.stdout.split())
    assert "set aside" not in ksi("run", "--dir", home).stderr


def test_json_lists_what_a_run_set_aside(home):
    path = home / "chunks" / "shop" / "cam-9" / "20260302T090000Z.mp4"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no video")
    (found,) = json.loads(ksi("run", "--dir", home, "--json").stdout)["set_aside"]
    assert found["code"] == "E_UNKNOWN_CAMERA"
    assert "cam-9" in found["message"]


def test_a_run_without_news_prints_nothing_of_dagster_and_no_broken_lines(home):
    (home / "connectors.yaml").unlink(missing_ok=True)
    ksi("run", "--dir", home)
    command = [sys.executable, "-c", "from ksi_pipeline.cli import main; main()"]
    done = subprocess.run(
        [*command, "run", "--dir", str(home)], capture_output=True, text=True, check=True
    )
    assert done.stdout == (
        "Nothing new: no chunk was decoded, no row was written, the marts are as they were.\n"
    )
    assert "asset check" not in done.stderr
