"""`ksi publish`: what it prints, and how it ends."""

import json

import pytest
from typer.testing import CliRunner

from ksi_pipeline.cli import app

from ..publishers.homes import TARGETS, published_home
from ..publishers.places import MART, ROWS, Marts


@pytest.fixture
def home(tmp_path):
    published_home(tmp_path, Marts(tmp_path / "made").batches())
    (tmp_path / "targets.yaml").write_text(TARGETS)
    return tmp_path


def ksi(home, *arguments):
    return CliRunner().invoke(app, ["publish", *arguments, "--dir", str(home)])


def done(home, *arguments):
    result = ksi(home, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_it_says_what_it_published_and_the_second_time_that_all_is_there(home):
    assert f"publish {MART}/2026-01: was never published, 2 rows" in done(home, "bi")
    assert done(home, "bi") == "Partitions: 2 skip.\n"


def test_a_dry_run_names_the_files_and_writes_none(home):
    said = done(home, "bi", "--dry-run")
    assert f"    write csv/{MART}/{MART}-2026-01.csv" in said
    assert said.endswith("Nothing was changed; it would be: 2 publish.\n")
    assert not (home / "out" / "current").exists()


def test_json_has_each_partition(home):
    told = json.loads(done(home, "bi", "--json"))
    assert told["counts"] == {"publish": 2}
    assert [(c["partition"], c["rows"]) for c in told["changes"]] == [
        (month, len(rows)) for month, rows in ROWS.items()
    ]


def test_months_and_marts_can_be_chosen(home):
    said = json.loads(done(home, "bi", "--from", "2026-02", "--to", "2026-02", "--json"))
    assert [change["partition"] for change in said["changes"]] == ["2026-02"]
    assert json.loads(done(home, "bi", "--mart", MART, "--json"))["counts"] == {
        "publish": 1,
        "skip": 1,
    }


def test_grants_are_printed_and_nothing_is_published(home):
    assert "# publishing needs to write to" in done(home, "bi", "--grants")
    assert not (home / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(("fax",), "E_UNKNOWN_TARGET", id="target"),
        pytest.param(("bi", "--mart", "fct_x"), "E_UNKNOWN_MART", id="mart"),
        pytest.param(("bi", "--from", "march"), "E_BAD_TIME", id="month"),
    ],
)
def test_a_wrong_call_exits_with_2_and_its_code(home, arguments, code):
    result = ksi(home, *arguments)
    assert (result.exit_code, code in result.stderr) == (2, True)


def test_before_the_first_build_there_is_nothing_to_publish(home):
    (home / "published" / "marts").unlink()
    result = ksi(home, "bi")
    assert (result.exit_code, "E_NOT_PUBLISHED" in result.stderr) == (2, True)


def test_a_dry_run_has_no_grants(home):
    assert ksi(home, "bi", "--dry-run", "--grants").exit_code == 2
