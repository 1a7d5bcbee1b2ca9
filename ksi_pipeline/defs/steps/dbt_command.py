"""The command that dbt is, what it reads of its environment, and what it parsed."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ksi_pipeline.core.errors import ConfigError

if TYPE_CHECKING:
    from ksi_pipeline.defs.workspace import Workspace


def dbt_executable() -> str:
    """Give the dbt that is installed beside this Python; see dbt_process.

    Raises:
        ConfigError: E_DBT_PROJECT, it is not there.
    """
    command = beside(sys.executable)
    if not command.exists():
        raise ConfigError(
            f"{command} is not there, so nothing can be built. This version brings it: install the "
            "package again (pip install -e .).",
            code="E_DBT_PROJECT",
        )
    return str(command)


def beside(python: str) -> Path:
    """Give where the command lies that is installed with a Python."""
    return Path(python).with_name("ksi-dbt")


@contextmanager
def dbt_environment(workspace: "Workspace") -> Iterator[None]:
    """Tell the dbt process where the build database is; profiles.yml reads these."""
    told = {
        "KSI_BUILD_DB": str(workspace.home.build_db),
        "KSI_DUCKDB_MEMORY_LIMIT": workspace.memory_limit,
        "KSI_DUCKDB_TEMP_DIRECTORY": str(workspace.home.build_db.parent / "spill"),
        "KSI_DBT_THREADS": str(workspace.dbt_threads),
        "DO_NOT_TRACK": "1",
    }
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def prepare_manifest(project_dir: Path) -> Path:
    """Give dbt's manifest, parsed anew only when a file of the project is newer than it.

    What dbt parsed lies beside it as partial_parse.msgpack. Each is there whole or not at all,
    whoever is killed while dbt parses and however many parse at once.

    Raises:
        ConfigError: the folder holds no dbt project, or dbt cannot parse it.
    """
    manifest = project_dir / "target" / "manifest.json"
    sources = [
        path
        for folder in ("models", "macros", "tests", "seeds")
        for path in (project_dir / folder).rglob("*")
        if path.is_file()
    ] + [project_dir / "dbt_project.yml"]
    if not (project_dir / "dbt_project.yml").exists():
        raise ConfigError(
            f"{project_dir} holds no dbt_project.yml. Set KSI_DBT_PROJECT_DIR to the folder that "
            "does.",
            code="E_DBT_PROJECT",
        )
    newest = max(path.stat().st_mtime for path in sources)
    if manifest.exists() and manifest.stat().st_mtime >= newest:
        return manifest
    manifest.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=manifest.parent, prefix="parse-") as work:
        done = subprocess.run(
            [dbt_executable(), "--quiet", "parse", "--no-partial-parse", "--target-path", work],
            cwd=project_dir,
            # the name of a build database, so that what is parsed now serves the builds
            env={
                **os.environ,
                "DBT_PROFILES_DIR": str(project_dir),
                "DO_NOT_TRACK": "1",
                "KSI_BUILD_DB": "target/build.duckdb",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ConfigError(
                f"dbt cannot parse the project in {project_dir}:\n{done.stdout}{done.stderr}",
                code="E_DBT_PROJECT",
            )
        # the manifest last, as it is what says that there is something
        for name in ("partial_parse.msgpack", manifest.name):
            Path(work, name).replace(manifest.with_name(name))
    return manifest
