"""How fast counting is, from Parquet to Parquet, beside what people use for it today.

Run with `make bench-events`, or `python benchmarks/events.py --points 10000000 --rounds 5`.

Contenders run interleaved, each in its own process:

* exact: `ksi events` as it is: visits, crossings and occupancy, positions linear between samples;
* samples: the same with `position: hold`, so that zones are seen at samples only, as the peers do;
* no-shapes: the same without a zone or a line: reading, checking order and writing nothing;
* shapely: `contains_xy` per zone and polars run lengths;
* polars: ray casting as polars expressions and run lengths, in the streaming engine;
* supervision: `PolygonZone.trigger` per frame and zone, at 2 cm a pixel; 1 M points only;
* scan: polars reads the same columns and adds them up: the floor.

The peers count neither lines nor occupancy. In-process figures are without imports and the loading
of compiled code, whole ones with them. Before anything is timed, samples, shapely and polars must
find the same runs of samples in the same zones, and supervision, which rounds to pixels, nearly so.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ksi_pipeline.core.schemas import DATASETS

if TYPE_CHECKING:
    import polars as pl

STORES, ZONES, LINES = 10, 12, 3
FLOOR_M = (40.0, 30.0)
SAMPLES = 100  # a tracklet: 50 s at 2 samples a second
STEP_US = 500_000
START_US = 1_772_442_000_000_000
ROW_GROUP = 1 << 20
COLUMNS = ["site_id", "camera_id", "tracklet_id", "ts_utc", "x_m", "y_m"]
RUN = ["site_id", "zone_id", "tracklet_id", "first_us", "last_us"]
PIXELS_A_METRE = 50
MOST_FOR_SUPERVISION = 1_000_000
Polygon = tuple[tuple[float, float], ...]


def zone_polygon(random: np.random.Generator, corners: int) -> Polygon:
    """A star-shaped polygon, mostly concave, of 1.5 to 5 m radius; zones of a store overlap."""
    centre = random.uniform((5, 5), (FLOOR_M[0] - 5, FLOOR_M[1] - 5))
    angles = (np.arange(corners) + random.uniform(0.1, 0.9, corners)) * 2 * np.pi / corners
    radii = random.uniform(1.5, 5.0, corners)
    xy = centre + np.column_stack([radii * np.cos(angles), radii * np.sin(angles)])
    return tuple((float(x), float(y)) for x, y in xy)


def zones_of(store: int) -> dict[str, Polygon]:
    """The zones of one store; the same in every process."""
    random = np.random.default_rng(1000 + store)
    return {f"zone-{i:02}": zone_polygon(random, 4 + i % 9) for i in range(ZONES)}


def write_space(path: Path, store: int, *, position: str, with_shapes: bool) -> None:
    """The space file of one store; JSON is YAML too."""
    zones = zones_of(store) if with_shapes else {}
    lines = {f"line-{i}": [(5.0 + 10 * i, 0.0), (9.0 + 10 * i, 30.0)] for i in range(LINES)}
    if not with_shapes:
        lines = {}
    site = {"id": f"store-{store}", "name": "Store", "timezone": "Europe/Madrid", "currency": "EUR"}
    space = {
        "schema": 1,
        "site": site,
        "counting": {"position": position},
        "zones": [{"id": i, "role": "selling", "polygon": list(p)} for i, p in zones.items()],
        "lines": [
            {"id": i, "role": "entrance", "a": a, "b": b, "inside": "left"}
            for i, (a, b) in lines.items()
        ],
        "cameras": [{"id": "cam-1", "sees": [*zones, *lines]}],
    }
    path.write_text(json.dumps(space))


def store_points(store: int, count: int) -> pa.Table:
    """People who walk 0.7 m a step and turn little by little, sorted by tracklet and time."""
    random = np.random.default_rng(store)
    people = count // SAMPLES
    heading = random.uniform(0, 2 * np.pi, (people, 1)) + random.normal(
        0, 0.3, (people, SAMPLES)
    ).cumsum(axis=1)
    pace = random.uniform(0.0, 0.7, (people, 1))
    floor = np.array(FLOOR_M)
    step = pace[..., None] * np.stack([np.cos(heading), np.sin(heading)], axis=2)
    walk = random.uniform((0, 0), FLOOR_M, (people, 1, 2)) + step.cumsum(axis=1)
    xy = np.abs((walk + floor) % (2 * floor) - floor)  # walls reflect
    # About fourteen people at a time, as long as that takes: peers that work by frame are happiest.
    begin = np.sort(random.integers(0, people * 7 + 1, people)) * STEP_US
    ts = START_US + begin[:, None] + np.arange(SAMPLES) * STEP_US
    names = pa.array([f"cam-1-{at // STEP_US:08}-{i:07}" for i, at in enumerate(begin)])
    who = pa.array(np.repeat(np.arange(people, dtype=np.int32), SAMPLES))
    rows = people * SAMPLES
    columns = {
        "site_id": pa.repeat(f"store-{store}", rows),
        "camera_id": pa.repeat("cam-1", rows),
        "tracklet_id": names.take(who),
        "ts_utc": pa.array(ts.ravel()).cast(pa.timestamp("us", tz="UTC")),
        "x_m": xy[..., 0].ravel(),
        "y_m": xy[..., 1].ravel(),
        "confidence": pa.repeat(pa.scalar(0.9, pa.float32()), rows),
        "is_observed": pa.repeat(True, rows),
    }
    return pa.table(columns, schema=DATASETS["tracklet_points"])


def generate(path: Path, points: int) -> None:
    """One file, sorted, in row groups of the usual size."""
    with pq.ParquetWriter(path, DATASETS["tracklet_points"], compression="zstd") as writer:
        for store in range(STORES):
            writer.write_table(store_points(store, points // STORES), row_group_size=ROW_GROUP)


def ours(path: Path, out: Path, *, position: str = "linear", with_shapes: bool = True) -> None:
    from ksi_pipeline.defs.steps.files import count_file

    spaces = [out / f"store-{store}.yaml" for store in range(STORES)]
    for store, space in enumerate(spaces):
        write_space(space, store, position=position, with_shapes=with_shapes)
    count_file(path, spaces, out)


def write_runs(walks: pl.DataFrame, inside: dict[str, pl.Series], out: Path, store: int) -> None:
    """Runs of samples inside each zone, from a mask per zone."""
    import polars as pl

    runs = []
    for zone_id, mask in inside.items():
        marked = walks.with_columns(inside=mask)
        runs.append(
            marked.with_columns(run=pl.struct("tracklet_id", "inside").rle_id())
            .filter("inside")
            .group_by("run", maintain_order=True)
            .agg(
                pl.col("site_id").first(),
                pl.lit(zone_id).alias("zone_id"),
                pl.col("tracklet_id").first(),
                pl.col("ts_utc").first().cast(pl.Int64).alias("first_us"),
                pl.col("ts_utc").last().cast(pl.Int64).alias("last_us"),
            )
            .select(RUN)
        )
    pl.concat(runs).write_parquet(out / f"runs-{store}.parquet")


def by_store(path: Path) -> list[pl.LazyFrame]:
    import polars as pl

    points = pl.scan_parquet(path).select(COLUMNS)
    return [points.filter(pl.col("site_id") == f"store-{store}") for store in range(STORES)]


def shapely(path: Path, out: Path) -> None:
    import polars as pl
    import shapely as sh

    for store, points in enumerate(by_store(path)):
        frame = points.collect()
        x, y = frame["x_m"].to_numpy(), frame["y_m"].to_numpy()
        inside = {}
        for zone_id, corners in zones_of(store).items():
            polygon = sh.Polygon(corners)
            sh.prepare(polygon)
            inside[zone_id] = pl.Series(sh.contains_xy(polygon, x, y))
        write_runs(frame.select("site_id", "tracklet_id", "ts_utc"), inside, out, store)


def is_inside(corners: Polygon) -> pl.Expr:
    import polars as pl

    inside = pl.lit(value=False)
    x, y = pl.col("x_m"), pl.col("y_m")
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        spans = (y < ay) != (y < by)
        inside = inside ^ (spans & (x < ax + (bx - ax) / (by - ay) * (y - ay)))
    return inside


def polars(path: Path, out: Path) -> None:
    for store, points in enumerate(by_store(path)):
        zones = zones_of(store)
        frame = points.select(
            "site_id", "tracklet_id", "ts_utc", **{i: is_inside(p) for i, p in zones.items()}
        ).collect(engine="streaming")
        walks = frame.select("site_id", "tracklet_id", "ts_utc")
        write_runs(walks, {zone_id: frame[zone_id] for zone_id in zones}, out, store)


def supervision(path: Path, out: Path) -> None:
    import polars as pl
    import supervision as sv

    for store, points in enumerate(by_store(path)):
        zones = {
            zone_id: sv.PolygonZone(np.rint(np.array(corners) * PIXELS_A_METRE).astype(np.int64))
            for zone_id, corners in zones_of(store).items()
        }
        frame = points.with_row_index().sort("ts_utc", maintain_order=True).collect()
        at = frame.select("x_m", "y_m").to_numpy() * PIXELS_A_METRE
        boxes = np.hstack(
            [at - np.array([10, 40]), at + np.array([10, 0])]
        )  # the foot point is the bottom centre
        ends = np.append(
            np.flatnonzero(np.diff(frame["ts_utc"].to_physical().to_numpy())) + 1, len(at)
        )
        inside = {zone_id: np.zeros(len(at), dtype=bool) for zone_id in zones}
        begin = 0
        for end in ends:
            detections = sv.Detections(xyxy=boxes[begin:end])
            for zone_id, zone in zones.items():
                inside[zone_id][begin:end] = zone.trigger(detections)
            begin = end
        back = frame["index"].arg_sort()
        walks = frame[back].select("site_id", "tracklet_id", "ts_utc")
        masks = {zone_id: pl.Series(mask)[back] for zone_id, mask in inside.items()}
        write_runs(walks, masks, out, store)


def scan(path: Path, out: Path) -> None:
    import polars as pl

    pl.scan_parquet(path).select(
        *[pl.col(name).str.len_bytes().sum() for name in COLUMNS[:3]],
        *[pl.col(name).cast(pl.Float64).sum() for name in COLUMNS[3:]],
    ).collect().write_parquet(out / "scan.parquet")


CONTENDERS: dict[str, Callable[[Path, Path], None]] = {
    "exact": ours,
    "samples": lambda path, out: ours(path, out, position="hold"),
    "no-shapes": lambda path, out: ours(path, out, with_shapes=False),
    "shapely": shapely,
    "polars": polars,
    "supervision": supervision,
    "scan": scan,
}


def check(path: Path) -> None:
    """Stop unless all find the same runs of samples in the same zones."""
    found = {name: runs_of(name, path) for name in ("samples", "shapely", "polars", "supervision")}
    for name in ("samples", "polars"):
        if not found[name].equals(found["shapely"]):
            odd = found[name].join(found["shapely"], on=RUN, how="anti").head(3)
            sys.exit(f"{name} finds other runs than shapely, such as {odd.rows()}.")
    truth = found["shapely"]
    seconds = {
        name: (runs["last_us"] - runs["first_us"]).sum() / 1e6 for name, runs in found.items()
    }
    off = abs(seconds["supervision"] / seconds["shapely"] - 1)
    if off > 0.02:
        sys.exit(f"supervision finds {off:.1%} more or less time in zones than shapely.")
    print(f"checked: {len(truth)} runs are the same; supervision's time in zones is {off:.2%} off")


def runs_of(contender: str, path: Path) -> pl.DataFrame:
    """Runs of two samples or more: one sample alone lasts no time at the end of a walk."""
    import polars as pl

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        CONTENDERS[contender](path, Path(folder))
        if contender != "samples":
            runs = pl.read_parquet(f"{folder}/runs-*.parquet")
        else:
            # Held until the next sample, but at the end of a walk there is none.
            after = pl.when("is_end_censored").then(0).otherwise(STEP_US)
            runs = pl.read_parquet(f"{folder}/visits.parquet").select(
                "site_id",
                "zone_id",
                "tracklet_id",
                pl.col("entered_at_utc").cast(pl.Int64).alias("first_us"),
                (pl.col("left_at_utc").cast(pl.Int64) - after).alias("last_us"),
            )
    return runs.filter(pl.col("last_us") > pl.col("first_us")).sort(RUN)


def count_with(contender: str, path: Path) -> tuple[float, float]:
    """Run one contender from file to files; give wall and CPU seconds."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        begin, cpu = time.perf_counter(), time.process_time()
        CONTENDERS[contender](path, Path(folder))
        return time.perf_counter() - begin, time.process_time() - cpu


