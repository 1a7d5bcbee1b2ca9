"""The statements of an engine and a schema; targets made of tables run them, `--dry-run` prints.

They come as lists because an engine may need several, or none, where another needs one.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

from ksi_pipeline.core.publishing import Batch, Column, Part
from ksi_pipeline.publishers.figures import Words
from ksi_pipeline.publishers.tables import BATCH_ID, of_part


class TableSql(ABC):
    """What every engine is told; subclasses say it in its words."""

    words: ClassVar[Words]

    @abstractmethod
    def table(self, mart: str) -> str:
        """Give what stands behind `from` to read a mart."""

    @abstractmethod
    def make_table(self, batch: Batch, held: Sequence[Column] | None) -> list[str]:
        """Make the table of a mart with its comments, or add the columns that it lacks.

        Args:
            batch: a partition of the mart, with its columns.
            held: the columns that the table has, or None where there is no table.
        """

    @abstractmethod
    def grants(self) -> list[str]:
        """Write the least rights that publishing and reading need."""

    def remove_part(self, part: Part) -> str:
        """Write the removal of a partition's rows."""
        return f"delete from {self.table(part.mart)} where {of_part(part)}"


class StagedSql(TableSql):
    """What an engine is told in which a batch waits in a table of its own."""

    # Of a schema: tables of marts have the columns of marts, and those that begin so are none.
    stage_prefix: ClassVar[str] = "ksi_stage_"

    @abstractmethod
    def create_stage(self, batch: Batch) -> list[str]:
        """Make the empty table that a batch waits in, in the place of one that is there."""

    @abstractmethod
    def fill_stage(self, batch: Batch) -> list[str]:
        """Write how the rows of a batch come there, for people."""

    @abstractmethod
    def drop_stage(self, batch: Batch) -> list[str]:
        """Drop the table that a batch waited in, with whatever else waited for it."""

    def stage_name(self, batch: Batch) -> str:
        """Name the table that a batch waits in."""
        return f"{self.stage_prefix}{batch.batch_id[:16]}"

    def stage(self, batch: Batch) -> str:
        """Give what stands behind `from` to read a batch that waits."""
        return self.table(self.stage_name(batch))

    def replace_part(self, batch: Batch) -> list[str]:
        """Let the rows of a partition be those of the stage."""
        names = self.words.names(column.name for column in batch.columns)
        return [
            self.remove_part(batch.part),
            f"insert into {self.table(batch.part.mart)} ({names}, {BATCH_ID}) "
            f"select {names}, '{batch.batch_id}' from {self.stage(batch)}",
        ]


def make_commented(
    table: str,
    batch: Batch,
    held: Sequence[Column] | None,
    type_of: Callable[[Column], str],
    batch_id: str,
    *,
    layout: str = "",
    then: Sequence[str] = (),
    backslash: str = "\\",
) -> list[str]:
    """Make a table or add columns, where comments are statements of their own; see make_table.

    Args:
        table: as it stands behind `from`.
        batch: of its mart.
        held: the columns that it has, or None where there is no table.
        type_of: gives the engine's type of a column.
        batch_id: the type of the column that names the batch.
        layout: what stands behind the columns.
        then: statements of a new table.
        backslash: how one is written in a string.
    """
    if held is None:
        listed = listed_types(batch.columns, type_of)
        made = [f"create table {table} ({listed}, {BATCH_ID} {batch_id}){layout}", *then]
    else:
        made = [
            f'alter table {table} add column "{c.name}" {type_of(c)}' for c in lacking(batch, held)
        ]
    return [*made, *_comments(table, batch, backslash)] if made else []


def listed_types(columns: Sequence[Column], type_of: Callable[[Column], str]) -> str:
    """List columns with their types, as `create table` wants them."""
    return ", ".join(f'"{column.name}" {type_of(column)}' for column in columns)


def lacking(batch: Batch, held: Sequence[Column]) -> list[Column]:
    """Give the columns of a batch that a table does not have."""
    known = {column.name for column in held}
    return [column for column in batch.columns if column.name not in known]


def _comments(table: str, batch: Batch, backslash: str) -> list[str]:
    told = [(f"table {table}", batch.about)]
    told += [(f'column {table}."{c.name}"', c.description) for c in batch.columns]
    escaped = [(what, text.replace("\\", backslash).replace("'", "''")) for what, text in told]
    return [f"comment on {what} is '{text}'" for what, text in escaped if text]
