"""Assets that turn camera chunks into tracklets."""

import dagster as dg

from ksi_pipeline.defs.failures import RETRIES, no_retry_on_permanent_errors
from ksi_pipeline.defs.partitions import DAYS, SINGLE_RUN, days_of
from ksi_pipeline.defs.space import space_model
from ksi_pipeline.defs.steps.chunk_inbox import find_chunks
from ksi_pipeline.defs.steps.deliveries import import_deliveries
from ksi_pipeline.defs.steps.video import ingest_chunks
from ksi_pipeline.defs.workspace import Workspace


@dg.asset(
    group_name="ingest",
    kinds={"python", "opencv"},
    partitions_def=DAYS,
    backfill_policy=SINGLE_RUN,
    deps=[space_model],
)
def camera_chunks(
    context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
) -> dg.MaterializeResult:
    """Video chunks that cameras left, by the UTC day of their start.

    A file whose name or place says no camera and no instant goes to quarantine with the reason.
    """
    with no_retry_on_permanent_errors(context):
        found = find_chunks(workspace, *days_of(context))
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": found.chunk_count,
            "new_or_changed": found.changed_count,
            "quarantined": found.rejected_count,
        }
    )


@dg.asset(
    group_name="ingest",
    kinds={"python", "parquet"},
    partitions_def=DAYS,
    backfill_policy=SINGLE_RUN,
    deps=[camera_chunks, space_model],
    check_specs=[dg.AssetCheckSpec("every_camera_was_read", asset="tracklets")],
    retry_policy=RETRIES,
)
def tracklets(
    context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
) -> dg.MaterializeResult:
    """Anonymous tracklets: foot points in floor metres, and what the cameras covered.

    Only chunks that are new, or whose bytes, camera, detector or carried state changed, are
    decoded. Tracklets delivered by hosts beside a camera are checked and taken as they are.

    A camera whose worker process died fails its check and leaves its time uncovered; the others go
    on.
    """
    with no_retry_on_permanent_errors(context):
        first, last = days_of(context)
        delivered = import_deliveries(workspace)
        ingested = ingest_chunks(workspace, first, last)
    context.log.info(f"detector {ingested.detector}")
    for message in (*delivered.messages, *ingested.messages):
        context.log.warning(message)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": delivered.point_count + ingested.point_count,
            "detector": ingested.detector,
            "chunks_decoded": ingested.done_count,
            "chunks_unchanged": ingested.unchanged_count,
            "chunks_unreadable": ingested.unreadable_count,
            "deliveries_taken": delivered.done_count,
            "deliveries_unchanged": delivered.unchanged_count,
            "deliveries_quarantined": delivered.rejected_count,
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="every_camera_was_read",
                passed=not ingested.failed,
                metadata=dict(ingested.failed),
            )
        ],
    )
