"""Counting days anew with the space files as they are, and the counts before beside those now."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pyarrow.compute as pc

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.defs.steps.count_days import count_days
from ksi_pipeline.defs.steps.events import update_occupancy
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.count_versions import (
    VERSIONED,
    current_versions,
    former_versions,
    recipes,
)

_NAMES = ("count_version", "space_version", "rule_version")


@dataclass(frozen=True, slots=True)
class Version:
    """By what a day was counted."""

    count_version: str
    space_version: str
    rule_version: int


@dataclass(frozen=True, slots=True)
class DayPair:
    """A day that has a count before the present one.

    Attributes:
        day: UTC day, like 2026-03-27.
        is_same_points: both were counted from the same points; if not, they differ for two reasons.
    """

    site_id: str
    day: str
    before: Version
    now: Version
    is_same_points: bool


@dataclass(slots=True)
class Totals:
    """Sums over the days of a comparison; None where no day was counted for the zone or line.

    `name` is the id of the zone or line. Zones fill visits and dwell_s, lines entries and exits.
    """

    site_id: str
    name: str
    before: dict[str, float] | None = None
    now: dict[str, float] | None = None

    def add(self, side: str, values: Mapping[str, float]) -> None:
        """Add a day's values to the sums `before` or `now`."""
        sums = getattr(self, side) or dict.fromkeys(values, 0)
        setattr(self, side, {name: sums[name] + value for name, value in values.items()})


@dataclass(slots=True)
class RecountReport:
    """What a recount did, and what it changed.

    Attributes:
        counted: site and day of every count made anew.
        untouched_count: site-days that nothing had changed.
        pairs: every site-day of the range that has a count before the present one.
        gone_count: site-days whose former counts somebody deleted.
        zones: totals over the pairs, by site and zone.
        lines: totals over the pairs, by site and line.
    """

    counted: list[tuple[str, str]] = field(default_factory=list)
    untouched_count: int = 0
    pairs: list[DayPair] = field(default_factory=list)
    gone_count: int = 0
    zones: dict[tuple[str, str], Totals] = field(default_factory=dict)
    lines: dict[tuple[str, str], Totals] = field(default_factory=dict)


def recount(
    workspace: Workspace, first: date, last: date, site_id: str | None = None
) -> RecountReport:
    """Count the touched days of a range with the space files as they are now.

    Days that no change of a zone, line, camera or rule touches are left alone. The hours whose
    counts differ are marked, so that the next run builds their marts anew.

    Args:
        workspace: the data home; the caller holds its run lock.
        first: first UTC day.
        last: last UTC day, included.
        site_id: only this site; None: all of them.

    Raises:
        ConfigError: E_DAYS, the last day lies before the first; E_SITE, no space file has that id.
    """
    if last < first:
        raise ConfigError(
            f"The days {first} to {last} cannot be counted: the last lies before the first. "
            "Nothing was counted. Exchange --from and --to.",
            code="E_DAYS",
        )
    report = RecountReport()
    for space in _chosen(workspace, site_id):
        done = count_days(workspace, space, first, last)
        update_occupancy(workspace, space)
        report.counted += [(space.site_id, day) for day in done.counted]
        report.untouched_count += len(done.untouched)
        _compare_days(workspace, report, space.site_id, sorted(done.counted + done.untouched))
    return report


def _chosen(workspace: Workspace, site_id: str | None) -> list[Space]:
    spaces = workspace.spaces()
    chosen = [space for space in spaces if site_id in (None, space.site_id)]
    if site_id is not None and not chosen:
        known = ", ".join(space.site_id for space in spaces) or "none"
        raise ConfigError(
            f"No space file in {workspace.home.spaces} describes site {site_id!r}; known: {known}. "
            "Nothing was counted. Correct --site.",
            code="E_SITE",
        )
    return chosen


def _compare_days(
    workspace: Workspace, report: RecountReport, site_id: str, days: list[str]
) -> None:
    store = workspace.store
    current = current_versions(store.ledger, site_id)
    counted_with = {name: json.loads(text) for name, text in recipes(store.ledger).items()}
    for number, day in enumerate(days):
        workspace.progress(f"comparing {site_id} {day}", number / len(days))
        now, former = current[day], former_versions(store.ledger, site_id, day)
        if not former:
            continue
        before = former[0]
        had = [store.read_retired(dataset, before[f"{dataset}_file"]) for dataset in VERSIONED]
        if had[0] is None or had[1] is None:
            report.gone_count += 1
            continue
        pair = DayPair(
            site_id,
            day,
            Version(*(before[name] for name in _NAMES)),
            Version(*(now[name] for name in _NAMES)),
            bool(before["points_version"] == now["points_version"]),
        )
        report.pairs.append(pair)
        _add(report, "before", site_id, counted_with[before["count_version"]], had)
        now_has = [store.read(d, source=f"events:{site_id}", partition=day) for d in VERSIONED]
        _add(report, "now", site_id, counted_with[now["count_version"]], now_has)


def _add(
    report: RecountReport, side: str, site_id: str, recipe: Mapping[str, Any], counts: Sequence[Any]
) -> None:
    """Add a day's visits and crossings to the totals of the zones and lines of its recipe."""
    visits, crossings = counts
    for zone_id in _ids(recipe["zones"]):
        rows = visits.filter(pc.equal(visits["zone_id"], zone_id))
        values = {"visits": rows.num_rows, "dwell_s": pc.sum(rows["dwell_s"]).as_py() or 0.0}
        report.zones.setdefault((site_id, zone_id), Totals(site_id, zone_id)).add(side, values)
    for line_id in _ids(recipe["lines"]):
        rows = crossings.filter(pc.equal(crossings["line_id"], line_id))
        values = {
            direction: pc.sum(pc.equal(rows["direction"], direction)).as_py() or 0
            for direction in ("in", "out")
        }
        report.lines.setdefault((site_id, line_id), Totals(site_id, line_id)).add(side, values)


def _ids(shapes: list[dict[str, Any]]) -> list[str]:
    return sorted({shape["id"] for shape in shapes})
