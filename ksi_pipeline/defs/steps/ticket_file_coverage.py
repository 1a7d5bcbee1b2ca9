"""What a file of tickets covers, and what of it is new."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ksi_pipeline.connectors.ticket_files.drop import Drop, Gathered, hours_open
from ksi_pipeline.core.feed_coverage import COVERAGE, needed_coverage
from ksi_pipeline.core.file_coverage import file_coverage, uncontested
from ksi_pipeline.defs.steps.final_after import final_after_of
from ksi_pipeline.defs.steps.pull_coverage import PulledWindow, coverage_of_pull, hours_around
from ksi_pipeline.defs.steps.ticket_file_source import FileSource, touch_spans, version_name
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.store import Change

HourStarts = NDArray[np.int64]


def add_coverage(
    workspace: Workspace,
    change: Change,
    source: FileSource,
    drop: Drop,
    found: Gathered,
    sold: Mapping[str, HourStarts],
    written_at_utc: datetime,
) -> None:
    """Append what the file covers, by site.

    Args:
        workspace: with the coverage that is known.
        change: takes the new rows and the hours they touch.
        source: of the file.
        drop: the file.
        found: what was refused in it.
        sold: hours of each code with good tickets, as hours_sold gives them.
        written_at_utc: when the file was complete.
    """
    spoilt = {key: why for key, why in found.open_hours.items() if key[0] in source.spaces}
    codes = sorted({*sold, *(code for code, _ in spoilt)})
    by_site: dict[str, list[str]] = {}
    for code in codes:
        by_site.setdefault(source.spaces[code].site_id, []).append(code)
    for own in by_site.values():
        space = source.spaces[own[0]]
        mine = {code: sold[code] for code in own if code in sold}
        bad = {key: why for key, why in spoilt.items() if key[0] in own}
        ends = [at for starts in mine.values() for at in (starts[0], starts[-1])]
        hours = hours_around(space, [*ends, *(at for _, at in bad)])
        table = file_coverage(
            drop.connector_id,
            mine,
            bad,
            hours_open(found, own),
            hours,
            absent_means=source.absent_means,
            written_at_utc=written_at_utc,
            fetched_at_utc=drop.fetched_at_utc,
            whole_days=source.mapping.covers == "days",
        )
        _cover(workspace, change, source, drop, space, table)


def add_pull_coverage(
    workspace: Workspace,
    change: Change,
    source: FileSource,
    drop: Drop,
    found: Gathered,
    sold: Mapping[str, HourStarts],
    pull: PulledWindow,
) -> None:
    """Append what a window of a database covers, by site; as add_coverage."""
    for space in {space.site_id: space for space in source.spaces.values()}.values():
        own = {code for code, other in source.spaces.items() if other.site_id == space.site_id}
        own &= drop.only_codes or own
        bad = {key: why for key, why in found.open_hours.items() if key[0] in own}
        open_codes = hours_open(found, sorted(own))
        table = coverage_of_pull(
            workspace, pull, space, drop, own, sold, bad, open_codes, source.absent_means
        )
        _cover(workspace, change, source, drop, space, table)


def hours_sold(tickets: Path) -> dict[str, HourStarts]:
    """Give the hours of each code in which the file has good tickets, sorted."""
    hours = (
        pl.scan_parquet(tickets)
        .select("ext_ref_code", pl.col("hour_start_utc").to_physical())
        .unique()
        .sort("ext_ref_code", "hour_start_utc")
        .collect()
    )
    return {
        str(code): part["hour_start_utc"].to_numpy()
        for (code,), part in hours.partition_by("ext_ref_code", as_dict=True).items()
    }


def _cover(
    workspace: Workspace,
    change: Change,
    source: FileSource,
    drop: Drop,
    space: Space,
    table: pa.Table,
) -> None:
    """Append what new coverage of a site says that was not known."""
    needed = _needed(workspace, drop, space, table)
    if needed.num_rows:
        name = f"answer:{drop.connector_id}/{space.site_id}/{version_name(drop)}"
        workspace.store.replace(change, "coverage", needed, source=name)
        touch_spans(change, source, needed)


def _needed(workspace: Workspace, drop: Drop, space: Space, new: pa.Table) -> pa.Table:
    """Keep of new coverage what says something new; what nobody spoke of before always does."""
    prefix = f"answer:{drop.connector_id}/{space.site_id}/"
    existing = workspace.store.read("coverage", prefix=prefix)
    if not existing.num_rows or not new.num_rows:
        return new
    first, last = pc.min(new["from_utc"]), pc.max(new["to_utc"])
    near = existing.filter(
        pc.and_(
            pc.less(existing["from_utc"], last),
            pc.greater(existing["to_utc"], first),
        )
    )
    is_free = uncontested(new, near, set(new["key"].to_pylist()))
    contested = needed_coverage(
        new.filter(pa.array(~is_free)),
        near,
        final_after=final_after_of(workspace, drop.connector_id),
        zone=space.file.site.zone_info,
    )
    return pa.concat_tables([new.filter(pa.array(is_free)), contested]).cast(COVERAGE)
