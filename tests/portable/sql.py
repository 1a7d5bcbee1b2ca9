"""What the models may use: what DuckDB, PostgreSQL, Spark, Snowflake, BigQuery and Redshift share.

A list of what is allowed, because the functions of one engine alone are too many to name. Add a
function when all six have it and agree about nulls, ties and rounding.
"""

import re

import sqlglot
from sqlglot import exp

DIALECTS = ("postgres", "spark", "snowflake", "bigquery", "redshift")

FUNCTIONS = {
    *("Abs", "And", "Avg", "Case", "Cast", "Ceil", "Coalesce", "Count", "Exists", "FirstValue"),
    *("Floor", "Greatest", "If", "Lag", "LastValue", "Lead", "Least", "Lower", "Max", "Min"),
    *("Mod", "Nullif", "Or", "Rank", "DenseRank", "Round", "RowNumber", "Sign", "Sum", "Trim"),
    *("Upper", "Xor", "Sqrt", "Ntile", "Substring", "Length"),
    # what dbt.date_trunc, dateadd and datediff become
    *(
        "DateAdd",
        "DateDiff",
        "DatetimeAdd",
        "DatetimeDiff",
        "DateSub",
        "DateTrunc",
        "DatetimeTrunc",
    ),
    *("TimestampAdd", "TimestampDiff", "TimestampTrunc", "TsOrDsAdd", "TsOrDsDiff", "Extract"),
    *("CurrentTimestamp", "Date", "DatePart"),
}
# Nodes that are no functions, and that at least one of the engines refuses or reads otherwise.
# Whole quotients are not among them: models divide by macros only, which spell them for the engine.
CONSTRUCTS = (
    *(exp.Filter, exp.Qualify, exp.Lambda, exp.Array, exp.Struct, exp.Bracket, exp.TryCast),
    *(exp.WithinGroup, exp.Lateral, exp.Unnest, exp.Pivot, exp.ILike, exp.Slice),
    *(exp.SimilarTo, exp.RegexpLike, exp.JSONExtract),
)
_STAR_PARTS = ("except_", "except", "replace", "rename")


def unportable(sql: str | exp.Expression, dialect: str = "duckdb") -> list[str]:
    """Name what not every engine understands; raises where the dialect cannot parse it at all."""
    found = []
    tree = sqlglot.parse_one(sql, read=dialect) if isinstance(sql, str) else sql
    for node in tree.walk():
        if isinstance(node, exp.Star):
            found += ["star with exceptions" for part in _STAR_PARTS if node.args.get(part)]
        elif isinstance(node, exp.Anonymous):
            found.append(node.name.lower())
        elif isinstance(node, CONSTRUCTS):
            found.append(type(node).__name__)
        elif isinstance(node, exp.SetOperation) and node.args.get("distinct"):
            # some want the word distinct, and others refuse it
            found.append(f"{type(node).__name__.lower()} without all")
        elif isinstance(node, exp.Sum) and isinstance(node.this.unnest(), exp.Predicate):
            found.append("sum of booleans")
        elif isinstance(node, exp.Func) and type(node).__name__ not in FUNCTIONS:
            found.append(node.sql(dialect)[:60])
        elif isinstance(node, exp.Distinct) and node.args.get("on"):
            found.append("distinct on")
        elif isinstance(node, exp.Group) and node.args.get("all"):
            found.append("group by all")
        elif isinstance(node, exp.Join) and (node.kind in ("SEMI", "ANTI") or node.method):
            found.append(f"{node.method} {node.kind} join".strip())
    return sorted(set(found))


def without_comments(source: str) -> str:
    """A model or macro as it is written, without comments of SQL and of Jinja."""
    return re.sub(r"--.*", "", re.sub(r"\{#.*?#\}", "", source, flags=re.DOTALL))


def uncast_money(sql: str, money: set[str]) -> list[str]:
    """Name the columns of the last CTE that are money, and are no plain cast."""
    (final,) = [cte for cte in sqlglot.parse_one(sql, read="duckdb").ctes if cte.alias == "final"]
    selects = final.this.selects
    return [
        column.alias_or_name
        for column in selects
        if column.alias_or_name in money and not isinstance(column.unalias(), exp.Cast)
    ]
