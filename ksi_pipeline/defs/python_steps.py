"""The Python steps between the two selections of dbt, as assets."""

import dagster as dg

from ksi_pipeline.defs.dbt import WRITER_POOL
from ksi_pipeline.defs.failures import no_retry_on_permanent_errors
from ksi_pipeline.defs.steps.after_python import PYTHON_STEPS, is_due
from ksi_pipeline.defs.steps.python_step import PythonStep
from ksi_pipeline.defs.workspace import Workspace


def python_steps() -> list[dg.AssetsDefinition]:
    """Make one asset for each step: the dataset that it writes."""
    return [_asset_of(step) for step in PYTHON_STEPS]


def _asset_of(step: PythonStep) -> dg.AssetsDefinition:
    @dg.asset(
        name=step.dataset,
        description=step.about,
        group_name=step.noted_as,
        kinds={"python", "parquet"},
        deps=list(step.reads),
        pool=WRITER_POOL,
        output_required=False,
    )
    def dataset(
        context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
    ) -> dg.MaterializeResult | None:
        if not is_due(workspace):
            context.log.info("Nothing was built since the last decision.")
            return None
        with no_retry_on_permanent_errors(context):
            rows = step.update(workspace)
        return dg.MaterializeResult(metadata={"dagster/row_count": rows})

    return dataset
