"""What the newest snapshot has for a target, and one that newer builds remove meanwhile."""

import shutil

import pytest

from ksi_pipeline.core.errors import TransientError
from ksi_pipeline.defs.steps.targets import Scope, publish_to
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.store import Store

from .homes import REPO, TARGETS, published_home
from .places import MART, Marts


@pytest.fixture
def workspace(tmp_path):
    published_home(tmp_path, Marts(tmp_path / "made").batches())
    (tmp_path / "targets.yaml").write_text(TARGETS)
    return Workspace(Store(DataHome(tmp_path)), REPO / "dbt_project", {}.get)


@pytest.mark.parametrize("gone", ["", MART], ids=["the snapshot", "a file of it"])
def test_a_snapshot_that_is_removed_before_its_files_are_opened_is_named(workspace, gone):
    publish_to(workspace, "bi", Scope())
    shutil.rmtree(workspace.home.current_marts.resolve() / gone)
    # link.exists() asked for the folder, which went after that
    workspace.home.current_marts.resolve().mkdir(exist_ok=True)
    with pytest.raises(TransientError, match="'bi'") as caught:
        publish_to(workspace, "bi", Scope())
    assert caught.value.code == "E_SNAPSHOT_GONE"
    assert len(list((workspace.home.root / "out" / "current").glob(f"csv/{MART}/*.csv"))) == 2
