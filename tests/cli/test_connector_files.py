"""`ksi connector new|edit|rm|link|unlink` change one entry of a file, or nothing at all."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ksi_pipeline.cli import app
from ksi_pipeline.connectors.config import KINDS, load_connectors
from ksi_pipeline.sandbox.pos_api import PosApi
from ksi_pipeline.space.load import load_space

SPACE = """\
schema: 1
# two shops
site: {id: mall, name: Mall, timezone: Europe/Madrid, currency: EUR}
units: [{id: "0001"}, {id: "0002"}]   # ground floor
"""
STREET = """\
schema: 1
site: {id: street, name: Street, timezone: America/Lima, currency: PEN}
units: [{id: "0001"}]
links:
  - {connector: other, ext_ref_code: "9", unit: "0001"}  # since 2020
"""
CONNECTORS = "# ours\nconnectors: []\n"
HOURS = ("--from", "2026-03-02T10:00:00+01:00", "--to", "2026-03-02T12:00:00+01:00")
ROW = {"time": "2026-03-02T10:00:00+01:00", "ext_ref_code": "0001", "num_tickets": 25}
NEW = ("--url", "https://till.example/s", "--token-env", "POS", "--absent-means", "missing")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "spaces").mkdir()
    (tmp_path / "spaces" / "mall.yaml").write_text(SPACE)
    (tmp_path / "connectors.yaml").write_text(CONNECTORS)
    return tmp_path


def ksi(home: Path, *arguments: str):
    return CliRunner().invoke(app, ["connector", *arguments, "--dir", str(home)])


def done(home: Path, *arguments: str) -> str:
    result = ksi(home, *arguments)
    assert result.exit_code == 0, result.output
    return result.output


def refused(home: Path, *arguments: str, code: str) -> str:
    """Run a verb that must be refused and must leave every file as it was."""
    before = {path: path.read_bytes() for path in home.rglob("*.yaml")}
    result = ksi(home, *arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith(code)
    assert {path: path.read_bytes() for path in home.rglob("*.yaml")} == before
    return result.stderr


def links(home: Path, name: str = "mall") -> list[tuple[str, str, str, str]]:
    return [
        (li.connector, li.ext_ref_code, str(li.valid_from), str(li.valid_to))
        for li in load_space(home / "spaces" / f"{name}.yaml").file.links
    ]


def test_a_connector_is_described_tested_linked_and_activated_without_an_editor(home, monkeypatch):
    monkeypatch.setenv("POS", "t0ken")
    with PosApi([ROW], token="t0ken") as api:
        done(home, "new", "pos", *NEW, "--url", api.url, "--allow-http", "--allow-private")
        done(home, "test", "pos", *HOURS, "--code", "0001")
        done(home, "link", "pos", "0001", "--unit", "0001", "--from", "2026-01-01")
        done(home, "activate", "pos")
        (one,) = json.loads(done(home, "list", "--json"))["connectors"]
    assert (one["state"], len(one["links"])) == ("active", 1)
    assert links(home) == [("pos", "0001", "2026-01-01", "None")]
    assert (home / "connectors.yaml").read_text().startswith("# ours\n")


def test_new_keeps_what_is_there(home):
    done(home, "new", "one", *NEW)
    done(home, "new", "two", *NEW, "--owner", "tills@example.com", "--set", "max_attempts=2")
    one, two = load_connectors(home / "connectors.yaml")
    assert (one.id, two.id, two.owner, two.max_attempts) == ("one", "two", "tills@example.com", 2)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(["bad id", *NEW], "E_CONNECTORS_FILE", id="id"),
        pytest.param(["pos", *NEW, "--url", "http://x/"], "E_HTTP_NOT_ALLOWED", id="http"),
        pytest.param(["pos", *NEW, "--absent-means", "maybe"], "E_CONNECTORS_FILE", id="absent"),
        pytest.param(["pos", *NEW[:4]], "E_CONNECTOR_SETTING", id="missing option"),
        pytest.param(["pos", *NEW, "--set", "colour=red"], "E_CONNECTORS_FILE", id="unknown"),
        pytest.param(["pos", *NEW, "--set", "id=x"], "E_CONNECTOR_SETTING", id="set id"),
        pytest.param(["pos", *NEW, "--set", "owner"], "E_CONNECTOR_SETTING", id="no value"),
        pytest.param(["pos", *NEW, "--set", "owner=[a"], "E_CONNECTOR_SETTING", id="no yaml"),
        pytest.param(["pos", *NEW, "--set", "team=2026-02-30"], "E_CONNECTOR_SETTING", id="no day"),
        pytest.param(["pos", *NEW, "--token-env", "s3cret.42"], "E_CONNECTORS_FILE", id="a token"),
    ],
)
def test_a_wrong_connector_is_not_written(home, arguments, code):
    assert "s3cret" not in refused(home, "new", *arguments, code=code)


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_shows_every_setting_of_its_kind_with_its_meaning_and_loads(tmp_path, kind):
    result = CliRunner().invoke(app, ["connector", "new", "pos", "--kind", kind, "--template"])
    assert result.exit_code == 0, result.output
    path = tmp_path / "connectors.yaml"
    path.write_text(result.stdout)
    (loaded,) = load_connectors(path)
    assert (loaded.id, loaded.kind) == ("pos", kind)
    lines = result.stdout.splitlines()
    for name in KINDS[kind].model_fields:
        (at,) = (n for n, line in enumerate(lines) if re.match(rf" +(- |# )?{name}:", line))
        assert name == "id" or re.match(r"    # \w[^:]* \w", lines[at - 1]), name
    # what is only an example there, may be taken as it is
    freed = re.sub(r"^( +)# (\w+: \S+)$", r"\1\2", result.stdout, flags=re.M)
    path.write_text(freed)
    (loaded,) = load_connectors(path)
    assert loaded.absent_means == "missing"


def test_a_database_needs_its_table_like_its_other_settings(home):
    settings = {
        "mapping": "till",
        "url_env": "POS_URL",
        "watermark": "id",
        "watermark_kind": "integer",
        "since": "0",
        "complete_from": "2026-01-31",
    }
    given = [text for name, value in settings.items() for text in ("--set", f"{name}={value}")]
    new = ["new", "pos", "--kind", "sql", "--absent-means", "missing", *given]
    said = refused(home, *new, code="E_CONNECTOR_SETTING")
    assert "--set table=VALUE is missing" in said
    done(home, *new, "--set", "table=pos.lines")
    (loaded,) = load_connectors(home / "connectors.yaml")
    assert (loaded.table, loaded.since) == ("pos.lines", 0)


def test_a_template_of_a_wrong_id_or_kind_is_refused(home):
    refused(home, "new", "bad id", "--template", code="E_CONNECTORS_FILE")
    refused(home, "new", "pos", "--kind", "fax", "--template", code="E_CONNECTOR_KIND")


def test_an_id_is_taken_once(home):
    done(home, "new", "pos", *NEW)
    refused(home, "new", "pos", *NEW, code="E_DUP_CONNECTOR")


def test_edit_changes_one_setting_and_makes_a_draft(home):
    text = (
        "connectors:\n  - id: pos  # the old till\n    kind: hourly_api\n"
        "    url: https://till.example/s\n    token_env: POS\n    absent_means: zero  # agreed\n"
    )
    (home / "connectors.yaml").write_text(text)
    said = done(home, "edit", "pos", "--set", "absent_means=missing", "--set", "max_attempts=2")
    assert "is draft" in said
    changed = text.replace("zero", "missing") + "    max_attempts: 2\n"
    assert (home / "connectors.yaml").read_text() == changed


def test_an_edit_that_is_wrong_changes_nothing(home):
    done(home, "new", "pos", *NEW)
    refused(home, "edit", "pos", "--set", "max_attempts=many", code="E_CONNECTORS_FILE")
    refused(home, "edit", "pos", code="E_CONNECTOR_SETTING")
    refused(home, "edit", "nobody", "--set", "max_attempts=2", code="E_UNKNOWN_CONNECTOR")


def test_a_linked_connector_is_not_removed_until_its_links_have_ended(home):
    done(home, "new", "pos", *NEW)
    done(home, "link", "pos", "0001", "--unit", "0001", "--from", "2026-01-01")
    said = refused(home, "rm", "pos", code="E_CONNECTOR_LINKED")
    assert "0001 to mall/0001" in " ".join(said.split())
    done(home, "unlink", "pos", "0001", "--to", "2026-02-01")
    assert links(home) == [("pos", "0001", "2026-01-01", "2026-02-01")]
    done(home, "rm", "pos")
    assert load_connectors(home / "connectors.yaml") == ()


def test_an_id_that_comes_back_after_rm_is_a_draft(home, monkeypatch):
    monkeypatch.setenv("POS", "t0ken")
    with PosApi([ROW], token="t0ken") as api:
        here = (*NEW, "--url", api.url, "--allow-http", "--allow-private")
        done(home, "new", "pos", *here)
        done(home, "test", "pos", *HOURS, "--code", "0001")
        done(home, "rm", "pos")
        done(home, "new", "pos", *here)
    (one,) = json.loads(done(home, "list", "--json"))["connectors"]
    assert one["state"] == "draft"


def test_a_code_moves_to_another_unit_on_a_day(home):
    done(home, "new", "pos", *NEW)
    done(home, "link", "pos", "1", "--unit", "0001")
    refused(home, "link", "pos", "1", "--unit", "0002", "--from", "2026-02-01", code="E_SPACE")
    done(home, "unlink", "pos", "1", "--to", "2026-02-01")
    done(home, "link", "pos", "1", "--unit", "0002", "--from", "2026-02-01")
    assert links(home) == [
        ("pos", "1", "None", "2026-02-01"),
        ("pos", "1", "2026-02-01", "None"),
    ]
    assert "# ground floor" in (home / "spaces" / "mall.yaml").read_text()


def test_a_unit_that_two_sites_have_needs_its_site(home):
    (home / "spaces" / "street.yaml").write_text(STREET)
    done(home, "new", "pos", *NEW)
    refused(home, "link", "pos", "1", "--unit", "0001", code="E_SITE")
    done(home, "link", "pos", "1", "--unit", "0001", "--site", "street")
    assert [li[:2] for li in links(home, "street")] == [("other", "9"), ("pos", "1")]
    assert "# since 2020" in (home / "spaces" / "street.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(["nobody", "1", "--unit", "0001"], "E_UNKNOWN_CONNECTOR", id="connector"),
        pytest.param(["pos", "1", "--unit", "0009"], "E_SITE", id="unit"),
        pytest.param(["pos", "", "--unit", "0001"], "E_SPACE", id="blank code"),
        pytest.param(
            ["pos", "1", "--unit", "0001", "--from", "2026-02-01", "--to", "2026-01-01"],
            "E_SPACE",
            id="ends before it begins",
        ),
        pytest.param(["pos", "1", "--unit", "0001", "--from", "soon"], "E_BAD_TIME", id="day"),
    ],
)
def test_a_wrong_link_is_not_written(home, arguments, code):
    done(home, "new", "pos", *NEW)
    refused(home, "link", *arguments, code=code)


def test_a_link_that_is_not_there_is_not_ended(home):
    done(home, "new", "pos", *NEW)
    refused(home, "unlink", "pos", "1", code="E_NO_LINK")
    done(home, "link", "pos", "1", "--unit", "0001")
    done(home, "unlink", "pos", "1", "--remove")
    assert links(home) == []
