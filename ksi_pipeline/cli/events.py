"""`ksi events`: tracklet points to visits, crossings, occupancy and queues, without a lake."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ksi_pipeline.cli.console import AsJson, err, errors_as_messages, out, print_json, progress_bar
from ksi_pipeline.defs.steps.files import OF_FILE, count_file
from ksi_pipeline.defs.steps.site_counts import SiteCounts

_QUEUE = ("joins", "served", "abandoned", "balked", "unknown")


def events(
    points: Annotated[
        Path,
        typer.Option(help="Tracklet points, one Parquet file.", exists=True, dir_okay=False),
    ],
    space: Annotated[
        list[Path], typer.Option(help="Space file of the site; one for each site in the points.")
    ],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the Parquet files.")],
    as_json: AsJson = False,
) -> None:
    """Count visits, line crossings, occupancy and queues of one file of tracklet points."""
    with errors_as_messages(), progress_bar("events") as progress:
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
