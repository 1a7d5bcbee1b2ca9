"""The Parquet files that batches are, read with DuckDB and Arrow."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.publishing import Batch, Column, Figures
from ksi_pipeline.publishers.figures import DUCKDB, Words, figures_query, read_figures


def quoted(path: Path) -> str:
    """Write a path as a string of SQL."""
    return "'" + str(path).replace("'", "''") + "'"


def duckdb_type(column: Column) -> str:
    """Give DuckDB's name of a column's type."""
    return "varchar" if column.type == "text" else column.type


def source(batch: Batch) -> str:
    """Give what stands behind `from` to read a batch."""
    return f"read_parquet({quoted(batch.path)}, hive_partitioning = false)"


def parquet_figures(
    connection: duckdb.DuckDBPyConnection, batch: Batch, words: Words = DUCKDB
) -> Figures:
    """Add the rows of a batch up."""
    return relation_figures(connection, source(batch), batch, words)


def relation_figures(
    connection: duckdb.DuckDBPyConnection, relation: str, batch: Batch, words: Words = DUCKDB
) -> Figures:
    """Add up what DuckDB reads, as if it were the rows of a batch."""
    query = figures_query(relation, batch.columns, batch.key, words, is_by_month=False)
    rows = connection.execute(query).fetchall()
    (figures,) = read_figures(batch.part.mart, batch.columns, batch.key, rows).values()
    return figures


def column_types(path: Path) -> dict[str, str]:
    """Give the columns of a Parquet file with the names that targets know types by.

    Raises:
        ContractError: E_TARGET_TYPE, a column is of a type that marts do not have.
    """
    return {field.name: _type(field, path) for field in pq.read_schema(path)}


def _type(field: pa.Field, path: Path) -> str:
    kind = field.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    if pa.types.is_integer(kind):
        return "bigint"
    if pa.types.is_floating(kind):
        return "double"
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_date(kind):
        return "date"
    if pa.types.is_timestamp(kind):
        return "timestamp"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    raise ContractError(
        f"{path.name}: column {field.name!r} is of type {kind}, which no target takes. Nothing was "
        "published. Give the column another type in the model of the mart.",
        code="E_TARGET_TYPE",
    )
