"""One run by hand at a time in a data home; the lock goes with the process, however it ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from ksi_pipeline.core.errors import TransientError
from ksi_pipeline.store.layout import DataHome


@contextmanager
def only_run(home: DataHome) -> Iterator[None]:
    """Hold the data home's run lock for the block.

    Raises:
        TransientError: E_RUN_LOCKED, another run by hand holds it.
    """
    home.root.mkdir(parents=True, exist_ok=True)
    with (home.root / "run.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise TransientError(
                f"Another `ksi run` works on {home.root}. Nothing was started. Wait until it ends; "
                "what is new then is found by the next run.",
                code="E_RUN_LOCKED",
            ) from error
        yield
