"""What a pull from a database covers: which hours of which codes are known once it is read."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ksi_pipeline.connectors.base_config import ConnectorBase
from ksi_pipeline.connectors.sql.config import SqlConfig
from ksi_pipeline.connectors.ticket_files.drop import Drop
from ksi_pipeline.core.file_coverage import pull_coverage
from ksi_pipeline.core.instants import from_us, to_us
from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.core.tickets import AbsentMeans
from ksi_pipeline.core.time import DAY, LocalHour, Window, local_hours, local_midnight_utc
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.ledger import Row
from ksi_pipeline.store.sql_pulls import covered_by
from ksi_pipeline.store.staged import live_paths

HourStarts = NDArray[np.int64]
_Hour = tuple[str, int]


@dataclass(frozen=True, slots=True)
class PulledWindow:
    """What is known of the pull that a file is of.

    Attributes:
        covers: hours that it speaks for.
        is_by_ticket_time: whether it holds all tickets of these hours itself.
    """

    covers: Window | None
    is_by_ticket_time: bool
    complete_from_utc: datetime
    asked_at_utc: datetime


def pulled_window(workspace: Workspace, config: ConnectorBase, row: Row) -> PulledWindow | None:
    """Give the pull of a kept ticket file; None where it is a file that was dropped."""
    pull = covered_by(workspace.store, row["file_id"]) if isinstance(config, SqlConfig) else None
    if pull is None or not isinstance(config, SqlConfig):
        return None
    covers = None
    if pull["covers_to_utc"] is not None:
        covers = Window(from_us(pull["covers_from_utc"]), from_us(pull["covers_to_utc"]))
    return PulledWindow(
        covers=covers,
        is_by_ticket_time=config.watermark_kind == "ticket_time",
        complete_from_utc=config.complete_from_utc,
        asked_at_utc=from_us(pull["asked_at_utc"]),
    )


def coverage_of_pull(
    workspace: Workspace,
    pull: PulledWindow,
    space: Space,
    drop: Drop,
    codes: Collection[str],
    sold: Mapping[str, HourStarts],
    spoilt: Mapping[_Hour, str],
    any_hour: Mapping[str, str],
    absent_means: AbsentMeans,
) -> pa.Table:
    """Say what a pull says of the hours of one site.

    Args:
        workspace: the data home.
        pull: of the file that was read.
        space: the site.
        drop: the file.
        codes: that are linked at the site.
        sold: code -> keys of the hours in which the file has good tickets.
        spoilt: (code, key of an hour) -> refusal of a ticket in it.
        any_hour: code -> refusal of a ticket whose hour is not known.
        absent_means: the connector's choice.

    Returns:
        Schema COVERAGE; only codes that are linked at some time of the window are spoken for.
    """
    covers = pull.covers
    spoken = {code for code in codes if covers and _is_linked(space, drop, code, covers)}
    spoken |= {code for code in codes if code in sold} | {code for code, _ in spoilt}
    hours_of: dict[str, set[int]] = {code: set(sold.get(code, ())) for code in spoken}
    unsettled: set[_Hour] = set()
    if covers and not pull.is_by_ticket_time:
        for code, at in _known_hours(workspace, space, drop, covers):
            if code in hours_of:
                hours_of[code].add(at)
        unsettled = _unsettled(workspace, space, drop) - set(spoilt)
        unsettled -= {(code, int(at)) for code, starts in sold.items() for at in starts}
    keys = [at for starts in hours_of.values() for at in starts] + [at for _, at in spoilt]
    if covers:
        keys += [to_us(covers.start), to_us(covers.end)]
    if not keys:
        return DATASETS["coverage"].empty_table()
    return pull_coverage(
        drop.connector_id,
        hours_of,
        spoilt,
        any_hour,
        unsettled,
        hours_around(space, keys),
        covers=covers,
        settles_outside=covers is not None and not pull.is_by_ticket_time,
        complete_from_utc=pull.complete_from_utc,
        absent_means=absent_means,
        written_at_utc=min(pull.asked_at_utc, drop.fetched_at_utc),
        fetched_at_utc=drop.fetched_at_utc,
    )


def hours_around(space: Space, keys: Collection[int]) -> list[LocalHour]:
    """Give the hours of the whole local days that hold some hours, in microseconds."""
    zone = space.file.site.zone_info
    first = from_us(int(min(keys))).astimezone(zone).date()
    last = from_us(int(max(keys))).astimezone(zone).date()
    window = Window(local_midnight_utc(first, zone), local_midnight_utc(last + DAY, zone))
    return list(local_hours(window, zone))


def _is_linked(space: Space, drop: Drop, code: str, window: Window) -> bool:
    for link in space.file.links:
        if (link.connector, link.ext_ref_code) == (drop.connector_id, code):
            start, end = space.instant(link.valid_from), space.instant(link.valid_to)
            begins = start is None or start < window.end
            if begins and (end is None or end > window.start):
                return True
    return False


def _known_hours(
    workspace: Workspace, space: Space, drop: Drop, window: Window
) -> list[tuple[str, int]]:
    """Give the hours of a window of which earlier files know tickets."""
    store, prefix = workspace.store, f"answer:{drop.connector_id}/{space.site_id}/"
    paths = live_paths(
        list(store.ledger.live_files("ticket_hours", prefix=prefix)), store.home.root
    )
    if not paths:
        return []
    start = pl.col("hour_start_utc")
    found = (
        pl.scan_parquet(paths)
        .filter(
            start.is_between(window.start - DAY, window.end)
            & (pl.col("fetched_at_utc") < drop.fetched_at_utc)
        )
        .select("ext_ref_code", start.to_physical())
        .unique()
        .collect()
    )
    return [(str(code), int(at)) for code, at in found.iter_rows()]


def _unsettled(workspace: Workspace, space: Space, drop: Drop) -> set[_Hour]:
    """Give the hours that were refused, and that nothing has settled since."""
    prefix = f"answer:{drop.connector_id}/{space.site_id}/"
    known = workspace.store.read("coverage", prefix=prefix)
    known = known.filter(pc.less(known["fetched_at_utc"], pa.scalar(drop.fetched_at_utc)))
    refused: set[_Hour] = set()
    settled: set[_Hour] = set()
    # only where something was refused are hours counted out, which takes long for years
    spans = known.filter(pc.equal(known["status"], "refused"))
    if not spans.num_rows:
        return set()
    low, high = pc.min(spans["from_utc"]), pc.max(spans["to_utc"])
    near = pc.and_(pc.less(known["from_utc"], high), pc.greater(known["to_utc"], low))
    for row in known.filter(near).to_pylist():
        window = Window(row["from_utc"], row["to_utc"])
        into = {"refused": refused, "complete": settled}.get(row["status"])
        if into is not None:
            hours = local_hours(window, space.file.site.zone_info)
            into.update((row["key"], to_us(hour.start_utc)) for hour in hours)
    return refused - settled
