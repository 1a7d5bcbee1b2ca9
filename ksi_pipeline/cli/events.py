"""`ksi events`: tracklet points to visits, line crossings and occupancy, without a lake."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ksi_pipeline.cli.console import AsJson, errors_as_messages, out, print_json
from ksi_pipeline.defs.steps.files import EventFiles, count_file


def events(
    points: Annotated[Path, typer.Option(help="Tracklet points, one Parquet file.")],
    space: Annotated[Path, typer.Option(help="Space file of the site.")],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the three Parquet files.")],
    as_json: AsJson = False,
) -> None:
    """Count visits, line crossings and occupancy of one file of tracklet points."""
    with errors_as_messages():
        counted = count_file(points, space, out_dir)
    if as_json:
        print_json(counted.summary())
        return
    _show(counted)
    out.print(f"visits, line_crossings and zone_occupancy are in {out_dir}.", markup=False)


def _show(counted: EventFiles) -> None:
    summary = counted.summary()
    zones = Table("zone", "visits", "people", "dwell s", title="Zones")
    for row in summary["zones"]:
        zones.add_row(row["zone_id"], *(str(row[n]) for n in ("visits", "people", "dwell_s")))
    lines = Table("line", "in", "out", title="Lines")
    for row in summary["lines"]:
        lines.add_row(row["line_id"], str(row["in"]), str(row["out"]))
    out.print(zones)
    out.print(lines)
