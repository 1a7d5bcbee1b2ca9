"""How fast thirty years of hourly tickets come in over HTTP, and how much memory that takes.

Run with `make bench-backfill`, or `python benchmarks/backfill.py --years 2 --stores 5 --kills 3`.

A server in a process of its own answers any window: every hour of every store has its tickets. The
backfill is `ksi tickets backfill --no-build` in a process of its own, into an empty data home: it
asks, keeps, reads and commits. With `--kills N` it is killed N times, at even steps, and run again.
At the end every row is counted, and its tickets are added up, or the run fails. Printed are rows a
second of wall time, restarts included, the peak memory of the backfill, early and at its end, and
what the data home takes on disk.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc

REPO = Path(__file__).resolve().parents[1]
DAY = timedelta(days=1)
# an answer that holds its token is refused, so it has to be no word of one
TOKEN = "token-of-the-benchmark"
SPACE = """\
schema: 1
site: {{id: mall, name: Mall, timezone: Europe/Madrid, currency: EUR}}
units: [{units}]
links: [{links}]
"""
CONNECTORS = """\
connectors:
  - {{id: pos, kind: hourly_api, url: "{url}", token_env: BENCH_TOKEN, absent_means: zero,
      active: true, allow_http: true, allow_private: true, since: {since}}}
"""


def write_home(home: Path, url: str, stores: int, since: datetime) -> None:
    codes = [f"{number:04d}" for number in range(1, stores + 1)]
    (home / "spaces").mkdir(parents=True)
    units = ", ".join(f'{{id: "{code}"}}' for code in codes)
    links = ", ".join(f'{{connector: pos, ext_ref_code: "{c}", unit: "{c}"}}' for c in codes)
    (home / "spaces" / "mall.yaml").write_text(SPACE.format(units=units, links=links))
    (home / "connectors.yaml").write_text(CONNECTORS.format(url=url, since=since.date()))


def start(home: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            *(sys.executable, "-c", "from ksi_pipeline.cli import main; main()"),
            *("tickets", "backfill", "pos", "--no-build", "--dir", str(home)),
        ],
        cwd=REPO,
        env={**os.environ, "BENCH_TOKEN": TOKEN},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def peak_mib(pid: int) -> float:
    """The highest resident memory so far."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    lines = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(lines[0].split()[1]) / 1024 if lines else 0.0


def answered(home: Path) -> int:
    """Requests whose answers are in the ledger."""
    import sqlite3

    path = home / "ledger.sqlite"
    if not path.exists():
        return 0
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60) as ledger:
        try:
            return int(ledger.execute("select count(*) from fetches").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def run(home: Path, requests: int, kills: int) -> list[tuple[float, float]]:
    """Run the backfill to its end; give (share done, peak MiB) as it went."""
    seen: list[tuple[float, float]] = []
    kill_at = [requests * (n + 1) // (kills + 1) for n in range(kills)]
    while True:
        process = start(home)
        while process.poll() is None:
            done = answered(home)
            seen.append((done / requests, peak_mib(process.pid)))
            if kill_at and done >= kill_at[0]:
                kill_at.pop(0)
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                print(f"killed at {done} of {requests} requests", flush=True)
                break
            time.sleep(0.5)
        else:
            output = process.communicate()[0].decode()
            print(output.splitlines()[-1])
            if process.returncode == 0:
                return seen
            raise SystemExit(output)


def check(home: Path, stores: int) -> int:
    """Count the rows and add up their tickets; every store sells its own number in each hour."""
    from ksi_pipeline.store.layout import DataHome
    from ksi_pipeline.store.store import Store

    store = Store(DataHome(home))
    rows = store.read("ticket_hours", columns=["ext_ref_code", "num_tickets"])
    wanted = pc.cast(rows["ext_ref_code"], "int64")
    assert pc.all(pc.equal(wanted, pc.cast(rows["num_tickets"], "int64"))).as_py()
    assert rows.num_rows % stores == 0, rows.num_rows
    return int(rows.num_rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--years", type=int, default=30)
    parser.add_argument("--stores", type=int, default=50)
    parser.add_argument("--kills", type=int, default=0)
    options = parser.parse_args()
    since = datetime.now(UTC) - options.years * 365.25 * DAY
    serving = subprocess.Popen(
        [sys.executable, REPO / "benchmarks" / "tickets.py", "--serve"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert serving.stdout
    try:
        url = f"http://127.0.0.1:{int(serving.stdout.readline())}/sales"
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            write_home(home, url, options.stores, since)
            hours = (datetime.now(UTC) - since - 7 * DAY) // timedelta(hours=1)
            began = time.perf_counter()
            seen = run(home, -(-hours // (7 * 24)), options.kills)
            took_s = time.perf_counter() - began
            rows = check(home, options.stores)
            size = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
    finally:
        serving.kill()
    assert abs(rows / options.stores - hours) < 30, (rows, hours)
    early = max((mib for share, mib in seen if share < 0.2), default=0.0)
    print(
        f"{options.stores} stores, {options.years} years: {rows:,} rows in {took_s:,.0f} s, "
        f"{rows / took_s:,.0f} rows/s; peak memory {max(mib for _, mib in seen):,.0f} MiB, "
        f"{early:,.0f} MiB in the first fifth; {size / 2**20:,.0f} MiB on disk"
    )


if __name__ == "__main__":
    main()
