"""The end of a stand-in, whether or not it still listens."""

import signal
import subprocess


def stop(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> None:
    """Send a signal, and kill who takes longer than ten seconds over it."""
    process.send_signal(number)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
