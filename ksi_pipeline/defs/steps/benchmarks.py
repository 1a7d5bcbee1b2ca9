"""What may be shown of tenants: decided from the first selection of models, read by the second."""

from collections.abc import Mapping

import pyarrow as pa

from ksi_pipeline.core.benchmarks import BENCHMARK_RULE_VERSION, benchmark_suppression
from ksi_pipeline.core.schemas import TENANT_MONTHS
from ksi_pipeline.defs.workspace import Workspace, digest
from ksi_pipeline.store.lake_views import has_table, open_duckdb, register_dataset
from ksi_pipeline.store.store import Change

DATASET, MART = "benchmark_suppression", "fct_tenant_benchmark_monthly"

_DECIDED, _SHOWN = "benchmarks decided from", "benchmarks shown as decided from"


def update_benchmark_suppression(workspace: Workspace) -> int:
    """Decide anew which totals of tenants may be shown, and show the decision to dbt.

    Reads int_tenant_months of the build database. All months are decided each time, because what
    may be shown of a month depends on those before it; the same months give the same decision.

    Returns:
        Rows of the dataset.
    """
    months = _tenant_months(workspace)
    decided = benchmark_suppression(
        months.select(TENANT_MONTHS.names).cast(TENANT_MONTHS), workspace.benchmarks
    )
    inputs = digest(months.to_pylist(), workspace.benchmarks, BENCHMARK_RULE_VERSION)
    change = Change(cause="benchmarks", steps={_DECIDED: inputs})
    workspace.store.replace(change, DATASET, decided, source="benchmarks")
    workspace.store.commit(change)
    register_dataset(workspace.store, DATASET, memory_limit=workspace.memory_limit)
    return int(decided.num_rows)


def is_shown(workspace: Workspace) -> bool:
    """Whether the build database has the mart of the months that were decided about last."""
    ledger = workspace.store.ledger
    if ledger.inputs_of(_DECIDED) != ledger.inputs_of(_SHOWN):
        return False
    with open_duckdb(workspace.home.build_db, workspace.memory_limit) as connection:
        return has_table(connection, "marts", MART)


def show_nothing(workspace: Workspace, columns: Mapping[str, str]) -> bool:
    """Make the mart without a row, where there is no month to compare: dbt takes ten seconds.

    Args:
        workspace: the data home.
        columns: of the mart, with their types.

    Returns:
        Whether that is all there is to show.
    """
    if _tenant_months(workspace).num_rows:
        return False
    listed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
    with open_duckdb(workspace.home.build_db, workspace.memory_limit) as connection:
        connection.execute(f"create or replace table marts.{MART} ({listed})")
    return True


def mark_shown(workspace: Workspace) -> None:
    """Note that the build database has the mart of the months that were decided about last."""
    decided = workspace.store.ledger.inputs_of(_DECIDED)
    workspace.store.commit(Change(steps={_SHOWN: str(decided)}))


def _tenant_months(workspace: Workspace) -> pa.Table:
    with open_duckdb(workspace.home.build_db, workspace.memory_limit) as connection:
        rows = connection.sql("select * from intermediate.int_tenant_months order by all")
        return rows.to_arrow_table()
