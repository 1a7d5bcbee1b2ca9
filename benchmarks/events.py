"""How fast counting is, from Parquet to Parquet, beside what people use for it today.

Run with `make bench-events`, or `python benchmarks/events.py --points 10000000 --rounds 5`.

Contenders run interleaved, each in its own process:

* ours: visits and crossings exact on every step, occupancy by minute;
* ours-visits: the same without occupancy, which no other contender gives;
* shapely: `contains_xy` per zone and polars run lengths; it sees zones at samples only, so it
  misses whoever walks through between two samples, and it counts no lines;
* scan: polars reads the same columns and adds them up: the floor.

In-process figures are without imports and the loading of compiled code, whole ones with them.
Before anything is timed, our visits must hold as many samples of each zone as shapely finds in it.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ksi_pipeline.core.plan import CountingRules, LineShape, SitePlan, ZoneShape
from ksi_pipeline.core.schemas import DATASETS

STORES, ZONES, LINES = 10, 12, 3
FLOOR_M = (40.0, 30.0)
SAMPLES = 100  # a tracklet: 50 s at 2 samples a second
STEP_US = 500_000
START_US = 1_772_442_000_000_000
VISIT_ENDS = ("entered_at_utc", "left_at_utc")
ROUNDED = 2  # samples less than a microsecond outside a zone, which a rounded instant can take in
COLUMNS = ["site_id", "camera_id", "tracklet_id", "ts_utc", "x_m", "y_m"]
STRINGS = COLUMNS[:3]
CONTENDERS = ("ours", "ours-visits", "shapely", "scan")
Polygon = tuple[tuple[float, float], ...]


def zone_polygon(random: np.random.Generator, corners: int) -> Polygon:
    """A star-shaped polygon, mostly concave, of 1.5 to 5 m radius; zones of a store overlap."""
    centre = random.uniform((5, 5), (FLOOR_M[0] - 5, FLOOR_M[1] - 5))
    angles = (np.arange(corners) + random.uniform(0.1, 0.9, corners)) * 2 * np.pi / corners
    radii = random.uniform(1.5, 5.0, corners)
    xy = centre + np.column_stack([radii * np.cos(angles), radii * np.sin(angles)])
    return tuple((float(x), float(y)) for x, y in xy)


def plan_of(store: int) -> SitePlan:
    """The plan of one store; the same in every process."""
    random = np.random.default_rng(1000 + store)
    zones = tuple(
        ZoneShape(f"zone-{i:02}", "0001", "selling", zone_polygon(random, 4 + i % 9))
        for i in range(ZONES)
    )
    doors = tuple(
        LineShape(
            f"line-{i}", "0001", "entrance", (5.0 + 10 * i, 0.0), (9.0 + 10 * i, 30.0), "left"
        )
        for i in range(LINES)
    )
    sees = {"cam-1": frozenset([z.zone_id for z in zones] + [d.line_id for d in doors])}
    zone_info = ZoneInfo("Europe/Madrid")
    return SitePlan(f"store-{store}", zone_info, CountingRules(), zones, doors, sees)


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
    begin = np.sort(random.integers(0, 12 * 3600 * 2, people)) * STEP_US
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
    """One file, a row group for each store."""
    with pq.ParquetWriter(path, DATASETS["tracklet_points"], compression="zstd") as writer:
        for store in range(STORES):
            table = store_points(store, points // STORES)
            writer.write_table(table, row_group_size=table.num_rows)


def ours(path: Path, out: Path, with_occupancy: bool) -> None:
    from ksi_pipeline.core.events import count_events
    from ksi_pipeline.core.occupancy import zone_occupancy

    names = ["visits", "line_crossings"] + ["zone_occupancy"] * with_occupancy

    def count(store: int) -> dict[str, pa.Table]:
        file = pq.ParquetFile(path, read_dictionary=STRINGS)
        plan = plan_of(store)
        events = count_events(file.read_row_group(store, columns=COLUMNS, use_threads=False), plan)
        found = {"visits": events.visits, "line_crossings": events.line_crossings}
        if with_occupancy:
            found["zone_occupancy"] = zone_occupancy(events.visits, plan.zone_info)
        return found

    writers = {n: pq.ParquetWriter(out / f"{n}.parquet", DATASETS[n]) for n in names}
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(count, range(STORES)):
            for name, table in found.items():
                writers[name].write_table(table)
    for writer in writers.values():
        writer.close()


def shapely_runs(path: Path, out: Path) -> None:
    import polars as pl
    import shapely

    file = pq.ParquetFile(path)
    for store in range(STORES):
        table = file.read_row_group(store, columns=COLUMNS)
        x, y = table["x_m"].to_numpy(), table["y_m"].to_numpy()
        walks = pl.from_arrow(table.select(["tracklet_id", "ts_utc"]))
        visits = []
        for zone in plan_of(store).zones:
            polygon = shapely.Polygon(zone.polygon)
            shapely.prepare(polygon)
            runs = walks.with_columns(inside=pl.Series(shapely.contains_xy(polygon, x, y)))
            new_run = pl.struct("tracklet_id", "inside").rle_id()
            visits.append(
                runs.with_columns(run=new_run)
                .filter("inside")
                .group_by("run", maintain_order=True)
                .agg(
                    pl.col("tracklet_id").first(),
                    pl.col("ts_utc").first().alias("entered"),
                    pl.col("ts_utc").last().alias("left"),
                )
                .with_columns(zone=pl.lit(zone.zone_id))
            )
        pl.concat(visits).write_parquet(out / f"visits-{store}.parquet")


def scan(path: Path, out: Path) -> None:
    import polars as pl

    pl.scan_parquet(path).select(
        *[pl.col(name).rle_id().max() for name in STRINGS],
        *[pl.col(name).cast(pl.Float64).sum() for name in COLUMNS[3:]],
    ).collect().write_parquet(out / "scan.parquet")


def check(path: Path) -> None:
    """Samples inside each zone of the first store: within our visits, and by shapely."""
    import shapely

    from ksi_pipeline.core.events import count_events

    table = pq.ParquetFile(path).read_row_group(0, columns=COLUMNS)
    x, y = table["x_m"].to_numpy(), table["y_m"].to_numpy()
    visits = count_events(table, plan_of(0)).visits
    entered, left = (visits[name].cast("int64").to_numpy() for name in VISIT_ENDS)
    # Samples lie on half seconds: how many from entry to exit, both included.
    samples = left // STEP_US - (entered - 1) // STEP_US
    for zone in plan_of(0).zones:
        ours = int(samples[visits["zone_id"].to_numpy() == zone.zone_id].sum())
        theirs = int(shapely.contains_xy(shapely.Polygon(zone.polygon), x, y).sum())
        if abs(ours - theirs) > ROUNDED:
            sys.exit(f"{zone.zone_id}: {ours} samples inside, shapely finds {theirs}.")


def count_with(contender: str, path: Path) -> float:
    """Run one contender from file to files; give the seconds it took."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        begin = time.perf_counter()
        if contender == "shapely":
            shapely_runs(path, Path(folder))
        elif contender == "scan":
            scan(path, Path(folder))
        else:
            ours(path, Path(folder), with_occupancy=contender == "ours")
        return time.perf_counter() - begin


