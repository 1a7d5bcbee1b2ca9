"""A run killed at any moment and started again ends where an undisturbed run ends."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from ksi_pipeline.sandbox.home import write_connectors
from ksi_pipeline.sandbox.pos_api import PosApi
from ksi_pipeline.store.tables import CHUNKS

from .homes import DAY, TOKEN, make_workspace, query

pytestmark = pytest.mark.slow

# when the till was asked differs between two runs, so it is the one thing not compared
MARTS = (
    "select * exclude (as_of_utc) from fct_conversion_hourly order by all",
    "select * exclude (as_of_utc) from fct_conversion_daily order by all",
    "select * from fct_traffic_hourly order by all",
    "select * exclude (as_of_utc) from fct_zone_hourly order by all",
    "select * exclude (as_of_utc, last_fetched_at_utc) "
    "from fct_data_completeness_hourly order by all",
)


def start(home: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "from ksi_pipeline.cli import main; main()"]
    return subprocess.Popen(
        [*command, "run", "--dir", str(home), "--from", DAY.isoformat()],
        env={**os.environ, "KSI_POS_MAIN_TOKEN": TOKEN},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def kill_when(process: subprocess.Popen[bytes], reached: Callable[[], bool]) -> None:
    """Send SIGKILL to the run and its children as soon as it has come so far."""
    until = time.monotonic() + 180
    while not reached():
        assert process.poll() is None, process.stdout.read().decode()
        assert time.monotonic() < until, "the run never came so far"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def has_decoded_a_chunk(home: Path) -> bool:
    ledger = make_workspace(home).store.ledger
    return bool(ledger.rows(select(CHUNKS.c.chunk_id).where(CHUNKS.c.done_key.is_not(None))))


def runs_dbt(process: subprocess.Popen[bytes]) -> bool:
    """Whether a child of the run is a dbt that has begun to build."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
            command = path.with_name("cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[2]) == process.pid and b"dbt" in command and b"build" in command:
            return float(fields[11]) / os.sysconf("SC_CLK_TCK") > 4.0
    return False


def test_a_run_killed_after_ingest_and_in_dbt_ends_like_an_undisturbed_one(
    simulated, mall, tmp_path
):
    home = tmp_path / "killed"
    shutil.copytree(simulated.home, home)
    with PosApi(simulated.feed_path, token=TOKEN) as api:
        write_connectors(home, api.url)
        first = start(home)
        kill_when(first, lambda: has_decoded_a_chunk(home))
        assert not (home / "published" / "current.duckdb").exists()
        second = start(home)
        kill_when(second, lambda: runs_dbt(second))
        third = start(home)
        output = third.communicate()[0].decode()
    assert third.returncode == 0, output
    for sql in MARTS:
        assert query(home, sql) == query(mall.home, sql)
