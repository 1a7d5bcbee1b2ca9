"""What is typed or configured wrongly gives one message and exit code 2, and no traceback."""

import socket
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ksi_pipeline.cli import app

SPACE = """\
schema: 1
site: {id: shop, name: Shop, timezone: Europe/Madrid, currency: EUR}
units: [{id: "0001"}]
cameras: [{id: cam-1}]
links: [{connector: pos, ext_ref_code: "1", unit: "0001"}]
"""
DAY = ("--from", "2026-03-02T00:00:00+01:00", "--to", "2026-03-03T00:00:00+01:00")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_home(tmp_path / "home")


def make_home(path: Path) -> Path:
    (path / "spaces").mkdir(parents=True)
    (path / "spaces" / "shop.yaml").write_text(SPACE)
    (path / "connectors.yaml").write_text(
        "connectors:\n  - {id: pos, kind: hourly_api, url: https://till.example/s, "
        "token_env: KSI_NO_SUCH_TOKEN, absent_means: zero, active: true}\n"
    )
    return path


def refused(*arguments: object, code: str) -> str:
    """Run a command that must be refused and give what it said, as one line."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert result.exit_code == 2
    assert any(line.startswith(code) for line in result.stderr.splitlines())
    return " ".join(result.stderr.split())


def test_a_port_that_is_taken_is_named(tmp_path):
    (tmp_path / "rows.json").write_text("[]")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused(
            "sandbox", "--rows", tmp_path / "rows.json", "--port", port, code="E_SANDBOX"
        )
    assert str(port) in said


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("a.json", None, id="missing"),
        pytest.param("a.json", "{", id="broken"),
        pytest.param("a.json", '{"a": 1}', id="object"),
        pytest.param("a.json", '[{"x": 1}]', id="row"),
        pytest.param("a.parquet", "no", id="parquet"),
        pytest.param("a.csv", "", id="csv"),
    ],
)
def test_a_file_of_rows_that_cannot_be_served_is_refused(name, content, tmp_path):
    if content is not None:
        (tmp_path / name).write_text(content)
    said = refused("sandbox", "--rows", tmp_path / name, "--port", 0, code="E_SANDBOX_ROWS")
    assert name in said.replace(" ", "")


def test_a_fault_that_there_is_not_is_refused_before_anything_is_simulated(tmp_path):
    words = ("sandbox", "--dir", tmp_path / "mall", "--fault", "teapot")
    assert "duplicate-hour" in refused(*words, code="E_SANDBOX_FAULT")
    assert not (tmp_path / "mall").exists()


@pytest.mark.parametrize("verb", ["run", "demo", "sandbox"])
def test_a_file_is_no_data_home(verb, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert "it is a file" in refused(verb, "--dir", tmp_path / "file", code="E_DATA_HOME")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("character", list("?#\\"))
def test_a_path_that_dagster_or_dbt_would_read_otherwise_is_refused(character, tmp_path):
    home = make_home(tmp_path / f"a{character}b")
    before = sorted(home.rglob("*"))
    assert "character" in refused("run", "--dir", home, code="E_DATA_HOME")
    assert sorted(home.rglob("*")) == before


@pytest.mark.parametrize("verb", [("run",), ("tickets", "pull", "pos", *DAY)], ids=["run", "pull"])
def test_a_mistyped_data_home_is_named_and_not_made(verb, tmp_path):
    said = refused(*verb, "--dir", tmp_path / "hoem", code="E_DATA_HOME")
    assert str(tmp_path / "hoem") in said.replace(" ", "")
    assert not (tmp_path / "hoem").exists()


def test_a_home_in_which_no_site_is_described_is_said_to_be_empty(tmp_path):
    (tmp_path / "spaces").mkdir()
    result = CliRunner().invoke(app, ["run", "--dir", str(tmp_path), "--from", "2026-03-02"])
    assert "No site is described" in result.stderr


@pytest.mark.parametrize("out", ["file", "file/out"])
def test_a_file_in_place_of_the_folder_for_results_is_named(out, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "20260302T090000Z.avi").write_text("no video")
    make_home(tmp_path / "home")
    said = refused(
        *("video", "ingest", tmp_path / "20260302T090000Z.avi", "--camera", "cam-1"),
        *("--space", tmp_path / "home" / "spaces" / "shop.yaml", "--out", tmp_path / out),
        code="E_FILE",
    )
    assert "file" in said
    assert "Nothing was decoded" in said


def test_points_that_are_not_there_are_named(tmp_path):
    make_home(tmp_path)
    space = tmp_path / "spaces" / "shop.yaml"
    points = tmp_path / "none.parquet"
    refused("events", "--points", points, "--space", space, "--out", tmp_path, code="E_FILE")


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "nosuch://u:geheim@h/x",
        "mysql://u:geheim@127.0.0.1:9/x",
        "sqlite:////nowhere/x.sqlite",
    ],
)
def test_a_ledger_that_cannot_be_opened_is_named_without_its_password(url, home, monkeypatch):
    monkeypatch.setenv("KSI_LEDGER_URL", url)
    assert "geheim" not in refused("run", "--dir", home, code="E_LEDGER")


def test_a_file_that_is_no_ledger_is_left_alone(home):
    (home / "ledger.sqlite").write_text("garbage, and long enough to be taken for a database " * 9)
    before = (home / "ledger.sqlite").read_bytes()
    assert "not a database" in refused("run", "--dir", home, code="E_LEDGER")
    assert (home / "ledger.sqlite").read_bytes() == before


@pytest.mark.parametrize("year", ["0001", "9999"])
def test_a_year_in_which_hours_cannot_be_shifted_is_no_time(year, home):
    pull = ("tickets", "pull", "pos", "--dir", home, "--from", f"{year}-01-01T00:00:00+01:00")
    assert year in refused(*pull, "--to", f"{year}-01-02T00:00:00+01:00", code="E_BAD_TIME")


def test_a_bare_date_is_completed_in_the_advice(home):
    pull = ("tickets", "pull", "pos", "--dir", home, "--to", "2026-03-28T00:00:00+01:00", "--from")
    said = refused(*pull, "2026-03-27", code="E_NAIVE_TIME")
    assert "Write it like 2026-03-27T00:00:00+01:00." in said
    said = refused(*pull, "2026-03-27+01:00", code="E_BAD_TIME")
    assert "Write it like 2026-03-27T00:00:00+01:00." in said


def test_points_on_one_line_are_refused_by_space_check(home):
    space = home / "spaces" / "shop.yaml"
    rows = "[[0, 0, 0, 0], [1, 1, 1, 1], [2, 2, 2, 2], [3, 3, 3, 3]]"
    space.write_text(SPACE.replace("{id: cam-1}", f"{{id: cam-1, homography: {rows}}}"))
    assert "camera 'cam-1'" in refused("space", "check", space, code="E_CALIBRATION")


def test_every_wrong_space_file_of_a_home_is_named(home):
    for name in ("a", "b"):
        (home / "spaces" / f"{name}.yaml").write_text(SPACE.replace("units", "unitz"))
    said = refused("run", "--dir", home, code="E_SPACE")
    assert "a.yaml line 3" in said
    assert "b.yaml line 3" in said


def test_pulling_without_a_token_is_a_mistake_of_the_configuration(home):
    refused("tickets", "pull", "pos", "--dir", home, *DAY, code="E_TOKEN_MISSING")


def test_pulling_before_absence_was_decided_is_a_mistake_of_the_configuration(home):
    connectors = home / "connectors.yaml"
    connectors.write_text(connectors.read_text().replace("absent_means: zero, ", ""))
    refused("tickets", "pull", "pos", "--dir", home, *DAY, code="E_ABSENT_MEANS_UNSET")


def test_an_empty_window_is_a_wrong_call(home):
    window = ("--from", DAY[3], "--to", DAY[1])
    refused("tickets", "pull", "pos", "--dir", home, *window, code="E_EMPTY_WINDOW")


def test_tomorrow_cannot_be_run_yet(home):
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    refused("run", "--dir", home, "--from", tomorrow, code="E_DAYS")


def test_a_missing_connectors_file_is_said_to_be_missing(home):
    (home / "connectors.yaml").unlink()
    said = refused("tickets", "pull", "pos", "--dir", home, *DAY, code="E_UNKNOWN_CONNECTOR")
    assert "there is no such file" in said


@pytest.mark.parametrize(
    ("change", "window", "says"),
    [
        pytest.param(("connector: pos", "connector: other"), DAY, "links a code", id="unlinked"),
        pytest.param(
            ("", ""),
            ("--from", "2199-03-02T00:00:00Z", "--to", "2199-03-03T00:00:00Z"),
            "is over yet",
            id="future",
        ),
        pytest.param(('unit: "0001"}', 'unit: "0001", from: 2026-03-09}'), DAY, "then", id="later"),
    ],
)
def test_a_pull_that_asks_nothing_says_why(home, change, window, says):
    space = home / "spaces" / "shop.yaml"
    space.write_text(space.read_text().replace(*change))
    result = CliRunner().invoke(app, ["tickets", "pull", "pos", "--dir", str(home), *window])
    assert result.exit_code == 0
    assert says in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    "call",
    [
        ("events", "--recount", "--from", "2026-03-02"),
        ("marts", "--space-version", "0123456789ab", "--out", "x.duckdb"),
    ],
)
def test_looking_back_makes_no_data_home(tmp_path, call):
    refused(*call, "--dir", tmp_path / "typo", code="E_DATA_HOME")
    assert not (tmp_path / "typo").exists()


def test_marts_replace_no_file_of_another_kind(tmp_path):
    make_home(tmp_path)
    (tmp_path / "plan.png").write_bytes(b"picture")
    refused(
        "marts", "--space-version", "0123456789ab", "--out", tmp_path / "plan.png",
        "--dir", tmp_path, code="E_MARTS_OUT",
    )  # fmt: skip
    assert (tmp_path / "plan.png").read_bytes() == b"picture"


@pytest.mark.parametrize("rate", ["0.5", "0.99", "61", "nan"])
def test_a_rate_at_which_nobody_can_be_followed_is_refused(rate, home, monkeypatch):
    call = ("video", "ingest", "a.avi", "--camera", "cam-1", "--space", "s", "--out", "o")
    result = CliRunner().invoke(app, [*call, "--sample-hz", rate])
    assert result.exit_code == 2
    assert "must be 1 to 60" in " ".join(result.stderr.replace("│", " ").split())
    monkeypatch.setenv("KSI_SAMPLE_HZ", rate)
    assert "KSI_SAMPLE_HZ" in refused("run", "--dir", home, code="E_SETTING")


def test_a_tracker_that_there_is_not_is_refused():
    call = ("video", "ingest", "a.avi", "--camera", "cam-1", "--space", "s", "--out", "o")
    result = CliRunner().invoke(app, [*call, "--tracker", "sort"])
    assert result.exit_code == 2
    said = " ".join(result.stderr.replace("│", " ").split())
    assert "must be one of footpoint, bytetrack, botsort" in said


def test_a_tracker_whose_package_is_missing_is_refused(home, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    chunk, out = tmp_path / "20260302T090000Z.avi", tmp_path / "out"
    chunk.write_text("never opened")
    call = ("video", "ingest", chunk, "--camera", "cam-1", "--out", out)
    space = ("--space", home / "spaces" / "shop.yaml")
    assert "vision" in refused(*call, *space, "--tracker", "botsort", code="E_TRACKER_MISSING")
    assert not out.exists()


@pytest.mark.parametrize("verb", ["ingest", "calibrate"])
def test_weights_that_motion_would_ignore_are_refused(verb, home, tmp_path):
    space = home / "spaces" / "shop.yaml"
    call = ("video", verb, tmp_path / "a.avi", "--camera", "cam-1", "--space", space)
    out = ("--out", tmp_path / "floor.png", "--model", "yolo.xml")
    assert "yolo.xml" in refused(*call, *out, code="E_MODEL_UNUSED")
