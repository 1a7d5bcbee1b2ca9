"""Counting one file of tracklet points against one space file, outside any data home."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ksi_pipeline.core.occupancy import zone_occupancy
from ksi_pipeline.core.plan import SitePlan
from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.defs.steps.counting import count_points
from ksi_pipeline.space.load import load_space
from ksi_pipeline.store.files import read_parquet, write_plain_parquet


@dataclass(frozen=True, slots=True, eq=False)
class EventFiles:
    """What was counted and written."""

    plan: SitePlan
    visits: pa.Table
    line_crossings: pa.Table

    def summary(self) -> dict[str, Any]:
        """Give counts for each zone and line, those without any included."""
        return {
            "site": self.plan.site_id,
            "zones": [self._zone(zone_id) for zone_id in _ids(self.plan.zones, "zone_id")],
            "lines": [self._line(line_id) for line_id in _ids(self.plan.lines, "line_id")],
        }

    def _zone(self, zone_id: str) -> dict[str, Any]:
        visits = self.visits.filter(pc.equal(self.visits["zone_id"], zone_id))
        return {
            "zone_id": zone_id,
            "visits": visits.num_rows,
            "people": len(pc.unique(visits["tracklet_id"])),
            "dwell_s": round(pc.sum(visits["dwell_s"]).as_py() or 0.0, 3),
        }

    def _line(self, line_id: str) -> dict[str, Any]:
        crossings = self.line_crossings
        ways = crossings.filter(pc.equal(crossings["line_id"], line_id))["direction"].to_pylist()
        return {"line_id": line_id, "in": ways.count("in"), "out": ways.count("out")}


def count_file(points: Path, space: Path, out_dir: Path) -> EventFiles:
    """Count a file and write visits, line_crossings and zone_occupancy as Parquet.

    Raises:
        ConfigError: the space file is wrong.
        ContractError: the points file breaks its schema, or holds positions that cannot be counted.
    """
    loaded = load_space(space)
    plan = loaded.plan()
    table = read_parquet(points, DATASETS["tracklet_points"])
    counted = count_points(table, loaded)
    written = {
        "visits": counted.visits,
        "line_crossings": counted.line_crossings,
        "zone_occupancy": zone_occupancy(counted.visits, plan.zone_info),
    }
    for name, rows in written.items():
        write_plain_parquet(rows, out_dir / f"{name}.parquet")
    return EventFiles(plan, counted.visits, counted.line_crossings)


def _ids(shapes: tuple[Any, ...], name: str) -> list[str]:
    return list(dict.fromkeys(getattr(shape, name) for shape in shapes))
