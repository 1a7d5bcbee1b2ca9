"""Assets that readers look at: the DuckDB snapshot and the Parquet marts."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from ksi_pipeline.defs.dbt import WRITER_POOL, mart_names
from ksi_pipeline.defs.failures import no_retry_on_permanent_errors
from ksi_pipeline.defs.steps.build import publish_marts
from ksi_pipeline.defs.workspace import Workspace


def published(project_dir: Path) -> dg.AssetsDefinition:
    """Make the publishing assets, downstream of every mart."""
    specs = [
        dg.AssetSpec(
            name,
            group_name="publish",
            kinds={kind},
            deps=mart_names(project_dir),
            skippable=True,
            description=description,
        )
        for name, kind, description in (
            ("published_snapshot", "duckdb", "published/current.duckdb: what readers open."),
            ("published_parquet", "parquet", "published/marts: the same tables, facts in months."),
        )
    ]

    @dg.multi_asset(specs=specs, name="published", pool=WRITER_POOL)
    def publish(
        context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
    ) -> Iterator[dg.MaterializeResult]:
        with no_retry_on_permanent_errors(context):
            snapshot = publish_marts(workspace)
        if snapshot is None:
            context.log.info("Readers already have the last build; nothing was published.")
            return
        for spec in specs:
            yield dg.MaterializeResult(
                asset_key=spec.key,
                metadata={
                    "dagster/row_count": sum(snapshot.row_counts.values()),
                    "snapshot": snapshot.number,
                    "is_new": snapshot.is_new,
                    **snapshot.row_counts,
                },
            )

    return publish
