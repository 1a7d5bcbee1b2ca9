"""Ticks of any rule: intervals by core, cron expressions by the library that Dagster carries.

Dagster runs its own schedules with the same functions, so a cron expression means here what it
means there: a time that does not exist or comes twice on a day fires once, and `0 * * * *` fires
for every hour.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.schedule import Cron, Rule
from ksi_pipeline.core.schedule import next_tick as next_of_interval


def next_tick(rule: Rule, after: datetime, zone: ZoneInfo) -> datetime:
    """Give the first tick later than an instant, in UTC.

    Raises:
        ConfigError: E_EVERY, the cron expression cannot be read, or never comes.
    """
    if not isinstance(rule, Cron):
        return next_of_interval(rule, after, zone)
    # Dagster takes a second to import, and few connectors have a cron expression.
    from dagster._utils.schedules import cron_string_iterator, is_valid_cron_string

    if not is_valid_cron_string(rule.text):
        raise _unreadable(rule.text)
    try:
        for tick in cron_string_iterator(after.timestamp(), rule.text, zone.key):
            if tick > after:
                return tick.astimezone(UTC)
    except ValueError as error:  # of croniter: no such date in the next years
        raise _unreadable(rule.text) from error
    raise _unreadable(rule.text)


def _unreadable(text: str) -> ConfigError:
    return ConfigError(
        f"every: {text!r} is no cron expression, or names no date. Nothing is asked by it. Write "
        "five fields, like '5 * * * *', or an interval, like 1h.",
        code="E_EVERY",
    )
