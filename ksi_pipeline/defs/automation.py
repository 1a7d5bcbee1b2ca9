"""The job that does everything, and the schedule that runs it every hour."""

from datetime import timedelta

import dagster as dg

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"

# the default of final_after_h, and the day in which it ends
LOOK_BACK = timedelta(days=4)

main_job = dg.define_asset_job(
    "main_job",
    selection=dg.AssetSelection.all(),
    description="Chunks and tickets in, measured conversion out; touches only what is new.",
)


@dg.schedule(job=main_job, cron_schedule="5 * * * *", execution_timezone="UTC")
def HOURLY(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Ask for today and the days before it that can still change, five minutes after each hour.

    Tickets come late and are restated; an hour stays provisional until it was asked for after it
    became final. Asking again costs one request, and touches only what is new.
    """
    today = context.scheduled_execution_time.date()
    return dg.RunRequest(
        run_key=context.scheduled_execution_time.isoformat(),
        tags={
            RANGE_START: (today - LOOK_BACK).isoformat(),
            RANGE_END: today.isoformat(),
        },
    )
