"""The job that does everything, and the schedule that runs it every hour."""

from datetime import timedelta

import dagster as dg

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"

main_job = dg.define_asset_job(
    "main_job",
    selection=dg.AssetSelection.all(),
    description="Chunks and tickets in, measured conversion out; touches only what is new.",
)


@dg.schedule(job=main_job, cron_schedule="5 * * * *", execution_timezone="UTC")
def HOURLY(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Ask for yesterday and today (UTC), five minutes after each hour.

    Yesterday is in it because its last hour ends when today begins, and late chunks come then.
    """
    today = context.scheduled_execution_time.date()
    return dg.RunRequest(
        run_key=context.scheduled_execution_time.isoformat(),
        tags={
            RANGE_START: (today - timedelta(days=1)).isoformat(),
            RANGE_END: today.isoformat(),
        },
    )
