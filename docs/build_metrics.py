"""Writes docs/reference/metrics.md from the metric definitions in dbt_project/models/marts/*.yml.

A ratio's column says under `config: meta: metric:` what is divided by what. Run this after a change
to one of them; tests/docs fails until then, and where a ratio has no definition.
"""

import re
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
MARTS = REPOSITORY / "dbt_project" / "models" / "marts"
PAGE = REPOSITORY / "docs" / "reference" / "metrics.md"

_RATIO = re.compile(r"_rate(_|$)|^average_|_per_")
# a rate that somebody gives, and nothing that the marts divide
_GIVEN = {"margin_rate"}
_KEYS = ("formula", "numerator", "denominator", "unit", "variants", "edge_cases", "example")

_HEAD = """# Metrics

What each ratio of the marts divides by what. Written by `docs/build_metrics.py` from
`dbt_project/models/marts/*.yml`; change those. [Marts](marts.md) has all columns, and says what
null means in each.

Over any group, add the numerators and the denominators first, and divide last. A share of 0.25 is
25 %.
"""


def build() -> str:
    """Give the text of the page."""
    sections = []
    for model in _models():
        defined = [(c["name"], definition(c)) for c in model["columns"] if definition(c)]
        if defined:
            sections.append(_section(model["name"], defined))
    return "\n".join([_HEAD, *sections])


def undefined() -> list[str]:
    """Give the ratios that no metric definition explains, as mart.column."""
    return [
        f"{model['name']}.{column['name']}"
        for model in _models()
        for column in model["columns"]
        if _is_ratio(column) and not {"formula", "unit"} <= definition(column).keys()
    ]


def definition(column: dict[str, Any]) -> dict[str, str]:
    """Give the metric definition of a column; empty where it has none."""
    found: dict[str, str] = column.get("config", {}).get("meta", {}).get("metric", {})
    return found


def _models() -> list[dict[str, Any]]:
    return [
        model
        for path in sorted(MARTS.glob("[!_]*.yml"))
        for model in yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
    ]


def _is_ratio(column: dict[str, Any]) -> bool:
    name = column["name"]
    return bool(_RATIO.search(name)) and column["data_type"] != "boolean" and name not in _GIVEN


def _section(mart: str, defined: list[tuple[str, dict[str, str]]]) -> str:
    lines = [f"## {mart}", ""]
    for name, metric in defined:
        lines += [f"### {mart}.{name}", ""]
        lines += [
            f"- {key.replace('_', ' ')}: {' '.join(metric[key].split())}"
            for key in _KEYS
            if key in metric
        ]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(build(), encoding="utf-8")
