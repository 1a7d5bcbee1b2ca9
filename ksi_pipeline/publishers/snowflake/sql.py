"""The SQL of Snowflake: names in upper case, a named stage for files, and clustering by date.

Nothing is quoted, so that who reads a table writes `select net_sales from ksi.fct_sales_daily`.
"""

from collections.abc import Sequence

from ksi_pipeline.core.publishing import Batch, Column
from ksi_pipeline.publishers.figures import Words
from ksi_pipeline.publishers.snowflake.config import SnowflakeConfig
from ksi_pipeline.publishers.table_sql import StagedSql, lacking
from ksi_pipeline.publishers.tables import BATCH_ID

SNOWFLAKE = Words(
    bytes="bit_length({}) / 8",
    micros="date_part(epoch_microsecond, {})",
    days="datediff(day, date '1970-01-01', {})",
    plain="{}",
    month="left(to_char({}, 'YYYY-MM-DD'), 7)",
    name="{}",
    double="double",
    sum="sum(cast({value} as {type}))",
)
# Of a schema: what publishing keeps beside the tables of marts.
FILES = "KSI_FILES"
LEASE = "KSI_LEASE"
_DATE = "business_date"
_TYPES = {"text": "varchar", "bigint": "number(38, 0)", "timestamp": "timestamp_ntz"}
# Text that reads \N is text, and instants are the microseconds that the file says.
_PARQUET = "type = parquet use_logical_type = true binary_as_text = false null_if = ()"


class SnowflakeSql(StagedSql):
    """The statements of one schema; see StagedSql."""

    words = SNOWFLAKE
    stage_prefix = "KSI_STAGE_"

    def __init__(self, config: SnowflakeConfig) -> None:
        """Take the configuration, for its names."""
        self._config, self._schema = config, config.schema_path

    def table(self, mart: str) -> str:
        """Give what stands behind `from`."""
        return f"{self._schema}.{mart}"

    def files(self, batch: Batch | None = None) -> str:
        """Give the folder of a batch in the stage of files, or the whole stage."""
        return f"@{self._schema}.{FILES}/" + (f"{batch.batch_id}/" if batch else "")

    def prepare(self) -> list[str]:
        """Make the stage of files and the table of the lease, once."""
        # Snowflake encrypts the files; otherwise the driver would write an encrypted copy of each
        # to this machine's disk
        return [
            f"create stage if not exists {self._schema}.{FILES} "
            "encryption = (type = 'SNOWFLAKE_SSE') comment = 'Files on their way into marts.'",
            f"create table if not exists {self._schema}.{LEASE} "
            "(holder varchar, ends number(38, 0)) as select '', 0",
        ]

    def create_stage(self, batch: Batch) -> list[str]:
        """Make the table that a batch waits in."""
        listed = ", ".join(f"{column.name} {_type(column)}" for column in batch.columns)
        return [
            f"create or replace transient table {self.stage(batch)} ({listed}) "
            "data_retention_time_in_days = 0"
        ]

    def fill_stage(self, batch: Batch) -> list[str]:
        """Write how the rows come there: the file to Snowflake, then the file into the table."""
        return [
            f"put file://{batch.batch_id}.parquet {self.files(batch)} "
            "auto_compress = false overwrite = true",
            f"copy into {self.stage(batch)} from {self.files(batch)} file_format = ({_PARQUET}) "
            "match_by_column_name = case_insensitive on_error = abort_statement force = true",
        ]

    def make_table(self, batch: Batch, held: Sequence[Column] | None) -> list[str]:
        """Make the table of a mart, or add the columns that it lacks."""
        # the driver sends a statement again where the answer was lost, and it may have been done
        table = self.table(batch.part.mart)
        if held is None:
            listed = [_with_comment(column) for column in batch.columns]
            listed.append(f"{BATCH_ID} varchar comment 'The batch that brought the row.'")
            is_dated = any(column.name == _DATE for column in batch.columns)
            clustered = f" cluster by ({_DATE})" if is_dated else ""
            about = f" comment = {quoted(batch.about)}" if batch.about else ""
            return [f"create table if not exists {table} ({', '.join(listed)}){clustered}{about}"]
        return [
            f"alter table {table} add column if not exists {_with_comment(column)}"
            for column in lacking(batch, held)
        ]

    def drop_stage(self, batch: Batch) -> list[str]:
        """Drop the table that a batch waited in, and its file."""
        return [f"drop table if exists {self.stage(batch)}", f"remove {self.files(batch)}"]

    def grants(self) -> list[str]:
        """Write the least rights that publishing and reading need."""
        config, schema = self._config, self._schema
        publisher, reader = f"to role {config.publisher};", f"to role {config.reader};"
        return [
            f"create schema if not exists {schema};",
            f"grant usage on warehouse {config.warehouse} {publisher}",
            f"grant usage on database {config.database} {publisher}",
            f"grant usage, create table, create stage on schema {schema} {publisher}",
            f'grant role {config.publisher} to user "{config.user.upper()}";',
            f"grant usage on database {config.database} {reader}",
            f"grant usage on schema {schema} {reader}",
            f"grant select on all tables in schema {schema} {reader}",
            f"grant select on future tables in schema {schema} {reader}",
        ]


def quoted(text: str) -> str:
    """Write text as a string of SQL."""
    # a backslash begins an escape in Snowflake's strings
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _type(column: Column) -> str:
    return _TYPES.get(column.type, column.type)


def _with_comment(column: Column) -> str:
    about = f" comment {quoted(column.description)}" if column.description else ""
    return f"{column.name} {_type(column)}{about}"
