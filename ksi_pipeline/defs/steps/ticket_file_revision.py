"""What a file adds to the lake: revisions of tickets and lines, and the hours they change."""

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from ksi_pipeline.connectors.ticket_files.drop import Drop
from ksi_pipeline.connectors.ticket_files.known import Known
from ksi_pipeline.connectors.ticket_files.revise import Revised
from ksi_pipeline.connectors.ticket_files.tables import STAMPS
from ksi_pipeline.core.instants import to_us
from ksi_pipeline.defs.steps.ticket_file_source import FileSource, touch_hours, version_name
from ksi_pipeline.defs.workspace import Workspace
from ksi_pipeline.store.staged import into_lake, live_paths
from ksi_pipeline.store.store import Change


def known_revisions(workspace: Workspace, connector_id: str) -> Known:
    """Give where the revisions of a connector lie that hold now."""
    root, prefix = workspace.home.root, f"file:{connector_id}/"
    ledger = workspace.store.ledger
    return Known(
        live_paths(list(ledger.live_files("tickets", prefix=prefix)), root),
        live_paths(list(ledger.live_files("ticket_lines", prefix=prefix)), root),
    )


def add_files(workspace: Workspace, change: Change, drop: Drop, revised: Revised) -> None:
    """Bring the new tickets and lines into the lake."""
    lake = workspace.home.lake
    for dataset, path, count in (
        ("tickets", revised.tickets, revised.ticket_count),
        ("ticket_lines", revised.lines, revised.line_count),
    ):
        if count:
            folder = lake / dataset / drop.connector_id
            written = into_lake(path, count, folder, f"{to_us(drop.fetched_at_utc)}")
            change.adds.append(
                (dataset, f"file:{drop.connector_id}/{version_name(drop)}", "all", written)
            )


def add_hours(
    workspace: Workspace, change: Change, source: FileSource, drop: Drop, hours: pa.Table
) -> None:
    """Append the hours that are not as they were known, by site, and touch all of them.

    A ticket whose lines change their categories may leave the total of its hour as it was.
    """
    touch_hours(change, source, hours["ext_ref_code"], hours["hour_start_utc"])
    hours = _news(workspace, drop, hours)
    sites = pa.array(
        [source.spaces[code].site_id for code in hours["ext_ref_code"].to_pylist()], pa.string()
    )
    for site_id in sorted(set(sites.to_pylist())):
        rows = hours.filter(pc.equal(sites, site_id))
        name = f"answer:{drop.connector_id}/{site_id}/{version_name(drop)}"
        workspace.store.replace(change, "ticket_hours", rows, source=name)


def _news(workspace: Workspace, drop: Drop, hours: pa.Table) -> pa.Table:
    store, prefix = workspace.store, f"answer:{drop.connector_id}/"
    paths = live_paths(
        list(store.ledger.live_files("ticket_hours", prefix=prefix)), store.home.root
    )
    if not paths or not hours.num_rows:
        return hours
    key = ["ext_ref_code", "hour_start_utc"]
    content = [
        n for n in hours.schema.names if n not in (*key, *STAMPS, "fetched_at_utc", "row_number")
    ]
    came = pl.lit(drop.fetched_at_utc).cast(pl.Datetime("us", "UTC"))
    new = pl.DataFrame(pl.from_arrow(hours))
    held = (
        pl.scan_parquet(paths)
        .filter(pl.col("fetched_at_utc") < came)
        .join(new.lazy().select(key), on=key, how="semi")
        .sort("fetched_at_utc", "raw_sha256")
        .unique(key, keep="last")
        .select(*key, *content, pl.lit(True).alias("_held"))
        .collect()
    )
    pairs = new.join(held, on=key, how="left", suffix="_held", maintain_order="left")
    same = [pl.col(n).eq_missing(pl.col(f"{n}_held")) for n in content]
    is_new = pairs.select((~pl.all_horizontal(same) | pl.col("_held").is_null()).alias("n"))["n"]
    return hours.filter(is_new.to_arrow())
