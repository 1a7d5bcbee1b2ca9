"""`ksi video audit`: how far the counts of lines are from counts by hand."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ksi_pipeline.cli.connector import DataDir, open_home
from ksi_pipeline.cli.console import AsJson, errors_as_messages, out, print_json
from ksi_pipeline.core.count_audit import CountError, Interval
from ksi_pipeline.defs.steps.count_audit import ClipAudit, audit_counts, read_clips


def audit(
    counts: Annotated[
        Path, typer.Argument(help="CSV of counts by hand: site, line, from, to, in, out.")
    ],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Compare counts by hand with the crossings of the data home: bias and WAPE by direction."""
    with errors_as_messages():
        found = audit_counts(open_home(data_dir).store, read_clips(counts))
    if as_json:
        print_json(found.as_dict())
        return
    out.print(_clips(found.clips))
    out.print(_errors(found.errors))
    left_out = sum(each.counted is None for each in found.clips)
    if left_out:
        out.print(
            f"{left_out} of {len(found.clips)} clips were not watched whole and are in no error; "
            "what was not watched is '-', never 0."
        )


def _clips(clips: list[ClipAudit]) -> Table:
    table = _table("Clips, counted by hand and by the system")
    for name in ("line", "from (UTC)"):
        table.add_column(name, overflow="fold")
    for name in ("by hand", "in", "by hand", "out", "watched"):
        table.add_column(name, justify="right")
    for each in clips:
        counted = ("-", "-") if each.counted is None else tuple(str(n) for n in each.counted)
        manual = each.clip.manual
        table.add_row(
            f"{each.clip.site_id}/{each.clip.line_id}",
            f"{each.clip.window.start:%Y-%m-%d %H:%M}",
            *(str(manual[0]), counted[0], str(manual[1]), counted[1]),
            f"{100 * each.watched:.0f} %",
        )
    return table


def _errors(errors: dict[str, CountError]) -> Table:
    table = _table("Errors, with intervals of 95 %")
    table.add_column("", no_wrap=True)
    for name in ("clips", "by hand", "counted", "bias", "interval", "WAPE", "interval"):
        table.add_column(name, justify="right")
    for name, error in errors.items():
        table.add_row(
            name,
            *(str(error.clips), str(error.manual), str(error.counted)),
            *(
                "-" if error.bias is None else f"{100 * error.bias:+.1f} %",
                _span(error.bias_interval),
            ),
            *(
                "-" if error.wape is None else f"{100 * error.wape:.1f} %",
                _span(error.wape_interval),
            ),
        )
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", padding=(0, 0, 0, 1))


def _span(interval: Interval | None) -> str:
    return "-" if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f} %"
