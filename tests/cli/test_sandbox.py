"""What `ksi sandbox` prints can be typed as it stands, and connects a till."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ksi_pipeline.cli import app

ROWS = [
    {"time": "2026-03-02T10:00:00+01:00", "ext_ref_code": code, "num_tickets": 25}
    for code in ("0001", "café 2")
]
SPACE = """\
schema: 1
site: {id: shop, name: Shop, timezone: Europe/Madrid, currency: EUR}
units: [{id: "0001"}, {id: "0002"}]
"""
HOURS = ("--from", "2026-03-02T10:00:00+01:00", "--to", "2026-03-02T12:00:00+01:00")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "spaces").mkdir()
    (tmp_path / "spaces" / "shop.yaml").write_text(SPACE)
    return tmp_path


@pytest.fixture
def told(home: Path, monkeypatch) -> Iterator[list[str]]:
    """The lines of a sandbox that serves two codes on a free port."""
    monkeypatch.delenv("KSI_POS_MAIN_TOKEN", raising=False)
    rows = home / "till.json"
    rows.write_text(json.dumps(ROWS))
    words = ["sandbox", "--rows", str(rows), "--port", "0", "--fault", "500:0.001"]
    program = [sys.executable, "-c", "from ksi_pipeline.cli import main; main()", *words]
    with subprocess.Popen(program, stdout=subprocess.PIPE, encoding="utf-8") as process:
        try:
            lines = []
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                if line.startswith("To connect it: "):
                    break
            yield lines
        finally:
            process.terminate()


def ksi(home: Path, *words: str):
    return CliRunner().invoke(app, [*words, "--dir", str(home)])


def failed(result) -> set[str]:
    return {check["code"] for check in json.loads(result.stdout)["checks"]} - {None}


def test_its_tokens_and_its_command_connect_a_till_and_each_token_reads_its_own(
    home, told, monkeypatch
):
    exports = dict(re.findall(r"^  export (\w+)=(\S+)", "\n".join(told), re.M))
    assert exports == {
        "KSI_POS_MAIN_TOKEN": "sandbox",
        "KSI_POS_0001_TOKEN": "sandbox-0001",
        "KSI_POS_CAF__2_TOKEN": "sandbox-caf%C3%A9%202",
    }
    assert "Faults, seed 1: 500 in 0.1 % of the answers." in told
    for name, value in exports.items():
        monkeypatch.setenv(name, value)
    ksi_word, *words = shlex.split(told[-1].removeprefix("To connect it: "))
    assert ksi_word == "ksi"
    assert ksi(home, *words).exit_code == 0
    both = ["--code", "0001", "--code", "café 2"]
    passed = ksi(home, "connector", "test", "sandbox-till", *HOURS, *both, "--json")
    assert failed(passed) == set()
    assert ksi(home, "connector", "activate", "sandbox-till").exit_code == 0
    ksi(home, "connector", "edit", "sandbox-till", "--set", "token_env=KSI_POS_CAF__2_TOKEN")
    refused = ksi(home, "connector", "test", "sandbox-till", *HOURS, *both, "--json")
    assert failed(refused) == {"E_FEED_AUTH"}
    own = ksi(home, "connector", "test", "sandbox-till", *HOURS, *both[2:], "--json")
    assert failed(own) == set()
