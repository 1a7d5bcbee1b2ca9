"""How fast a backfill over HTTP is, from an API 20 ms away, beside what people use for it today.

Run with `make bench-tickets`, or `python benchmarks/tickets.py --days 364 --rounds 3`. With
`--dlt-python PATH`, the Python of an environment that has dlt, dlt's rest_api source runs as well.

Contenders ask one server for the same rows, one after the other:

* ksi: what `ksi tickets pull` does up to the ledger: windows of seven days, all codes in one URL,
  `--parallel` requests at once; every answer checked to be a list, hashed, compressed, synced to
  disk, and noted;
* ksi-1: the same with one request at a time;
* session-windows: a requests.Session with the same requests, one at a time, `.json()` into a list;
* session-days: a requests.Session with one request for each store and day, as in the contract's
  example and in most scripts, `.json()` into a list; on fewer days, as it is slow;
* dlt: the rest_api source with the same requests as session-windows, extracted and not loaded.

The peers keep nothing. Each must give as many tickets as the server has, or the run fails. Figures
are rows a second, the median over rounds, with the lowest and the highest.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

LATENCY_S = 0.02
CODES = [f"{number:04d}" for number in range(1, 51)]
START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SPACE = """\
schema: 1
site: {{id: mall, name: Mall, timezone: UTC, currency: EUR}}
units: [{units}]
links: [{links}]
"""
CONNECTORS = """\
connectors:
  - {{id: pos, kind: hourly_api, url: "{url}", token_env: T, absent_means: zero, active: true,
      allow_http: true, allow_private: true, parallel_requests: {parallel}}}
"""
DLT = """
import sys, json
from dlt.sources.rest_api import rest_api_source
url, windows, codes = json.loads(sys.stdin.read())
import dlt, time
@dlt.resource(name="windows")
def asked():
    yield [{"a": a, "b": b} for a, b in windows]
source = rest_api_source({
    "client": {"base_url": url, "headers": {"Authorization": "Bearer t"},
               "paginator": "single_page"},
    "resources": [asked(), {"name": "sales", "endpoint": {"path": "sales", "params": {
        "fromTime": "{resources.windows.a}", "toTime": "{resources.windows.b}",
        "ext_ref_codes": codes}}}],
})
began = time.perf_counter()
tickets = rows = 0
for row in source.resources["sales"]:
    rows += 1
    tickets += row["num_tickets"]
print(json.dumps([rows, tickets, time.perf_counter() - began]))
"""


@lru_cache(maxsize=512)
def answer(query: str) -> bytes:
    """Write the rows that a query asks for; kept, so that the server costs next to nothing."""
    given = parse_qs(query)
    start, end = (datetime.fromisoformat(given[name][0]) for name in ("fromTime", "toTime"))
    codes = given["ext_ref_codes"]
    tail = [f'", "ext_ref_code": "{c}", "num_tickets": {int(c)}}}' for c in codes]
    hours = []
    while start <= end:
        head = f'{{"time": "{start.isoformat()}'
        hours.append(",".join(head + rest for rest in tail))
        start += timedelta(hours=1)
    return f"[{','.join(hours)}]".encode()


class Handler(BaseHTTPRequestHandler):
    """Answers any window: every hour of every code asked for has its tickets."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16

    def do_GET(self) -> None:
        body = answer(urlsplit(self.path).query)
        time.sleep(LATENCY_S)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


def expected(days: int) -> tuple[int, int]:
    """Rows and tickets of a span."""
    return days * 24 * len(CODES), days * 24 * sum(map(int, CODES))


def windows(days: int, longest: int) -> list[tuple[str, str]]:
    starts = range(0, days, longest)
    return [
        (
            (START + first * DAY).isoformat(),
            (START + min(first + longest, days) * DAY - timedelta(seconds=1)).isoformat(),
        )
        for first in starts
    ]


