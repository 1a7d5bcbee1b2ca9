"""What may be shown of tenants: decided from the first selection of models, read by the second."""

import pyarrow as pa

from ksi_pipeline.core.benchmarks import BENCHMARK_RULE_VERSION, benchmark_suppression
from ksi_pipeline.core.schemas import TENANT_MONTHS
from ksi_pipeline.defs.steps.python_step import Decided, PythonStep
from ksi_pipeline.defs.workspace import Workspace, digest
from ksi_pipeline.store.lake_views import open_duckdb

_RULED = "benchmarks decided by"


def _suppress(workspace: Workspace) -> Decided:
    """Decide which totals of tenants may be shown.

    All months are decided each time, because what may be shown of a month depends on those before
    it; the same months give the same decision.
    """
    months = _tenant_months(workspace)
    decided = benchmark_suppression(
        months.select(TENANT_MONTHS.names).cast(TENANT_MONTHS), workspace.benchmarks
    )
    inputs = digest(months.to_pylist(), workspace.benchmarks, BENCHMARK_RULE_VERSION)
    return Decided(decided, inputs, {_RULED: _rules(workspace)})


def _is_outdated(workspace: Workspace) -> bool:
    """Whether what may be shown was decided by other thresholds, or by another rule."""
    ruled = workspace.store.ledger.inputs_of(_RULED)
    return ruled is not None and ruled != _rules(workspace)


def _rules(workspace: Workspace) -> str:
    return digest(workspace.benchmarks, BENCHMARK_RULE_VERSION)


def _has_no_month(workspace: Workspace) -> bool:
    return not _tenant_months(workspace).num_rows


def _tenant_months(workspace: Workspace) -> pa.Table:
    with open_duckdb(workspace.home.build_db, workspace.memory_limit) as connection:
        rows = connection.sql("select * from intermediate.int_tenant_months order by all")
        return rows.to_arrow_table()


SUPPRESSION = PythonStep(
    dataset="benchmark_suppression",
    about=(
        "Which totals of tenants may be shown, and who is in them. Grain: one row per site, "
        "month, measure, peer group and tenant that is compared in it."
    ),
    reads=("int_tenant_months",),
    mart="fct_tenant_benchmark_monthly",
    noted_as="benchmarks",
    decide=_suppress,
    has_nothing=_has_no_month,
    is_outdated=_is_outdated,
)
