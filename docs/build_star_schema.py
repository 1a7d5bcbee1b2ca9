"""Writes docs/reference/star-schema.md from dbt_project/models/marts/*.yml.

Joins are the `relationships` tests; where there is none, a fact joins a dimension of which it has
the whole grain. What may be added up stands under `config: meta: sums:` of a mart, what may not
under `no_sums:`, and a ratio says in its metric definition what is divided by what. Run this after
a change to one of them; tests/docs fails until then.
"""

import re
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
MARTS = REPOSITORY / "dbt_project" / "models" / "marts"
PAGE = REPOSITORY / "docs" / "reference" / "star-schema.md"

# shares of time and clocks: figures about a row, which nothing is made of
_ABOUT_THE_ROW = re.compile(r"completeness$|^utc_offset_s$")

_HEAD = """# Star schema

Which fact joins which dimension, and which columns may be added up. Written by
`docs/build_star_schema.py` from `dbt_project/models/marts/*.yml`, where joins are tested and sums
are declared; change those. [Marts](marts.md) has every column,
[use in BI tools](../how-to/use-in-bi-tools.md) says how to set this up.

- **Sums** may be added up over what the table says, and over nothing else. Amounts only within one
  `currency` and one `tax_included`.
- **Ratios** are never added up or averaged. Add both parts over the rows that have both, and divide
  last. A ratio without parts is shown as it stands in its row.
- **Other figures** are shown as they stand in their row.
- **Null is not zero.** A sum over rows of which some are null is a sum of the others: show
  `completeness` beside it, and `reason` where there is no figure.
- `basis` says how a row came about: `measured`, `partial` or `missing`. Take `measured` rows for a
  figure that is to be relied on; mark `partial` ones.
- Where `is_provisional` is true, a later answer may change the row: mark it, for example with an
  asterisk or a lighter colour. Where `completeness` is below 1, write it beside the figure; never
  average it. [Reasons](reasons.md) has every reason in words, for tooltips.
"""

_ABOUT_JOINS = """Every join is many fact rows to one dimension row. Join to the left: rows of no
tenant (`tenant_id` null) and of the zone `_unmapped` have no row in their dimension. `dim_hour` is
joined by two columns; for a tool that joins by one only, make
[a key of both](../how-to/use-in-bi-tools.md#relations). `dim_camera` joins
`fct_data_completeness_hourly` by `site_id` and `camera_id` = `source_id`, where `source_kind` is
`camera`. No fact has a `line_key`. There is no dimension of dates: let the tool make a calendar.
"""


def models() -> list[dict[str, Any]]:
    """Give the marts as their YAML files have them, dimensions first."""
    return [
        model
        for path in sorted(MARTS.glob("[!_]*.yml"))
        for model in yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
    ]


def build(marts: list[dict[str, Any]]) -> str:
    """Give the text of the page."""
    facts = [mart for mart in marts if not _is_dimension(mart)]
    dimensions = [mart for mart in marts if _is_dimension(mart)]
    return "\n".join(
        [
            _HEAD,
            _picture(facts, marts),
            _dimension_table(dimensions, marts),
            *(_fact_section(fact, marts) for fact in facts),
        ]
    )