def ksi(url: str, days: int, parallel: int) -> tuple[int, int, float]:
    from ksi_pipeline.core.json_list import read_list
    from ksi_pipeline.core.time import Window
    from ksi_pipeline.defs.steps.pull import pull_answers
    from ksi_pipeline.defs.workspace import Workspace
    from ksi_pipeline.store.layout import DataHome
    from ksi_pipeline.store.store import Store

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "spaces").mkdir()
        units = ", ".join(f'{{id: "{code}"}}' for code in CODES)
        links = ", ".join(f'{{connector: pos, ext_ref_code: "{c}", unit: "{c}"}}' for c in CODES)
        (home / "spaces" / "mall.yaml").write_text(SPACE.format(units=units, links=links))
        (home / "connectors.yaml").write_text(CONNECTORS.format(url=url, parallel=parallel))
        workspace = Workspace(Store(DataHome(home)), home, {"T": "token-of-the-benchmark"}.get)
        began = time.perf_counter()
        report = pull_answers(workspace, Window(START, START + days * DAY))
        took_s = time.perf_counter() - began
        assert not report.failed, report.failed
        rows = tickets = 0
        import gzip

        for path in (home / "raw").rglob("*.json.gz"):
            values = [v for _, v in read_list(gzip.decompress(path.read_bytes()), "raw")]
            rows += len(values)
            tickets += sum(value["num_tickets"] for value in values)  # type: ignore[index]
    return rows, tickets, took_s


def session(url: str, days: int, *, longest: int, together: bool) -> tuple[int, int, float]:
    import requests

    began = time.perf_counter()
    rows: list[dict[str, object]] = []
    with requests.Session() as http:
        http.trust_env = False
        http.headers["Authorization"] = "Bearer t"
        for codes in [CODES] if together else [[code] for code in CODES]:
            for start, end in windows(days, longest):
                asked = {"fromTime": start, "toTime": end, "ext_ref_codes": codes}
                reply = http.get(url, params=asked, timeout=30)
                reply.raise_for_status()
                rows += reply.json()
    took_s = time.perf_counter() - began
    return len(rows), sum(int(str(row["num_tickets"])) for row in rows), took_s


def dlt(url: str, days: int, python: str) -> tuple[int, int, float]:
    asked = json.dumps([url.removesuffix("sales"), windows(days, 7), CODES])
    done = subprocess.run(
        [python, "-c", DLT], input=asked, capture_output=True, text=True, check=True
    )
    rows, tickets, took_s = json.loads(done.stdout.splitlines()[-1])
    return rows, tickets, took_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=364)
    parser.add_argument("--few-days", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parallel", type=int, default=4)
    parser.add_argument("--dlt-python")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        server = Server(("127.0.0.1", 0), Handler)
        print(server.server_address[1], flush=True)
        server.serve_forever()
    days, few = options.days, options.few_days
    contenders: dict[str, tuple[int, Callable[[str], tuple[int, int, float]]]] = {
        "ksi": (days, lambda url: ksi(url, days, options.parallel)),
        "ksi-1": (days, lambda url: ksi(url, days, 1)),
        "session-windows": (days, lambda url: session(url, days, longest=7, together=True)),
        "session-days": (few, lambda url: session(url, few, longest=1, together=False)),
    }
    if options.dlt_python:
        contenders["dlt"] = (days, lambda url: dlt(url, days, options.dlt_python))
    serving = subprocess.Popen(
        [sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True
    )
    assert serving.stdout
    try:
        url = f"http://127.0.0.1:{int(serving.stdout.readline())}/sales"
        rates: dict[str, list[float]] = {name: [] for name in contenders}
        for round_ in range(options.rounds + 1):
            for name, (span, run) in contenders.items():
                rows, tickets, took_s = run(url)
                assert (rows, tickets) == expected(span), (name, rows, tickets)
                # the first round only lets the server write its answers
                if round_:
                    rates[name].append(rows / took_s)
    finally:
        serving.kill()
    ours = statistics.median(rates["ksi"])
    print(
        f"{len(CODES)} stores, {days} days ({few} for session-days), {LATENCY_S * 1000:g} ms away"
    )
    for name, found in rates.items():
        middle = statistics.median(found)
        spread = f"({min(found):,.0f} to {max(found):,.0f})"
        print(f"{name:16} {middle:10,.0f} rows/s {spread:24} ksi is {ours / middle:.1f}x")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


if __name__ == "__main__":
    main()