def run_one(contender: str, path: Path) -> None:
    """Run one contender in this process and print what it took as JSON.

    A tiny file first: imports and the loading of compiled code count in the whole process only.
    """
    count_with(contender, path.with_name("tiny.parquet"))
    took = count_with(contender, path)
    # Linux; getrusage would give the peak of the parent where that was higher.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak_mb = int(status["VmHWM"].split()[0]) / 1024
    print(json.dumps({"in_process_s": took, "peak_mb": peak_mb}))


def measure(contender: str, path: Path) -> dict[str, float]:
    begin = time.perf_counter()
    command = [sys.executable, __file__, "--run", contender, "--file", str(path)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(answer) | {"whole_s": time.perf_counter() - begin}


def report(points: int, taken: dict[str, list[dict[str, float]]]) -> None:
    def median(contender: str, what: str) -> float:
        return statistics.median(run[what] for run in taken[contender])

    print(f"\n{points / 1e6:g} M points, median of {len(taken['ours'])}; ratios in process\n")
    print(f"{'':12}{'M points/s':>12}{'whole':>8}{'peak MB':>9}{'x shapely':>11}{'x scan':>8}")
    for name in taken:
        took = median(name, "in_process_s")
        row = f"{name:12}{points / took / 1e6:12.2f}{points / median(name, 'whole_s') / 1e6:8.2f}"
        ratios = [median(other, "in_process_s") / took for other in ("shapely", "scan")]
        print(f"{row}{median(name, 'peak_mb'):9.0f}{ratios[0]:11.2f}{ratios[1]:8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--rounds", type=int, default=3)
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
            check(path)
            measure("ours", path)  # compiles, once on a machine
            taken: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
            for _ in range(options.rounds):
                for name in CONTENDERS:
                    taken[name].append(measure(name, path))
            report(points, taken)


if __name__ == "__main__":
    main()
