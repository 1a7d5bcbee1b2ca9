"""A build that needs more memory than its limit writes to disk and goes on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_models_after_one_that_outgrew_the_memory_limit_are_built(tmp_path, dbt_project):
    """The profile is the product's; the models are two of which the first has to write to disk."""
    (tmp_path / "models").mkdir()
    (tmp_path / "dbt_project.yml").write_text("name: spill\nversion: '1.0.0'\nprofile: ksi\n")
    (tmp_path / "models" / "large.sql").write_text(
        "{{ config(materialized='table') }}\n"
        "select range as a, hash(range) as b from range(4000000) order by b\n"
    )
    (tmp_path / "models" / "after.sql").write_text("select max(a) as a from {{ ref('large') }}\n")
    told = {
        "KSI_BUILD_DB": str(tmp_path / "build.duckdb"),
        "KSI_DUCKDB_MEMORY_LIMIT": "60MB",
        "KSI_DUCKDB_TEMP_DIRECTORY": str(tmp_path / "spill"),
        "DO_NOT_TRACK": "1",
    }
    done = subprocess.run(
        [
            Path(sys.executable).with_name("dbt"),
            "run",
            *("--project-dir", tmp_path, "--profiles-dir", dbt_project),
        ],
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "PASS=2" in done.stdout
