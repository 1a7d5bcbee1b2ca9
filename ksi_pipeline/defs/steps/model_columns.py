"""What the dbt models promise, and whether those in the build database have its columns.

A model that is built hour by hour cannot take a column more or less: dbt refuses it. So a version
with other columns builds every hour anew. What the models were built with is noted with the build,
as it is of the metric rules.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ksi_pipeline.defs.workspace import Workspace, digest

BUILT_WITH = "models built with the columns"


@dataclass(frozen=True, slots=True)
class Contract:
    """What a model promises.

    Attributes:
        about: what it is, in one line.
        types: of its columns, in order.
        descriptions: of its columns, each in one line.
        never_null: columns that are never null.
        grain: columns of which no two rows have the same; empty where it is not tested.
    """

    about: str
    types: Mapping[str, str]
    descriptions: Mapping[str, str]
    never_null: frozenset[str]
    grain: tuple[str, ...]


def contracts_of_models(manifest: Path) -> dict[str, Contract]:
    """Give what each model with an enforced contract promises, by name and in order."""
    nodes = json.loads(manifest.read_text(encoding="utf-8"))["nodes"]
    grains = {
        node["attached_node"]: tuple(node["test_metadata"]["kwargs"]["columns"])
        for node in nodes.values()
        if (node.get("test_metadata") or {}).get("name") == "grain"
    }
    return {
        node["name"]: _contract(node, grains.get(key, ()))
        for key, node in sorted(nodes.items(), key=lambda item: str(item[1]["name"]))
        if node["resource_type"] == "model" and node["config"]["contract"]["enforced"]
    }


def marts_of_exposures(manifest: Path) -> dict[str, list[str]]:
    """Give the models that each exposure of the project reads, by its name; sources are none."""
    read = json.loads(manifest.read_text(encoding="utf-8"))
    nodes = read["nodes"]
    return {
        exposure["name"]: [
            nodes[key]["name"] for key in exposure["depends_on"]["nodes"] if key in nodes
        ]
        for exposure in read["exposures"].values()
    }


def columns_of_models(manifest: Path) -> dict[str, Mapping[str, str]]:
    """Give the columns that the models promise, with their types: name by name, in order."""
    return {name: contract.types for name, contract in contracts_of_models(manifest).items()}


def _contract(node: Mapping[str, Any], grain: tuple[str, ...]) -> Contract:
    columns = node["columns"]
    return Contract(
        about=_one_line(node["description"]),
        types={name: column["data_type"] for name, column in columns.items()},
        descriptions={name: _one_line(c["description"]) for name, c in columns.items()},
        never_null=frozenset(
            name
            for name, column in columns.items()
            if any(one["type"] == "not_null" for one in column["constraints"])
        ),
        grain=grain,
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def columns_digest(manifest: Path) -> str:
    """Hash all these columns, so that another version of the project is told by them."""
    return digest([(model, list(c.items())) for model, c in columns_of_models(manifest).items()])


def built_columns(workspace: Workspace) -> str | None:
    """Give the hash of the columns that the models were last built with.

    Null of a build from before it was noted; nobody can say what columns that has.
    """
    return workspace.store.ledger.inputs_of(BUILT_WITH)
