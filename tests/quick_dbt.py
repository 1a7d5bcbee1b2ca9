"""dbt for tests: what it imports is imported once, and each call is a fork of that process.

Half of what a small build takes is Python reading dbt. Calls are processes of their own all the
same, with the arguments, environment, folder and streams of whoever calls, and signals reach them.
"""

import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Python starts without its site here: it needs nothing of it, and reading it takes longest.
_CLIENT = """#!{python} -SEs
import json, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
call = {{"arguments": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}}
text = json.dumps(call).encode()
socket.send_fds(server, [len(text).to_bytes(4, "big")], [0, 1, 2])
server.sendall(text)
answers = server.makefile()
process = int(answers.readline())
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _frame: os.kill(process, number))
ended = int(answers.readline())
sys.exit(ended if ended >= 0 else 128 - ended)
"""
_IMPORTED = ["dbt.adapters.duckdb.impl", "dbt.task.build", "ksi_pipeline.dbt_process"]
# DuckDB takes it along where it is installed
_IMPORTED += ["pandas"] if find_spec("pandas") else []


class QuickDbt:
    """A command that does what ksi-dbt does; the process behind it begins when it is asked for."""

    def __init__(self) -> None:
        """Begin nothing yet."""
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._server: subprocess.Popen[bytes] | None = None

    def command(self) -> Path:
        """Give its path."""
        if self._folder is None:
            # the address of a socket must be short
            self._folder = tempfile.TemporaryDirectory(prefix="ksi-dbt")
            self._begin(Path(self._folder.name))
        return Path(self._folder.name) / "ksi-dbt"

    def end(self) -> None:
        """End the process and remove the command."""
        if self._server and self._folder:
            with self._server:
                # with calls that do not end
                os.killpg(self._server.pid, signal.SIGKILL)
            self._folder.cleanup()

    def _begin(self, folder: Path) -> None:
        address, command = str(folder / "calls"), folder / "ksi-dbt"
        command.write_text(_CLIENT.format(python=sys.executable, address=address))
        command.chmod(0o755)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen()
            number = listener.fileno()
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.quick_dbt", str(number)],
                cwd=Path(__file__).parents[1],
                stdin=subprocess.PIPE,
                pass_fds=[number],
                start_new_session=True,
            )


def _serve(listener: socket.socket) -> None:
    """Answer calls, each in a fork, until somebody ends this or the tests are gone."""
    for module in _IMPORTED:
        importlib.import_module(module)

    # nobody waits for those that ended
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # nothing is written to standard input, and it ends with the process of the tests, however that
    # ends
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        caller, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            _answer(caller)
        caller.close()


def _answer(caller: socket.socket) -> None:
    """Run one call in a fork of this fork; say its process, and how it ended."""
    size, streams, _, _ = socket.recv_fds(caller, 4, 3)
    with caller.makefile("rb") as told:
        call = json.loads(told.read(int.from_bytes(size, "big")))
    process = os.fork()
    if process == 0:
        caller.close()
        _run(call, streams)
    caller.sendall(f"{process}\n".encode())
    # who reads the streams waits until nobody holds them
    for stream in streams:
        os.close(stream)
    _, status = os.waitpid(process, 0)
    caller.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _run(call: dict[str, Any], streams: list[int]) -> None:
    from ksi_pipeline import dbt_process

    code = 1
    try:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(call["folder"])
        os.environ.clear()
        os.environ.update(call["environment"])
        sys.argv = ["ksi-dbt", *call["arguments"]]
        dbt_process.main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - this fork never returns to whom it was forked from
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