def joins(mart: dict[str, Any], marts: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Give the dimensions that a mart joins, each with the columns that it is joined by."""
    found = _tested_joins(mart)
    for dimension in marts:
        has_grain = set(_grain(dimension)) <= set(_names(mart))
        if _is_dimension(dimension) and has_grain and not _is_dimension(mart):
            found.setdefault(dimension["name"], _grain(dimension))
    return dict(sorted(found.items()))


def untested_keys(marts: list[dict[str, Any]]) -> list[str]:
    """Give the columns named like a dimension's key that no relationships test holds to it."""
    owners = {
        f"{mart['name'].removeprefix('dim_')}_key": mart["name"]
        for mart in marts
        if _is_dimension(mart)
    }
    return [
        f"{mart['name']}.{name}"
        for mart in marts
        for name in _names(mart)
        if name in owners
        and owners[name] != mart["name"]
        and _tested_joins(mart).get(owners[name]) != [name]
    ]


def misfiled(marts: list[dict[str, Any]]) -> list[str]:
    """Give figures of facts that are not exactly one of sum, ratio and other, as mart.column.

    Also those that a mart's `sums` or `no_sums` names, and that are no figure of it.
    """
    wrong = []
    for mart in marts:
        if _is_dimension(mart):
            continue
        filed = [*_sums(mart), *_meta(mart).get("no_sums", []), *_ratios(mart)]
        figures = {c["name"] for c in mart["columns"] if _is_figure(c)}
        wrong += [
            f"{mart['name']}.{name}"
            for name in sorted(figures | set(filed))
            if filed.count(name) != 1 or name not in figures
        ]
    return wrong


def parts(ratio: dict[str, str], mart: dict[str, Any]) -> tuple[str, str] | None:
    """Give what a ratio divides, where both parts are made of sums of the mart; else nothing."""
    if not {"numerator", "denominator"} <= ratio.keys():
        return None
    pair = (" ".join(ratio["numerator"].split()), " ".join(ratio["denominator"].split()))
    named = re.findall(r"\w+", " ".join(pair))
    return pair if set(named) <= set(_sums(mart)) else None


def _picture(facts: list[dict[str, Any]], marts: list[dict[str, Any]]) -> str:
    lines = ["## Picture", "", "```mermaid", "flowchart LR"]
    for fact in facts:
        reached = " & ".join(joins(fact, marts))
        lines.append(f"  {fact['name']} --> {reached}" if reached else f"  {fact['name']}")
    return "\n".join([*lines, "```", ""])


def _dimension_table(dimensions: list[dict[str, Any]], marts: list[dict[str, Any]]) -> str:
    head = ["| dimension | grain | key | itself joins |", "|---|---|---|---|"]
    lines = ["## Dimensions", "", _ABOUT_JOINS, *head]
    for mart in dimensions:
        reached = ", ".join(f"`{name}`" for name in joins(mart, marts))
        lines.append(
            f"| `{mart['name']}` | {_listed(_grain(mart))} | `{_names(mart)[0]}` | {reached} |"
        )
    return "\n".join([*lines, ""])


def _fact_section(fact: dict[str, Any], marts: list[dict[str, Any]]) -> str:
    by = joins(fact, marts)
    joined = ", ".join(f"`{name}` by {_listed(columns)}" for name, columns in by.items())
    lines = [f"## {fact['name']}", "", f"- Grain: {_listed(_grain(fact))}"]
    lines.append(f"- Joins: {joined or 'no dimension'}")
    others = _meta(fact).get("no_sums", [])
    if others:
        lines.append(f"- Other figures: {_listed(others)}")
    lines.append("")
    groups = _meta(fact).get("sums", [])
    if groups:
        lines += ["| sums | over |", "|---|---|"]
        lines += [f"| {_listed(g['columns'])} | {_one_line(g['over'])} |" for g in groups]
        lines.append("")
    ratios = _ratios(fact)
    if ratios:
        lines += ["| ratio | sum of | divided by sum of |", "|---|---|---|"]
        for name, ratio in ratios.items():
            pair = parts(ratio, fact)
            cells = [f"`{part.strip('()')}`" for part in pair] if pair else ["as it stands", ""]
            lines.append(f"| `{name}` | {cells[0]} | {cells[1]} |")
        lines.append("")
    return "\n".join(lines)


def _tested_joins(mart: dict[str, Any]) -> dict[str, list[str]]:
    return {
        re.sub(r"ref\('(\w+)'\)", r"\1", test["relationships"]["arguments"]["to"]): [column["name"]]
        for column in mart["columns"]
        for test in column.get("data_tests", [])
        if isinstance(test, dict) and "relationships" in test
    }


def _ratios(mart: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {
        column["name"]: column["config"]["meta"]["metric"]
        for column in mart["columns"]
        if "metric" in column.get("config", {}).get("meta", {})
    }


def _meta(mart: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = mart.get("config", {}).get("meta", {})
    return found


def _sums(mart: dict[str, Any]) -> list[str]:
    return [name for group in _meta(mart).get("sums", []) for name in group["columns"]]


def _is_figure(column: dict[str, Any]) -> bool:
    is_number = re.match(r"bigint|decimal|.*double", column["data_type"])
    return bool(is_number) and not _ABOUT_THE_ROW.search(column["name"])


def _is_dimension(mart: dict[str, Any]) -> bool:
    return str(mart["name"]).startswith("dim_")


def _names(mart: dict[str, Any]) -> list[str]:
    return [column["name"] for column in mart["columns"]]


def _grain(mart: dict[str, Any]) -> list[str]:
    grains = [test["grain"]["arguments"]["columns"] for test in mart["data_tests"]]
    return [str(name) for name in grains[0]]


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(build(models()), encoding="utf-8")
