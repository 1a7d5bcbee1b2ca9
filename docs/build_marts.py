"""Writes docs/reference/marts.md from the descriptions in dbt_project/models/marts/*.yml.

The YAML files are what dbt enforces and shows; this page says the same to readers without dbt. Run
it after a change to one of them; tests/docs fails until then.
"""

import re
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
MARTS = REPOSITORY / "dbt_project" / "models" / "marts"
PAGE = REPOSITORY / "docs" / "reference" / "marts.md"

_HEAD = """# Marts

What readers find in `published/current.duckdb` and `published/marts/`. Written by
`docs/build_marts.py` from `dbt_project/models/marts/*.yml`; change those.

Null means not observed, 0 means observed and nothing happened. Instants (`_utc`) are UTC without a
zone. [Reasons](reasons.md) lists the values of `basis`, `reason` and `status`;
[read the results](../how-to/read-the-results.md) shows how to use them.
"""


def build() -> str:
    """Give the text of the page."""
    models = [
        model
        for path in sorted(MARTS.glob("[!_]*.yml"))
        for model in yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
    ]
    return "\n".join([_HEAD, *(_section(model) for model in models)])


def _section(model: dict[str, Any]) -> str:
    rows = [
        f"| `{column['name']}` | `{_type(column['data_type'])}` | {_null(column)} "
        f"| {_one_line(column['description'])} |"
        for column in model["columns"]
    ]
    head = [
        f"## {model['name']}",
        "",
        _one_line(model["description"]),
        "",
        f"Key: {', '.join(f'`{name}`' for name in _grain(model))}.",
        "",
        "| column | type | null | meaning |",
        "|---|---|---|---|",
    ]
    return "\n".join([*head, *rows, ""])


def _grain(model: dict[str, Any]) -> list[str]:
    grains = [test["grain"]["arguments"]["columns"] for test in model["data_tests"]]
    return [str(name) for name in grains[0]]


def _type(data_type: str) -> str:
    """Give the type on DuckDB, which stands first in a choice by target."""
    choice = re.match(r"\{\{ '([^']+)' if ", data_type)
    return choice[1] if choice else data_type


def _null(column: dict[str, Any]) -> str:
    kinds = {constraint["type"] for constraint in column.get("constraints", [])}
    return "no" if "not_null" in kinds else "yes"


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(build(), encoding="utf-8")
