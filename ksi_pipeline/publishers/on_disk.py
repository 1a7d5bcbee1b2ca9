"""What targets on this machine's disks share: one publisher at a time, and what is on the disk."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ksi_pipeline.publishers.refusals import busy

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
        end = time.monotonic() + WAIT_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() > end:
                    raise busy(target) from error
                time.sleep(_BETWEEN_S)
        yield
