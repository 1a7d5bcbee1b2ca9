"""`ksi demo`: a simulated mall through the whole pipeline, beside its truth."""

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer
from rich import box
from rich.table import Table

from ksi_pipeline.cli.console import (
    DATA_SAYS_NO,
    AsJson,
    errors_as_messages,
    out,
    print_json,
    progress_bar,
)
from ksi_pipeline.cli.run import run_days, show
from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.progress import Progress
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.sandbox.accuracy import Accuracy, accuracy_of
from ksi_pipeline.sandbox.compare import Compared, compare
from ksi_pipeline.sandbox.folder import require_own_folder
from ksi_pipeline.sandbox.home import SANDBOX_URL, MallTruth, simulate_mall, write_connectors
from ksi_pipeline.sandbox.pos_api import PosApi
from ksi_pipeline.sandbox.space_file import require_own_connectors
from ksi_pipeline.settings import Settings, load_settings
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.lock import only_run

if TYPE_CHECKING:
    from ksi_pipeline.defs.run import RunReport


def demo(
    data_dir: Annotated[
        Path, typer.Option("--dir", help="Folder for the demo; made when missing.")
    ] = Path("demo"),
    days: Annotated[int, typer.Option(min=1, help="Days to simulate.")] = 1,
    units: Annotated[int, typer.Option(min=1, max=99, help="Units in the mall.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Simulate a mall, run the whole pipeline on it, and show the result beside the truth."""
    with errors_as_messages(), progress_bar("ksi demo") as progress:
        # Dagster takes seconds to import; verbs that do not need it should not wait for it.
        from ksi_pipeline.definitions import make_workspace

        settings = load_settings(data_dir)
        _require_own_home(settings)
        with only_run(DataHome(data_dir.resolve())):
            told = _share(progress, 0, 0.4)
            truth = simulate_mall(data_dir, days=days, units=units, progress=told)
            workspace = make_workspace(settings, _share(progress, 0.4, 1.0))
            report = _run(workspace, settings, truth)
    if not report.is_success:
        show(report, workspace)
        raise typer.Exit(DATA_SAYS_NO)
    rows = compare(workspace.home.current_db, truth.unit_hours)
    metrics = accuracy_of(workspace.home.current_db, truth)
    if as_json:
        print_json(
            {
                "hours": [_as_dict(row) for row in rows],
                "accuracy": [metric.as_dict() for metric in metrics],
                "home": str(data_dir),
            }
        )
        return
    show(report, workspace)
    _show_table(rows, truth)
    _show_accuracy(metrics)
    _show_next(data_dir)


def _require_own_home(settings: Settings) -> None:
    """Refuse to simulate into what somebody works with, before anything is written."""
    if settings.ledger_url is not None:
        raise ConfigError(
            "KSI_LEDGER_URL is set, so the demo would write simulated days into that ledger. "
            "Nothing was written. Unset it for the demo, which keeps a ledger in its own folder.",
            code="E_SANDBOX",
        )
    require_own_folder(settings.data_dir)
    require_own_connectors(settings.data_dir)


def _run(workspace: Workspace, settings: Settings, truth: MallTruth) -> "RunReport":
    # The till is simulated and so is its token; `ksi sandbox` takes the same.
    workspace.secrets = {"KSI_POS_MAIN_TOKEN": "sandbox"}.get
    first, last = _days(truth)
    with PosApi(truth.feed_path, token="sandbox") as till:
        write_connectors(truth.home, till.url)
        try:
            return run_days(workspace, settings, first, last)
        finally:
            # This till ends with the demo; `ksi sandbox` answers for it later.
            write_connectors(truth.home, SANDBOX_URL)


def _share(progress: Progress, start: float, end: float) -> Progress:
    """Give a part of the bar to one stage."""

    def tell(what: str, share: float) -> None:
        progress(what, start + (end - start) * min(max(share, 0.0), 1.0))

    return tell


def _days(truth: MallTruth) -> tuple[date, date]:
    """Give the UTC days in which the mall was open."""
    noon = timedelta(hours=12)
    return (truth.window.start + noon).date(), (truth.window.end - noon).date()


def _show_table(rows: list[Compared], truth: MallTruth) -> None:
    table = Table(
        title="Conversion by unit and hour, measured beside the simulator's truth",
        box=box.SIMPLE_HEAD,
        padding=0,
    )
    for name in ("unit", "hour"):
        table.add_column(name, no_wrap=True)
    for name in ("entries", "true", "tickets", "true", "conv %", "true %", "error"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("basis", overflow="fold")
    hour = "%H:%M" if len({row.local_hour.date() for row in rows}) == 1 else "%d. %H:%M"
    for row in rows:
        table.add_row(
            row.unit_id,
            row.local_hour.strftime(hour),
            _number(row.entry_count),
            str(row.true_entries),
            _number(row.ticket_count),
            str(row.true_tickets),
            _percent(row.conversion_rate),
            _percent(row.true_rate),
            "-" if row.error_pp is None else f"{row.error_pp:+.2f}",
            row.reason or row.basis,
        )
    out.print(table)
    measured = [row for row in rows if row.basis == "measured" and row.error_pp is not None]
    worst = max((abs(row.error_pp or 0.0) for row in measured), default=0.0)
    exact = sum(row.entry_count == row.true_entries for row in measured)
    out.print(
        f"{len(measured)} of {len(rows)} open unit-hours were measured; in {exact} of them every "
        f"entry was counted, and the largest error is {worst:.2f} percentage points. The others "
        "say why not: what was not watched is '-', never 0.",
    )
    if truth.video_window is not None:
        start = truth.video_window.start.astimezone(ZoneInfo("Europe/Madrid"))
        out.print(
            f"The first minutes after {start:%H:%M} are {len(truth.chunk_paths)} rendered video "
            "chunks, counted from pixels; the rest came as tracklets from beside the camera."
        )


def _show_accuracy(metrics: list[Accuracy]) -> None:
    table = Table(
        title="Metrics beside the truth: the largest error, and the largest allowed",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("metric", no_wrap=True)
    for name in ("values", "error", "allowed"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("unit", ""):
        table.add_column(name, no_wrap=True)
    for metric in (each for each in metrics if each.is_within is not None):
        table.add_row(
            metric.metric,
            str(metric.compared),
            "-" if metric.worst_error is None else f"{round(metric.worst_error, 2):g}",
            f"{metric.tolerance:g}",
            metric.unit,
            "ok" if metric.is_within else "FAIL",
        )
    out.print(table)
    for metric in (each for each in metrics if each.is_within is False):
        out.print(
            f"FAIL {metric.metric}: most off at {metric.worst_at}, and {metric.not_measured} of "
            f"{metric.compared} values not measured.",
            markup=False,
        )


def _show_next(data_dir: Path) -> None:
    out.print(
        f"\nSnapshot  {data_dir}/published/current.duckdb   (duckdb, DBeaver, any BI tool)\n"
        f"Parquet   {data_dir}/published/marts/\n"
        f"Truth     {data_dir}/truth/unit_hours.parquet\n\n"
        "Next\n"
        f"  ksi demo --dir {data_dir}\n      run it again: nothing changes, and it says so\n"
        f"  make dev KSI_DATA_DIR={data_dir}\n      the same assets in the Dagster UI\n"
        "  docs/tutorials/first-hour.md\n      your own camera and till",
        markup=False,
        soft_wrap=True,
    )


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _as_dict(row: Compared) -> dict[str, object]:
    values = {name: getattr(row, name) for name in Compared.__slots__}
    return {**values, "error_pp": row.error_pp}
