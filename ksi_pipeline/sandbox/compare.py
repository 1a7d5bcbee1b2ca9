"""The marts of a simulated mall beside its truth."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa

_QUERY = """
select
    mart.unit_id,
    mart.local_hour,
    mart.entry_count,
    truth.entries,
    mart.ticket_count,
    truth.tickets,
    mart.conversion_rate,
    truth.tickets / nullif(truth.entries, 0)::double as true_rate,
    mart.completeness,
    mart.basis,
    mart.reason
from published.fct_conversion_hourly as mart
inner join truth
    on mart.site_id = truth.site_id
    and mart.unit_id = truth.unit_id
    and mart.hour_start_utc = truth.hour_start_utc at time zone 'UTC'
where mart.is_open
order by mart.unit_id, mart.hour_start_utc
"""


@dataclass(frozen=True, slots=True)
class Compared:
    """One open unit-hour: what was measured and what really happened.

    Attributes:
        entry_count: null where no camera watched.
        ticket_count: null where the feed was silent.
        error_pp: measured minus true conversion, percentage points; null where not measured.
        basis: measured, partial or missing; `reason` says why it is not measured.
    """

    unit_id: str
    local_hour: datetime
    entry_count: int | None
    true_entries: int
    ticket_count: int | None
    true_tickets: int
    conversion_rate: float | None
    true_rate: float | None
    completeness: float | None
    basis: str
    reason: str | None

    @property
    def error_pp(self) -> float | None:
        """Measured minus true conversion, in percentage points."""
        if self.conversion_rate is None or self.true_rate is None:
            return None
        return 100.0 * (self.conversion_rate - self.true_rate)


def compare(published: Path, truth: pa.Table) -> list[Compared]:
    """Lay the published conversion of every open unit-hour beside the truth.

    Args:
        published: a published DuckDB snapshot; opened read-only.
        truth: the table of truth/unit_hours.parquet.
    """
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        quoted = str(published.resolve()).replace("'", "''")
        connection.execute(f"attach '{quoted}' as published (read_only)")
        connection.register("truth", truth)
        rows = connection.execute(_QUERY).fetchall()
    return [Compared(*row) for row in rows]
