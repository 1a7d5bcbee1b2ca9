"""Asking databases for tickets, window by window, and keeping what they answer."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from ksi_pipeline.connectors.config import find_connector, load_connectors, of_kind
from ksi_pipeline.connectors.sql.config import SqlConfig, midnight_utc
from ksi_pipeline.connectors.sql.source import SqlSource
from ksi_pipeline.connectors.sql.values import unified
from ksi_pipeline.connectors.sql.windows import (
    Span,
    largest_known,
    number_spans,
    time_spans,
)
from ksi_pipeline.core.errors import ConfigError, FeedRefused, KsiError
from ksi_pipeline.core.instants import from_us, to_us
from ksi_pipeline.core.time import DAY, HOUR, Window
from ksi_pipeline.defs.steps.asking import next_due, note_asked
from ksi_pipeline.defs.steps.connector_state import is_asked, require_asked
from ksi_pipeline.defs.steps.final_after import final_after_of
from ksi_pipeline.defs.steps.sql_asking import Asking, asking_of, source_of
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.store.landed import LandedParquet, rows_hash
from ksi_pipeline.store.sql_pulls import Pull, keep_pull, reached
from ksi_pipeline.store.staged import staging_room

_ROWS = "rows.parquet"
_US = timedelta(microseconds=1)


@dataclass(slots=True)
class SqlPullReport:
    """What asking the databases gave.

    Attributes:
        window_count: windows that were answered.
        row_count: their rows.
        new_count: windows that gave something new to read.
        failed: for each connector that failed, its code and message.
    """

    window_count: int = 0
    row_count: int = 0
    new_count: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def pull_databases(
    workspace: Workspace,
    only: str | None = None,
    window: Window | None = None,
    *,
    is_by_hand: bool = True,
) -> SqlPullReport:
    """Ask every active connector of kind sql for what is new.

    A connector that fails leaves the others alone; the windows that it answered before are kept.

    Args:
        workspace: the data home.
        only: ask only this connector, whatever its state.
        window: of the watermark, instead of what is new; says nothing of how far it has come.
        is_by_hand: ask those with an interval of their own too, due or not.

    Raises:
        ConfigError: connectors.yaml is wrong or has no connector `only`, or that one cannot be
            asked as it is configured.
    """
    report = SqlPullReport()
    path = workspace.home.connectors
    if only is not None:
        configs: tuple[SqlConfig, ...] = (find_connector(path, only, SqlConfig),)
    else:
        listed = of_kind(load_connectors(path), SqlConfig)
        configs = tuple(config for config in listed if is_asked(workspace, config))
    for config in configs:
        began = workspace.clock()
        try:
            if only is None:
                if not is_by_hand and began < next_due(workspace, config, workspace.spaces()):
                    continue
                # also of one that is refused below, or it would be due again at once
                note_asked(workspace, config.id, began)
                require_asked(workspace, config)
            config.require_absent_means()
            _pull(workspace, report, asking_of(workspace, config), window)
        except KsiError as error:
            if only is not None and isinstance(error, ConfigError):
                raise
            report.failed[config.id] = f"{error.code}: {error}"
        except (pa.ArrowException, ArithmeticError, ValueError) as error:
            report.failed[config.id] = _cannot_be_kept(config, error)
    return report


def _pull(
    workspace: Workspace, report: SqlPullReport, asking: Asking, window: Window | None
) -> None:
    config = asking.config
    workspace.progress(f"database {config.id}", 0.0)
    with source_of(workspace, asking) as source:
        sample = source.sample()
        if sample is None:
            return  # no row, so nothing can be asked for
        asked_at = workspace.clock()
        spans = list(_spans(workspace, asking, source, asked_at, window))
        for number, span in enumerate(spans):
            workspace.progress(f"database {config.id} {asking.shown(span)}", number / len(spans))
            is_last = number == len(spans) - 1
            covers = _covers(workspace, asking, span, asked_at, window, is_last=is_last)
            name = f"{config.id}-{span.start}"
            with staging_room(workspace.home.lake, name) as room:
                row_count, hashed, last = _land(room, source, sample, asking, span)
                pull = Pull(
                    connector_id=config.id,
                    question=asking.question_hash,
                    from_mark=span.start,
                    to_mark=span.end,
                    last_mark=last,
                    is_by_hand=window is not None,
                    row_count=row_count,
                    rows_hash=hashed,
                    covers=covers,
                    asked_at_utc=asked_at,
                    name=f"{asking.shown(span)}.parquet",
                )
                now, final = workspace.clock(), final_after_of(workspace, config.id)
                is_new = keep_pull(workspace.store, pull, room / _ROWS, now, final)
            report.window_count += 1
            report.row_count += pull.row_count
            report.new_count += is_new


def _spans(
    workspace: Workspace,
    asking: Asking,
    source: SqlSource,
    now: datetime,
    window: Window | None,
) -> Iterator[Span]:
    config = asking.config
    known = reached(workspace.store, config.id, asking.question_hash).last_mark
    if config.is_by_number:
        if window is not None:
            raise ConfigError(
                f"Connector {config.id!r} has a watermark of kind integer, so it cannot be asked "
                "for a span of time; nothing was asked. Leave --from and --to out.",
                code="E_SQL_WINDOW",
            )
        first = int(str(config.since))
        if known is not None:
            step = max(config.overlap_ids, 1)
            first = max((known - config.overlap_ids) // step * step, first)
        end = source.largest_number() + 1
        return number_spans(first, end, config.longest_window_ids)
    overlap, longest = config.overlap_h * HOUR, config.longest_window_days * DAY
    if window is not None:
        until = to_us(min(window.end, now))
        return time_spans(to_us(window.start), until, 0, longest // _US)
    since = config.since
    first = to_us(midnight_utc(since)) if isinstance(since, date) else 0
    if config.watermark_kind == "ticket_time":
        # a day longer, so that each window is asked for once more when it is final
        overlap = max(overlap, final_after_of(workspace, config.id)) + DAY
    if known is not None:
        first = max(known - overlap // _US, first)
    return time_spans(first, to_us(now), overlap // _US, longest // _US)


def _covers(
    workspace: Workspace,
    asking: Asking,
    span: Span,
    now: datetime,
    window: Window | None,
    *,
    is_last: bool,
) -> Window | None:
    """Say for which hours a window speaks.

    By ticket_time it holds all tickets of its own time. By another watermark, a ticket of an hour
    may be in any window after it: only when all windows until now are kept is anything known.
    """
    config = asking.config
    if config.watermark_kind == "ticket_time":
        start, end = from_us(span.start) - HOUR, from_us(span.end)
    elif is_last and window is None:
        before = reached(workspace.store, config.id, asking.question_hash).covered_to
        again = now - max(config.overlap_h * HOUR, final_after_of(workspace, config.id))
        start = config.complete_from_utc if before is None else min(before, again) - 2 * HOUR
        end = now
    else:
        return None
    start = max(start, config.complete_from_utc)
    return Window(start, end) if start < end else None


def _land(
    room: Path, source: SqlSource, sample: object, asking: Asking, span: Span
) -> tuple[int, str, int | None]:
    """Write the rows of a window, and give their number, their hash and their largest watermark."""
    config = asking.config
    # an hour before it, so that every hour that begins in it is whole
    extra = HOUR // _US if config.watermark_kind == "ticket_time" else 0
    landed = LandedParquet(room / _ROWS, unified)
    try:
        for batch in source.batches(Span(span.start - extra, span.end), sample):
            landed.add(batch)
            if landed.row_count > config.max_rows or landed.size > config.max_mb << 20:
                raise _too_large(asking, span)
        if not landed.row_count:
            landed.add(source.no_rows())
    finally:
        landed.close()
    hashed, largest = rows_hash(landed.path, config.watermark)
    mark = largest_known(largest, asking.zones)
    if config.is_by_number:
        mark = None if largest is None else source.number(largest)
    return landed.row_count, hashed, None if mark is None else min(mark, span.end)


def _cannot_be_kept(config: SqlConfig, error: Exception) -> str:
    # no value is shown: it may be of a row
    return (
        f"E_SQL_TYPE: Connector {config.id!r}: the rows of a window cannot be kept "
        f"({type(error).__name__}). Of this window nothing was kept; what was kept before stays. "
        "Ask for fewer columns, or turn them into text in query:."
    )


def _too_large(asking: Asking, span: Span) -> FeedRefused:
    config = asking.config
    return FeedRefused(
        f"Connector {config.id!r}: the window {asking.shown(span)} has more than "
        f"{config.max_rows} rows or {config.max_mb} MB, so it was given up and nothing of it was "
        "kept. Set a smaller longest_window_days, or larger max_rows and max_mb.",
        code="E_SQL_TOO_LARGE",
    )
