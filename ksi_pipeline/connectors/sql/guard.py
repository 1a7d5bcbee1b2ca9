"""What a query of the user may say: one SELECT of named tables, without side effects.

This is the inner of two walls: the transaction is read-only as well, and the user of the database
should be. A function that is not of the SQL standard is refused unless it is named, because no list
of the dangerous ones is ever complete; those that are known to read files, to reach other servers
or to change settings are refused even so.
"""

import logging
import re
from collections.abc import Collection
from typing import TYPE_CHECKING

from ksi_pipeline.core.errors import ConfigError

if TYPE_CHECKING:
    from sqlglot import exp

_DIALECTS = {"postgresql": "postgres", "mssql": "tsql", "mariadb": "mysql"}
# Those that sqlglot calls as SQLAlchemy does; the others are read as plain SQL.
_SAME = ("sqlite", "mysql", "oracle", "snowflake", "bigquery", "redshift", "duckdb", "trino")
# By how their names begin.
_NEVER = (
    "pg_read_",
    "pg_ls_",
    "pg_stat_file",
    "pg_sleep",
    "pg_terminate_",
    "pg_cancel_",
    "pg_reload_",
    "pg_file_",
    "pg_logical_",
    "pg_advisory_",
    "pg_notify",
    "set_config",
    "setval",
    "nextval",
    "lo_",
    "dblink",
    "query_to_xml",
    "table_to_xml",
    "cursor_to_xml",
    "copy_",
    "load_file",
    "load_extension",
    "readfile",
    "writefile",
    "edit",
    "fts3_tokenizer",
    "read_csv",
    "read_parquet",
    "read_json",
    "read_text",
    "read_blob",
    "openrowset",
    "opendatasource",
    "openquery",
    "xp_",
    "sp_",
    "utl_",
    "dbms_",
    "httpuritype",
    "sys_exec",
    "sys_eval",
    "benchmark",
    "sleep",
)

_AMBIGUOUS = re.compile(r"""\\['"`]""")


def require_harmless(
    connector_id: str,
    query: str,
    tables: Collection[str],
    functions: Collection[str],
    backend: str,
) -> str:
    """Check a query and give it without the semicolon at its end.

    Args:
        connector_id: for messages.
        query: as the user wrote it.
        tables: that it may read, as the query writes them; upper and lower case are the same.
        functions: that it may call beside those of the standard.
        backend: SQLAlchemy's name of the database, e.g. postgresql.

    Raises:
        ConfigError: E_SQL_QUERY.
    """
    from sqlglot import ErrorLevel, exp, parse
    from sqlglot.errors import SqlglotError

    def refuse(why: str) -> ConfigError:
        return ConfigError(
            f"Connector {connector_id!r}: query: cannot be used: {why}. Nothing was asked. "
            "docs/how-to/connect-a-database.md says what a query may hold.",
            code="E_SQL_QUERY",
        )

    if "/*!" in query:
        raise refuse("it has a comment /*! that some databases execute")
    if _AMBIGUOUS.search(query):
        raise refuse(
            "it has a backslash before a quote, after which a text ends in some databases and goes "
            "on in others; write a quote in a text twice, or another escape character"
        )
    # it warns of what it does not know, which is refused below
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    try:
        dialect = _DIALECTS.get(backend, backend if backend in _SAME else "")
        found = [one for one in parse(query, dialect, error_level=ErrorLevel.RAISE) if one]
    except (SqlglotError, RecursionError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise refuse(f"it cannot be read as SQL of {backend} ({_plain(said)})") from None
    if len(found) != 1:
        raise refuse(f"it holds {len(found)} statements, and may hold one")
    (tree,) = found
    if not isinstance(tree, exp.Query) or isinstance(tree, exp.Table):
        raise refuse("it is no SELECT and no WITH ... SELECT")
    for node in tree.walk():
        if isinstance(node, exp.DML | exp.DDL | exp.Command | exp.Into | exp.Lock) and not (
            isinstance(node, exp.Query)
        ):
            raise refuse(f"it holds {type(node).__name__.upper()}, which is more than reading")
    allowed = {_name(name) for name in tables}
    for table in tree.find_all(exp.Table):
        name = _table_name(table)
        if name and not _is_of_with(table) and name not in allowed:
            raise refuse(f"it reads {name}, which tables: does not name")
    named = {_name(name) for name in functions}
    for call in tree.find_all(exp.Func):
        name = _function_name(call)
        bare = name.rsplit(".", 1)[-1]
        if bare.startswith(_NEVER):
            raise refuse(f"it calls {name}, which reads files, other servers or settings")
        if isinstance(call, exp.Anonymous | exp.AnonymousAggFunc) and name not in named:
            raise refuse(
                f"it calls {name}, which is not of the SQL standard; name it in functions: if it "
                "only computes"
            )
    return query.strip().rstrip(";").rstrip()


def _name(text: str) -> str:
    return text.replace('"', "").replace("`", "").replace("[", "").replace("]", "").lower()


def _plain(text: str) -> str:
    return "".join(c for c in text if c.isprintable())[:120].replace("\x1b[4m", "")


def _table_name(table: "exp.Table") -> str:
    from sqlglot import exp

    if not isinstance(table.this, exp.Identifier):
        return ""  # a function that gives rows; it is judged as one
    return ".".join(part.name for part in table.parts).lower()


def _function_name(call: "exp.Func") -> str:
    from sqlglot import exp

    name = call.name if isinstance(call, exp.Anonymous) else call.sql_name()
    parts = [name]
    above = call.parent
    while isinstance(above, exp.Dot) and above.expression in (call, call.parent):
        parts.insert(0, above.this.sql())
        call, above = above, above.parent  # type: ignore[assignment]
    return _name(".".join(parts))


def _is_of_with(table: "exp.Table") -> bool:
    """Say whether a name means a WITH clause above it, and no table."""
    from sqlglot import exp

    if table.args.get("db"):
        return False
    node: exp.Expr | None = table
    left: exp.With | None = None
    while node is not None:
        above = node.parent
        known: list[exp.Expr] = []
        if isinstance(node, exp.CTE) and isinstance(above, exp.With):
            # here only those before it are known, or itself where it is recursive
            at = next(place for place, cte in enumerate(above.expressions) if cte is node)
            known, left = above.expressions[: at + bool(above.recursive)], above
        held = node.args.get("with_")
        if isinstance(held, exp.With) and held is not left:
            known = held.expressions
        if any(cte.alias.lower() == table.name.lower() for cte in known):
            return True
        node = above
    return False
