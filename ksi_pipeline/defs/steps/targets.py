"""What goes to which target: targets.yaml, the newest snapshot, and the contracts of the marts."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ksi_pipeline.core.errors import ConfigError, ContractError
from ksi_pipeline.core.publishing import WHOLE, Batch, Column, Part
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.publishers.base import Target
from ksi_pipeline.publishers.base_config import TargetBase
from ksi_pipeline.publishers.config import find_target, read_targets
from ksi_pipeline.publishers.parquet import column_types
from ksi_pipeline.publishers.plan import Change
from ksi_pipeline.publishers.registry import make_target
from ksi_pipeline.publishers.runner import Outcome, plan_for, publish
from ksi_pipeline.space.yaml_lines import line_of, read_yaml
from ksi_pipeline.store.mart_files import read_manifest
from ksi_pipeline.store.receipts import TargetReceipts

_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class Scope:
    """What one run may touch.

    Attributes:
        mart: only this; null for all that go to the target.
        first: only months from this on, like 2026-01; marts that are one file always count.
        last: only months up to this.
    """

    mart: str | None = None
    first: str | None = None
    last: str | None = None

    def require_months(self) -> None:
        """Refuse what is no month.

        Raises:
            ConfigError: E_BAD_TIME.
        """
        for month in (self.first, self.last):
            if month is not None and not _MONTH.fullmatch(month):
                raise ConfigError(
                    f"{month!r} is no month; nothing was published. Write it like 2026-03.",
                    code="E_BAD_TIME",
                )

    def has(self, part: Part) -> bool:
        """Whether a partition may be touched."""
        if self.mart not in (None, part.mart):
            return False
        if not _MONTH.fullmatch(part.month):
            return True
        return (self.first or part.month) <= part.month <= (self.last or part.month)


def load_targets(workspace: Workspace) -> tuple[TargetBase, ...]:
    """Read targets.yaml; a missing file means that there are none.

    Raises:
        ConfigError: E_TARGETS_FILE, E_DUP_TARGET.
    """
    path = workspace.home.targets
    if not path.exists():
        return ()
    try:
        raw, lines = read_yaml(path.read_text(encoding="utf-8"), path.name)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read as UTF-8 text ({type(error).__name__}).",
            code="E_TARGETS_FILE",
        ) from error
    except ConfigError as error:
        raise ConfigError(str(error), code="E_TARGETS_FILE") from error
    return read_targets(raw, lambda place: line_of(place, lines), path.name)


def publish_to(
    workspace: Workspace, target_id: str, scope: Scope, marts: frozenset[str] | None = None
) -> Outcome:
    """Publish to a target what it lacks.

    Args:
        workspace: of the data home.
        target_id: in targets.yaml.
        scope: what may be touched.
        marts: only these of it; null for all.

    Raises:
        ConfigError: E_UNKNOWN_TARGET, E_UNKNOWN_MART, E_NOT_PUBLISHED, E_BAD_TIME, and as
            load_targets.
        KsiError: as publishers.runner.publish.
    """
    config, target, receipts = open_target(workspace, target_id)
    return publish(
        target,
        wanted_batches(workspace, config, scope),
        receipts,
        scope=_scope(config, scope, marts),
        attempts=config.attempts,
        told=workspace.progress,
    )


def dry_run(workspace: Workspace, target_id: str, scope: Scope) -> list[tuple[Change, list[str]]]:
    """Give each change that publish_to would make, with what it would do; changes nothing."""
    config, target, receipts = open_target(workspace, target_id)
    wanted = wanted_batches(workspace, config, scope)
    plan = plan_for(target, wanted, receipts, _scope(config, scope, None))
    return [(c, [] if c.action == "skip" else target.statements(c)) for c in plan]


def open_target(workspace: Workspace, target_id: str) -> tuple[TargetBase, Target, TargetReceipts]:
    """Give a target by its id, with its receipts; no connection is made yet."""
    config = find_target(load_targets(workspace), target_id, workspace.home.targets.name)
    target = make_target(config, workspace.secrets, workspace.home.root, workspace.memory_limit)
    return config, target, TargetReceipts(workspace.store.ledger, target_id, workspace.clock)


def wanted_batches(workspace: Workspace, config: TargetBase, scope: Scope) -> list[Batch]:
    """Give what the newest snapshot has for a target.

    Raises:
        ConfigError: E_NOT_PUBLISHED, E_UNKNOWN_MART, E_BAD_TIME.
    """
    scope.require_months()
    link = workspace.home.current_marts
    if not link.exists():
        raise ConfigError(
            f"{workspace.home.root} has no published marts yet, so there is nothing to publish to "
            f"{config.id!r}. Run: ksi run.",
            code="E_NOT_PUBLISHED",
        )
    folder = link.resolve()
    files = read_manifest(folder)
    named = {*(config.marts or ()), *([scope.mart] if scope.mart else ())}
    if unknown := sorted(named - set(files)):
        raise ConfigError(
            f"Target {config.id!r}: there is no mart {', '.join(unknown)}; nothing was published. "
            f"docs/reference/marts.md lists them.",
            code="E_UNKNOWN_MART",
        )
    contracts = mart_contracts(workspace.dbt_project_dir)
    batches = []
    for mart, listed in files.items():
        if not config.wants(mart) or scope.mart not in (None, mart):
            continue
        contract = contracts.get(mart, {})
        for file in listed:
            path = folder / file.path
            batch = Batch(
                part=Part(mart, file.business_month or WHOLE),
                path=path,
                content=file.sha256,
                rows=file.rows,
                columns=_columns(path, contract),
                key=_key(contract),
                about=_plain(contract.get("description", "")),
            )
            batches.append(batch)
    return batches


def mart_contracts(project_dir: Path) -> dict[str, dict[str, Any]]:
    """Read what the dbt project says of each mart, without dbt."""
    contracts: dict[str, dict[str, Any]] = {}
    for path in sorted((project_dir / "models" / "marts").glob("[!_]*.yml")):
        for model in (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("models", ()):
            contracts[model["name"]] = model
    return contracts


def _columns(path: Path, contract: dict[str, Any]) -> tuple[Column, ...]:
    told = {column["name"]: column for column in contract.get("columns", ())}
    return tuple(
        Column(
            name,
            kind,
            is_nullable=not _is_never_null(told.get(name, {})),
            description=_plain(told.get(name, {}).get("description", "")),
        )
        for name, kind in _types(path).items()
    )


def _types(path: Path) -> dict[str, str]:
    try:
        return column_types(path)
    except OSError as error:
        raise ContractError(
            f"{path} is no longer there: newer builds took its place while this run read it. "
            "Nothing was published. Publish again.",
            code="E_FILE",
        ) from error


def _is_never_null(column: dict[str, Any]) -> bool:
    return any(one.get("type") == "not_null" for one in column.get("constraints", ()))


def _key(contract: dict[str, Any]) -> tuple[str, ...]:
    """Give the columns of the grain."""
    for test in contract.get("data_tests", ()):
        if isinstance(test, dict) and "grain" in test:
            return tuple(test["grain"]["arguments"]["columns"])
    return ()


def _plain(text: str) -> str:
    return " ".join(text.split())


def _scope(
    config: TargetBase, scope: Scope, marts: frozenset[str] | None
) -> Callable[[Part], bool]:
    def has(part: Part) -> bool:
        is_asked = marts is None or part.mart in marts
        return is_asked and config.wants(part.mart) and scope.has(part)

    return has
