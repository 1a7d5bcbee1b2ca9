"""A Python step between the two selections of models: it reads some, and another one reads it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.store.lake_views import has_table, open_duckdb, register_dataset
from ksi_pipeline.store.store import Change


@dataclass(frozen=True, slots=True)
class Decided:
    """What a step made of the models that it reads.

    Attributes:
        table: rows of its dataset.
        inputs: hash of all that they depend on.
        notes: what the ledger is to keep with them, by name.
    """

    table: pa.Table
    inputs: str
    notes: Mapping[str, str] = field(default_factory=dict)


def _never(workspace: Workspace) -> bool:
    del workspace
    return False


@dataclass(frozen=True, slots=True)
class PythonStep:
    """What SQL cannot say alike on every database.

    Attributes:
        dataset: what the step writes.
        about: what the dataset is, with its grain, for the Dagster UI.
        reads: models of the first selection.
        mart: model of the second selection that reads the dataset; no other one shows it.
        noted_as: what the ledger calls it.
        decide: does the work.
        has_nothing: whether the mart would be without a row, which takes no dbt to tell.
        is_outdated: whether something that is no model changed since the step last worked.
    """

    dataset: str
    about: str
    reads: tuple[str, ...]
    mart: str
    noted_as: str
    decide: Callable[[Workspace], Decided]
    has_nothing: Callable[[Workspace], bool]
    is_outdated: Callable[[Workspace], bool] = _never

    @property
    def _decided(self) -> str:
        return f"{self.noted_as} decided from"

    @property
    def _shown(self) -> str:
        return f"{self.noted_as} shown as decided from"

    def update(self, workspace: Workspace) -> int:
        """Decide anew, and show dbt what was decided.

        Returns:
            Rows of the dataset.
        """
        decided = self.decide(workspace)
        steps = {self._decided: decided.inputs, **decided.notes}
        change = Change(cause=self.noted_as, steps=steps)
        workspace.store.replace(change, self.dataset, decided.table, source=self.noted_as)
        workspace.store.commit(change)
        register_dataset(workspace.store, self.dataset, memory_limit=workspace.memory_limit)
        return int(decided.table.num_rows)

    def is_shown(self, workspace: Workspace, columns: Mapping[str, str]) -> bool:
        """Whether the build database has the mart of what was decided last, with these columns.

        Args:
            workspace: the data home.
            columns: of the mart, with their types.
        """
        if not self.is_noted_as_shown(workspace):
            return False
        nulls = ", ".join(f'cast(null as {kind}) as "{name}"' for name, kind in columns.items())
        with open_duckdb(workspace.home.build_db, workspace.memory_limit) as connection:
            if not has_table(connection, "marts", self.mart):
                return False
            held = connection.sql(f"from marts.{self.mart}")
            meant = connection.sql(f"select {nulls}")
            return (held.columns, held.types) == (meant.columns, meant.types)

    def is_noted_as_shown(self, workspace: Workspace) -> bool:
        """Whether what was decided last was shown; the build database is not asked."""
        ledger = workspace.store.ledger
        return ledger.inputs_of(self._decided) == ledger.inputs_of(self._shown)

    def show_nothing(self, workspace: Workspace, columns: Mapping[str, str]) -> bool:
        """Make the mart without a row where that is all there is to show: dbt takes ten seconds.

        Args:
            workspace: the data home.
            columns: of the mart, with their types.

        Returns:
            Whether it was all.
        """
        if not self.has_nothing(workspace):
            return False
        listed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        with open_duckdb(workspace.home.build_db, workspace.memory_limit) as connection:
            connection.execute(f"create or replace table marts.{self.mart} ({listed})")
        return True

    def forget_shown(self, workspace: Workspace) -> None:
        """Have the mart built anew, though the same may be decided."""
        workspace.store.commit(Change(dropped_steps=[self._shown]))

    def shown(self, workspace: Workspace) -> dict[str, str]:
        """Give what the ledger is to keep once the build database has the mart of the decision."""
        decided = workspace.store.ledger.inputs_of(self._decided)
        return {} if decided is None else {self._shown: decided}
