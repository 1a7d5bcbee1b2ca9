"""Checks at the borders that are no dbt tests."""

import dagster as dg

from ksi_pipeline.defs.steps.parse import reconcile
from ksi_pipeline.defs.tickets import ticket_hours
from ksi_pipeline.defs.workspace import Workspace


@dg.asset_check(asset=ticket_hours, name="rows_reconcile")
def rows_reconcile(workspace: dg.ResourceParam[Workspace]) -> dg.AssetCheckResult:
    """Every row of every answer was loaded, found unchanged, or quarantined with a reason."""
    totals = reconcile(workspace)
    return dg.AssetCheckResult(passed=totals.is_balanced, metadata=totals.as_metadata())


CHECKS = [rows_reconcile]
