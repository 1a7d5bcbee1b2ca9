"""The models that dbt builds after Python: which steps they read, and when they are as they were.

The second selection of dbt is due after every build of the first, and when something that a step
reads beside models has changed. It is left out where every mart already shows what was decided, or
has nothing to show.
"""

from ksi_pipeline.defs.steps.benchmarks import SUPPRESSION
from ksi_pipeline.defs.steps.build import is_second_due, mark_built
from ksi_pipeline.defs.steps.campaigns import EFFECTS
from ksi_pipeline.defs.steps.dbt_command import prepare_manifest
from ksi_pipeline.defs.steps.model_columns import columns_of_models
from ksi_pipeline.defs.workspace import Workspace

PYTHON_STEPS = (SUPPRESSION, EFFECTS)


def is_due(workspace: Workspace) -> bool:
    """Whether the steps and the models after them have to be looked at."""
    return is_second_due(workspace) or is_outdated(workspace)


def needs_no_dbt(workspace: Workspace) -> bool:
    """Whether each mart of the second selection shows what was decided, or has nothing to show.

    A mart that has nothing to show is made without a row.
    """
    columns = columns_of_models(prepare_manifest(workspace.dbt_project_dir))
    return all(
        step.is_shown(workspace, columns[step.mart])
        or step.show_nothing(workspace, columns[step.mart])
        for step in PYTHON_STEPS
    )


def mark_all_built(workspace: Workspace) -> None:
    """Note that the build database holds every mart, and shows what each step decided."""
    shown = [step.shown(workspace) for step in PYTHON_STEPS]
    mark_built(workspace, {name: inputs for notes in shown for name, inputs in notes.items()})


def is_outdated(workspace: Workspace) -> bool:
    """Whether a step has to work though no model that it reads was built.

    Every step is asked, because a step may refuse what it reads beside models.
    """
    outdated = [step.is_outdated(workspace) for step in PYTHON_STEPS]
    return any(outdated) or not all(step.is_noted_as_shown(workspace) for step in PYTHON_STEPS)
