"""Feed coverage: what each answer, or its failure, says about the hours it was asked for."""

from itertools import repeat

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ksi_pipeline.core.feed_coverage import needed_coverage
from ksi_pipeline.core.hour_grid import hour_grid
from ksi_pipeline.core.instants import to_us
from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.core.time import Window
from ksi_pipeline.defs.steps.feed_history import FeedHistory
from ksi_pipeline.defs.steps.final_after import final_after_of
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.store import Change


def add_coverage(
    workspace: Workspace,
    change: Change,
    space: Space,
    coverage: pa.Table,
    source: str,
    *,
    is_answer: bool = True,
) -> None:
    """Append what is new in feed coverage, and touch the unit-hours it speaks about.

    Args:
        workspace: the data home.
        change: what to add to.
        space: of the site whose codes were asked for.
        coverage: schema COVERAGE, of one connector.
        source: `<kind>:<connector>/<site>/<name>`.
        is_answer: False where the coverage is of a request that failed.
    """
    kind, _, rest = source.partition(":")
    connector_id, _, name = rest.split("/")
    history = FeedHistory(workspace.store, connector_id, space)
    note_coverage(workspace, history, change, space, coverage, is_answer=is_answer)
    history.write(change, kind, name)


def note_coverage(
    workspace: Workspace,
    history: FeedHistory,
    change: Change,
    space: Space,
    coverage: pa.Table,
    *,
    is_answer: bool = True,
) -> None:
    """Note in a history what is new in feed coverage, and touch the unit-hours."""
    if not coverage.num_rows:
        return
    first, last = pc.min(coverage["from_utc"]).as_py(), pc.max(coverage["to_utc"]).as_py()
    needed = needed_coverage(
        coverage,
        history.near("coverage", to_us(first), to_us(last)),
        final_after=final_after_of(workspace, history.connector_id),
        zone=space.file.site.zone_info,
        is_answer=is_answer,
    )
    if not needed.num_rows:
        return
    history.add("coverage", needed.cast(DATASETS["coverage"]))
    grid = hour_grid(Window(first, last), space.file.site.zone_info)
    units = units_by_code(space, needed["source_id"][0].as_py())
    instants = (needed[name].cast(pa.int64()).to_pylist() for name in ("from_utc", "to_utc"))
    for key, begin, end in zip(needed["key"].to_pylist(), *instants, strict=True):
        hours = slice(*np.searchsorted(grid.firsts, (begin, end)).tolist())
        for unit in units.get(key, ()):
            touched = zip(repeat(space.site_id), repeat(unit), grid.starts[hours].tolist())
            change.affected.update(touched)


def units_by_code(space: Space, connector_id: str) -> dict[str, set[str]]:
    """Give the units that each code of a connector is linked to at some time."""
    units: dict[str, set[str]] = {}
    for link in space.file.links:
        if link.connector == connector_id:
            units.setdefault(link.ext_ref_code, set()).add(link.unit)
    return units
