"""Run by Python of .services/compile: compile the models for a target without a server.

python compile_alone.py TARGET DBT_PROJECT FOLDER. Models and data tests are in FOLDER/full, and the
marts as an incremental run has them in FOLDER/incremental. What dbt would ask the server is
answered here: in the first that no table is there, in the second that every table is.
"""

import os
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

from dbt.cli.main import dbtRunner


def main(target: str, project: str, folder: Path) -> int:
    """Give 0 when every model compiled."""
    os.chdir(folder)
    manifest = None
    flags = ["--target", target, "--project-dir", project, "--profiles-dir", project, "--quiet"]
    marts = ["--select", "config.materialized:incremental", "--indirect-selection", "empty"]
    for run, kind, selected in (("full", None, []), ("incremental", "table", marts)):
        answer_as(target, kind)
        paths = ["--target-path", str(folder / run), "--log-path", str(folder / "logs")]
        options = [*flags, *paths, "--no-partial-parse"]
        if manifest is None:
            manifest = dbtRunner().invoke(["parse", *options]).result
        compiled = dbtRunner(manifest=manifest.deepcopy()).invoke(
            ["compile", "--no-populate-cache", "--no-introspect", *selected, *options]
        )
        if not compiled.success:
            print(compiled.exception)
            return 1
    return 0


def answer_as(target: str, kind: str | None) -> None:
    """Let every table that dbt asks for be absent, or be of this kind."""
    adapter_class = import_module(f"dbt.adapters.{target}").Plugin.adapter

    def get_relation(adapter, database: str, schema: str, identifier: str):
        if kind is None:
            return None
        names = {"database": database, "schema": schema, "identifier": identifier}
        return adapter.Relation.create(**names, type=kind)

    def without_server(cls, connection):
        # it can be closed, and nothing can be asked of it
        connection.state, connection.handle = "open", SimpleNamespace(close=lambda: None)
        return connection

    adapter_class.get_relation = get_relation
    adapter_class.ConnectionManager.open = classmethod(without_server)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
