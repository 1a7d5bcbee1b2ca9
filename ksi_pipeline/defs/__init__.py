"""Dagster definitions: partitions, assets, schedule and the job; the work itself is in steps/."""

import warnings

# Single-run backfills are "beta" in Dagster's words since 1.6; users cannot act on the notice.
warnings.filterwarnings("ignore", message=".*is currently in beta.*")
