"""Checks at the borders that are no dbt tests."""

import dagster as dg

from ksi_pipeline.defs.steps.parse import reconcile
from ksi_pipeline.defs.steps.ticket_files import reconcile_files
from ksi_pipeline.defs.tickets import ticket_hours
from ksi_pipeline.defs.workspace import Workspace


@dg.asset_check(asset=ticket_hours, name="rows_reconcile")
def rows_reconcile(workspace: dg.ResourceParam[Workspace]) -> dg.AssetCheckResult:
    """Every row was loaded, found unchanged, or set aside with a reason.

    Rows of files that are unmatched or skipped by the mapping are counted apart.
    """
    totals = reconcile(workspace)
    files = reconcile_files(workspace)
    is_balanced = totals.is_balanced and 2 * files["rows_in"] == sum(files.values())
    of_files = {f"file_{name}": count for name, count in files.items()}
    return dg.AssetCheckResult(passed=is_balanced, metadata={**totals.as_metadata(), **of_files})


CHECKS = [rows_reconcile]
