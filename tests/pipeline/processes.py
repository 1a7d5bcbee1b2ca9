"""The command line as a process of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from .homes import TOKEN


@contextmanager
def started(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command; at the end of the block it is gone, with its children."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from ksi_pipeline.cli import main; main()", *words],
        env={**os.environ, "KSI_POS_MAIN_TOKEN": TOKEN},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def kill_when(process: subprocess.Popen[bytes], reached: Callable[[], bool]) -> None:
    """Send SIGKILL to a command and its children as soon as it has come so far."""
    until = time.monotonic() + 300
    while not reached():
        assert process.poll() is None, process.stdout.read().decode()
        assert time.monotonic() < until, "it never came so far"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
