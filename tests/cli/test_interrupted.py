"""A run that is told to stop stops at once, whatever Dagster would retry."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ksi_pipeline.sandbox.pos_api import PosApi

SPACE = """\
schema: 1
site: {id: shop, name: Shop, timezone: Europe/Madrid, currency: EUR}
units: [{id: "0001"}]
links: [{connector: pos, ext_ref_code: "1", unit: "0001"}]
"""
HOUR_S = 3600


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_a_run_that_is_interrupted_in_a_step_with_retries_exits_130_and_says_so(number, tmp_path):
    (tmp_path / "spaces").mkdir()
    (tmp_path / "spaces" / "shop.yaml").write_text(SPACE)
    with PosApi([], token="t", latency_s=HOUR_S) as api:
        (tmp_path / "connectors.yaml").write_text(
            f'connectors:\n  - {{id: pos, kind: hourly_api, url: "{api.url}", token_env: TILL, '
            f"absent_means: zero, read_timeout_s: {HOUR_S}, "
            "allow_http: true, allow_private: true, active: true}\n"
        )
        with start(tmp_path) as process:
            try:
                wait_until(lambda: api.requests, process)
                os.killpg(process.pid, number)
                # who waits for the answer, or to try again, takes an hour
                _, said = process.communicate(timeout=300)
            finally:
                # a run that does not stop
                process.kill()
    assert process.returncode == 130
    assert said.splitlines()[-1] == "Interrupted. Nothing is half done; run it again."
    assert "Traceback" not in said


def start(home: Path) -> subprocess.Popen[str]:
    # A shell without job control starts what it puts in the background deaf to Ctrl-C.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from ksi_pipeline.defs import failures\n"
        f"failures.RETRIES = failures.RETRIES._replace(delay={HOUR_S})\n"
        "from ksi_pipeline.cli import main; main()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, "run", "--dir", str(home), "--from", "2026-03-02"],
        env={**os.environ, "TILL": "t"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_until(reached, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 240
    while not reached():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < until, "the run never came so far"
        time.sleep(0.05)
