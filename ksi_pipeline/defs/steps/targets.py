"""What goes to which target: targets.yaml, the newest snapshot, and the contracts of the marts."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.publishing import WHOLE, Batch, Column, Part
from ksi_pipeline.defs.steps.dbt_command import prepare_manifest
from ksi_pipeline.defs.steps.model_columns import (
    Contract,
    contracts_of_models,
    marts_of_exposures,
)
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.publishers.base import Target
from ksi_pipeline.publishers.base_config import TargetBase
from ksi_pipeline.publishers.config import find_target, read_targets
from ksi_pipeline.publishers.parquet import column_types
from ksi_pipeline.publishers.plan import Change
from ksi_pipeline.publishers.refusals import snapshot_gone
from ksi_pipeline.publishers.registry import make_target
from ksi_pipeline.publishers.runner import Outcome, plan_for, publish
from ksi_pipeline.space.yaml_lines import line_of, read_yaml
from ksi_pipeline.store.mart_files import read_manifest
from ksi_pipeline.store.receipts import TargetReceipts

# A mart that this version no longer has.
_NO_CONTRACT = Contract("", {}, {}, frozenset(), ())
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

    Returns:
        The targets; `marts` of one that names exposures has their marts too.

    Raises:
        ConfigError: E_TARGETS_FILE, E_DUP_TARGET, E_UNKNOWN_EXPOSURE.
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
    targets = read_targets(raw, lambda place: line_of(place, lines), path.name)
    return tuple(_with_exposures(workspace, target) for target in targets)


def _with_exposures(workspace: Workspace, target: TargetBase) -> TargetBase:
    if target.exposures is None:
        return target
    known = marts_of_exposures(prepare_manifest(workspace.dbt_project_dir))
    if unknown := sorted(set(target.exposures) - set(known)):
        raise ConfigError(
            f"Target {target.id!r}: the dbt project has no exposure {', '.join(unknown)} (it has: "
            f"{', '.join(sorted(known)) or 'none'}). Nothing was published. Correct the name, or "
            "add the exposure to the project.",
            code="E_UNKNOWN_EXPOSURE",
        )
    named = {*(target.marts or ()), *(mart for name in target.exposures for mart in known[name])}
    return target.model_copy(update={"marts": sorted(named)})


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
        TransientError: E_SNAPSHOT_GONE.
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
    if not files:
        # as if no mart were wanted any more, and all that a target has were to be removed
        raise snapshot_gone(config.id, f"the marts of {folder.name}")
    named = {*(config.marts or ()), *([scope.mart] if scope.mart else ())}
    if unknown := sorted(named - set(files)):
        raise ConfigError(
            f"Target {config.id!r}: there is no mart {', '.join(unknown)}; nothing was published. "
            f"docs/reference/marts.md lists them.",
            code="E_UNKNOWN_MART",
        )
    contracts = contracts_of_models(prepare_manifest(workspace.dbt_project_dir))
    batches = []
    for mart, listed in files.items():
        if not config.wants(mart) or scope.mart not in (None, mart):
            continue
        contract = contracts.get(mart, _NO_CONTRACT)
        for file in listed:
            path = folder / file.path
            batch = Batch(
                part=Part(mart, file.business_month or WHOLE),
                path=path,
                content=file.sha256,
                rows=file.rows,
                columns=_columns(config.id, path, contract),
                key=contract.grain,
                about=contract.about,
            )
            batches.append(batch)
    return batches


def _columns(target: str, path: Path, contract: Contract) -> tuple[Column, ...]:
    try:
        types = column_types(path)
    except FileNotFoundError as error:
        raise snapshot_gone(target, f"files like {path.name}") from error
    return tuple(
        Column(
            name,
            kind,
            is_nullable=name not in contract.never_null,
            description=contract.descriptions.get(name, ""),
        )
        for name, kind in types.items()
    )


def _scope(
    config: TargetBase, scope: Scope, marts: frozenset[str] | None
) -> Callable[[Part], bool]:
    def has(part: Part) -> bool:
        is_asked = marts is None or part.mart in marts
        return is_asked and config.wants(part.mart) and scope.has(part)

    return has
