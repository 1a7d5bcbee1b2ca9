"""Assets that decide in Python about what models of dbt hold."""

import dagster as dg

from ksi_pipeline.defs.dbt import WRITER_POOL
from ksi_pipeline.defs.failures import no_retry_on_permanent_errors
from ksi_pipeline.defs.steps.benchmarks import update_benchmark_suppression
from ksi_pipeline.defs.steps.build import is_second_due
from ksi_pipeline.defs.workspace import Workspace


@dg.asset(
    name="benchmark_suppression",
    group_name="benchmarks",
    kinds={"python", "parquet"},
    deps=["int_tenant_months"],
    pool=WRITER_POOL,
    output_required=False,
)
def suppression(
    context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
) -> dg.MaterializeResult | None:
    """Which totals of tenants may be shown, and who is in them.

    Grain: one row per site, month, measure, peer group and tenant that is compared in it.
    """
    if not is_second_due(workspace):
        context.log.info("Nothing was built since the last decision.")
        return None
    with no_retry_on_permanent_errors(context):
        rows = update_benchmark_suppression(workspace)
    return dg.MaterializeResult(metadata={"dagster/row_count": rows})
