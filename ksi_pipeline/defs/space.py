"""The asset of the space model."""

import dagster as dg

from ksi_pipeline.defs.failures import no_retry_on_permanent_errors
from ksi_pipeline.defs.steps.space import load_spaces
from ksi_pipeline.defs.workspace import Workspace


@dg.asset(group_name="ingest", kinds={"yaml", "parquet"})
def space_model(
    context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
) -> dg.MaterializeResult:
    """Units, zones, lines, cameras and links of every site, with their validity.

    From the files in spaces/. A changed file touches the hours that it can change.
    """
    with no_retry_on_permanent_errors(context):
        rows = load_spaces(workspace)
    return dg.MaterializeResult(metadata={"dagster/row_count": sum(rows.values()), **rows})
