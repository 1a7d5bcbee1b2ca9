"""The marts as another version of a site's space file gives them, beside those that are published.

Everything that follows from the space file is done again with that version: dimensions, what
tickets mean, counts, calendar, marts. Days whose counts are kept are not counted again. Tracklets,
tickets and the space files of other sites are those of now, so the result is what a full build
would give had the space file stayed as it was.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ksi_pipeline.core.errors import ConfigError, ContractError
from ksi_pipeline.defs.steps.after_python import PYTHON_STEPS, needs_no_dbt
from ksi_pipeline.defs.steps.build import (
    AFTER_PYTHON,
    dbt_arguments,
)
from ksi_pipeline.defs.steps.calendar import build_calendars
from ksi_pipeline.defs.steps.dbt_command import (
    dbt_environment,
    dbt_executable,
    prepare_manifest,
)
from ksi_pipeline.defs.steps.events import update_events
from ksi_pipeline.defs.steps.metric_rules import metric_rules
from ksi_pipeline.defs.steps.parse import parse_answers
from ksi_pipeline.defs.steps.space import load_spaces
from ksi_pipeline.defs.steps.space_files import kept_space, kept_versions
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.aside import open_aside
from ksi_pipeline.store.lake_views import register_lake
from ksi_pipeline.store.snapshot import write_marts_database


@dataclass(frozen=True, slots=True)
class MartsAside:
    """What was written.

    Attributes:
        days_counted: site-days that this version counts otherwise than the present one.
        row_counts: rows of each mart, by name.
    """

    site_id: str
    space_version: str
    days_counted: int
    row_counts: dict[str, int]


def build_marts_aside(workspace: Workspace, space_version: str, out: Path) -> MartsAside:
    """Build all marts by a version of a space file into a DuckDB file of its own.

    Args:
        workspace: the data home; nothing in it changes.
        space_version: of the present space file of a site, or of one that was counted with.
        out: the file to write; replaced when it is there.

    Raises:
        ConfigError: E_SPACE_VERSION, no space file of that version is kept; E_MARTS_OUT, the file
            would lie in the data home.
        ContractError: E_DBT_BUILD, dbt could not build the marts.
    """
    if out.resolve().is_relative_to(workspace.home.root.resolve()):
        raise ConfigError(
            f"The marts cannot be written to {out}: it lies in the data home "
            f"{workspace.home.root}, where a name may be in use. Nothing was built. Choose a place "
            "outside.",
            code="E_MARTS_OUT",
        )
    if out.suffix != ".duckdb" or out.is_dir():
        raise ConfigError(
            f"The marts cannot be written to {out}: the name has to end in .duckdb, so that no "
            "other file is replaced by mistake. Nothing was built. Choose such a name.",
            code="E_MARTS_OUT",
        )
    chosen = _space_of(workspace, space_version)
    with _aside(workspace, chosen) as aside:
        load_spaces(aside)
        parse_answers(aside)
        counted = update_events(aside).days_counted
        build_calendars(aside)
        register_lake(aside.store, up_to_seq=0, all_hours=True, memory_limit=aside.memory_limit)
        aside.progress("dbt build", 0.5)
        _build(aside, "--exclude", f"{AFTER_PYTHON}+")
        for step in PYTHON_STEPS:
            step.update(aside)
        if not needs_no_dbt(aside):
            _build(aside, "--select", AFTER_PYTHON)
        rows = write_marts_database(aside.home.build_db, out, aside.memory_limit)
    return MartsAside(chosen.site_id, chosen.version, counted, rows)


def _space_of(workspace: Workspace, version: str) -> Space:
    for space in workspace.spaces():
        if space.version == version:
            return space
    kept = kept_versions(workspace.home)
    for site_id, versions in kept.items():
        if version in versions:
            found = kept_space(workspace.home, site_id, version)
            if found is not None:
                return found
    listed = "; ".join(f"{site_id}: {', '.join(names)}" for site_id, names in kept.items())
    raise ConfigError(
        f"No space file of version {version!r} was ever counted with here. Nothing was built. "
        f"Versions kept, the oldest first: {listed or 'none'}.",
        code="E_SPACE_VERSION",
    )


@contextmanager
def _aside(workspace: Workspace, chosen: Space) -> Iterator[Workspace]:
    """Give a workspace that reads the same lake by the chosen space file, and forget it after."""
    build = workspace.home.build_db.parent
    build.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="aside-", dir=build) as folder:
        store = open_aside(workspace.store, Path(folder).resolve())
        present = {space.site_id: space for space in workspace.spaces()}
        store.home.spaces.mkdir()
        for site_id, space in {**present, chosen.site_id: chosen}.items():
            (store.home.spaces / f"{site_id}.yaml").write_bytes(space.content)
        if workspace.home.raw_spaces.exists():
            shutil.copytree(workspace.home.raw_spaces, store.home.raw_spaces)
        if workspace.home.connectors.exists():
            shutil.copy(workspace.home.connectors, store.home.connectors)
        if workspace.home.campaigns.exists():
            shutil.copy(workspace.home.campaigns, store.home.campaigns)
        if workspace.home.metrics.exists():
            shutil.copy(workspace.home.metrics, store.home.metrics)
        yield replace(workspace, store=store)


def _build(aside: Workspace, *selection: str) -> None:
    manifest = prepare_manifest(aside.dbt_project_dir)
    work = aside.home.build_db.parent
    parsed = manifest.with_name("partial_parse.msgpack")
    if parsed.exists() and not (work / "dbt_target").exists():
        (work / "dbt_target").mkdir()
        shutil.copy(parsed, work / "dbt_target")
    arguments = dbt_arguments(aside, full_refresh=True, rules=metric_rules(aside))
    folders = ("--target-path", str(work / "dbt_target"), "--log-path", str(work / "dbt_logs"))
    with dbt_environment(aside):
        done = subprocess.run(
            [dbt_executable(), "--quiet", *arguments, *selection, *folders],
            cwd=aside.dbt_project_dir,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise ContractError(
            f"dbt could not build the marts; nothing was written. It said:\n"
            f"{done.stdout}{done.stderr}",
            code="E_DBT_BUILD",
        )
