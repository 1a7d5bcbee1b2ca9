"""Tracklets that a host beside the camera delivered, checked and taken as they are.

A delivery is a folder `deliveries/<site>/<camera>/<start>/` with the three Parquet files that
`ksi video ingest` writes. One that breaks the contract goes to quarantine whole, with its reason;
delivered again with other bytes, it is looked at again.
"""

from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.core.walks import walks_of
from ksi_pipeline.defs.steps.landing import TRACKLET_TABLES, land_tracklets
from ksi_pipeline.defs.workspace import Workspace, digest
from ksi_pipeline.space.load import Space
from ksi_pipeline.store.files import read_parquet
from ksi_pipeline.store.store import Change, QuarantineRow


@dataclass(slots=True)
class DeliveryReport:
    """What a pass over the deliveries did."""

    done_count: int = 0
    unchanged_count: int = 0
    rejected_count: int = 0
    point_count: int = 0
    messages: list[str] = field(default_factory=list)

    def count(self, change: Change, point_count: int) -> None:
        """Count a delivery; the same rows in files written anew are unchanged."""
        if change.is_empty:
            self.unchanged_count += 1
        else:
            self.done_count += 1
            self.point_count += point_count


def import_deliveries(workspace: Workspace) -> DeliveryReport:
    """Take every delivery that is new or changed."""
    report = DeliveryReport()
    spaces = {space.site_id: space for space in workspace.spaces()}
    folders = sorted(p for p in workspace.home.deliveries.glob("*/*/*") if _is_whole(p))
    for number, folder in enumerate(folders):
        workspace.progress(f"delivery {folder.name}", number / len(folders))
        name = folder.relative_to(workspace.home.deliveries).as_posix()
        step, inputs = f"delivery:{name}", _signature(folder, spaces)
        if workspace.store.ledger.inputs_of(step) == inputs:
            report.unchanged_count += 1
            continue
        change = Change(cause=f"delivery {name}", steps={step: inputs})
        try:
            tables = _read(folder, spaces)
            site_id, camera_id = folder.parts[-3:-1]
            land_tracklets(workspace.store, change, spaces[site_id], camera_id, step, tables)
        except ContractError as error:
            _reject(workspace, change, name, error)
            report.rejected_count += 1
            report.messages.append(f"{error.code}: {error}")
        else:
            report.count(change, tables["tracklet_points"].num_rows)
        workspace.store.commit(change)
    return report


def _is_whole(folder: Path) -> bool:
    """Pass over what an uploader is still writing under another name."""
    hidden = folder.name.startswith(".") or folder.suffix in {".part", ".tmp"}
    return folder.is_dir() and not hidden


def _signature(folder: Path, spaces: dict[str, Space]) -> str:
    """Name the bytes of a delivery cheaply; a file sent again has another time or size.

    Whether its camera is known is part of it, so that a delivery is looked at again once the
    camera is in the space file.
    """
    stats = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(folder.iterdir())]
    return digest(*stats, _is_known(folder, spaces))


def _is_known(folder: Path, spaces: dict[str, Space]) -> bool:
    site_id, camera_id = folder.parts[-3:-1]
    space = spaces.get(site_id)
    return space is not None and camera_id in {camera.id for camera in space.file.cameras}


def _read(folder: Path, spaces: dict[str, Space]) -> dict[str, pa.Table]:
    site_id, camera_id = folder.parts[-3:-1]
    name = "/".join(folder.parts[-3:])
    if not _is_known(folder, spaces):
        raise ContractError(
            f"Delivery {name}: no space file has camera {camera_id!r} of site {site_id!r}. It is "
            "kept aside. Add the camera to the space file, or correct the folder's name.",
            code="E_UNKNOWN_CAMERA",
        )
    missing = [file for file in TRACKLET_TABLES if not (folder / f"{file}.parquet").exists()]
    if missing:
        raise ContractError(
            f"Delivery {name}: {', '.join(missing)}.parquet is missing. It is kept aside until "
            "the folder holds all three files.",
            code="E_DELIVERY_INCOMPLETE",
        )
    tables = {
        file: read_parquet(folder / f"{file}.parquet", DATASETS[file]) for file in TRACKLET_TABLES
    }
    _check_owner(name, tables, site_id, camera_id)
    _check_tracklets(name, tables)
    if tables["tracklet_points"]["x_m"].null_count:
        raise ContractError(
            f"Delivery {name}: {tables['tracklet_points']['x_m'].null_count} samples have no floor "
            "metres, so nothing can be counted from them. It is kept aside. Calibrate the camera "
            "(homography: in the space file) and ingest the video again.",
            code="E_NOT_CALIBRATED",
        )
    # Refuses repeated instants and positions that are no numbers, before they reach the count.
    walks_of(tables["tracklet_points"])
    return tables


def _check_owner(name: str, tables: dict[str, pa.Table], site_id: str, camera_id: str) -> None:
    columns = (
        ("tracklet_points", "camera_id", camera_id),
        ("tracklet_points", "site_id", site_id),
        ("tracklets", "camera_id", camera_id),
        ("coverage", "source_id", camera_id),
        ("coverage", "site_id", site_id),
    )
    for file, column, expected in columns:
        others = set(pc.unique(tables[file][column]).to_pylist()) - {expected}
        if others:
            raise ContractError(
                f"Delivery {name}: {file}.{column} holds {sorted(map(str, others))[0]!r} instead "
                f"of {expected!r}. It is kept aside. Deliver each camera to its own folder.",
                code="E_WRONG_CAMERA",
            )


def _check_tracklets(name: str, tables: dict[str, pa.Table]) -> None:
    points = set(pc.unique(tables["tracklet_points"]["tracklet_id"]).to_pylist())
    orphans = points - set(tables["tracklets"]["tracklet_id"].to_pylist())
    if orphans:
        raise ContractError(
            f"Delivery {name}: {len(orphans)} tracklets have points and no row in "
            f"tracklets.parquet, the first is {sorted(orphans)[0]!r}. It is kept aside. Deliver "
            "all files of one run together.",
            code="E_DELIVERY_INCOMPLETE",
        )


def _reject(workspace: Workspace, change: Change, name: str, error: ContractError) -> None:
    # An earlier delivery under this name that was good keeps counting.
    change.quarantine.append(
        QuarantineRow(
            source=f"delivery:{name}",
            code=error.code,
            message=str(error),
            raw_sha256="",
            row_number=-1,
            raw_value=None,
            first_seen_utc=workspace.clock(),
        )
    )
