"""What one process at a time does in a data home; a lock goes with its process, however it ends.

run.lock        runs by hand
backfill.lock   the backfill of ticket feeds, which may work beside a run
tickets.lock    reading kept answers, which a run and a backfill both do; they wait for each other
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from ksi_pipeline.core.errors import TransientError
from ksi_pipeline.store.layout import DataHome

# Whoever only looks whether a lock is held has it for an instant.
_ATTEMPTS = 5
_BETWEEN_S = 0.05


def is_run_held(home: DataHome) -> bool:
    """Say whether a run by hand works on the data home; several may look at once."""
    home.root.mkdir(parents=True, exist_ok=True)
    with (home.root / "run.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


@contextmanager
def only_run(home: DataHome) -> Iterator[None]:
    """Hold the data home's run lock for the block.

    Raises:
        TransientError: E_RUN_LOCKED, another run by hand holds it.
    """
    message = (
        f"Another `ksi run` works on {home.root}. Nothing was started. Wait until it ends; what "
        "is new then is found by the next run."
    )
    with _held(home, "run.lock", message):
        yield


@contextmanager
def only_backfill(home: DataHome) -> Iterator[None]:
    """Hold the data home's lock of backfills for the block.

    Raises:
        TransientError: E_RUN_LOCKED, another backfill holds it.
    """
    message = (
        f"Another backfill works on {home.root}. Nothing was started. Wait until it ends, and run "
        "this one again."
    )
    with _held(home, "backfill.lock", message):
        yield


@contextmanager
def one_reader_of_answers(home: DataHome) -> Iterator[None]:
    """Wait until nobody else reads answers, and keep others waiting for the block."""
    with _held(home, "tickets.lock", None):
        yield


@contextmanager
def _held(home: DataHome, name: str, message: str | None) -> Iterator[None]:
    """Hold a lock; without a message for who comes second, wait for it."""
    home.root.mkdir(parents=True, exist_ok=True)
    with (home.root / name).open("w") as file:
        if message is None:
            fcntl.flock(file, fcntl.LOCK_EX)
        else:
            _lock_at_once(file, message)
        yield


def _lock_at_once(file: IO[str], message: str) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if attempt == _ATTEMPTS - 1:
                raise TransientError(message, code="E_RUN_LOCKED") from error
            time.sleep(_BETWEEN_S)
        else:
            return
