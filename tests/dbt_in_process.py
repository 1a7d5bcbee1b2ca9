"""dbt in the process of the tests: it takes seconds to import and more to parse, once for all."""

from collections.abc import Callable
from pathlib import Path

import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest

from ksi_pipeline.defs.steps.dbt_command import prepare_manifest

PROJECT = Path(__file__).resolve().parents[1] / "dbt_project"
# a view that is there already would be made the same again, and most models are views
BUT_VIEWS = ("--exclude", "config.materialized:view")


def dbt_in_process(work: Path) -> Callable[..., dbtRunnerResult]:
    """Give what runs dbt on a file build.duckdb: dbt(build_db, *arguments).

    It begins with what the pipeline had dbt parse for its builds, which holds the name of the
    database; that is the name of the file.

    Args:
        work: a folder for what dbt writes beside the database.
    """
    kept = prepare_manifest(PROJECT).with_name("partial_parse.msgpack")
    parsed = Manifest.from_msgpack(kept.read_bytes())
    databases = {node.database for node in parsed.nodes.values()}
    assert databases == {"build"}, f"parsed for {databases}; remove {kept.parent}"

    def run(build_db: Path, *arguments: str) -> dbtRunnerResult:
        assert build_db.name == "build.duckdb"
        folders = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
        folders += ["--target-path", str(work / "target"), "--log-path", str(work / "logs")]
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(work)
            patch.setenv("KSI_BUILD_DB", str(build_db))
            patch.setenv("KSI_DUCKDB_TEMP_DIRECTORY", str(work / "spill"))
            # a run leaves in it what it compiled
            result = dbtRunner(manifest=parsed.deepcopy()).invoke(
                [*arguments, "--no-partial-parse", "--quiet", *folders]
            )
        # dbt leaves this to the end of the process, and nobody else can open the file until then
        DuckDBConnectionManager.close_all_connections()
        assert result.success, result.exception or [
            f"{each.node.name}: {each.message}" for each in result.result if each.message
        ]
        return result

    return run
