"""Space files into dimension tables."""

from ksi_pipeline.core.schemas import DATASETS, SPACE_TABLES
from ksi_pipeline.defs.steps.touched import units_of
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.space.load import Space
from ksi_pipeline.space.model import COMMON
from ksi_pipeline.space.tables import space_tables
from ksi_pipeline.store.store import Change


def load_spaces(workspace: Workspace) -> dict[str, int]:
    """Bring the dimension tables up to date with the space files.

    A changed file touches every hour of its site: links, validity and roles may all differ.

    A site whose file is gone leaves the marts; its tracklets and tickets stay and count again
    when the file comes back.

    Returns:
        Rows of each table over all sites.
    """
    spaces = workspace.spaces()
    _forget_removed(workspace, {space.site_id for space in spaces})
    for space in spaces:
        _load_one(workspace, space)
    return {name: workspace.store.read(name).num_rows for name in SPACE_TABLES}


def _forget_removed(workspace: Workspace, present: set[str]) -> None:
    store = workspace.store
    known = {row["site_id"] for row in store.read("space_site").to_pylist()}
    for site_id in sorted(known - present):
        change = Change(cause=f"space file of {site_id} removed")
        change.dropped_steps.append(f"calendar:{site_id}")
        units = {COMMON} | {
            row["unit_id"]
            for row in store.read("space_unit", source=f"space:{site_id}").to_pylist()
        }
        hours = store.read("site_hours", source=f"calendar:{site_id}")["hour_start_utc"]
        change.affect((site_id, unit, hour) for hour in hours.to_pylist() for unit in units)
        for dataset in (*SPACE_TABLES, "site_hours", "site_open_spans"):
            for source in (f"space:{site_id}", f"calendar:{site_id}"):
                store.replace(change, dataset, DATASETS[dataset].empty_table(), source=source)
        store.commit(change)


def _load_one(workspace: Workspace, space: Space) -> None:
    store, source = workspace.store, f"space:{space.site_id}"
    change = Change(cause=f"space model {space.version}")
    units = set(units_of(space)) | {
        row["unit_id"] for row in store.read("space_unit", source=source).to_pylist()
    }
    changed = [
        store.replace(change, name, table, source=source)
        for name, table in space_tables(space).items()
    ]
    if any(changed):
        calendar = store.read("site_hours", source=f"calendar:{space.site_id}")
        hours = calendar["hour_start_utc"].to_pylist()
        change.affect((space.site_id, unit_id, hour) for hour in hours for unit_id in units)
        store.commit(change)
