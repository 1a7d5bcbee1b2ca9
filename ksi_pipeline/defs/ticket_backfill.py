"""The past of a ticket feed, beside the live runs."""

from datetime import date

import dagster as dg
from pydantic import Field

from ksi_pipeline.defs.automation import BACKFILL_GROUP
from ksi_pipeline.defs.failures import RETRIES, no_retry_on_permanent_errors
from ksi_pipeline.defs.steps.backfill import backfill
from ksi_pipeline.defs.workspace import Workspace


class BackfillOf(dg.Config):
    """Which past is asked for."""

    connector: str = Field(description="Id of a connector in connectors.yaml.")
    from_day: str | None = Field(default=None, description="First local day; default: its since.")
    to_day: str | None = Field(default=None, description="Last local day; default: a week ago.")


@dg.asset(
    group_name=BACKFILL_GROUP,
    kinds={"python", "json"},
    pool="ticket_backfill",
    retry_policy=RETRIES,
)
def ticket_backfill(
    context: dg.AssetExecutionContext,
    workspace: dg.ResourceParam[Workspace],
    config: BackfillOf,
) -> dg.MaterializeResult:
    """Answers for every hour of a connector's past that it never answered, and their rows.

    It goes on where it was when it is started again. The next run of `main_job` builds the marts.
    """
    days = (date.fromisoformat(day) if day else None for day in (config.from_day, config.to_day))
    with no_retry_on_permanent_errors(context):
        report = backfill(workspace, config.connector, *days)
    if report.failed:
        # one line and no failed check: nothing live depends on it
        context.log.warning("%d requests were left: %s", report.requests_left, report.failed)
    return dg.MaterializeResult(
        metadata={
            "requests": report.requests,
            "requests_left": report.requests_left,
            "rows_in": report.rows_in,
            "rows_loaded": report.rows_loaded,
            "rows_quarantined": report.rows_quarantined,
            "unit_hours": report.unit_hours,
            "codes": dict(report.codes),
        }
    )
