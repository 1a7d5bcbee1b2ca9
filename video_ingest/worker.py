"""A worker process: takes jobs from its parent and gives results back; writes nothing.

Started by `workers` as `python -m video_ingest.worker FD CPUS`. It ends when the parent closes the
connection or dies.
"""

import os
import sys
import threading
import time
from multiprocessing.connection import Connection

# How often it looks whether the parent lives, and tells how far it is.
_LOOK_S = 0.2


def main() -> int:
    """Do jobs until there are no more."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    connection, cpus = Connection(int(sys.argv[1])), {int(cpu) for cpu in sys.argv[2].split(",")}
    if hasattr(os, "sched_setaffinity"):
        # OpenCV, FFmpeg, OpenVINO and torch each take as many threads as they see CPUs, so this
        # comes before they are imported.
        os.sched_setaffinity(0, cpus)
    import cv2

    from video_ingest.contract import VideoError
    from video_ingest.jobs import JobRunner

    cv2.setNumThreads(min(4, len(cpus)))
    runner, told_at = JobRunner(), 0.0

    def tell(done_s: float, expected_s: float, frames: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at > _LOOK_S:
            connection.send((done_s, expected_s, frames))
            told_at = time.monotonic()

    while True:
        try:
            job = connection.recv()
        except (EOFError, OSError):
            return 0
        try:
            answer: object = runner.run(job, tell)
        except VideoError as error:
            answer = error
        try:
            connection.send(answer)
        except OSError:
            return 0


def _end_with(parent: int) -> None:
    """End at once when the parent is gone, however it went, in the middle of a chunk too."""
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
