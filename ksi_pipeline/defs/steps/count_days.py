"""Counts the days of one site whose points, zones or rules changed, and leaves the others alone.

A day that another space file or another rule counts anew keeps what it gave before as a former
version of its counts; a day whose points changed is counted anew within its version.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.instants import from_us, to_us
from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.core.walks import RULE_VERSION
from ksi_pipeline.defs.steps.counting import count_points
from ksi_pipeline.defs.steps.recipes import Recipe, SiteRecipes
from ksi_pipeline.defs.steps.space_files import keep_space_file, kept_space
from ksi_pipeline.defs.steps.touched import changed_hours
from ksi_pipeline.defs.workspace import Workspace, digest
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.count_versions import (
    VERSIONED,
    CountedDay,
    current_versions,
    former_versions,
)
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.ledger import Row
from ksi_pipeline.store.store import Change, Store

_MICROSECOND, _DAY = timedelta(microseconds=1), timedelta(days=1)


@dataclass(slots=True)
class DaysCounted:
    """What a pass over the days of a site did, each like 2026-03-27.

    Attributes:
        counted: days that were counted anew.
        untouched: days that nothing had changed.
    """

    counted: list[str] = field(default_factory=list)
    untouched: list[str] = field(default_factory=list)


def count_days(
    workspace: Workspace, space: Space, first: date | None = None, last: date | None = None
) -> DaysCounted:
    """Count the days that changed, each in a transaction of its own.

    Args:
        workspace: the data home.
        space: the space file to count with.
        first: first UTC day to look at; None: from the first there is.
        last: last UTC day to look at, included; None: to the last there is.
    """
    keep_space_file(workspace.home, space)
    files = _points_by_day(workspace.store, space)
    current = current_versions(workspace.store.ledger, space.site_id)
    days = sorted(
        day
        for day in {*files, *current, *_days_with_counts(workspace.store, space)}
        if (first is None or first.isoformat() <= day) and (last is None or day <= last.isoformat())
    )
    recipes, report = SiteRecipes(space), DaysCounted()
    former = _FormerRecipes(workspace.home, space.site_id, current)
    for number, day in enumerate(days):
        workspace.progress(f"counting {space.site_id} {day}", number / len(days))
        points = files.get(day, [])
        if _is_counted(current.get(day), points, recipes, day):
            report.untouched.append(day)
        else:
            _count_day(workspace, recipes, former, day, points)
            report.counted.append(day)
    return report


def last_days_reached(store: Store, site_id: str) -> dict[str, str]:
    """Give, for each day with visits that last beyond the day after it, the last day they reach."""
    prefix = f"reach:{site_id}/"
    steps = store.ledger.inputs_by_step(prefix)
    return {step.removeprefix(prefix): last for step, last in steps.items()}


def _points_by_day(store: Store, space: Space) -> dict[str, list[Row]]:
    files: dict[str, list[Row]] = defaultdict(list)
    for kind in ("chunk", "delivery"):
        prefix = f"{kind}:{space.site_id}/"
        for row in store.ledger.live_files("tracklet_points", prefix=prefix):
            files[row["partition"]].append(row)
    return files


def _days_with_counts(store: Store, space: Space) -> set[str]:
    source = f"events:{space.site_id}"
    return {
        row["partition"]
        for dataset in VERSIONED
        for row in store.ledger.live_files(dataset, source=source)
    }


def _is_counted(was: Row | None, files: list[Row], recipes: SiteRecipes, day: str) -> bool:
    if was is None or was["points_version"] != _points_version(files):
        return False
    recipe = recipes.over(_start(day), from_us(was["until_utc"]))
    return bool(was["count_version"] == recipe.version)


def _count_day(
    workspace: Workspace, recipes: SiteRecipes, former: "_FormerRecipes", day: str, files: list[Row]
) -> None:
    store, site_id, was = workspace.store, recipes.space.site_id, former.current.get(day)
    points = pa.concat_tables(
        [
            DATASETS["tracklet_points"].empty_table(),
            *(pq.read_table(store.absolute(row)) for row in files),
        ]
    )
    span = _start(day), _until(points, day)
    recipe, points_version = recipes.over(*span), _points_version(files)
    tables = _kept_counts(store, site_id, day, recipe.version, points_version)
    if tables is None:
        events = count_points(points, recipes.space)
        tables = {"visits": events.visits, "line_crossings": events.line_crossings}
    change = Change(cause=f"events of {day}")
    had = _replace_counts(store, change, site_id, day, tables)
    change.counted.append(
        CountedDay(
            site_id=site_id,
            day=day,
            count_version=recipe.version,
            rule_version=RULE_VERSION,
            space_version=recipes.space.version,
            points_version=points_version,
            until_utc=to_us(span[1]),
            counted_with=recipe.counted_with,
            kept_files=had if former.is_another(was, recipe, span) else None,
        )
    )
    store.commit(change)


def _replace_counts(
    store: Store, change: Change, site_id: str, day: str, tables: dict[str, pa.Table]
) -> dict[str, int | None]:
    """Let tables be the counts of a day, and give the files that held them until now."""
    source = f"events:{site_id}"
    had: dict[str, int | None] = {}
    for dataset in VERSIONED:
        live = store.ledger.live_files(dataset, source=source, partition=day)
        had[dataset] = live[0]["file_id"] if live else None
        before = store.read(dataset, source=source, partition=day)
        store.replace(change, dataset, tables[dataset], source=source, partition=day)
        change.affect(changed_hours(before, tables[dataset]))
    _note_reach(change, site_id, day, tables["visits"])
    return had


def _kept_counts(
    store: Store, site_id: str, day: str, version: str, points_version: str
) -> dict[str, pa.Table] | None:
    """Give what the same points gave by the same version before, where that is still there."""
    for former in former_versions(store.ledger, site_id, day):
        if (former["count_version"], former["points_version"]) == (version, points_version):
            tables = {d: store.read_retired(d, former[f"{d}_file"]) for d in VERSIONED}
            if all(table is not None for table in tables.values()):
                return tables
    return None


@dataclass(slots=True)
class _FormerRecipes:
    """What the days of a site were counted with until now.

    Attributes:
        current: the version that counts, by day.
        loaded: recipes of the space files that days were counted with, by their version.
    """

    home: DataHome
    site_id: str
    current: dict[str, Row]
    loaded: dict[str, SiteRecipes | None] = field(default_factory=dict)

    def is_another(self, was: Row | None, recipe: Recipe, span: tuple[datetime, datetime]) -> bool:
        """Whether a day was counted by another version, and not only from points that end earlier.

        A chunk that comes late may make a tracklet last into the validity of another line. The
        recipe then names that line too, but the space is the same.
        """
        if was is None or was["count_version"] == recipe.version:
            return False
        old = self._of(was["space_version"]) if was["rule_version"] == RULE_VERSION else None
        return old is None or old.over(*span).version != recipe.version

    def _of(self, version: str) -> SiteRecipes | None:
        if version not in self.loaded:
            try:
                space = kept_space(self.home, self.site_id, version)
            except ConfigError:  # valid once, and no longer: then it is another one
                space = None
            self.loaded[version] = SiteRecipes(space) if space else None
        return self.loaded[version]


def _note_reach(change: Change, site_id: str, day: str, visits: pa.Table) -> None:
    """Remember the last day of visits that last beyond the next day, whose minutes they fill."""
    step, left = f"reach:{site_id}/{day}", pc.max(visits["left_at_utc"]).as_py()
    if left is not None and left > _start(day) + 2 * _DAY:
        change.steps[step] = (left - _MICROSECOND).date().isoformat()
    else:
        change.dropped_steps.append(step)


def _points_version(files: list[Row]) -> str:
    return digest(sorted(row["sha256"] for row in files))


def _start(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)


def _until(points: pa.Table, day: str) -> datetime:
    """Give the first instant after a day and all its points, which may run past midnight."""
    last = pc.max(points["ts_utc"]).as_py()
    end = _start(day) + _DAY
    return end if last is None else max(end, last + _MICROSECOND)
