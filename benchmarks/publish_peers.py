"""What benchmarks/publish.py compares with: dlt, and polars writing XLSX, in their environment.

`publish_peers.py NAME ROOM LAKE URL` does one thing and prints what it took; nothing of the project
is imported here. dlt is given Arrow tables, which it need not infer or normalise row by row, and
told its faster ways: for PostgreSQL, CSV through COPY or, as `adbc`, Parquet through ADBC.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

KEY = ["unit_key", "hour_start_utc"]


def run_dlt(name: str, room: Path, lake: Path, url: str) -> dict[str, int]:
    """Append the lake's months, then upsert those that were restated."""
    os.environ |= {
        "DLT_DATA_DIR": str(room / "dlt"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "ERROR",
    }
    import dlt
    import pyarrow.parquet as pq

    kind, _, way = name.removeprefix("dlt-").partition("-")
    if kind == "postgres":
        to = dlt.destinations.postgres(url)
        given = {"loader_file_format": "parquet" if way == "adbc" else "csv"}
    else:
        to, given = dlt.destinations.duckdb(str(room / "out.duckdb")), {}
    pipeline = dlt.pipeline("ksi", pipelines_dir=str(room / "p"), destination=to, dataset_name="d")

    def tables(folder: str):
        for path in sorted((lake / folder).glob("*.parquet")):
            yield pq.read_table(path)

    def run(folder: str, how: object) -> int:
        begin = time.perf_counter()
        rows = dlt.resource(tables(folder), name="sales", write_disposition=how, primary_key=KEY)
        pipeline.run(rows, **given).raise_on_failed_jobs()
        return int((time.perf_counter() - begin) * 1e6)

    took = {"append_us": run("first", "append")}
    took["upsert_us"] = run("restated", {"disposition": "merge", "strategy": "upsert"})
    with pipeline.sql_client() as client:
        asked = "select count(*), sum(tickets), sum(net_sales) from sales"
        rows, tickets, net = client.execute_sql(asked)[0]
    return {**took, "rows": int(rows), "tickets": int(tickets), "net": int(net * 10_000)}


def run_xlsx(_name: str, room: Path, lake: Path, _url: str) -> dict[str, int]:
    """Write a month with polars, which is not read back."""
    import polars as pl

    (path,) = (lake / "restated").glob("*.parquet")
    begin = time.perf_counter()
    pl.read_parquet(path, hive_partitioning=False).write_excel(room / "out.xlsx")
    return {"xlsx_us": int((time.perf_counter() - begin) * 1e6)}


if __name__ == "__main__":
    name, *folders, url = sys.argv[1:]
    run = run_xlsx if name == "xlsx-polars" else run_dlt
    found = run(name, *map(Path, folders), url)
    status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
    print(json.dumps({**found, "rss_mb": int(status.split()[0]) // 1024}))
