"""The SQL of BigQuery: partitioned tables, stages that expire, and the script that replaces."""

import json
from collections.abc import Sequence

from ksi_pipeline.core.publishing import Batch, Column
from ksi_pipeline.publishers.bigquery.config import BigqueryConfig
from ksi_pipeline.publishers.figures import Words, added_up
from ksi_pipeline.publishers.table_sql import StagedSql, lacking
from ksi_pipeline.publishers.tables import BATCH_ID

BIGQUERY = Words(
    bytes="byte_length({})",
    micros="unix_micros(timestamp({}))",
    days="unix_date({})",
    plain="{}",
    month="format_date('%Y-%m', {})",
    name="`{}`",
    double="float64",
    bigint="int64",
    # the sum of INT64 is INT64; the microseconds of 5,212 instants of 2026 are more than it holds
    sum="sum(cast({value} as bignumeric))",
)
LEASE = "ksi_publisher"
_STAGE_HOURS = 24
_DATE = "business_date"
# description of a column, in characters
_LONGEST = 1024
# What readers filter and join by, widest first; BigQuery takes four.
_CLUSTERED = ("site_id", "unit_key", "zone_key", "zone_id", "camera_key")
_TYPES = {
    "text": "STRING",
    "bigint": "INT64",
    "double": "FLOAT64",
    "boolean": "BOOL",
    "date": "DATE",
}


class BigquerySql(StagedSql):
    """The statements of one dataset; see StagedSql."""

    words = BIGQUERY

    def __init__(self, config: BigqueryConfig) -> None:
        """Take the project, the dataset, and who publishes and reads."""
        self._config = config

    def table(self, mart: str) -> str:
        """Give what stands behind `from`."""
        return f"`{self._config.project}.{self._config.dataset}.{mart}`"

    def create_stage(self, batch: Batch) -> list[str]:
        """Make the table that a batch waits in; it goes by itself where nobody drops it."""
        listed = ", ".join(f"`{c.name}` {column_type(c)}" for c in batch.columns)
        return [
            f"create or replace table {self.stage(batch)} ({listed}) options("
            "expiration_timestamp=timestamp_add(current_timestamp(), "
            f"interval {_STAGE_HOURS} hour), labels=[{_pairs(self.labels(batch))}])"
        ]

    def fill_stage(self, batch: Batch) -> list[str]:
        """Write the load job as bq would do it."""
        table = f"{self._config.project}:{self._config.dataset}.{self.stage_name(batch)}"
        return [f"bq load --source_format=PARQUET {table} {batch.path.name}"]

    def make_table(self, batch: Batch, held: Sequence[Column] | None) -> list[str]:
        """Make the table of a mart, or add the columns that it lacks."""
        table = self.table(batch.part.mart)
        if held is None:
            listed = [*map(_described, batch.columns), f"{BATCH_ID} STRING"]
            return [f"create table {table} ({', '.join(listed)}){self._layout(batch)}"]
        return [
            f"alter table {table} add column if not exists {_described(column)}"
            for column in lacking(batch, held)
        ]

    def drop_stage(self, batch: Batch) -> list[str]:
        """Drop the table that a batch waited in."""
        return [f"drop table if exists {self.stage(batch)}"]

    def added_up(self, relation: str, batch: Batch | None, where: str = "true") -> str:
        """Add rows up into one text, a list as JSON; without a batch they are only counted."""
        asked = ["count(*)"] if batch is None else added_up(batch.columns, batch.key, self.words)
        listed = ", ".join(f"cast({one} as string)" for one in asked)
        return f"select to_json_string([{listed}]) from {relation} where {where}"

    def labels(self, batch: Batch) -> dict[str, str]:
        """Label what belongs to a batch."""
        mart = batch.part.mart.lower()[:63]
        return {"ksi_target": self._target, "ksi_mart": mart, "ksi_batch": batch.batch_id}

    def grants(self) -> list[str]:
        """Write the least rights that publishing and reading need, as commands."""
        config = self._config
        schema = f"`{config.project}.{config.dataset}`"
        publisher = config.publisher or (
            f"serviceAccount:ksi-publisher@{config.project}.iam.gserviceaccount.com"
        )
        reader = config.reader or "group:ksi-readers@example.com"
        members = ((publisher, "dataEditor"), (reader, "dataViewer"))
        jobs = [
            f"gcloud projects add-iam-policy-binding {config.project} --member='{member}' "
            "--role=roles/bigquery.jobUser --condition=None"
            for member, _ in members
        ]
        rights = [
            f"bq query --project_id={config.project} --location={config.location} "
            f"--use_legacy_sql=false "
            f"'grant `roles/bigquery.{role}` on schema {schema} to \"{member}\"'"
            for member, role in members
        ]
        made = f"bq --location={config.location} mk --force --dataset "
        return [f"{made}{config.project}:{config.dataset}", *rights, *jobs]

    @property
    def _target(self) -> str:
        return self._config.id.lower()

    def _layout(self, batch: Batch) -> str:
        types = {column.name: column.type for column in batch.columns}
        keys = [name for name in _CLUSTERED if types.get(name) == "text"][:4]
        layout = f" partition by date_trunc({_DATE}, month)" if types.get(_DATE) == "date" else ""
        layout += f" cluster by {', '.join(keys)}" if keys else ""
        labels = _pairs({"ksi_target": self._target})
        return f"{layout} options(description={text(batch.about)}, labels=[{labels}])"


def text(value: str) -> str:
    """Write text as BigQuery reads it; it has JSON's escapes."""
    return json.dumps(value, ensure_ascii=False)


def column_type(column: Column) -> str:
    """Give BigQuery's type of a column.

    An instant is a TIMESTAMP, which tools show in the reader's time zone and compare with now. A
    local time is a DATETIME, which nobody shifts.
    """
    if column.type == "timestamp":
        return "TIMESTAMP" if column.name.endswith("_utc") else "DATETIME"
    if column.type.startswith("decimal("):
        precision, scale = (int(part) for part in column.type[8:-1].split(","))
        is_wide = scale > 9 or precision - scale > 29
        return f"{'BIGNUMERIC' if is_wide else 'NUMERIC'}({precision}, {scale})"
    return _TYPES[column.type]


def _described(column: Column) -> str:
    shown = column.description[:_LONGEST]
    told = f" options(description={text(shown)})" if shown else ""
    return f"`{column.name}` {column_type(column)}{told}"


def _pairs(labels: dict[str, str]) -> str:
    return ", ".join(f"({text(name)}, {text(value)})" for name, value in labels.items())
