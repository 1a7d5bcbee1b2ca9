"""The dbt project as assets: staging, intermediate and marts."""

import json
from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliResource,
    dbt_assets,
)
from packaging.version import Version

from ksi_pipeline.core.schemas import SPACE_TABLES
from ksi_pipeline.defs.failures import no_retry_on_permanent_errors
from ksi_pipeline.defs.steps.after_python import (
    PYTHON_STEPS,
    is_due,
    is_outdated,
    mark_all_built,
    needs_no_dbt,
)
from ksi_pipeline.defs.steps.build import (
    AFTER_PYTHON,
    dbt_arguments,
    is_first_built,
    mark_first_built,
    mart_row_counts,
    plan_build,
)
from ksi_pipeline.defs.steps.dbt_command import (
    dbt_environment,
    dbt_executable,
    prepare_manifest,
)
from ksi_pipeline.defs.steps.metric_rules import built_rules
from ksi_pipeline.defs.workspace import Workspace

FULL_REFRESH = "ksi/full_refresh"
WRITER_POOL = "duckdb_writer"

# Sources that are columns of another asset's work rather than assets of their own.
_SOURCE_ASSETS = {
    **dict.fromkeys(SPACE_TABLES, "space_model"),
    "site_open_spans": "site_hours",
    "affected_hours": "site_hours",
    "quarantine": "ticket_hours",
    "tickets": "ticket_hours",
    "ticket_lines": "ticket_hours",
}


class _Translator(DagsterDbtTranslator):
    """Names assets after their models, groups them by layer, and ties sources to our assets."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        name = dbt_resource_props["name"]
        if dbt_resource_props["resource_type"] == "source":
            return dg.AssetKey(_SOURCE_ASSETS.get(name, name))
        return dg.AssetKey(name)

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        folders = dbt_resource_props["fqn"][1:-1]
        return str(folders[0]) if folders else None


class _Dbt(DbtCliResource):
    """The dbt that is installed beside this Python, started once for each build.

    dagster-dbt starts `dbt --version` first, which also asks the package index for the newest one;
    here the version is that of the installed package. It also prepares dbt's adapter in this
    process, which takes as long as a small build and serves only fetch_row_counts and
    fetch_column_metadata, neither of which is used.
    """

    @property
    def _cli_version(self) -> Version:  # type: ignore[override]
        return Version(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> None:  # type: ignore[override]
        del args


def dbt_marts(project_dir: Path) -> dg.AssetsDefinition:
    """Make the assets of the dbt project, but for what reads the work of Python steps on them.

    One dbt process builds what the affected hours ask for. When no hour was touched since the
    last build, dbt is not started, and nothing is materialised unless Python steps have to read
    the models anew.
    """

    @dbt_assets(
        manifest=prepare_manifest(project_dir),
        name="dbt_marts",
        exclude=f"{AFTER_PYTHON}+",
        dagster_dbt_translator=_translator(),
        pool=WRITER_POOL,
    )
    def marts(
        context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
    ) -> Iterator[Any]:
        full_refresh = context.run.tags.get(FULL_REFRESH) == "true"
        with no_retry_on_permanent_errors(context):
            # first, so that a wrong file is told of before anything is built
            outdated = is_outdated(workspace)
            plan = plan_build(workspace, full_refresh=full_refresh)
        if plan is None:
            context.log.info("No hour was touched since the last build; dbt was not started.")
            if outdated and is_first_built(workspace):
                yield from _as_they_are(context)
            return
        if plan.because:
            context.log.info("%s; every hour is built anew.", plan.because)
        context.log.info("Building %d affected unit-hours.", plan.unit_hours)
        if plan.full_refresh:
            # what was decided may be shown by other rules
            for step in PYTHON_STEPS:
                step.forget_shown(workspace)
        arguments = dbt_arguments(workspace, full_refresh=plan.full_refresh, rules=plan.rules)
        events = _build(project_dir, context, workspace, arguments)
        mark_first_built(workspace, plan)
        yield from _with_row_counts(events, mart_row_counts(workspace))

    return marts


def dbt_marts_after_python(project_dir: Path) -> dg.AssetsDefinition:
    """Make the assets of the models that read what Python steps made of the first ones.

    They are built whole, and only when what they read has changed.
    """

    @dbt_assets(
        manifest=prepare_manifest(project_dir),
        name="dbt_marts_after_python",
        select=AFTER_PYTHON,
        dagster_dbt_translator=_translator(),
        pool=WRITER_POOL,
    )
    def marts(
        context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
    ) -> Iterator[Any]:
        if not is_due(workspace):
            context.log.info("Nothing was built since; dbt was not started.")
            return
        if needs_no_dbt(workspace):
            context.log.info("No mart would change; dbt was not started.")
            events = _as_they_are(context)
        else:
            rules = built_rules(workspace)
            arguments = dbt_arguments(workspace, full_refresh=False, rules=rules)
            events = _build(project_dir, context, workspace, arguments)
        mark_all_built(workspace)
        yield from _with_row_counts(events, mart_row_counts(workspace))

    return marts


def mart_names(project_dir: Path) -> list[str]:
    """Give the names of the marts in the project's manifest."""
    nodes = json.loads(prepare_manifest(project_dir).read_text())["nodes"].values()
    return sorted(
        node["name"]
        for node in nodes
        if node["resource_type"] == "model" and node["fqn"][1] == "marts"
    )


def _as_they_are(context: dg.AssetExecutionContext) -> list[Any]:
    """Materialise assets that are as they should be, so that what waits for them goes on.

    Dagster wants no asset before those that it reads.
    """
    keys = context.selected_asset_keys
    reads = {key: context.assets_def.asset_deps[key] & keys for key in sorted(keys)}
    return [dg.MaterializeResult(asset_key=key) for key in TopologicalSorter(reads).static_order()]


def _translator() -> _Translator:
    return _Translator(
        settings=DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True)
    )


def _build(
    project_dir: Path, context: dg.AssetExecutionContext, workspace: Workspace, arguments: list[str]
) -> list[Any]:
    dbt = _Dbt(
        project_dir=str(project_dir),
        profiles_dir=str(project_dir),
        dbt_executable=dbt_executable(),
    )
    workspace.progress("dbt build", 0.0)
    with dbt_environment(workspace):
        target = workspace.home.build_db.parent / "dbt_target"
        return list(dbt.cli(arguments, context=context, target_path=target).stream())


def _with_row_counts(events: list[Any], counts: Mapping[str, int]) -> Iterator[Any]:
    for event in events:
        name = getattr(event, "output_name", None)
        if isinstance(event, dg.Output) and name in counts:
            yield event.with_metadata({**event.metadata, "dagster/row_count": counts[name]})
        else:
            yield event
