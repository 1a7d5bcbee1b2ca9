"""Many cameras at once: chains of jobs, each in order, spread over worker processes.

A chain is one camera's chunks, as a generator that yields a job and is sent its result; it runs in
this process, so whatever it writes is written here and by nobody else. With one worker the jobs run
here too, and no process is started.

A worker that dies (killed where memory runs out, or a library that crashes) loses its chunk: the
job is tried once more in a new process, and if that dies as well, `ChunkLost` is raised inside its
chain alone.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

from video_ingest.contract import VideoError
from video_ingest.ingest import ChunkResult
from video_ingest.jobs import ChunkJob, ChunkLost, JobRunner

Chain = Generator[ChunkJob, ChunkResult, None]
# Called with the job, seconds of its chunk done, seconds it should have (0: not known), and frames.
Told = Callable[[ChunkJob, float, float, int], None]

# A worker tells of every few samples; this is longer than any detector takes to start.
SILENCE_S = 600.0
_TRIES = 2


def run_chains(chains: Iterable[Chain], worker_count: int, told: Told) -> None:
    """Run chains to their end, at most `worker_count` at a time.

    Args:
        chains: what one raises, other than on ChunkLost, ends them all.
        worker_count: processes; 1 for none but this one.
        told: how far a job is.

    Raises:
        Exception: whatever a chain raises; the workers are killed first.
    """
    if worker_count <= 1:
        runner = JobRunner()
        for chain in chains:
            _run_here(chain, runner, told)
        return
    pool = _Pool(worker_count, told)
    try:
        pool.run(deque(chains))
    finally:
        pool.kill()


def _run_here(chain: Chain, runner: JobRunner, told: Told) -> None:
    job = next(chain, None)
    while job is not None:
        current = job
        try:
            result: ChunkResult | VideoError = runner.run(
                current, lambda *far, job=current: told(job, *far)
            )
        except VideoError as error:
            result = error
        job = _next(chain, result)


def _next(chain: Chain, answer: ChunkResult | VideoError) -> ChunkJob | None:
    """Hand a chain the answer to its job; gives its next job, None at its end."""
    try:
        return chain.throw(answer) if isinstance(answer, VideoError) else chain.send(answer)
    except StopIteration:
        return None


class _Worker:
    """A worker process as its parent sees it."""

    def __init__(self, slot: int, count: int) -> None:
        """Start it on its share of the CPUs."""
        cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
        share = cpus[slot % len(cpus) :: count]
        here, there = socket.socketpair()
        self.connection = Connection(here.detach())
        command = [sys.executable, "-m", "video_ingest.worker", str(there.fileno())]
        package_root = str(Path(__file__).resolve().parents[1])
        known = os.environ.get("PYTHONPATH")
        with there:
            # A group of its own: Ctrl-C reaches the parent alone, which then ends its workers.
            self.process = subprocess.Popen(
                [*command, ",".join(map(str, share))],
                pass_fds=[there.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                process_group=0,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(filter(None, [package_root, known])),
                },
            )

    def kill(self) -> int:
        """End it at once; gives its exit status, that of a signal negative."""
        self.process.kill()
        self.connection.close()
        return self.process.wait()

    def how_it_ended(self) -> str:
        """Say why nothing comes from it any more; ends it where it lives."""
        try:
            status = self.process.wait(5)
        except subprocess.TimeoutExpired:
            status = self.kill()
        self.connection.close()
        if status == -signal.SIGKILL:
            return "was killed (signal 9), as the system does when memory runs out"
        if status < 0:
            return f"died of signal {-status} ({signal.Signals(-status).name})"
        return f"ended with status {status}"


@dataclass(slots=True, eq=False)
class _Work:
    """A chain with the job that is being done for it."""

    chain: Chain
    job: ChunkJob
    worker: _Worker
    slot: int
    tries: int
    heard_at: float


class _Pool:
    def __init__(self, count: int, told: Told) -> None:
        self._count, self._told = count, told
        self._idle: dict[int, _Worker] = {}
        self._busy: dict[Connection, _Work] = {}

    def run(self, waiting: deque[Chain]) -> None:
        while waiting or self._busy:
            while waiting and len(self._busy) < self._count:
                self._go_on(chain := waiting.popleft(), next(chain, None), self._free_slot())
            ready = wait(list(self._busy), timeout=1.0)
            for connection in ready:
                if isinstance(connection, Connection):
                    self._hear(self._busy[connection])
            for work in list(self._busy.values()):
                if time.monotonic() - work.heard_at > SILENCE_S:
                    work.worker.process.kill()

    def kill(self) -> None:
        for worker in [*self._idle.values(), *(work.worker for work in self._busy.values())]:
            worker.kill()

    def _free_slot(self) -> int:
        taken = {work.slot for work in self._busy.values()}
        return next(slot for slot in range(self._count) if slot not in taken)

    def _go_on(self, chain: Chain, job: ChunkJob | None, slot: int, tries: int = 1) -> None:
        """Give a worker the chain's job; a chain without one has come to its end."""
        if job is None:
            return
        worker = self._idle.pop(slot, None) or _Worker(slot, self._count)
        work = _Work(chain, job, worker, slot, tries, time.monotonic())
        self._busy[worker.connection] = work
        try:
            worker.connection.send(job)
        except OSError:
            self._lose(work)

    def _hear(self, work: _Work) -> None:
        try:
            said = work.worker.connection.recv()
        except (EOFError, OSError):
            self._lose(work)
            return
        work.heard_at = time.monotonic()
        if isinstance(said, tuple):
            self._told(work.job, *said)
            return
        del self._busy[work.worker.connection]
        self._idle[work.slot] = work.worker
        self._go_on(work.chain, _next(work.chain, said), work.slot)

    def _lose(self, work: _Work) -> None:
        del self._busy[work.worker.connection]
        why = work.worker.how_it_ended()
        if work.tries < _TRIES:
            self._go_on(work.chain, work.job, work.slot, work.tries + 1)
            return
        self._go_on(work.chain, _next(work.chain, _lost(work.job, why)), work.slot)


def _lost(job: ChunkJob, why: str) -> ChunkLost:
    return ChunkLost(
        f"Working on chunk {job.chunk.chunk_id} failed: the worker process {why}, {_TRIES} times "
        "in a row. The chunk is kept aside, nothing of it counts, and the other cameras go on. The "
        "next run tries it again: with fewer workers (KSI_VIDEO_WORKERS) each has more memory; if "
        f"it fails again, move {job.chunk.path.name} out of the inbox.",
        code="E_WORKER_LOST",
    )
