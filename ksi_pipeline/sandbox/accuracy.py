"""How far each metric of a simulated mall's marts is from the truth, and how far it may be.

What is compared is chosen by the truth alone: where a camera looked and a till answered, a mart
that gives no value has failed, whatever reason it gives. METRICS has the tolerances.
"""

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

from ksi_pipeline.sandbox.accuracy_metrics import METRICS, Metric
from ksi_pipeline.sandbox.accuracy_views import TRUTH_VIEWS
from ksi_pipeline.sandbox.home import MallTruth

__all__ = ["Accuracy", "accuracy_of"]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """One metric beside its truth.

    Attributes:
        why: what makes the tolerance as large as it is.
        compared: values that the truth has, each of them measured or not.
        not_measured: those of them for which the mart is null.
        worst_error: largest absolute error, in `unit`; null where nothing could be compared.
        worst_at: unit or zone, and local time, of that error.
        is_within: no error beyond `tolerance`, and nothing missing; null where the mall has
            nothing to compare.
    """

    metric: str
    unit: str
    tolerance: float
    why: str
    compared: int
    not_measured: int
    worst_error: float | None
    worst_at: str | None
    is_within: bool | None

    def as_dict(self) -> dict[str, object]:
        """Give all of it by name."""
        return asdict(self)


def accuracy_of(published: Path, truth: MallTruth) -> list[Accuracy]:
    """Compare every metric of a published snapshot with the truth, in the order of METRICS.

    Args:
        published: a published DuckDB snapshot; opened read-only.
        truth: of the mall that was run; its video, where it has one, is judged by rows of its own.
    """
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        quoted = str(published.resolve()).replace("'", "''")
        connection.execute(f"attach '{quoted}' as published (read_only)")
        connection.register("unit_hours", truth.unit_hours)
        connection.register("category_hours", truth.category_hours)
        connection.register("walkers", truth.walkers)
        connection.register("zone_visits", truth.zone_visits)
        video = truth.video_window
        connection.execute("create table video (from_utc timestamptz, to_utc timestamptz)")
        if video is not None:
            connection.execute("insert into video values (?, ?)", [video.start, video.end])
        for view in TRUTH_VIEWS:
            connection.execute(view)
        return [_judged(metric, connection) for metric in METRICS]


def _judged(metric: Metric, connection: duckdb.DuckDBPyConnection) -> Accuracy:
    rows = connection.execute(metric.sql).fetchall()
    errors = [(abs(float(m) - float(t)), at) for at, m, t in rows if m is not None]
    worst, worst_at = max(errors, default=(None, None))
    missing = len(rows) - len(errors)
    is_within = None if not rows else missing == 0 and _is_at_most(worst, metric.tolerance)
    return Accuracy(
        metric=metric.name,
        unit=metric.unit,
        tolerance=metric.tolerance,
        why=metric.why,
        compared=len(rows),
        not_measured=missing,
        worst_error=worst,
        worst_at=worst_at,
        is_within=is_within,
    )


def _is_at_most(error: float | None, tolerance: float) -> bool:
    # the last bit of a ratio is no error
    return error is not None and error <= tolerance + math.ulp(1.0) * 1e4
