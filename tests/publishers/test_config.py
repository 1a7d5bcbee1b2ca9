"""targets.yaml: strict, with lines, and without a secret in any message."""

from pathlib import Path

import pytest

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.defs.steps.targets import Scope, load_targets, open_target
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.publishers.base_config import TargetBase
from ksi_pipeline.publishers.config import KINDS
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.store import Store

PASTED = "postgresql://ksi:s3cret@db/analytics"


@pytest.fixture
def workspace(tmp_path):
    return Workspace(Store(DataHome(tmp_path)), Path(), {}.get)


def refused(workspace, text, code="E_TARGETS_FILE"):
    workspace.home.targets.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_targets(workspace)
    assert caught.value.code == code
    assert "s3cret" not in str(caught.value)
    return str(caught.value)


def test_without_a_file_there_is_no_target(workspace):
    assert load_targets(workspace) == ()


def test_every_setting_that_is_wrong_is_named_with_its_line(workspace):
    said = refused(
        workspace,
        "targets:\n- id: bi\n  kind: files\n  path: out\n  keep: many\n- id: w\n  kind: postgres\n",
    )
    assert "line 5, target 'bi', keep: it should be a whole number" in said
    assert "line 6, target 'w', url_env: it is missing" in said


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param("targets: [{id: a, kind: fax}]", "it should be one of files,", id="kind"),
        pytest.param("targets: [{id: a}]", "target 'a', kind", id="no kind"),
        pytest.param("targets: [x]", "target number 1", id="no target"),
        pytest.param("goals: []", "should hold one key, targets:", id="other key"),
        pytest.param("targets: [", "this is no YAML", id="no YAML"),
        pytest.param(
            "targets: [{id: a, kind: duckdb, path: x, pth: y}]",
            "pth: unknown setting; did you mean path?",
            id="spelling",
        ),
        pytest.param(
            "targets: [{id: a, kind: postgres, url_env: X, statement_timeout_s: 5}]",
            "did you mean step_timeout_s?",
            id="earlier name",
        ),
        pytest.param(
            "targets: [{id: a, kind: duckdb, path: x, colour: red}]",
            "colour: unknown setting; check the spelling",
            id="nothing alike",
        ),
        pytest.param(
            "targets: [{id: a, kind: duckdb, path: x, schedule: hourly}]",
            "schedule: it should be a cron expression",
            id="schedule",
        ),
        pytest.param(
            f"targets: [{{id: a, kind: postgres, url_env: '{PASTED}'}}]", "url_env", id="pasted URL"
        ),
    ],
)
def test_what_is_wrong_is_said(workspace, text, named):
    assert named in refused(workspace, text)


def test_an_id_is_given_once(workspace):
    one = "{id: a, kind: duckdb, path: x}"
    assert "line 3" in refused(workspace, f"targets:\n- {one}\n- {one}\n", "E_DUP_TARGET")


def test_a_target_whose_url_is_not_set_names_the_variable(workspace):
    workspace.home.targets.write_text("targets: [{id: a, kind: postgres, url_env: WH_URL}]")
    with pytest.raises(ConfigError, match="WH_URL") as caught:
        open_target(workspace, "a")
    assert caught.value.code == "E_TARGET_SECRET"


@pytest.mark.parametrize("month", ["2026-13", "2026-1", "march"])
def test_what_is_no_month_is_refused(month):
    with pytest.raises(ConfigError) as caught:
        Scope(first=month).require_months()
    assert caught.value.code == "E_BAD_TIME"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_class_that_is_named_after_it(kind):
    assert issubclass(KINDS[kind], TargetBase)
    assert KINDS[kind].model_fields["kind"].annotation.__args__ == (kind,)
