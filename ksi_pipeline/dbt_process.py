"""dbt as the pipeline starts it: what it parsed once serves every data home."""

from collections.abc import Sequence

from dbt.adapters.duckdb.credentials import DuckDBCredentials
from dbt.cli.main import cli


def main() -> None:
    """Run dbt's command line.

    dbt parses a project anew, which takes longer than a small build, where anything of the
    connection differs from that of the last time. Where the database lies and how much memory it
    may take change nothing that is parsed.
    """
    DuckDBCredentials._connection_keys = _connection_keys
    cli()


def _connection_keys(_credentials: DuckDBCredentials) -> Sequence[str]:
    return "database", "schema", "settings"
