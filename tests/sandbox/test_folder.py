"""A simulation writes into a folder of its own and takes nothing that somebody wrote."""

import fcntl
import json
import threading
import urllib.request
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ksi_pipeline.cli import app
from ksi_pipeline.cli.sandbox import sandbox
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.sandbox.home import simulate_mall, write_connectors
from ksi_pipeline.sandbox.pos_api import PosApi

SMALL = {"units": 1, "video_minutes": 0}
MINE = "connectors:\n  - {id: mine, kind: hourly_api, url: https://till.example/s}\n"


def content(home: Path) -> dict[str, bytes]:
    return {str(p.relative_to(home)): p.read_bytes() for p in home.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    "name",
    ["connectors.yaml", "spaces/shop.yaml", "ledger.sqlite", "chunks/shop/cam/a.mp4", "truth/a"],
)
@pytest.mark.parametrize("verb", ["demo", "sandbox"])
def test_a_folder_that_holds_somebody_elses_data_is_refused_and_left_alone(verb, name, tmp_path):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(MINE)
    result = CliRunner().invoke(app, [verb, "--dir", str(tmp_path)])
    assert result.exit_code == 2
    assert "E_SANDBOX" in result.stderr
    assert name in "".join(result.stderr.split())
    assert content(tmp_path) == {name: MINE.encode()}


def test_a_space_file_beside_the_simulated_one_is_somebody_elses(tmp_path):
    simulate_mall(tmp_path, **SMALL)
    (tmp_path / "spaces" / "shop.yaml").write_text("schema: 1\n")
    before = content(tmp_path)
    with pytest.raises(ConfigError, match=r"spaces/shop.yaml lies there. Nothing was written"):
        simulate_mall(tmp_path, **SMALL)
    assert content(tmp_path) == before


@pytest.mark.parametrize("name", ["connectors.yaml", "spaces/demo-mall.yaml"])
def test_what_was_edited_in_a_simulated_home_stays_edited(name, tmp_path):
    simulate_mall(tmp_path, **SMALL)
    edited = (tmp_path / name).read_text() + "# mine\n"
    (tmp_path / name).write_text(edited)
    simulate_mall(tmp_path, **SMALL)
    assert (tmp_path / name).read_text() == edited


def test_a_till_is_never_written_over_connectors_that_were_edited(tmp_path):
    (tmp_path / "connectors.yaml").write_text(MINE)
    with pytest.raises(ConfigError, match="would overwrite"):
        write_connectors(tmp_path, "http://127.0.0.1:1234/sales")
    assert (tmp_path / "connectors.yaml").read_text() == MINE


def test_the_demo_refuses_edited_connectors_before_it_writes_anything(tmp_path):
    simulate_mall(tmp_path, **SMALL)
    (tmp_path / "connectors.yaml").write_text(MINE)
    before = content(tmp_path)
    result = CliRunner().invoke(app, ["demo", "--dir", str(tmp_path)])
    assert result.exit_code == 2
    assert content(tmp_path) == before


def test_the_demo_refuses_a_ledger_that_is_kept_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("KSI_LEDGER_URL", f"sqlite:///{tmp_path / 'mine.sqlite'}")
    result = CliRunner().invoke(app, ["demo", "--dir", str(tmp_path / "demo")])
    assert result.exit_code == 2
    assert "KSI_LEDGER_URL" in result.stderr
    assert content(tmp_path) == {}


def test_a_folder_at_which_a_run_works_is_left_alone(tmp_path):
    with (tmp_path / "run.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for verb in ("demo", "sandbox"):
            result = CliRunner().invoke(app, [verb, "--dir", str(tmp_path)])
            assert "E_RUN_LOCKED" in result.stderr
    assert content(tmp_path) == {"run.lock": b""}


def test_the_till_that_sandbox_serves_is_the_one_in_connectors_yaml(tmp_path, monkeypatch):
    asked = []

    def ask(api: PosApi) -> None:
        line = (tmp_path / "connectors.yaml").read_text().split("url: ")[1].split("\n")[0]
        server = threading.Thread(target=api._server.handle_request, daemon=True)
        server.start()
        url = f"{json.loads(line)}?fromTime=2026-03-27T09:00:00%2B01:00"
        request = urllib.request.Request(
            f"{url}&toTime=2026-03-27T09:59:59%2B01:00&ext_ref_codes=0001",
            headers={"Authorization": "Bearer sandbox"},
        )
        asked.extend(json.load(urllib.request.urlopen(request, timeout=30)))
        server.join()

    # what is filmed is not asked for
    monkeypatch.setattr("ksi_pipeline.cli.sandbox.simulate_mall", partial(simulate_mall, **SMALL))
    monkeypatch.setattr(PosApi, "serve_forever", ask)
    monkeypatch.delenv("KSI_POS_MAIN_TOKEN", raising=False)
    sandbox(rows=None, data_dir=tmp_path, port=0)
    assert [row["ext_ref_code"] for row in asked] == ["0001"]
