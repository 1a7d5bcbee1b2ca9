"""What targets on this machine's disks share: one publisher at a time, and what is on the disk."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ksi_pipeline.publishers.holders import take_when_free

WAIT_S = 10.0
_BETWEEN_S = 0.1


@contextmanager
def only_publisher(lock: Path, target: str) -> Iterator[None]:
    """Hold a lock file for the block; it goes with its process, however it ends.

    Raises:
        TransientError: E_TARGET_BUSY, another publisher held it for WAIT_S seconds.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        take_when_free(target, lambda: _is_locked(file), WAIT_S, _BETWEEN_S, time.sleep)
        yield


def _is_locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