def run_one(contender: str, path: Path) -> None:
    """Run one contender in this process and print what it took as JSON.

    A tiny file first: imports and the loading of compiled code count in the whole process only.
    """
    count_with(contender, path.with_name("tiny.parquet"))
    took, cpu = count_with(contender, path)
    # Linux; getrusage would give the peak of the parent where that was higher.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak_mb = int(status["VmHWM"].split()[0]) / 1024
    print(json.dumps({"in_process_s": took, "cpu_s": cpu, "peak_mb": peak_mb}))


def measure(contender: str, path: Path) -> dict[str, float]:
    begin = time.perf_counter()
    command = [sys.executable, __file__, "--run", contender, "--file", str(path)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(answer) | {"whole_s": time.perf_counter() - begin}


def report(points: int, taken: dict[str, list[dict[str, float]]]) -> None:
    def median(contender: str, what: str) -> float:
        return statistics.median(run[what] for run in taken[contender])

    print(f"\n{points / 1e6:g} M points, median of {len(taken['exact'])}, {os.cpu_count()} cores\n")
    titles = ("M points/s", "whole", "CPU ns", "peak MB", "x shapely", "x supervision", "x scan")
    print(f"{'':12}" + "".join(f"{title:>15}" for title in titles))
    for name in taken:
        took, whole = median(name, "in_process_s"), median(name, "whole_s")
        figures = [f"{points / took / 1e6:.2f}", f"{points / whole / 1e6:.2f}"]
        figures.append(f"{median(name, 'cpu_s') / points * 1e9:.0f}")
        figures.append(f"{median(name, 'peak_mb'):.0f}")
        for peer, what, mine in (
            ("shapely", "in_process_s", took),
            ("supervision", "whole_s", whole),
            ("scan", "in_process_s", took),
        ):
            figures.append(f"{median(peer, what) / mine:.2f}" if peer in taken else "")
        print(f"{name:12}" + "".join(f"{figure:>15}" for figure in figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--run", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run_one(options.run, options.file)
        return
    for points in options.points:
        with tempfile.TemporaryDirectory(prefix="bench-events-") as folder:
            path = Path(folder) / "points.parquet"
            generate(path, points)
            generate(path.with_name("tiny.parquet"), STORES * SAMPLES)
            generate(path.with_name("check.parquet"), STORES * SAMPLES * 50)
            check(path.with_name("check.parquet"))
            names = [
                name
                for name in options.only
                if name != "supervision" or points <= MOST_FOR_SUPERVISION
            ]
            measure("exact", path.with_name("tiny.parquet"))  # compiles, once on a machine
            taken: dict[str, list[dict[str, float]]] = {name: [] for name in names}
            for _ in range(options.rounds):
                for name in names:
                    taken[name].append(measure(name, path))
            report(points, taken)


if __name__ == "__main__":
    main()
