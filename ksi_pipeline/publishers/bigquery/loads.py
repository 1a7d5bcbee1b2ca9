"""Parquet into a stage by a load job whose id tells what it does, so that it is never done twice.

BigQuery refuses an id that it knows with 409. So where an answer is lost on its way, the next try
finds the job instead of starting another.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ksi_pipeline.core.errors import TransientError
from ksi_pipeline.core.publishing import Batch
from ksi_pipeline.publishers.bigquery.session import BigquerySession
from ksi_pipeline.publishers.bigquery.sql import BigquerySql, column_type
from ksi_pipeline.publishers.refusals import refused

# of one batch in one run; the run may be tried again
_FAILURES = 3
_ROWS_AT_ONCE = 65_536
RUN = "ksi_run"


def job_id(dataset: str, target: str, batch: Batch, attempt: int) -> str:
    """Name the job that loads a batch; attempt counts from 1."""
    return f"ksi_{dataset}_{target}_{batch.part.mart}_{batch.part.month}_{batch.batch_id}_{attempt}"


def load(
    session: BigquerySession,
    sql: BigquerySql,
    batch: Batch,
    *,
    dataset: str,
    target: str,
    run: str,
    sleep: Callable[[float], None],
) -> None:
    """Fill the empty stage of a batch.

    A job of an earlier run filled a stage that is no more: it has the label of that run, and the
    next attempt has an id of its own.

    Raises:
        KsiError: E_TARGET_*.
    """
    attempt, failures = 1, 0
    with instants(batch) as file:
        while True:
            name, job = job_id(dataset, target, batch, attempt), None
            labels = {**sql.labels(batch), RUN: run}
            try:
                job = (
                    session.job(name)
                    or session.load(file, sql.stage_name(batch), batch.columns, name, labels)
                    or session.job(name)
                )
                if job is None:
                    detail = "a job is there and cannot be found"
                    code = "E_TARGET_UNREACHABLE"
                    raise refused(target, code, what="BigQuery", env="", detail=detail)
                if job.labels.get(RUN) == run:
                    session.wait(job)
                    return
            except TransientError:
                failures += 1
                if failures == _FAILURES:
                    raise
                sleep(2.0**failures)
            if job is not None and (job.error_result or job.labels.get(RUN) != run):
                attempt += 1


@contextmanager
def instants(batch: Batch) -> Iterator[Path]:
    """Write the Parquet anew with instants that say so: loaded into TIMESTAMP, they must."""
    names = [column.name for column in batch.columns]
    is_instant = {c.name for c in batch.columns if column_type(c) == "TIMESTAMP"}
    with tempfile.TemporaryDirectory(prefix="ksi-bigquery-") as folder:
        path, source = Path(folder) / "batch.parquet", pq.ParquetFile(batch.path)
        fields = [source.schema_arrow.field(name) for name in names]
        instant = pa.timestamp("us", "UTC")
        schema = pa.schema([f.with_type(instant) if f.name in is_instant else f for f in fields])
        with pq.ParquetWriter(path, schema) as writer:
            for rows in source.iter_batches(_ROWS_AT_ONCE, columns=names):
                writer.write_table(pa.Table.from_batches([rows]).select(names).cast(schema))
        yield path
