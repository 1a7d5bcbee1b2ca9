"""BigQuery's client as far as it is used here: queries, load jobs and tables, with time limits."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ksi_pipeline.core.publishing import Column
from ksi_pipeline.publishers.bigquery.config import BigqueryConfig
from ksi_pipeline.publishers.bigquery.failures import T, driver, is_passing, told
from ksi_pipeline.publishers.bigquery.sql import column_type
from ksi_pipeline.publishers.tables import BATCH_ID

_SCOPE = "https://www.googleapis.com/auth/bigquery"
# of requests that BigQuery refuses for the moment
_LONGEST_RETRY_S = 60.0
_OURS = {
    "STRING": "text",
    "INTEGER": "bigint",
    "INT64": "bigint",
    "FLOAT": "double",
    "FLOAT64": "double",
    "BOOLEAN": "boolean",
    "BOOL": "boolean",
    "DATE": "date",
}


class BigquerySession:
    """A client; whatever it raises is an error of ours."""

    def __init__(self, client: Any, config: BigqueryConfig) -> None:
        """Take the client, and the limits."""
        from google.api_core.retry import Retry

        self._client, self._config = client, config
        self._step_s = float(config.step_timeout_s)
        self._timeout = (config.connect_timeout_s, config.step_timeout_s)
        seconds = min(_LONGEST_RETRY_S, self._step_s)
        self._retry = Retry(predicate=is_passing, initial=1.0, maximum=16.0, timeout=seconds)
        self._limits = {"retry": self._retry, "timeout": self._timeout}
        self._common = {"job_timeout_ms": config.step_timeout_s * 1000}

    def execute(
        self, statement: str, labels: Mapping[str, str] | None = None
    ) -> Sequence[Sequence[Any]]:
        """Run a statement or a script, and give the rows of the last one."""
        settings = driver(self._config.id).QueryJobConfig(
            labels=dict(labels or {"ksi_target": self._config.id.lower()}),
            use_query_cache=False,
            **self._common,
        )
        # the client would send None as text
        if self._config.maximum_bytes_billed is not None:
            settings.maximum_bytes_billed = self._config.maximum_bytes_billed
        rows = told(
            self._config,
            lambda: self._client.query_and_wait(
                statement,
                job_config=settings,
                api_timeout=self._step_s,
                wait_timeout=self._step_s,
                retry=self._retry,
                job_retry=None,
            ),
        )
        return told(self._config, lambda: [row.values() for row in rows])

    def load(
        self, file: Path, table: str, columns: Sequence[Column], job_id: str, labels: dict[str, str]
    ) -> Any:
        """Send a Parquet file to an empty table; None where there is a job of that id already."""
        bigquery = driver(self._config.id)
        from google.api_core.exceptions import Conflict

        settings = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            schema=[_field(bigquery, column) for column in columns],
            autodetect=False,
            # as column_type chooses; left out, more than nine decimals are refused
            decimal_target_types=["NUMERIC", "BIGNUMERIC"],
            create_disposition=bigquery.CreateDisposition.CREATE_NEVER,
            # whatever goes wrong, rows never come twice
            write_disposition=bigquery.WriteDisposition.WRITE_EMPTY,
            labels=labels,
            **self._common,
        )

        def send() -> Any:
            with file.open("rb") as stream:
                return self._client.load_table_from_file(
                    stream,
                    self._named(table),
                    job_id=job_id,
                    job_config=settings,
                    num_retries=0,
                    timeout=self._timeout,
                )

        return told(self._config, _none_at(Conflict, send))

    def job(self, job_id: str) -> Any:
        """Look a job up; None where there is none."""
        from google.api_core.exceptions import NotFound

        return told(
            self._config,
            _none_at(NotFound, lambda: self._client.get_job(job_id, **self._limits)),
        )

    def wait(self, job: Any) -> None:
        """Wait for the end of a load job."""
        told(self._config, lambda: job.result(retry=self._retry, timeout=self._step_s))

    def columns(self, mart: str) -> tuple[Column, ...] | None:
        """Give the columns of a table; None where there is none."""
        from google.api_core.exceptions import NotFound

        table = told(
            self._config,
            _none_at(NotFound, lambda: self._client.get_table(self._named(mart), **self._limits)),
        )
        if table is None:
            return None
        return tuple(Column(f.name, _ours(f)) for f in table.schema if f.name != BATCH_ID)

    def tables(self, prefix: str) -> list[str]:
        """Name the tables that begin like that."""
        dataset = f"{self._config.project}.{self._config.dataset}"
        listed = told(self._config, lambda: list(self._client.list_tables(dataset, **self._limits)))
        names = [str(table.table_id) for table in listed]
        return [name for name in names if name.startswith(prefix)]

    def drop(self, table: str) -> None:
        """Drop a table, if it is there."""
        name = self._named(table)
        told(
            self._config,
            lambda: self._client.delete_table(name, not_found_ok=True, **self._limits),
        )

    def _named(self, table: str) -> str:
        return f"{self._config.project}.{self._config.dataset}.{table}"


@contextmanager
def connected(config: BigqueryConfig, key: str | None) -> Iterator[BigquerySession]:
    """Give a session; nothing is sent before the first question.

    Args:
        config: where to, and the limits.
        key: of a service account, as JSON or as the path of its file; None: application default
            credentials.

    Raises:
        KsiError: E_TARGET_DRIVER, E_TARGET_SECRET, E_TARGET_AUTH.
    """
    bigquery = driver(config.id)
    endpoint = {"api_endpoint": config.api_endpoint.rstrip("/")} if config.api_endpoint else None
    credentials = _credentials(config, key)
    client = told(
        config,
        lambda: bigquery.Client(
            project=config.project,
            credentials=credentials,
            location=config.location,
            client_options=endpoint,
        ),
    )
    try:
        yield BigquerySession(client, config)
    finally:
        client.close()


def _none_at(absent: type[Exception], ask: Callable[[], T]) -> Callable[[], T | None]:
    def answer() -> T | None:
        try:
            return ask()
        except absent:
            return None

    return answer


def _credentials(config: BigqueryConfig, key: str | None) -> Any:
    """Give what the client logs in with; None lets it look for the default."""
    from google.auth.credentials import AnonymousCredentials
    from google.oauth2.service_account import Credentials

    if config.is_stand_in:
        return AnonymousCredentials()
    if key is None:
        return None
    is_read = True
    try:
        held = json.loads(key if key.startswith("{") else Path(key).read_text(encoding="utf-8"))
        made: Any = Credentials
        return made.from_service_account_info(held, scopes=[_SCOPE])
    # the error would show the key
    except (ValueError, OSError, TypeError, AttributeError):
        is_read = False
    if not is_read:
        raise config.no_key()
    return None


def _field(bigquery: Any, column: Column) -> Any:
    kind = column_type(column)
    if "(" not in kind:
        return bigquery.SchemaField(column.name, kind)
    name, _, rest = kind.rstrip(")").partition("(")
    precision, scale = (int(part) for part in rest.split(","))
    return bigquery.SchemaField(column.name, name, precision=precision, scale=scale)


def _ours(field: Any) -> str:
    """Give our name of a field's type; BigQuery's where marts have no such column."""
    kind = str(field.field_type)
    if kind in {"NUMERIC", "BIGNUMERIC"}:
        # without digits it holds every amount
        precision, scale = (field.precision, field.scale or 0) if field.precision else (18, 4)
        return f"decimal({precision},{scale})"
    if kind == column_type(Column(field.name, "timestamp")):
        return "timestamp"
    return _OURS.get(kind, kind.lower())
