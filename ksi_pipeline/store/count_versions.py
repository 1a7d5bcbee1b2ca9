"""How each site-day was counted: the version that counts, and those before it.

The count version of a day names everything but the points that can change its counts. A day that is
counted by another version keeps what the version before it gave; a day whose points changed does
not, because restated input is no version.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
from sqlalchemy import ColumnElement, Connection, delete, insert, or_, select, update

from ksi_pipeline.core.schemas import COUNT_RECIPES as RECIPES_SCHEMA
from ksi_pipeline.core.schemas import COUNT_VERSIONS as VERSIONS_SCHEMA
from ksi_pipeline.store.ledger import Ledger, Row
from ksi_pipeline.store.tables import COUNT_RECIPES, COUNT_VERSIONS, FILES

VERSIONED = ("visits", "line_crossings")


@dataclass(frozen=True, slots=True)
class CountedDay:
    """One count of a site-day, which becomes its current one.

    Attributes:
        day: UTC day in which the tracklets began, like 2026-03-27.
        count_version: hash of counted_with.
        space_version: of the space file that it was counted with.
        points_version: hash of the points that were counted.
        until_utc: first instant after all points of the day, microseconds since the epoch.
        counted_with: JSON of everything but the points that can change the counts.
        kept_files: for each dataset of VERSIONED the ledger's file that held the day's rows before
            (None: no rows), to keep them as a version of their own; None keeps nothing.
    """

    site_id: str
    day: str
    count_version: str
    rule_version: int
    space_version: str
    points_version: str
    until_utc: int
    counted_with: str
    kept_files: Mapping[str, int | None] | None = None


def current_versions(ledger: Ledger, site_id: str) -> dict[str, Row]:
    """Give the version that counts, by day."""
    of_site = (COUNT_VERSIONS.c.site_id == site_id) & COUNT_VERSIONS.c.is_current
    return {row["day"]: row for row in ledger.rows(select(COUNT_VERSIONS).where(of_site))}


def former_versions(ledger: Ledger, site_id: str, day: str) -> list[Row]:
    """Give the versions of a day that no longer count, the latest first."""
    of_day = (COUNT_VERSIONS.c.site_id == site_id) & (COUNT_VERSIONS.c.day == day)
    query = select(COUNT_VERSIONS).where(of_day, ~COUNT_VERSIONS.c.is_current)
    return ledger.rows(query.order_by(COUNT_VERSIONS.c.version_id.desc()))


def recipes(ledger: Ledger) -> dict[str, str]:
    """Give what each count version stands for, as JSON."""
    rows = ledger.rows(select(COUNT_RECIPES).order_by(COUNT_RECIPES.c.count_version))
    return {row["count_version"]: row["counted_with"] for row in rows}


def versions_table(ledger: Ledger) -> pa.Table:
    """Give every version in which a site-day was counted, in the schema COUNT_VERSIONS.

    Ordered by site and day, the current version first and the others from the latest on.
    """
    table = COUNT_VERSIONS
    order = (table.c.site_id, table.c.day, table.c.is_current.desc(), table.c.version_id.desc())
    live = {
        (row["source"], row["partition"], dataset): row
        for dataset in VERSIONED
        for row in ledger.live_files(dataset)
    }
    kept = {row["file_id"]: row for row in ledger.rows(select(FILES).where(is_kept()))}
    rows = []
    for version in ledger.rows(select(table).order_by(*order)):
        row = {**version, "day": date.fromisoformat(version["day"])}
        for dataset, count in zip(VERSIONED, ("visit_rows", "crossing_rows"), strict=True):
            of_day = (f"events:{version['site_id']}", version["day"], dataset)
            is_current, file_id = version["is_current"], version[f"{dataset}_file"]
            file = live.get(of_day) if is_current else kept.get(file_id)
            row[f"{dataset}_path"] = file["path"] if file else None
            row[count] = file["row_count"] if file else 0
        rows.append({name: row[name] for name in VERSIONS_SCHEMA.names})
    return pa.Table.from_pylist(rows, schema=VERSIONS_SCHEMA)


def recipes_table(ledger: Ledger) -> pa.Table:
    """Give what each count version stands for, in the schema COUNT_RECIPES."""
    known = recipes(ledger)
    return pa.table([list(known), list(known.values())], schema=RECIPES_SCHEMA)


def is_kept() -> ColumnElement[bool]:
    """Say of a row of FILES whether it holds counts of a former version."""
    columns = (COUNT_VERSIONS.c[f"{dataset}_file"] for dataset in VERSIONED)
    return or_(*(FILES.c.file_id.in_(select(column)) for column in columns))


def write_counted(connection: Connection, counted: CountedDay) -> None:
    """Let a count be the current one of its day, inside a transaction of the ledger."""
    of_day = (COUNT_VERSIONS.c.site_id == counted.site_id) & (COUNT_VERSIONS.c.day == counted.day)
    current = of_day & COUNT_VERSIONS.c.is_current
    if counted.kept_files is None:
        connection.execute(delete(COUNT_VERSIONS).where(current))
    else:
        files = {f"{dataset}_file": counted.kept_files[dataset] for dataset in VERSIONED}
        connection.execute(update(COUNT_VERSIONS).where(current).values(is_current=False, **files))
    same = of_day & (COUNT_VERSIONS.c.count_version == counted.count_version)
    connection.execute(delete(COUNT_VERSIONS).where(same))
    columns = set(CountedDay.__slots__) - {"kept_files", "counted_with"}
    values = {name: getattr(counted, name) for name in columns}
    connection.execute(insert(COUNT_VERSIONS).values(is_current=True, **values))
    _write_recipe(connection, counted)


def _write_recipe(connection: Connection, counted: CountedDay) -> None:
    known = select(COUNT_RECIPES).where(COUNT_RECIPES.c.count_version == counted.count_version)
    if connection.execute(known).first() is None:
        values = {"count_version": counted.count_version, "counted_with": counted.counted_with}
        connection.execute(insert(COUNT_RECIPES).values(**values))
