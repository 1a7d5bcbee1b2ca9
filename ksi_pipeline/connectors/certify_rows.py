"""What the probes of a till system look at in rows and in the calendar."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from ksi_pipeline.core.tickets import ParsedAnswer
from ksi_pipeline.core.time import DAY, local_midnight_utc, utc_offset


def count(answer: ParsedAnswer) -> int:
    """Count the rows that came, those that were set aside included."""
    aside = sum(1 for row in answer.rejected if row.code != "E_UNKNOWN_CODE")
    return int(answer.rows.num_rows) + aside


def keys(answer: ParsedAnswer) -> set[tuple[object, ...]]:
    """Give the rows that could be read: code, hour in UTC, category and tickets."""
    names = ("ext_ref_code", "hour_start_utc", "category", "num_tickets")
    columns = [answer.rows[name].to_pylist() for name in names]
    return {(code, hour.isoformat(), *rest) for code, hour, *rest in zip(*columns, strict=True)}


def change_of(zone: ZoneInfo, before: datetime, sign: int) -> datetime | None:
    """Find the last local day on which clocks went forward (1) or back (-1), within a year."""
    for days in range(1, 366):
        end = local_midnight_utc((before.astimezone(zone) - days * DAY + DAY).date(), zone)
        start = local_midnight_utc((before.astimezone(zone) - days * DAY).date(), zone)
        if (utc_offset(end, zone) - utc_offset(start, zone)) * sign > timedelta(0):
            return start.astimezone(zone)
    return None
