"""A version whose marts have other columns builds every hour anew, once, without being asked."""

import json
import shutil

import pytest

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.defs.steps.build import plan_build
from ksi_pipeline.defs.steps.dbt_command import dbt_executable, prepare_manifest
from ksi_pipeline.defs.steps.model_columns import BUILT_WITH, columns_digest
from ksi_pipeline.store.lake_views import open_duckdb
from ksi_pipeline.store.store import Change

from .homes import finish, make_workspace, marts_of, run, touched


@pytest.fixture
def other_version(built, tmp_path):
    """The workspace of a version whose fct_sales_daily has changed as a function says."""

    def make(change):
        manifest = prepare_manifest(built.dbt_project_dir)
        project = tmp_path / "dbt_project"
        (project / "target").mkdir(parents=True)
        shutil.copy(built.dbt_project_dir / "dbt_project.yml", project)
        content = json.loads(manifest.read_text())
        change(content["nodes"]["model.ksi.fct_sales_daily"])
        (project / "target" / "manifest.json").write_text(json.dumps(content))
        built.dbt_project_dir = project
        return built

    return make


def another_column(model):
    column = {"data_type": "bigint", "description": "", "constraints": []}
    model["columns"]["one_more"] = {"name": "one_more", **column}


def another_type(model):
    model["columns"]["ticket_count"]["data_type"] = "double"


def another_order(model):
    model["columns"] = dict(reversed(model["columns"].items()))


@pytest.mark.parametrize("change", [another_column, another_type, another_order])
def test_other_columns_build_every_hour_anew_until_it_was_done(other_version, change):
    workspace = other_version(change)
    assert plan_build(workspace, full_refresh=False).full_refresh
    plan = plan_build(workspace, full_refresh=False)
    assert plan.because == "The marts have other columns in this version"
    finish(workspace, plan)
    assert plan_build(workspace, full_refresh=False) is None


def test_another_description_builds_nothing(other_version):
    workspace = other_version(lambda model: model.update(description="other words"))
    assert plan_build(workspace, full_refresh=False) is None


def test_a_build_from_before_columns_were_noted_is_built_anew_once(built):
    built.store.commit(Change(dropped_steps=[BUILT_WITH]))
    plan = plan_build(built, full_refresh=False)
    assert plan.full_refresh
    finish(built, plan)
    assert plan_build(built, full_refresh=False) is None


def test_a_first_build_is_built_with_the_columns_of_its_version(shop):
    workspace = touched(make_workspace(shop()))
    plan = plan_build(workspace, full_refresh=False)
    assert not plan.full_refresh
    assert plan.columns == columns_digest(prepare_manifest(workspace.dbt_project_dir))


@pytest.mark.slow
def test_a_build_database_with_fewer_columns_is_mended_by_a_run_in_which_hours_are_touched(
    mall, tmp_path
):
    before = marts_of(mall.home)
    home = shutil.copytree(mall.home, tmp_path / "home", symlinks=True)
    workspace = make_workspace(home)
    for mart in ("fct_sales_daily", "fct_campaign_effect"):
        with open_duckdb(workspace.home.build_db) as connection:
            connection.execute(f"alter table marts.{mart} drop column as_of_utc")
    change = Change(cause="a test", steps={BUILT_WITH: "other columns"})
    change.affect(hour for hour in [("mall", "0001", workspace.clock())])
    workspace.store.commit(change)
    assert run(workspace).failures == []
    assert marts_of(home) == before


def test_an_installation_without_the_command_that_builds_is_told_to_install_again(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(ConfigError, match=r"pip install -e \.") as caught:
        dbt_executable()
    assert caught.value.code == "E_DBT_PROJECT"
