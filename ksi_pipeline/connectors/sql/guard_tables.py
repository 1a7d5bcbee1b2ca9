"""Which tables a query reads: every one is to be named, wherever in the query it stands.

Names are compared as the database compares them. Where it is not known how, or where it may be set,
two names are equal only if they are written in the same way.
"""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import exp

# Where upper and lower case are the same, where they are without quotes, and where they never are.
_ANY_CASE = ("sqlite", "mssql", "duckdb", "trino")
_LOWER = ("postgresql", "redshift")
_UPPER = ("oracle", "snowflake")
_AS_WRITTEN = ("mysql", "mariadb", "bigquery")


def against_tables(
    tree: "exp.Expr", tables: Collection[str], backend: str, dialect: str
) -> Iterator[str]:
    """Give what speaks against the tables that a query reads.

    Args:
        tree: of the query.
        tables: that it may read, as a query writes them.
        backend: SQLAlchemy's name of the database.
        dialect: sqlglot's.
    """
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    allowed = set()
    for name in tables:
        try:
            allowed.add(_folded(list(exp.to_table(name, dialect=dialect).parts), backend))
        except SqlglotError:
            yield f"tables: has {name!r}, which is no name of a table"
    for node in tree.find_all(exp.Table, exp.In, exp.Lateral, exp.TableFromRows):
        parts = _name_of(node)
        if parts is None:
            yield f"it reads {_shown(node)}, which is neither a table by its name nor a function"
            return
        if not parts:
            continue
        if len(parts) == 1:
            meant = _of_with(node, parts[0])
            if meant is not None and _is_written_same(meant, parts[0]):
                continue
            if meant is not None:
                yield (
                    f"it has WITH {meant.name} and reads {parts[0].name}, which may be the same or "
                    "not; write both in the same way"
                )
        if _folded(parts, backend) not in allowed:
            yield f"it reads {'.'.join(part.name for part in parts)}, which tables: does not name"


def _name_of(node: "exp.Expr") -> "list[exp.Identifier] | None":
    """Give the parts of the name of a table; none where it is a query or is judged elsewhere.

    Returns:
        None where it is nothing that can be judged.
    """
    from sqlglot import exp

    if isinstance(node, exp.In):
        read = node.args.get("field")  # SQLite: x in table
        if read is None:
            return []
    else:
        read = node.this
    if isinstance(node, exp.Table) and isinstance(read, exp.Identifier):
        return _identifiers(node.parts)
    if isinstance(node, exp.Table) and read is None and node.args.get("rows_from"):
        return []
    if isinstance(read, exp.Identifier) and isinstance(node, exp.Lateral):
        return [read]
    if isinstance(read, exp.Column | exp.Dot) and not isinstance(node, exp.Table):
        if isinstance(read, exp.Dot) and isinstance(read.expression, exp.Func):
            return []
        return _identifiers(read.parts)
    # a function is judged as one, and a query by what it reads itself
    is_judged = isinstance(read, exp.Func) or (
        isinstance(read, exp.Query) and isinstance(node, exp.Lateral | exp.In)
    )
    return [] if is_judged and not isinstance(read, exp.DynamicIdentifier) else None


def _identifiers(parts: "Collection[exp.Expr]") -> "list[exp.Identifier] | None":
    from sqlglot import exp

    known = [part for part in parts if isinstance(part, exp.Identifier)]
    return known if len(known) == len(parts) else None


def _of_with(node: "exp.Expr", name: "exp.Identifier") -> "exp.Identifier | None":
    """Give the WITH clause above a table that its name may mean, however it is written."""
    from sqlglot import exp

    left: exp.With | None = None
    below: exp.Expr | None = node
    while below is not None:
        above = below.parent
        known: list[exp.Expr] = []
        if isinstance(below, exp.CTE) and isinstance(above, exp.With):
            # here only those before it are known, or itself where it is recursive
            at = next(place for place, cte in enumerate(above.expressions) if cte is below)
            known, left = above.expressions[: at + bool(above.recursive)], above
        held = below.args.get("with_")
        if isinstance(held, exp.With) and held is not left:
            known = held.expressions
        names: list[exp.Identifier] = [cte.args["alias"].this for cte in known]
        same = [one for one in names if one.name.lower() == name.name.lower()]
        if same:
            return next((one for one in same if not _is_written_same(one, name)), same[0])
        below = above
    return None


def _is_written_same(one: "exp.Identifier", other: "exp.Identifier") -> bool:
    return (one.name, bool(one.quoted)) == (other.name, bool(other.quoted))


def _folded(parts: "Collection[exp.Expr]", backend: str) -> tuple[str, ...]:
    return tuple(
        _fold(part.name, backend, is_quoted=bool(part.args.get("quoted"))) for part in parts
    )


def _fold(name: str, backend: str, *, is_quoted: bool) -> str:
    if backend in _ANY_CASE:
        return name.lower()
    if backend in _LOWER:
        return name if is_quoted else name.lower()
    if backend in _UPPER:
        return name if is_quoted else name.upper()
    return f'"{name}"' if is_quoted and backend not in _AS_WRITTEN else name


def _shown(node: "exp.Expr") -> str:
    return "".join(c for c in node.sql() if c.isprintable())[:80]
