"""The build of the marts: what dbt has to compute and is told, and publishing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from ksi_pipeline.defs.steps.dbt_command import prepare_manifest
from ksi_pipeline.defs.steps.final_after import (
    final_after_by_connector,
    note_final_after,
)
from ksi_pipeline.defs.steps.metric_rules import built_rules, metric_rules, noted, project_vars
from ksi_pipeline.defs.steps.model_columns import BUILT_WITH, built_columns, columns_digest
from ksi_pipeline.defs.steps.quarantine import newest_refused_tickets
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.space.metrics import Rules
from ksi_pipeline.store.lake_views import open_duckdb, pending_seq, register_lake
from ksi_pipeline.store.snapshot import Snapshot, publish
from ksi_pipeline.store.store import Change

_BUILT, _PUBLISHED = "marts built up to", "marts published up to"
# what the models before the Python steps hold
_FIRST = "models before Python built up to"
# nobody can say of which hour a row that cannot be read is, so it affects none
_REFUSED = "refused ticket rows built up to"

# Models that read what Python made of other models; dbt builds them in a second selection. With a
# plus behind it, their tests too.
AFTER_PYTHON = "tag:after_python"


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What the next build has to compute.

    Attributes:
        up_to_seq: affected hours after this one belong to a later build.
        unit_hours: how many unit-hours are affected.
        full_refresh: whether every mart is built whole.
        because: why it is though nobody asked for it; null where somebody did, or it is not.
        columns: hash of the columns that the models are built with.
        refused: number of the newest refused ticket row.
        rules: by which the marts count; a file that is edited meanwhile is for the next build.
    """

    up_to_seq: int
    unit_hours: int
    full_refresh: bool
    because: str | None
    columns: str
    refused: int
    rules: Rules


def plan_build(workspace: Workspace, *, full_refresh: bool) -> BuildPlan | None:
    """Register the lake and say what to build; None when nothing changed since the last.

    Rules and columns that are others than the marts were built by make it a full refresh.
    """
    store = workspace.store
    rules = metric_rules(workspace)
    columns = columns_digest(prepare_manifest(workspace.dbt_project_dir))
    because = None if full_refresh else _why_all(workspace, rules, columns)
    full_refresh |= because is not None
    note_final_after(workspace)
    seq = pending_seq(store)
    refused = newest_refused_tickets(workspace)
    has_refused_more = is_first_built(workspace) and refused > _built_refused(workspace)
    if seq is None and (full_refresh or has_refused_more):
        seq = int(store.ledger.inputs_of(_PUBLISHED) or 0)
    if seq is None:
        return None
    count = register_lake(
        store, up_to_seq=seq, all_hours=full_refresh, memory_limit=workspace.memory_limit
    )
    return BuildPlan(seq, count, full_refresh, because, columns, refused, rules)


def _built_refused(workspace: Workspace) -> int:
    return int(workspace.store.ledger.inputs_of(_REFUSED) or 0)


def _why_all(workspace: Workspace, rules: Rules, columns: str) -> str | None:
    """Say why what was built has to be built whole; null where it need not be."""
    if not is_first_built(workspace):
        return None
    if rules != built_rules(workspace):
        return "Rules in metrics.yaml changed"
    if columns != built_columns(workspace):
        return "The marts have other columns in this version"
    return None


def mark_first_built(workspace: Workspace, plan: BuildPlan) -> None:
    """Note that the build database holds the models of the first selection up to the plan."""
    # A full refresh may repeat a sequence; forgetting the rest builds and publishes it again.
    steps = {_FIRST: str(plan.up_to_seq), BUILT_WITH: plan.columns, **noted(plan.rules)}
    steps[_REFUSED] = str(plan.refused)
    change = Change(steps=steps, dropped_steps=[_BUILT, _PUBLISHED])
    workspace.store.commit(change)


def is_first_built(workspace: Workspace) -> bool:
    """Whether the build database holds models of the first selection."""
    return workspace.store.ledger.inputs_of(_FIRST) is not None


def is_second_due(workspace: Workspace) -> bool:
    """Whether models of the first selection were built whose second readers do not see yet."""
    ledger = workspace.store.ledger
    first = ledger.inputs_of(_FIRST)
    return first is not None and first != ledger.inputs_of(_PUBLISHED)


def mark_built(workspace: Workspace, shown: Mapping[str, str]) -> None:
    """Note that the build database holds all marts up to what the first selection was built for.

    Args:
        workspace: the data home.
        shown: what to note of the Python steps, in the same change: a run that was killed between
            would leave a mart that is not due and not published.
    """
    # The second selection may be built twice for one first; forgetting publishes it again.
    built = str(workspace.store.ledger.inputs_of(_FIRST))
    workspace.store.commit(Change(steps={_BUILT: built, **shown}, dropped_steps=[_PUBLISHED]))


def publish_marts(workspace: Workspace) -> Snapshot | None:
    """Publish what was built; None when readers already have it."""
    ledger = workspace.store.ledger
    built, published = ledger.inputs_of(_BUILT), ledger.inputs_of(_PUBLISHED)
    if built is None or built == published:
        return None
    snapshot = publish(workspace.store, up_to_seq=int(built), memory_limit=workspace.memory_limit)
    workspace.store.commit(Change(steps={_PUBLISHED: built}))
    return snapshot


def mart_row_counts(workspace: Workspace) -> dict[str, int]:
    """Count the rows of every table of the build database, by name."""
    with open_duckdb(workspace.home.build_db, workspace.memory_limit) as connection:
        names = connection.execute(
            "select table_schema, table_name from information_schema.tables "
            "where table_schema = 'marts' order by all"
        ).fetchall()
        return {name: _count(connection, f"{schema}.{name}") for schema, name in names}


def dbt_arguments(workspace: Workspace, *, full_refresh: bool, rules: Rules) -> list[str]:
    """Give the words after `dbt` that build and test models, whichever are selected."""
    told = {
        **rules,
        "final_after_s": int(workspace.final_after.total_seconds()),
        "final_after_by_connector": final_after_by_connector(workspace),
    }
    # dbt parses everything anew where it is told another thing than the last time
    usual = project_vars(workspace.dbt_project_dir)
    told = {name: value for name, value in told.items() if usual.get(name) != value}
    return [
        "build",
        # at debug, dbt writes more of its log than of the marts of a small lake
        *("--log-level-file", "info"),
        # nobody reads the manifest of a build, and writing it takes longer than most models
        "--no-write-json",
        *(["--full-refresh"] if full_refresh else []),
        *("--exclude-resource-type", "unit_test"),
        *(() if workspace.data_tests else ("--exclude-resource-type", "test")),
        *(("--vars", json.dumps(told)) if told else ()),
    ]


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    found = connection.execute(f"select count(*) from {table}").fetchone()
    return int(found[0]) if found else 0
