"""Assets that bring tickets in."""

from collections.abc import Mapping

import dagster as dg

from ksi_pipeline.defs.automation import ASK_DUE, BY_HAND, CONNECTORS
from ksi_pipeline.defs.failures import RETRIES, no_retry_on_permanent_errors
from ksi_pipeline.defs.partitions import DAYS, SINGLE_RUN, days_of, window_of
from ksi_pipeline.defs.space import space_model
from ksi_pipeline.defs.steps.parse import parse_answers
from ksi_pipeline.defs.steps.pull import PullReport, pull_answers, pull_due
from ksi_pipeline.defs.steps.sql_pull import pull_databases
from ksi_pipeline.defs.steps.ticket_files import parse_ticket_files
from ksi_pipeline.defs.steps.ticket_inbox import take_ticket_files
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.store.lock import one_reader_of_answers


@dg.asset(
    group_name="ingest",
    kinds={"python", "json"},
    partitions_def=DAYS,
    backfill_policy=SINGLE_RUN,
    deps=[space_model],
    check_specs=[dg.AssetCheckSpec("every_connector_answered", asset="hourly_tickets")],
    retry_policy=RETRIES,
)
def hourly_tickets(
    context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
) -> dg.MaterializeResult:
    """Answers of the ticket feeds exactly as they were sent, with their hash.

    Materialized by hand for some days, it asks for these; in a scheduled run, for the hours that
    can still change and those that were missed. One connector that fails fails its check and
    leaves its hours uncovered; the others go on.
    """
    with no_retry_on_permanent_errors(context):
        pulled = _pull(context, workspace)
    for message in pulled.failed.values():
        context.log.error(message)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": pulled.answer_count,
            "new_answers": pulled.new_count,
            "failed_connectors": len(pulled.failed),
        },
        check_results=[_check("every_connector_answered", pulled.failed)],
    )


def _check(name: str, failed: Mapping[str, str]) -> dg.AssetCheckResult:
    """Pass where nothing failed; what did is named in the metadata."""
    return dg.AssetCheckResult(check_name=name, passed=not failed, metadata=dict(failed))


def _pull(context: dg.AssetExecutionContext, workspace: Workspace) -> PullReport:
    """Ask for the days of the run, or for what is due where the run says so."""
    window, tags = window_of(*days_of(context)), context.run.tags
    if tags.get(ASK_DUE) != "true":
        return pull_answers(workspace, window)
    only = tags[CONNECTORS].split(",") if CONNECTORS in tags else None
    is_by_hand = BY_HAND in tags
    return pull_due(
        workspace, only=only, also=window if is_by_hand else None, is_by_hand=is_by_hand
    )


@dg.asset(
    group_name="ingest",
    kinds={"python", "csv"},
    partitions_def=DAYS,
    backfill_policy=SINGLE_RUN,
    deps=[space_model],
    check_specs=[dg.AssetCheckSpec("every_inbox_was_looked_at", asset="ticket_drops")],
    retry_policy=RETRIES,
)
def ticket_drops(
    context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
) -> dg.MaterializeResult:
    """Ticket files exactly as they came, with their hash.

    Whatever the days asked for, each whole new file of an inbox is taken once.
    """
    with no_retry_on_permanent_errors(context):
        found = take_ticket_files(workspace)
    for name in found.waiting:
        context.log.info("File %s may still be written; it waits.", name)
    for message in found.failed.values():
        context.log.error(message)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": found.file_count,
            "new_files": found.new_count,
            "waiting_files": len(found.waiting),
        },
        check_results=[_check("every_inbox_was_looked_at", found.failed)],
    )


@dg.asset(
    group_name="ingest",
    kinds={"python", "parquet"},
    partitions_def=DAYS,
    backfill_policy=SINGLE_RUN,
    deps=[space_model],
    check_specs=[dg.AssetCheckSpec("every_database_answered", asset="database_tickets")],
    retry_policy=RETRIES,
)
def database_tickets(
    context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
) -> dg.MaterializeResult:
    """Rows of ticket databases exactly as they were answered, with their hash.

    Whatever the days asked for, each database is asked for what is new; in a scheduled run, those
    that are due by their interval. One that fails fails the check; the others go on.
    """
    with no_retry_on_permanent_errors(context):
        is_scheduled = context.run.tags.get(ASK_DUE) == "true" and BY_HAND not in context.run.tags
        pulled = pull_databases(workspace, is_by_hand=not is_scheduled)
    for message in pulled.failed.values():
        context.log.error(message)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": pulled.row_count,
            "windows": pulled.window_count,
            "new_windows": pulled.new_count,
            "failed_connectors": len(pulled.failed),
        },
        check_results=[_check("every_database_answered", pulled.failed)],
    )


@dg.asset(
    group_name="ingest",
    kinds={"python", "parquet"},
    deps=[hourly_tickets, ticket_drops, database_tickets, space_model],
    check_specs=[dg.AssetCheckSpec("every_file_was_read", asset="ticket_hours")],
)
def ticket_hours(
    context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
) -> dg.MaterializeResult:
    """Tickets by code and hour, every revision kept.

    Grain: one row per revision of a code's hour. Rows that cannot be used are in quarantine with
    a reason; rows in = loaded + unchanged + quarantined, and of files + unmatched + skipped.
    """
    with no_retry_on_permanent_errors(context):
        with one_reader_of_answers(workspace.home):
            parsed = parse_answers(workspace)
        files = parse_ticket_files(workspace)
    for message in (*parsed.messages, *files.messages, *files.failed.values()):
        context.log.warning(message)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": parsed.total_rows,
            "rows_in": parsed.rows_in + files.rows_in,
            "rows_loaded": parsed.rows_loaded + files.rows_loaded,
            "rows_unchanged": parsed.rows_unchanged + files.rows_unchanged,
            "rows_quarantined": parsed.rows_quarantined + files.rows_quarantined,
            "rows_unmatched": parsed.rows_unmatched + files.rows_unmatched,
            "rows_skipped": files.rows_skipped,
            "files_read": files.file_count,
            "personal_columns": files.personal,
            "codes": dict(parsed.codes + files.codes),
        },
        check_results=[_check("every_file_was_read", files.failed)],
    )
