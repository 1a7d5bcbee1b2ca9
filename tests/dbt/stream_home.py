"""A data home that inputs arrive at, brought up to date step by step as the main job does."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from ksi_pipeline.core.time import Window
from ksi_pipeline.defs.steps.after_python import PYTHON_STEPS, mark_all_built
from ksi_pipeline.defs.steps.build import (
    AFTER_PYTHON,
    dbt_arguments,
    mark_first_built,
    plan_build,
    publish_marts,
)
from ksi_pipeline.defs.steps.calendar import build_calendars
from ksi_pipeline.defs.steps.dbt_command import prepare_manifest
from ksi_pipeline.defs.steps.deliveries import import_deliveries
from ksi_pipeline.defs.steps.events import update_events
from ksi_pipeline.defs.steps.metric_rules import metric_rules
from ksi_pipeline.defs.steps.model_columns import columns_of_models
from ksi_pipeline.defs.steps.parse import parse_answers
from ksi_pipeline.defs.steps.pull import pull_answers
from ksi_pipeline.defs.steps.space import load_spaces
from ksi_pipeline.defs.steps.ticket_files import parse_ticket_files
from ksi_pipeline.defs.steps.ticket_inbox import take_ticket_files
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.sandbox.pos_api import Fault, PosApi
from ksi_pipeline.store.aside import open_aside
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.store import Store

from . import stream_inputs as inputs
from .small_site import marts_of

REPO = Path(__file__).resolve().parents[2]
TOKEN = "a-token-of-the-streams"
Dbt = Callable[..., None]
Marts = dict[str, list[tuple[Any, ...]]]
_FAULTS = {"refused": Fault(403, b"{}", times=9), "no list": Fault(200, b'{"a": []}', times=9)}


# a clock change in each; in the first a month ends, in the last it is by half an hour
CALENDARS = {
    "New York": inputs.Calendar(
        date(2026, 10, 31), {"mall": "America/New_York", "shop": "Asia/Kathmandu"}
    ),
    "Madrid": inputs.Calendar(
        date(2026, 3, 28), {"mall": "Europe/Madrid", "shop": "Asia/Kathmandu"}
    ),
    "Lord Howe": inputs.Calendar(
        date(2026, 4, 4), {"mall": "Australia/Lord_Howe", "shop": "Europe/London"}
    ),
}


@dataclass
class StreamHome:
    """Two sites, one till and three cameras; what a test does to them, and the steps over them."""

    root: Path
    calendar: inputs.Calendar
    api: PosApi
    dbt: Dbt
    now: datetime
    till: dict[tuple[str, int], tuple[str, int]] = field(default_factory=dict)
    chosen: dict[str, dict[str, int]] = field(
        default_factory=lambda: {s: dict.fromkeys(inputs.CHOICES, 0) for s in inputs.SITES}
    )
    campaigns: int = 0
    absent_means: str = "missing"
    final_after_h: int = 72
    file_count: int = 0
    views_made_with: list[str] | None = None

    def copied_to(self, root: Path) -> "StreamHome":
        """The same home elsewhere, from which things may go on differently."""
        shutil.copytree(self.root, root, symlinks=True)
        copy = StreamHome(root, self.calendar, self.api, self.dbt, self.now)
        copy.till, copy.campaigns = dict(self.till), self.campaigns
        copy.file_count, copy.views_made_with = self.file_count, self.views_made_with
        copy.chosen = {site: dict(ways) for site, ways in self.chosen.items()}
        return copy

    # what arrives

    def sell(self, code: str, hour: int, kind: str, count: int) -> None:
        """Let the till say something else of an hour from now on."""
        self.till[code, hour] = kind, count

    def ask(self, first: int, hours: int, answer: str = "true", late_h: int = 0) -> None:
        """Ask the till for some hours; the answer may have come earlier than others did."""
        starts = [hour.start_utc for hour in self.calendar.hours("mall")]
        window = Window(starts[first], starts[min(first + hours, len(starts) - 1)])
        self.api.replace_rows(self._rows())
        self.api.faults.clear()
        if answer in _FAULTS:
            self.api.script(_FAULTS[answer])
        workspace = self.workspace()
        workspace.clock = lambda: self.now - timedelta(hours=late_h)
        pull_answers(workspace, window)
        self.api.faults.clear()

    def drop(self, day: int, kind: str, count: int) -> None:
        """Deliver a file with every ticket of a day."""
        path = self.root / "drops" / "till" / f"{self.file_count}.csv"
        self.file_count += 1
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(inputs.dropped(kind, self.calendar.first + timedelta(days=day), count))
        written = (self.now - timedelta(hours=1)).timestamp()
        os.utime(path, (written, written))
        assert take_ticket_files(self.workspace()).new_count == 1

    def film(self, camera: str, hour: int, hours: int, people: tuple[str, ...], how: str) -> None:
        """Deliver hours of a camera; what came under this name before is replaced."""
        start = self.calendar.hours(inputs.CAMERAS[camera])[hour].start_utc
        inputs.write_delivery(self.root / "deliveries", camera, start, hours, people, how)

    def draw(self, site_id: str, what: str, way: int) -> None:
        """Change a site's space file."""
        self.chosen[site_id][what] = way % inputs.CHOICES[what]

    def promote(self, way: int) -> None:
        """Change the file of campaigns."""
        self.campaigns = way

    def configure(self, absent_means: str, final_after_h: int) -> None:
        """Change what is known of the till."""
        self.absent_means, self.final_after_h = absent_means, final_after_h

    # what is done about it

    def workspace(self) -> Workspace:
        """The home as a run finds it."""
        self._write_files()
        return Workspace(
            store=Store(DataHome(self.root.resolve())),
            dbt_project_dir=REPO / "dbt_project",
            secrets={"KSI_POS_TOKEN": TOKEN}.get,
            clock=lambda: self.now,
        )

    def run(self, stops_after: str = "published") -> None:
        """Bring everything up to date; killed, if a test wants, before readers see it."""
        workspace = self.workspace()
        load_spaces(workspace)
        import_deliveries(workspace)
        parse_answers(workspace)
        assert parse_ticket_files(workspace).failed == {}
        update_events(workspace)
        build_calendars(workspace)
        if stops_after == "steps":
            return
        plan = plan_build(workspace, full_refresh=False)
        if plan is not None:
            # a view stays as it was made while dbt is told the same, and most models are views
            told = _told(workspace, is_full=False)
            views = ["config.materialized:view"] if told == self.views_made_with else []
            self._dbt(workspace, "--exclude", f"{AFTER_PYTHON}+", *views, is_full=False)
            self.views_made_with = told
            mark_first_built(workspace, plan)
        if stops_after == "first models":
            return
        self._second(workspace)
        mark_all_built(workspace)
        if stops_after == "published":
            publish_marts(workspace)

    def marts(self) -> Marts:
        """Every row of every mart, as the build has them."""
        return marts_of(self.root / "warehouse" / "build.duckdb")

    def anew(self, root: Path) -> Marts:
        """The marts as one full refresh over what counts now gives them."""
        workspace = self.workspace()
        aside = StreamHome(root, self.calendar, self.api, self.dbt, self.now)
        workspace.store = open_aside(workspace.store, root)
        shutil.copytree(self.root / "spaces", root / "spaces")
        for name in ("connectors.yaml", "campaigns.yaml"):
            if (self.root / name).exists():
                shutil.copy(self.root / name, root)
        # the aside ledger has no hours pending; a full refresh needs none
        assert plan_build(workspace, full_refresh=True) is not None
        aside._dbt(workspace, "--exclude", f"{AFTER_PYTHON}+", is_full=True)
        aside._second(workspace)
        return aside.marts()

    def _second(self, workspace: Workspace) -> None:
        for step in PYTHON_STEPS:
            step.update(workspace)
        columns = columns_of_models(prepare_manifest(workspace.dbt_project_dir))
        if not all(step.is_shown(workspace, columns[step.mart]) for step in PYTHON_STEPS):
            self._dbt(workspace, "--select", AFTER_PYTHON, is_full=False)

    def _dbt(self, workspace: Workspace, *selection: str, is_full: bool) -> None:
        told = _told(workspace, is_full=is_full)
        refresh = ["--full-refresh"] if is_full else []
        self.dbt(workspace.home.build_db, "run", *refresh, *selection, *told)

    def _rows(self) -> list[dict[str, object]]:
        hours = {site: self.calendar.hours(site) for site in inputs.SITES}
        rows = []
        for (code, hour), (kind, count) in sorted(self.till.items()):
            site = "shop" if code == "b1" else "mall"
            zone = self.calendar.zones[site]
            rows += inputs.sold(kind, code, hours[site][hour], zone, count)
        return rows

    def _write_files(self) -> None:
        folder = self.root / "spaces"
        folder.mkdir(parents=True, exist_ok=True)
        for site_id, ways in self.chosen.items():
            text = inputs.space_file(site_id, self.calendar, ways)
            path = folder / f"{site_id}.yaml"
            path.unlink(missing_ok=True) if text is None else path.write_text(text)
        text = inputs.campaigns_file(self.calendar, self.campaigns)
        path = self.root / "campaigns.yaml"
        path.unlink(missing_ok=True) if text is None else path.write_text(text)
        mapping = self.root / "mappings" / "till.yaml"
        mapping.parent.mkdir(exist_ok=True)
        mapping.write_text(inputs.MAPPING)
        shared = {
            "absent_means": self.absent_means,
            "final_after_h": self.final_after_h,
            "active": True,
        }
        api = {
            "id": "pos",
            "kind": "hourly_api",
            "url": self.api.url,
            "token_env": "KSI_POS_TOKEN",
            "allow_http": True,
            "allow_private": True,
            "max_attempts": 1,
        }
        files = {"id": "till", "kind": "ticket_files", "mapping": "till"}
        connectors = [{**api, **shared}, {**files, **shared}]
        (self.root / "connectors.yaml").write_text(json.dumps({"connectors": connectors}))


def begin(calendar: inputs.Calendar, root: Path, api: PosApi, dbt: Dbt) -> StreamHome:
    """Make a home with three days of tickets and people, up to date."""
    end = datetime.combine(calendar.first, datetime.min.time(), UTC) + timedelta(days=4)
    home = StreamHome(root, calendar, api, dbt, now=end)
    for number, code in enumerate(inputs.CODES):
        for hour, kind in ((9, "amount"), (10, "count"), (25, "categories"), (34, "amount")):
            home.sell(code, hour, kind, 25 + number)
    home.ask(4, 60)
    home.drop(0, "lines", 7)
    people = ("enters", "queues", "clerk", "stays", "passes")
    for camera in inputs.CAMERAS:
        for hour in (9, 10, 23, 24, 25, 34):
            home.film(camera, hour, 1, people, "complete")
    home.promote(1)
    home.run()
    home.now += timedelta(hours=5)
    return home


def _told(workspace: Workspace, *, is_full: bool) -> list[str]:
    """The word --vars and what follows it; nothing where dbt is told nothing."""
    told = dbt_arguments(workspace, full_refresh=is_full, rules=metric_rules(workspace))
    return told[told.index("--vars") :] if "--vars" in told else []
