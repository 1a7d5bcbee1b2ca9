"""The SQL of PostgreSQL: tables with comments, and the replacement of a partition."""

from collections.abc import Sequence

from ksi_pipeline.core.publishing import Batch, Column
from ksi_pipeline.publishers.figures import Words
from ksi_pipeline.publishers.table_sql import TableSql, make_commented
from ksi_pipeline.publishers.tables import BATCH_ID

POSTGRES = Words(
    bytes="octet_length({})",
    micros="cast(extract(epoch from {}) * 1000000 as bigint)",
    days="({} - date '1970-01-01')",
    plain='{} collate "C"',
    month="to_char({}, 'YYYY-MM')",
    # extract() counts in numeric, so it is asked once
    sum_of_micros="cast(sum(cast({0} as date) - date '1970-01-01') as numeric) * 86400000000 "
    "+ extract(epoch from sum(cast({0} as time) - time '00:00')) * 1000000",
)
_TYPES = {"text": "text", "double": "double precision", "timestamp": "timestamp"}


class PostgresSql(TableSql):
    """The statements of one schema; see TableSql."""

    words = POSTGRES

    def __init__(self, schema: str, publisher: str, reader: str) -> None:
        """Take the schema, and the roles that publish and read."""
        self._schema, self._publisher, self._reader = schema, publisher, reader

    def table(self, mart: str) -> str:
        """Give what stands behind `from`."""
        return f'"{self._schema}"."{mart}"'

    def make_table(self, batch: Batch, held: Sequence[Column] | None) -> list[str]:
        """Make the table of a mart, or add the columns that it lacks."""
        table = self.table(batch.part.mart)
        is_dated = any(column.name == "business_date" for column in batch.columns)
        then = [f"create index on {table} (business_date)"] if is_dated else []
        return make_commented(table, batch, held, _type, "text", then=then)

    def copy(self, batch: Batch) -> str:
        """Write the COPY that brings a batch and its id into the table of its mart."""
        names = self.words.names([*(column.name for column in batch.columns), BATCH_ID])
        return f"copy {self.table(batch.part.mart)} ({names}) from stdin with (format csv)"

    def grants(self) -> list[str]:
        """Write the least rights that publishing and reading need."""
        schema = f'schema "{self._schema}"'
        return [
            f'create schema if not exists "{self._schema}";',
            f'grant usage, create on {schema} to "{self._publisher}";',
            f'grant usage on {schema} to "{self._reader}";',
            f'grant select on all tables in {schema} to "{self._reader}";',
            f'alter default privileges for role "{self._publisher}" in {schema} '
            f'grant select on tables to "{self._reader}";',
        ]


def _type(column: Column) -> str:
    return _TYPES.get(column.type, column.type)
