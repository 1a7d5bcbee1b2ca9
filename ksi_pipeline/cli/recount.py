"""`ksi events --recount`: the touched days of a data home counted anew, before beside now."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from ksi_pipeline.cli.console import day_option, out, print_json, progress_bar
from ksi_pipeline.cli.run import require_home
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.defs.steps.recount import DayPair, RecountReport, Totals, recount
from ksi_pipeline.settings import load_settings
from ksi_pipeline.store.lock import only_run


def recount_days(
    from_day: str | None,
    to_day: str | None,
    site: str | None,
    data_dir: Path | None,
    *,
    as_json: bool,
) -> None:
    """Recount and print what it changed.

    Raises:
        ConfigError: E_EVENTS_MODE, no first day was given.
    """
    from ksi_pipeline.definitions import make_workspace  # Dagster is slow to import

    if from_day is None:
        raise ConfigError(
            "`ksi events --recount` needs --from, the first day to look at. Nothing was counted. "
            "Write it like --from 2026-03-01 --to 2026-03-31.",
            code="E_EVENTS_MODE",
        )
    first = day_option(from_day)
    last = day_option(to_day) if to_day else first
    with progress_bar("ksi events") as progress:
        settings = load_settings(data_dir)
        require_home(settings)
        workspace = make_workspace(settings, progress)
        with only_run(workspace.home):
            report = recount(workspace, first, last, site)
    if as_json:
        print_json(_as_dict(report))
    else:
        _show(report)


def _show(report: RecountReport) -> None:
    if report.pairs:
        _show_totals("zone", ("visits", "dwell_s"), report.zones.values())
        _show_totals("line", ("in", "out"), report.lines.values())
        for side in ("before", "now"):
            out.print(f"{side}: {_versions(report.pairs, side)}", markup=False)
    other_points = sum(not pair.is_same_points for pair in report.pairs)
    if other_points:
        out.print(f"On {other_points} of these days the points changed as well since then.")
    if report.gone_count:
        out.print(f"The counts before are deleted on {report.gone_count} days.")
    out.print(
        f"Days counted anew: {len(report.counted)}; untouched: {report.untouched_count}; "
        f"with counts before: {len(report.pairs)}."
    )
    if report.counted:
        out.print("The marts follow with the next `ksi run`.", markup=False)


def _show_totals(kind: str, columns: tuple[str, str], totals: Iterable[Totals]) -> None:
    heads = [f"{column} {side}" for column in columns for side in ("before", "now")]
    table = Table("site", kind, *heads)
    for row in totals:
        cells = [_cell(side, column) for column in columns for side in (row.before, row.now)]
        table.add_row(row.site_id, row.name, *cells)
    if table.row_count:
        out.print(table)


def _cell(sums: dict[str, float] | None, column: str) -> str:
    """Print a sum; a dash where the zone or line did not exist."""
    if sums is None:
        return "-"
    return f"{sums[column]:.1f}" if column == "dwell_s" else str(sums[column])


def _versions(pairs: Iterable[DayPair], side: str) -> str:
    names: dict[str, list[str]] = {}
    for pair in pairs:
        version = getattr(pair, side)
        name = f"space file {version.space_version} of {pair.site_id}, rule {version.rule_version}"
        names.setdefault(name, []).append(pair.day)
    return "; ".join(f"{name} (days: {len(days)})" for name, days in names.items())


def _as_dict(report: RecountReport) -> dict[str, Any]:
    return {
        "counted": [{"site_id": site, "day": day} for site, day in report.counted],
        "untouched_count": report.untouched_count,
        "gone_count": report.gone_count,
        "days": [asdict(pair) for pair in report.pairs],
        "zones": [_totals("zone_id", row) for row in report.zones.values()],
        "lines": [_totals("line_id", row) for row in report.lines.values()],
    }


def _totals(key: str, row: Totals) -> dict[str, Any]:
    return {"site_id": row.site_id, key: row.name, "before": row.before, "now": row.now}
