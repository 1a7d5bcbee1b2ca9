"""A changed rule in metrics.yaml builds every hour anew, once, without being asked for."""

import json
import shutil

import pytest

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.defs.steps.benchmarks import SUPPRESSION
from ksi_pipeline.defs.steps.build import dbt_arguments, plan_build
from ksi_pipeline.defs.steps.dbt_command import prepare_manifest
from ksi_pipeline.defs.steps.metric_rules import metric_rules
from ksi_pipeline.store.store import Change

from .homes import finish, make_workspace, query, run, touched


def set_rules(workspace, text):
    workspace.home.metrics.write_text(text)


def test_a_first_build_is_no_full_refresh_whatever_the_file_says(shop):
    workspace = touched(make_workspace(shop()))
    set_rules(workspace, "engaged_dwell_s: 30\n")
    assert not plan_build(workspace, full_refresh=False).full_refresh


def test_a_changed_rule_makes_the_next_build_a_full_refresh_until_one_is_done(built):
    set_rules(built, "engaged_dwell_s: 30\n")
    assert plan_build(built, full_refresh=False).full_refresh
    plan = plan_build(built, full_refresh=False)
    assert plan.full_refresh
    finish(built, plan)
    assert plan_build(built, full_refresh=False) is None


def test_a_file_that_says_what_is_shipped_changes_nothing(built):
    set_rules(built, "engaged_dwell_s: 60.0\nticket_lag_shape: uniform\n")
    assert plan_build(built, full_refresh=False) is None


def test_a_rule_that_is_taken_out_again_is_a_change_too(built):
    set_rules(built, "engaged_dwell_s: 30\n")
    finish(built, plan_build(built, full_refresh=False))
    built.home.metrics.unlink()
    assert plan_build(built, full_refresh=False).full_refresh


def test_marts_from_before_rules_were_noted_were_built_by_what_is_shipped(built):
    built.store.commit(Change(dropped_steps=["marts built by the metric rules"]))
    assert plan_build(built, full_refresh=False) is None
    set_rules(built, "bounce_dwell_s: 60\n")
    assert plan_build(built, full_refresh=False).full_refresh


def test_a_file_that_is_edited_during_a_build_is_for_the_next_one(built):
    set_rules(built, "engaged_dwell_s: 30\n")
    plan = plan_build(built, full_refresh=False)
    set_rules(built, "engaged_dwell_s: 45\n")
    told = dbt_arguments(built, full_refresh=plan.full_refresh, rules=plan.rules)
    assert '"engaged_dwell_s": 30' in told[-1]
    finish(built, plan)
    assert plan_build(built, full_refresh=False).rules["engaged_dwell_s"] == 45


def test_a_rule_edited_in_the_dbt_project_is_noticed_and_the_file_wins(built, tmp_path):
    project = tmp_path / "dbt_project"
    project.mkdir()
    text = (built.dbt_project_dir / "dbt_project.yml").read_text()
    changed = text.replace("bounce_dwell_s: 120", "bounce_dwell_s: 90")
    (project / "dbt_project.yml").write_text(changed)
    (project / "target").mkdir()
    shutil.copy(prepare_manifest(built.dbt_project_dir), project / "target")
    built.dbt_project_dir = project
    assert metric_rules(built)["bounce_dwell_s"] == 90
    assert plan_build(built, full_refresh=False).full_refresh
    set_rules(built, "bounce_dwell_s: 45\n")
    assert metric_rules(built)["bounce_dwell_s"] == 45


def test_builds_leave_data_tests_out_where_the_setting_says_so(built):
    told = {}
    for built.data_tests in (True, False):
        told[built.data_tests] = dbt_arguments(built, full_refresh=False, rules={})
    assert "test" not in told[True]
    left_out = told[False][told[False].index("test") - 1 :][:2]
    assert left_out == ["--exclude-resource-type", "test"]


def test_a_wrong_file_stops_the_build(built):
    set_rules(built, "engaged_dwel_s: 30\n")
    with pytest.raises(ConfigError, match="engaged_dwel_s"):
        plan_build(built, full_refresh=False)


def test_a_mart_after_python_that_is_forgotten_is_built_though_the_same_was_decided(built):
    built.store.commit(Change(steps={"benchmarks decided from": "the same"}))
    built.store.commit(Change(steps=SUPPRESSION.shown(built)))
    assert SUPPRESSION.is_noted_as_shown(built)
    SUPPRESSION.forget_shown(built)
    assert not SUPPRESSION.is_noted_as_shown(built)


@pytest.mark.slow
def test_a_changed_rule_changes_the_marts_of_days_that_nothing_else_touched(mall, tmp_path):
    home = shutil.copytree(mall.home, tmp_path / "home", symlinks=True)
    engaged = "select unit_id, sum(engaged_count) from fct_funnel_daily group by all order by all"
    before = query(home, engaged)
    workspace = make_workspace(home)
    set_rules(workspace, "engaged_dwell_s: 0\n")
    assert run(workspace).failures == []
    after = query(home, engaged)
    assert after != before
    assert all(now >= then for (_, now), (_, then) in zip(after, before, strict=True))
    report = run(make_workspace(home))
    assert report.changed_nothing


def test_dbt_is_told_only_what_is_not_as_the_project_says_so_that_it_parses_nothing_anew(built):
    usual = dbt_arguments(built, full_refresh=False, rules=metric_rules(built))
    assert "--vars" not in usual
    set_rules(built, "engaged_dwell_s: 30\n")
    told = dbt_arguments(built, full_refresh=False, rules=metric_rules(built))
    assert json.loads(told[told.index("--vars") + 1]) == {"engaged_dwell_s": 30}
