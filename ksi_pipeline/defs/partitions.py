"""Partitions of the raw side: UTC days. Hours, sites and cameras are data, not partitions."""

from datetime import date, timedelta

import dagster as dg

from ksi_pipeline.core.time import Window, parse_instant

# 30 years are 11 k keys, which the UI bears; end_offset makes today's key exist.
DAYS = dg.DailyPartitionsDefinition(start_date="1996-01-01", end_offset=1)
SINGLE_RUN = dg.BackfillPolicy.single_run()


def days_of(context: dg.AssetExecutionContext) -> tuple[date, date]:
    """Give the first and last UTC day that a run was asked for."""
    keys = context.partition_key_range
    return date.fromisoformat(keys.start), date.fromisoformat(keys.end)


def window_of(first: date, last: date) -> Window:
    """Give the half-open window of whole UTC days, both included."""
    start = parse_instant(f"{first.isoformat()}T00:00:00+00:00")
    end = parse_instant(f"{last.isoformat()}T00:00:00+00:00")
    return Window(start, end + timedelta(days=1))
