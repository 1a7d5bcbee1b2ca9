"""`ksi events`: tracklet points to visits, crossings, occupancy and queues, of a file or anew."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ksi_pipeline.cli.console import AsJson, err, errors_as_messages, out, print_json, progress_bar
from ksi_pipeline.cli.recount import recount_days
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.defs.steps.files import OF_FILE, count_file
from ksi_pipeline.defs.steps.site_counts import SiteCounts

_QUEUE = ("joins", "served", "abandoned", "balked", "unknown")


def events(
    points: Annotated[Path | None, typer.Option(help="Tracklet points, one Parquet file.")] = None,
    space: Annotated[
        list[Path] | None,
        typer.Option(help="Space file of the site; one for each site in the points."),
    ] = None,
    out_dir: Annotated[
        Path | None, typer.Option("--out", help="Folder for the Parquet files.")
    ] = None,
    is_recount: Annotated[
        bool, typer.Option("--recount", help="Count the touched days of the data home anew.")
    ] = False,
    from_day: Annotated[
        str | None, typer.Option("--from", help="First UTC day to recount, like 2026-03-27.")
    ] = None,
    to_day: Annotated[
        str | None, typer.Option("--to", help="Last UTC day, included; default: the first.")
    ] = None,
    site: Annotated[str | None, typer.Option(help="Recount only this site.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--dir", help="Data home to recount; default: KSI_DATA_DIR.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Count one file of tracklet points, or the days of the data home that a change touches."""
    of_home = (from_day, to_day, site, data_dir)
    with errors_as_messages():
        if is_recount and points is out_dir is None and not space:
            recount_days(*of_home, as_json=as_json)
            return
        is_of_home = is_recount or any(option is not None for option in of_home)
        if is_of_home or points is None or not space or out_dir is None:
            raise ConfigError(
                "`ksi events` counts a file with --points, --space and --out, or the data home "
                "with --recount, --from and --to; the options given are of both or of neither. "
                "Nothing was counted. Choose one.",
                code="E_EVENTS_MODE",
            )
        with progress_bar("events") as progress:
            counts = count_file(
                points,
                space,
                out_dir,
                progress=progress,
                notice=lambda text: err.print(text, markup=False),
            )
    if as_json:
        print_json({"sites": [asdict(site) for site in counts]})
        return
    for site in counts:
        _show(site)
    out.print(f"{', '.join(OF_FILE[:-1])} and {OF_FILE[-1]} are in {out_dir}.", markup=False)


def _show(site: SiteCounts) -> None:
    zones = Table("zone", "visits", "tracklets", "dwell s", title=f"Zones of {site.site_id}")
    for row in site.zones:
        zones.add_row(row["zone_id"], *_figures(row, "visits", "tracklets", "dwell_s"))
    lines = Table("line", "in", "out", title=f"Lines of {site.site_id}")
    for row in site.lines:
        lines.add_row(row["line_id"], *_figures(row, "in", "out"))
    queues = Table("queue", *_QUEUE, title=f"Queues of {site.site_id}")
    for row in site.queues:
        queues.add_row(row["zone_id"], *_figures(row, *_QUEUE))
    for table in (zones, lines, queues):
        if table.row_count:
            out.print(table)
    for row in (*site.zones, *site.lines):
        if row["reason"]:
            name = row.get("zone_id") or row.get("line_id")
            out.print(f"- {name}: not counted, {row['reason']}.", markup=False)


def _figures(row: dict[str, object], *names: str) -> list[str]:
    return ["-" if row[name] is None else str(row[name]) for name in names]
