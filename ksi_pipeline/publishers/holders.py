"""Names of those who hold a lease, and whether one of this machine is no more."""

import os
import socket


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
