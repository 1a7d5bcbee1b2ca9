"""Assets of targets.yaml: one for each target and mart, and a job and a schedule for each target.

They are no part of the main job: a target that cannot be reached must not keep tickets waiting.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from ksi_pipeline.core.errors import ConfigError, PublishRefused
from ksi_pipeline.defs.automation import TARGETS_GROUP
from ksi_pipeline.defs.failures import RETRIES, no_retry_on_permanent_errors
from ksi_pipeline.defs.steps.targets import Scope, load_targets, publish_to
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.publishers.base_config import TargetBase
from ksi_pipeline.publishers.runner import Outcome

_CHECK = "reconciles"


@dataclass(frozen=True, slots=True)
class TargetDefinitions:
    """What Dagster shows of all targets."""

    assets: list[dg.AssetsDefinition] = field(default_factory=list)
    jobs: list[Any] = field(default_factory=list)
    schedules: list[dg.ScheduleDefinition] = field(default_factory=list)


def target_definitions(
    workspace: Workspace, marts: Callable[[], Sequence[str]]
) -> TargetDefinitions:
    """Make the assets, jobs and schedules of the targets.

    A targets.yaml that cannot be read gives none, and says so in the log of whoever loads this: the
    rest of the pipeline goes on.

    Args:
        workspace: of the data home.
        marts: gives the names of all marts; asked only where there is a target.
    """
    try:
        targets = load_targets(workspace)
    except ConfigError as error:
        dg.get_dagster_logger().error("%s: %s", error.code, error)
        return TargetDefinitions()
    made = TargetDefinitions()
    for target in targets:
        names = [mart for mart in marts() if target.wants(mart)]
        assets = _assets(target, names)
        job = dg.define_asset_job(
            f"publish_{target.id}",
            selection=dg.AssetSelection.assets(*assets.keys),
            description=f"What target {target.id} lacks of the newest build.",
        )
        made.assets.append(assets)
        made.jobs.append(job)
        if target.schedule:
            made.schedules.append(
                dg.ScheduleDefinition(
                    name=f"publish_{target.id}_schedule",
                    job=job,
                    cron_schedule=target.schedule,
                    execution_timezone="UTC",
                )
            )
    return made


def _assets(target: TargetBase, marts: Sequence[str]) -> dg.AssetsDefinition:
    keys = {mart: dg.AssetKey([target.id, mart]) for mart in marts}

    @dg.multi_asset(
        name=f"publish_to_{target.id}",
        specs=[
            dg.AssetSpec(
                key,
                group_name=TARGETS_GROUP,
                kinds={target.kind},
                deps=["published_parquet"],
                owners=[target.owner] if target.owner and "@" in target.owner else None,
                description=f"{mart} in target {target.id}.",
                skippable=True,
            )
            for mart, key in keys.items()
        ],
        check_specs=[
            dg.AssetCheckSpec(
                _CHECK,
                asset=key,
                description="Rows, keys and sums in the target are those of the mart.",
            )
            for key in keys.values()
        ],
        can_subset=True,
        pool=f"target_{target.id}",
        retry_policy=RETRIES,
    )
    def publish(
        context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        asked = {mart: key for mart, key in keys.items() if key in context.selected_asset_keys}
        checks = {check.asset_key for check in context.selected_asset_check_keys}
        with no_retry_on_permanent_errors(context):
            try:
                outcome = publish_to(workspace, target.id, Scope(), frozenset(asked))
            except PublishRefused as error:
                for mart, key in asked.items():
                    if key in checks and mart in error.marts:
                        yield dg.AssetCheckResult(
                            check_name=_CHECK,
                            asset_key=key,
                            passed=False,
                            metadata={"code": error.code, "message": str(error)},
                        )
                raise
        for mart, key in asked.items():
            yield dg.MaterializeResult(asset_key=key, metadata=_metadata(outcome, mart))
            if key in checks:
                yield dg.AssetCheckResult(
                    check_name=_CHECK,
                    asset_key=key,
                    passed=True,
                    metadata={"rows": _rows(outcome, mart)},
                )

    return publish


def _metadata(outcome: Outcome, mart: str) -> dict[str, object]:
    """Give the receipts of a mart: what is there, and what this run did."""
    counts = {name: outcome.count(name, mart) for name in ("publish", "replace", "remove", "skip")}
    batches = {
        change.part.month: change.batch.batch_id
        for change in outcome.changes
        if change.batch and change.part.mart == mart
    }
    return {"dagster/row_count": _rows(outcome, mart), **counts, "batches": batches}


def _rows(outcome: Outcome, mart: str) -> int:
    return sum(figures.rows for part, figures in outcome.figures.items() if part.mart == mart)
