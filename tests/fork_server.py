"""Programs that import much: that is imported once, and each call is a fork of who did it.

Calls are processes of their own all the same, with the arguments, environment, folder and streams
of whoever calls. Signals reach them, their end is the end of the command, and they end with it.
"""

import faulthandler
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

# Python starts without its site here: it needs nothing of it, and reading it takes longest.
_CLIENT = """#!{python} -SEs
import json, os, signal, socket, sys
try:
    server = socket.socket(socket.AF_UNIX)
    server.connect({address!r})
    call = {{"program": {program!r}, "arguments": sys.argv}}
    call |= {{"folder": os.getcwd(), "environment": dict(os.environ)}}
    text = json.dumps(call).encode()
    socket.send_fds(server, [len(text).to_bytes(4, "big")], [0, 1, 2])
    server.sendall(text)
    answers = server.makefile()
    process = int(answers.readline())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: os.kill(process, number))
    ended = int(answers.readline())
except (OSError, ValueError):
    with open({said!r}) as said:
        sys.exit("The process that does what this asks is gone. It wrote: " + said.read())
if ended < 0:
    if ended != -signal.SIGKILL:
        signal.signal(-ended, signal.SIG_DFL)
    os.kill(os.getpid(), -ended)
sys.exit(ended)
"""


class ForkServer:
    """A command that runs a program; the process behind it begins when it is asked for.

    Args:
        name: of the command.
        program: the text of it; sys.argv is that of the command.
        modules: imported before.
        import_s: how long that may take, with the threads that it starts.
    """

    def __init__(self, name: str, program: str, modules: list[str], import_s: int = 300) -> None:
        """Begin nothing yet."""
        self._name, self._program = name, program
        self._arguments = [str(import_s), *modules]
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Make the folder that the command lies in; the address of a socket must be short."""
        self._made = tempfile.TemporaryDirectory(prefix="ksi-")
        self._folder = Path(self._made.name)
        return self

    def __exit__(self, *_: object) -> None:
        """End the process with its calls, and remove the command."""
        with self._made, suppress(ProcessLookupError):
            server, self._server = self._server, None
            if server:
                with server:
                    os.killpg(server.pid, signal.SIGKILL)

    def command(self) -> Path:
        """Give its path; what died begins anew."""
        if self._server is None or self._server.poll() is not None:
            self._begin(self._folder / "calls", self._folder / "said")
        return self._folder / self._name

    def died(self) -> str | None:
        """Give what the process wrote if it is gone; null while it lives or was not begun."""
        if self._server is None:
            return None
        try:
            # callers may know before the system does
            self._server.wait(0.2)
        except subprocess.TimeoutExpired:
            return None
        return (self._folder / "said").read_text()

    def _begin(self, address: Path, said: Path) -> None:
        command = self._folder / self._name
        names = {"address": str(address), "said": str(said), "program": self._program}
        command.write_text(_CLIENT.format(python=sys.executable, **names))
        command.chmod(0o755)
        address.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener, said.open("w") as written:
            listener.bind(str(address))
            listener.listen()
            number = listener.fileno()
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.fork_server", str(number), *self._arguments],
                cwd=Path(__file__).parents[1],
                stdin=subprocess.PIPE,
                stdout=written,
                stderr=written,
                pass_fds=[number],
                start_new_session=True,
            )


def _serve(listener: socket.socket, import_s: int, modules: list[str]) -> None:
    """Answer calls, each in a fork, until somebody ends this or the tests are gone."""
    # what hangs is written, and ends this
    faulthandler.dump_traceback_later(import_s, exit=True)
    for module in modules:
        importlib.import_module(module)
    # A lock that a thread holds at a fork is never given back in it, and the driver of Snowflake
    # goes on importing in a thread.
    for thread in set(threading.enumerate()) - {threading.main_thread()}:
        thread.join()
    faulthandler.cancel_dump_traceback_later()

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
    # with calls that do not end
    os.killpg(0, signal.SIGKILL)


def _answer(caller: socket.socket) -> None:
    """Run one call in a fork of this fork; say its process, and how it ended."""
    size, streams, _, _ = socket.recv_fds(caller, 4, 3)
    with caller.makefile("rb") as told:
        call = json.loads(told.read(int.from_bytes(size, "big")))
    process = os.fork()
    if process == 0:
        caller.close()
        _run(call, streams)
    # who reads the streams waits until nobody holds them
    for stream in streams:
        os.close(stream)
    with suppress(OSError):
        caller.sendall(f"{process}\n".encode())
        threading.Thread(target=_tell_end, args=(caller, process), daemon=True).start()
        # the caller sends nothing more, so this takes until it is gone
        caller.recv(1)
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    os._exit(0)


def _tell_end(caller: socket.socket, process: int) -> None:
    _, status = os.waitpid(process, 0)
    with suppress(OSError):
        caller.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _run(call: dict[str, Any], streams: list[int]) -> None:
    code = 1
    try:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        # where tests run in the background SIGINT is ignored, and Dagster lets SIGTERM be what
        # SIGINT is
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.chdir(call["folder"])
        os.environ.clear()
        os.environ.update(call["environment"])
        sys.argv = call["arguments"]
        exec(call["program"], {"__name__": "__main__"})
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001 - this fork never returns to whom it was forked from
        traceback.print_exc()
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    try:
        _serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]), sys.argv[3:])
    except BaseException:  # noqa: BLE001 - it is written
        traceback.print_exc()
    finally:
        # at once, so that who asks whether it is gone is not told otherwise
        sys.stdout.flush()
        os._exit(1)
