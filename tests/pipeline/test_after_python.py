"""When the models after Python are due: whatever changed, readers see it in the end."""

from contextlib import suppress

import pytest

from ksi_pipeline.defs.steps.after_python import PYTHON_STEPS, is_due, mark_all_built
from ksi_pipeline.defs.steps.build import publish_marts
from ksi_pipeline.store.store import Change, Store


class Killed(Exception):
    """The run ends here."""


class KilledStore(Store):
    """A ledger whose process is killed after some changes."""

    def __init__(self, home, changes):
        super().__init__(home)
        self.changes = changes

    def commit(self, change):
        if not self.changes:
            raise Killed
        self.changes -= 1
        super().commit(change)


@pytest.mark.parametrize("changes", range(len(PYTHON_STEPS) + 1))
def test_a_decision_is_due_or_to_be_published_wherever_a_run_is_killed(built, changes):
    assert not is_due(built)
    decided = {f"{step.noted_as} decided from": "another file" for step in PYTHON_STEPS}
    built.store.commit(Change(steps=decided))
    store, built.store = built.store, KilledStore(built.home, changes)
    with suppress(Killed):
        mark_all_built(built)
    built.store = store
    assert is_due(built) or publish_marts(built) is not None
