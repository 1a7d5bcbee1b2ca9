"""Targets in Dagster: an asset for each mart, its receipt as metadata, its reconcile as a check."""

import json
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.defs.publish_targets import target_definitions
from ksi_pipeline.defs.steps.model_columns import marts_of_exposures
from ksi_pipeline.defs.steps.targets import load_targets
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.store import Store

from .homes import REPO, TARGETS, published_home
from .places import MART, ROWS, Marts

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    published_home(tmp_path, Marts(tmp_path / "made").batches())
    (tmp_path / "targets.yaml").write_text(TARGETS)
    store = Store(DataHome(tmp_path))
    return Workspace(
        store, REPO / "dbt_project", {}.get, clock=lambda: datetime(2026, 3, 1, tzinfo=UTC)
    )


def run(workspace, instance):
    made = target_definitions(workspace, lambda: [MART])
    source = dg.AssetSpec("published_parquet")
    definitions = dg.Definitions(
        assets=[source, *made.assets],
        jobs=made.jobs,
        schedules=made.schedules,
        resources={"workspace": workspace},
    )
    job = definitions.resolve_job_def("publish_bi")
    return job.execute_in_process(instance=instance, raise_on_error=False)


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def metadata(result):
    (event,) = result.get_asset_materialization_events()
    told = event.step_materialization_data.materialization
    assert told.asset_key == dg.AssetKey(["bi", MART])
    return {name: value.value for name, value in told.metadata.items()}


def test_a_mart_has_its_receipt_as_metadata_and_its_reconcile_as_a_check(workspace, instance):
    result = run(workspace, instance)
    told = metadata(result)
    assert (told["dagster/row_count"], told["publish"]) == (3, 2)
    assert set(told["batches"]) == set(ROWS)
    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == ("reconciles", True)
    assert metadata(run(workspace, instance))["skip"] == 2


def test_columns_that_were_changed_fail_the_check_by_name(workspace, instance):
    run(workspace, instance)
    manifest = workspace.home.root / "out" / "current" / "manifest.json"
    told = json.loads(manifest.read_text())
    told["marts"][MART]["columns"][4]["type"] = "text"
    manifest.write_text(json.dumps(told))
    result = run(workspace, instance)
    assert not result.success
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed
    assert check.metadata["code"].value == "E_PUBLISH_SCHEMA"


def test_a_target_has_the_schedule_that_its_entry_says(workspace):
    (schedule,) = target_definitions(workspace, lambda: [MART]).schedules
    assert (schedule.name, schedule.cron_schedule) == ("publish_bi_schedule", "20 * * * *")


def test_a_broken_file_of_targets_gives_none_and_stops_nothing_else(workspace):
    Path(workspace.home.targets).write_text("targets: [{id: bi, kind: fax}]")
    assert target_definitions(workspace, lambda: [MART]).assets == []


def test_a_target_gets_the_marts_of_the_exposures_that_it_names(workspace):
    (workspace.home.root / "targets.yaml").write_text(
        "targets:\n  - {id: bi, kind: files, path: out, marts: [dim_category], "
        "exposures: [campaign_review]}\n"
    )
    (target,) = load_targets(workspace)
    assert target.marts == ["dim_category", "dim_unit", "fct_campaign_effect"]


def test_an_exposure_that_the_project_does_not_have_is_named_with_those_it_has(workspace):
    (workspace.home.root / "targets.yaml").write_text(
        "targets:\n  - {id: bi, kind: files, path: out, exposures: [conversions]}\n"
    )
    with pytest.raises(ConfigError, match=r"conversions .it has: .*conversion_dashboard") as caught:
        load_targets(workspace)
    assert caught.value.code == "E_UNKNOWN_EXPOSURE"


def test_an_exposure_may_read_sources_too_which_go_nowhere(tmp_path):
    manifest = tmp_path / "manifest.json"
    reads = {"nodes": ["source.ksi.lake.tickets", "model.ksi.dim_unit"]}
    manifest.write_text(
        json.dumps(
            {
                "nodes": {"model.ksi.dim_unit": {"name": "dim_unit"}},
                "exposures": {"exposure.ksi.till": {"name": "till", "depends_on": reads}},
            }
        )
    )
    assert marts_of_exposures(manifest) == {"till": ["dim_unit"]}
