"""Feed coverage: what each answer, or its failure, says about the hours it was asked for."""

import pyarrow as pa

from ksi_pipeline.core.feed_coverage import needed_coverage
from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.defs.steps.final_after import final_after_of
from ksi_pipeline.defs.steps.touched import hours_in, spans_of
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

    `is_answer` is False where the coverage is of a request that failed.
    """
    store = workspace.store
    feed = f"{source.partition(':')[2].rpartition('/')[0]}/"
    connector_id = feed.partition("/")[0]
    existing = pa.concat_tables(
        [store.read("coverage", prefix=f"{kind}:{feed}") for kind in ("answer", "refused")]
    )
    needed = needed_coverage(
        coverage,
        existing,
        final_after=final_after_of(workspace, connector_id),
        zone=space.file.site.zone_info,
        is_answer=is_answer,
    )
    if needed.num_rows == 0:
        return
    store.replace(change, "coverage", needed.cast(DATASETS["coverage"]), source=source)
    for row, span in zip(needed.to_pylist(), spans_of(needed), strict=True):
        units = {
            link.unit
            for link in space.file.links
            if (link.connector, link.ext_ref_code) == (row["source_id"], row["key"])
        }
        change.affect(hours_in(space, units, [span]))
