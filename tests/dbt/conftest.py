"""dbt runs over small lakes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .cases import kathmandu, lake_of, madrid, sao_paulo
from .small_site import make_lake

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"


@pytest.fixture(scope="session")
def dbt_project() -> Path:
    """The folder of the dbt project."""
    return PROJECT


@pytest.fixture(scope="session")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Run dbt on a build file, in a process of its own: dbt(build_db, *arguments)."""
    work = tmp_path_factory.mktemp("dbt")
    folders = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    folders += ["--target-path", str(work / "target"), "--log-path", str(work / "logs")]

    def run(build_db: Path, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "dbt.cli.main", *arguments, *folders],
            capture_output=True,
            text=True,
            check=False,
            cwd=work,
            env={
                **os.environ,
                "KSI_BUILD_DB": str(build_db),
                "KSI_DUCKDB_TEMP_DIRECTORY": str(work / "spill"),
                "DBT_USE_COLORS": "false",
            },
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, dbt: Callable[..., str]) -> Path:
    """A build file with the marts of the cases, all data tests passed."""
    path = tmp_path_factory.mktemp("marts") / "build.duckdb"
    make_lake(path, lake_of(sao_paulo(), madrid(), kathmandu()))
    dbt(path, "build", "--exclude-resource-type", "unit_test")
    return path
