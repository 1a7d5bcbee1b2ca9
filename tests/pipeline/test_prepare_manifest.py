"""What dbt parsed is there whole or not at all."""

import pytest

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.defs.steps import dbt_command
from ksi_pipeline.defs.steps.dbt_command import prepare_manifest

# writes where it is told to, else where dbt would
BEGINS = """#!/bin/sh
folder=target
while [ $# -gt 1 ]; do [ "$1" = --target-path ] && folder=$2; shift; done
mkdir -p "$folder"
printf 'parsed' > "$folder/partial_parse.msgpack"
printf '{"nodes": ' > "$folder/manifest.json"
"""
IS_KILLED, ENDS = "kill -9 $$\n", 'printf "{}}" >> "$folder/manifest.json"\n'


@pytest.fixture
def dbt_that(tmp_path, monkeypatch):
    """Puts a command in the place of dbt."""
    command = tmp_path / "ksi-dbt"
    monkeypatch.setattr(dbt_command, "beside", lambda python: command)

    def put(rest: str) -> None:
        command.write_text(BEGINS + rest)
        command.chmod(0o755)

    return put


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "dbt_project.yml").write_text("name: ksi\n")
    return folder


def test_a_dbt_that_is_killed_while_it_writes_leaves_nothing_and_the_next_one_parses(
    project, dbt_that
):
    dbt_that(IS_KILLED)
    with pytest.raises(ConfigError) as caught:
        prepare_manifest(project)
    assert caught.value.code == "E_DBT_PROJECT"
    assert [path for path in project.rglob("*") if path.is_file()] == [project / "dbt_project.yml"]
    dbt_that(ENDS)
    assert prepare_manifest(project).read_text() == '{"nodes": {}}'
    assert (project / "target" / "partial_parse.msgpack").read_text() == "parsed"
    dbt_that(IS_KILLED)
    assert prepare_manifest(project).read_text() == '{"nodes": {}}'
