"""The SQL of Redshift: tables with keys for its nodes, stages filled by COPY, and partitions."""

import json
from collections.abc import Sequence

from ksi_pipeline.core.publishing import Batch, Column
from ksi_pipeline.publishers.figures import Words
from ksi_pipeline.publishers.redshift.config import RedshiftConfig
from ksi_pipeline.publishers.redshift.policies import copy_policy, upload_policy
from ksi_pipeline.publishers.table_sql import StagedSql, listed_types, make_commented

# extract(epoch ...) has whole seconds there
REDSHIFT = Words(
    bytes="octet_length({})",
    micros="datediff(microsecond, timestamp '1970-01-01', {})",
    days="datediff(day, date '1970-01-01', {})",
    plain="{}",
    month="to_char({}, 'YYYY-MM')",
)
LOCK = "ksi_publish_lock"
# unlike in PostgreSQL, one in a string is read
_BACKSLASH = "\\\\"
_TYPES = {"double": "double precision"}
# of what tables are distributed by, the first that a mart has
_SPREAD = ("unit_key", "site_key", "site_id")
_MOST_SORTED = 4


class RedshiftSql(StagedSql):
    """The statements of one schema; see StagedSql."""

    words = REDSHIFT

    def __init__(self, config: RedshiftConfig) -> None:
        """Take the settings."""
        self._config, self._schema = config, config.schema_name

    def table(self, mart: str) -> str:
        """Give what stands behind `from`."""
        return f'"{self._schema}"."{mart}"'

    def create_stage(self, batch: Batch) -> list[str]:
        """Make the table that a batch waits in: COPY wants the columns of the file in its order."""
        name = self.stage(batch)
        return [
            f"drop table if exists {name}",
            f"create table {name} ({listed_types(batch.columns, self._type)}) diststyle even",
        ]

    def manifest_key(self, batch: Batch) -> str:
        """Give the key of the list of a batch's files in S3; the files lie beside it."""
        return f"{self._config.prefix}{batch.batch_id}/manifest"

    def fill_stage(self, batch: Batch) -> list[str]:
        """Write the COPY that fills it; none where there is no row to copy."""
        if not batch.rows:
            return []
        manifest = f"s3://{self._config.bucket}/{self.manifest_key(batch)}"
        return [
            f"copy {self.stage(batch)} from '{manifest}' iam_role '{self._config.iam_role}' "
            "format as parquet manifest"
        ]

    def make_table(self, batch: Batch, held: Sequence[Column] | None) -> list[str]:
        """Make the table of a mart, or add the columns that it lacks."""
        return make_commented(
            self.table(batch.part.mart),
            batch,
            held,
            self._type,
            "varchar(32)",
            layout=f" {_layout(batch)}",
            backslash=_BACKSLASH,
        )

    def drop_stage(self, batch: Batch) -> list[str]:
        """Drop the table that a batch waited in."""
        return [f"drop table {self.stage(batch)}"]

    def grants(self) -> list[str]:
        """Write the least rights: SQL to be run, and policies of AWS as comments in it."""
        config, schema = self._config, f'schema "{self._schema}"'
        publisher, reader = config.publisher, config.reader
        return [
            f'create schema if not exists "{self._schema}";',
            f'grant usage, create on {schema} to "{publisher}";',
            f'grant usage on {schema} to "{reader}";',
            f'grant select on all tables in {schema} to "{reader}";',
            f'alter default privileges for user "{publisher}" in {schema} '
            f'grant select on tables to "{reader}";',
            "-- where assumerole was revoked from public: "
            f"grant assumerole on '{config.iam_role}' to \"{publisher}\" for copy;",
            "-- policy of the AWS credentials of the machine that publishes:",
            f"-- {json.dumps(upload_policy(config))}",
            f"-- policy of {config.iam_role}, which the cluster must be associated with:",
            f"-- {json.dumps(copy_policy(config))}",
        ]

    def _type(self, column: Column) -> str:
        # its `text` is varchar(256), and it counts bytes
        if column.type == "text":
            return f"varchar({self._config.text_bytes})"
        return _TYPES.get(column.type, column.type)


def _layout(batch: Batch) -> str:
    """Say on which nodes rows lie and in which order: small tables on each, facts by unit."""
    names = [column.name for column in batch.columns]
    first = [] if batch.part.mart.startswith("dim_") else ["business_date"]
    sorted_by = [n for n in dict.fromkeys([*first, *batch.key]) if n in names][:_MOST_SORTED]
    spread = next((f'diststyle key distkey ("{n}")' for n in _SPREAD if n in names), None)
    style = "diststyle all" if not first else spread or "diststyle even"
    return f"{style} compound sortkey ({REDSHIFT.names(sorted_by)})" if sorted_by else style
