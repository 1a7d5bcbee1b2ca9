"""The columns of the dbt models, and whether those in the build database have them.

A model that is built hour by hour cannot take a column more or less: dbt refuses it. So a version
with other columns builds every hour anew. What the models were built with is noted with the build,
as it is of the metric rules.
"""

import json
from pathlib import Path

from ksi_pipeline.defs.workspace import Workspace, digest

BUILT_WITH = "models built with the columns"


def columns_of_models(manifest: Path) -> dict[str, dict[str, str]]:
    """Give the columns that the models promise, with their types: name by name, in order."""
    nodes = json.loads(manifest.read_text(encoding="utf-8"))["nodes"].values()
    return {
        node["name"]: {name: column["data_type"] for name, column in node["columns"].items()}
        for node in sorted(nodes, key=lambda node: str(node["name"]))
        if node["resource_type"] == "model" and node["config"]["contract"]["enforced"]
    }


def columns_digest(manifest: Path) -> str:
    """Hash all these columns, so that another version of the project is told by them."""
    return digest([(model, list(c.items())) for model, c in columns_of_models(manifest).items()])


def built_columns(workspace: Workspace) -> str | None:
    """Give the hash of the columns that the models were last built with.

    Null of a build from before it was noted; nobody can say what columns that has.
    """
    return workspace.store.ledger.inputs_of(BUILT_WITH)
