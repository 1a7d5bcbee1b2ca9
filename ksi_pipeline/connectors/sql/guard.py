"""What a query of the user may say: one SELECT of named tables, without side effects.

The rights of the user of the database are the other wall; on PostgreSQL and SQLite the transaction
is read-only as well. What one database reads in another way than the guard might is refused. A
function that is not of the SQL standard is refused unless it is named, because no list of the
dangerous ones is ever complete; those that are known to read files, to reach other servers or to
change settings are refused even so.
"""

import logging
import re
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from ksi_pipeline.connectors.sql.guard_tables import against_tables
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

# What one database takes for the end of a text or of a comment, and another does not.
_AMBIGUOUS = (
    (r"/\*M?!", "it has a comment /*! or /*M! that some databases execute"),
    (
        r"""\\['"`]""",
        "it has a backslash before a quote, after which a text ends in some databases and goes on "
        "in others; write a quote in a text twice, or another escape character",
    ),
    (r"/\*(?:(?!\*/).)*/\*", "it has a comment in a comment, which some databases end early"),
)
_NUMBERS = ("nextval", "currval")


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
        tables: that it may read, as the query writes them; upper and lower case are the same where
            the database says so.
        functions: that it may call beside those of the standard.
        backend: SQLAlchemy's name of the database, e.g. postgresql.

    Raises:
        ConfigError: E_SQL_QUERY.
    """
    why = next(_reasons(query, tables, functions, backend), None)
    if why is not None:
        raise ConfigError(
            f"Connector {connector_id!r}: query: cannot be used: {why}. Nothing was asked. "
            "docs/how-to/connect-a-database.md says what a query may hold.",
            code="E_SQL_QUERY",
        )
    return query.strip().rstrip(";").rstrip()


def _reasons(
    query: str, tables: Collection[str], functions: Collection[str], backend: str
) -> Iterator[str]:
    """Give what speaks against a query, the first first."""
    from sqlglot import ErrorLevel, parse
    from sqlglot.errors import SqlglotError

    for pattern, why in _AMBIGUOUS:
        if re.search(pattern, query, re.I | re.S):
            yield why
    # it warns of what it does not know, which is refused below
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    dialect = _DIALECTS.get(backend, backend if backend in _SAME else "")
    try:
        found = [one for one in parse(query, dialect, error_level=ErrorLevel.RAISE) if one]
    except (SqlglotError, RecursionError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        yield f"it cannot be read as SQL of {backend} ({_plain(said)})"
        return
    if len(found) != 1:
        yield f"it holds {len(found)} statements, and may hold one"
        return
    (tree,) = found
    yield from _against_writing(tree)
    yield from against_tables(tree, tables, backend, dialect)
    yield from _against_functions(tree, functions)


def _against_writing(tree: "exp.Expr") -> Iterator[str]:
    from sqlglot import exp

    if not isinstance(tree, exp.Query) or isinstance(tree, exp.Table):
        yield "it is no SELECT and no WITH ... SELECT"
    for node in tree.walk():
        is_more = isinstance(node, exp.DML | exp.DDL | exp.Command | exp.Into | exp.Lock)
        if is_more and not isinstance(node, exp.Query):
            yield f"it holds {type(node).__name__.upper()}, which is more than reading"
        is_part = isinstance(node.parent, exp.Column | exp.Dot) and isinstance(node, exp.Identifier)
        if isinstance(node, exp.NextValueFor) or (is_part and node.name.lower() in _NUMBERS):
            yield "it takes a number from a sequence, which is more than reading"
        if isinstance(node, exp.WithTableHint):
            hints = [hint.name.lower() for hint in node.expressions]
            if hints != ["nolock"]:
                yield f"it has the table hint {', '.join(hints)}, and may have nolock only"


def _against_functions(tree: "exp.Expr", functions: Collection[str]) -> Iterator[str]:
    from sqlglot import exp

    named = {_name(name) for name in functions}
    for call in tree.find_all(exp.Func):
        name = _function_name(call)
        bare = name.rsplit(".", 1)[-1]
        if bare.startswith(_NEVER):
            yield f"it calls {name}, which reads files, other servers or settings"
        if isinstance(call, exp.Anonymous | exp.AnonymousAggFunc) and name not in named:
            yield (
                f"it calls {name}, which is not of the SQL standard; name it in functions: if it "
                "only computes"
            )


def _name(text: str) -> str:
    return text.replace('"', "").replace("`", "").replace("[", "").replace("]", "").lower()


def _plain(text: str) -> str:
    return "".join(c for c in text if c.isprintable())[:120].replace("\x1b[4m", "")


def _function_name(call: "exp.Func") -> str:
    from sqlglot import exp

    name = call.name if isinstance(call, exp.Anonymous) else call.sql_name()
    parts = [name]
    above = call.parent
    while isinstance(above, exp.Dot) and above.expression in (call, call.parent):
        parts.insert(0, above.this.sql())
        call, above = above, above.parent  # type: ignore[assignment]
    return _name(".".join(parts))
