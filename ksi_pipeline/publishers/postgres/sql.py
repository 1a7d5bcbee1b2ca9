"""The SQL of PostgreSQL: tables with comments, stages, and the replacement of a partition."""

from collections.abc import Sequence

from ksi_pipeline.core.publishing import Batch, Column
from ksi_pipeline.publishers.figures import Words
from ksi_pipeline.publishers.table_sql import TableSql, lacking
from ksi_pipeline.publishers.tables import BATCH_ID

POSTGRES = Words(
    bytes="octet_length({})",
    micros="cast(extract(epoch from {}) * 1000000 as bigint)",
    days="({} - date '1970-01-01')",
    plain='{} collate "C"',
    month="to_char({}, 'YYYY-MM')",
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

    def create_stage(self, batch: Batch) -> list[str]:
        """Make the table that a batch waits in."""
        name = self.stage(batch)
        return [
            f"drop table if exists {name}",
            f"create unlogged table {name} ({_listed(batch.columns)})",
        ]

    def fill_stage(self, batch: Batch) -> list[str]:
        """Write the COPY that fills it."""
        names = self.words.names(column.name for column in batch.columns)
        return [f"copy {self.stage(batch)} ({names}) from stdin with (format csv)"]

    def make_table(self, batch: Batch, held: Sequence[Column] | None) -> list[str]:
        """Make the table of a mart, or add the columns that it lacks."""
        table = self.table(batch.part.mart)
        if held is None:
            made = [f"create table {table} ({_listed(batch.columns)}, {BATCH_ID} text)"]
            if any(column.name == "business_date" for column in batch.columns):
                made.append(f"create index on {table} (business_date)")
            return [*made, *_comments(table, batch)]
        made = [
            f'alter table {table} add column "{c.name}" {_type(c)}' for c in lacking(batch, held)
        ]
        return [*made, *_comments(table, batch)] if made else []

    def drop_stage(self, batch: Batch) -> list[str]:
        """Drop the table that a batch waited in."""
        return [f"drop table {self.stage(batch)}"]

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


def _listed(columns: Sequence[Column]) -> str:
    return ", ".join(f'"{column.name}" {_type(column)}' for column in columns)


def _type(column: Column) -> str:
    return _TYPES.get(column.type, column.type)


def _comments(table: str, batch: Batch) -> list[str]:
    told = [(f"table {table}", batch.about)]
    told += [(f'column {table}."{c.name}"', c.description) for c in batch.columns]
    return [
        "comment on {} is '{}'".format(what, text.replace("'", "''")) for what, text in told if text
    ]
