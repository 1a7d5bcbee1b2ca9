"""Trying a connector of kind sql: a few real rows, and everything that can be seen in them.

No ticket is written. What a pass means is decided here; that it passed is noted by the caller.
"""

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

from ksi_pipeline.connectors.sql.config import SqlConfig
from ksi_pipeline.connectors.sql.source import SqlSource
from ksi_pipeline.connectors.sql.windows import QUARTER_US, Span, largest_known
from ksi_pipeline.connectors.ticket_files.mapping import load_mapping
from ksi_pipeline.core.errors import KsiError
from ksi_pipeline.core.instants import to_us
from ksi_pipeline.core.time import Window
from ksi_pipeline.defs.steps.file_trial import look_at_file
from ksi_pipeline.defs.steps.sql_asking import Asking, asking_of, source_of
from ksi_pipeline.defs.steps.trial import Trial
from ksi_pipeline.defs.workspace import Workspace

_MOST_ROWS = 1_000
_USUAL = timedelta(hours=72)
_STEP_OF = {
    "E_SQL_URL": "url",
    "E_SQL_DRIVER": "url",
    "E_SQL_QUERY": "query",
    "E_SQL_UNREACHABLE": "connection",
    "E_SQL_AUTH": "connection",
    "E_SQL_WATERMARK": "watermark",
    "E_MAPPING": "mapping",
}


def try_database(
    workspace: Workspace,
    config: SqlConfig,
    window: Window | None = None,
    *,
    is_empty_allowed: bool = False,
) -> Trial:
    """Ask for some rows and look at them; the first thing that stops it is the last check.

    Args:
        workspace: the data home.
        config: of the connector.
        window: of the watermark; None: the three days before its largest value.
        is_empty_allowed: whether a window without a row passes.
    """
    asked = f"for some rows of {config.table or 'its query'}"
    trial = Trial(config.id, asked, {"mapping": config.mapping})
    try:
        asking = asking_of(workspace, config)
        with source_of(workspace, asking) as source:
            rows = _rows(trial, asking, source, window)
    except KsiError as error:
        trial.failed(_STEP_OF.get(error.code, "rows"), error.code, str(error))
        return trial
    if rows is None or not rows.num_rows:
        if trial.is_passed:
            elsewhere = "Name a time with sales with --from and --to"
            trial.about_empty(is_empty_allowed=is_empty_allowed, look_elsewhere=elsewhere)
        return trial
    types = ", ".join(f"{column.name} {column.type}" for column in rows.schema)
    trial.passed("columns", types)
    mapping = load_mapping(workspace.home.mapping(config.mapping))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        pq.write_table(rows, path)
        look_at_file(workspace, trial, path, mapping, is_empty_allowed=is_empty_allowed)
    return trial


def _rows(
    trial: Trial, asking: Asking, source: SqlSource, window: Window | None
) -> pa.Table | None:
    sample = source.sample()
    trial.passed("connection", f"the {source.backend} database of {asking.config.url_env} answered")
    if sample is None:
        return None
    span = _span(asking, source, window)
    if span is None:
        trial.failed(
            "watermark",
            "E_SQL_WATERMARK",
            f"The largest value of {asking.config.watermark!r} is no time that can be read. "
            "Correct watermark:, or name a time with --from and --to.",
        )
        return None
    first = next(source.batches(span, sample), None)
    trial.passed("watermark", f"{asking.config.watermark} is a {type(sample).__name__}")
    lacking = source.count_without_watermark()
    if lacking:
        trial.notes.append(f"{lacking} rows have no watermark and are never asked for.")
    return first if first is None else first.slice(0, _MOST_ROWS)


def _span(asking: Asking, source: SqlSource, window: Window | None) -> Span | None:
    if window is not None and not asking.config.is_by_number:
        return Span(to_us(window.start), to_us(window.end))
    if asking.config.is_by_number:
        number = source.largest_number()
        return Span(number - _MOST_ROWS, number + 1)
    end = largest_known(source.largest(), asking.zones)
    if end is None:
        return None
    return Span(end - _USUAL // timedelta(microseconds=1), end + QUARTER_US)
