"""Who publishes: names of those who hold a lease, and the wait for one of them to end."""

import os
import socket
import time
from collections.abc import Callable

from ksi_pipeline.publishers.refusals import busy


def holder(run: str) -> str:
    """Name this process: host, process and what names the run and nobody else."""
    return f"{socket.gethostname()}:{os.getpid()}:{run}"


def is_dead(name: str) -> bool:
    """Whether that holder was on this machine and is no more; others keep their lease."""
    host, _, process = name.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname() or not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def take_when_free(
    target: str,
    is_taken: Callable[[], bool],
    wait_s: float,
    between_s: float,
    sleep: Callable[[float], None],
) -> None:
    """Try to take what only one publisher may have, until it is free.

    Args:
        target: its id.
        is_taken: tries once, and says whether it is ours now.
        wait_s: how long another publisher is waited for; 0: tried once.
        between_s: seconds between two tries.
        sleep: waits that many seconds.

    Raises:
        TransientError: E_TARGET_BUSY, another publisher had it all the while.
    """
    end = time.monotonic() + wait_s
    while not is_taken():
        left = end - time.monotonic()
        if left <= 0:
            raise busy(target)
        sleep(min(between_s, left))
