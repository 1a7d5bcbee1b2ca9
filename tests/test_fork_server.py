"""Calls are forks, and whoever calls sees what a process of its own would show."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from .fork_server import ForkServer

WAITS = "import time; print('waits', flush=True); time.sleep(100)"


@pytest.mark.parametrize(
    ("program", "status"),
    [
        ("pass", 0),
        ("raise SystemExit(7)", 7),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    ],
    ids=["end", "status", "kill", "term"],
)
def test_the_end_of_a_program_is_that_of_the_command(program, status):
    with ForkServer("program", program, []) as server:
        assert call(server).returncode == status


def test_what_a_program_raises_is_written_where_the_caller_reads():
    with ForkServer("program", "{}['a key']", []) as server:
        done = call(server)
    assert done.returncode == 1
    assert "KeyError: 'a key'" in done.stderr


def test_what_a_program_exits_with_is_written_where_it_is_no_number():
    with ForkServer("program", "raise SystemExit('no such file')", []) as server:
        done = call(server)
    assert (done.returncode, done.stderr) == (1, "no such file\n")


def test_streams_arguments_environment_and_folder_are_those_of_the_caller(tmp_path):
    program = (
        "import os, sys\n"
        "print(sys.stdin.read(), sys.argv[1:], os.environ['NAME'], 'HOME' in os.environ)\n"
        "print(os.getcwd())\n"
        "print('wrong', file=sys.stderr)"
    )
    with ForkServer("program", program, []) as server:
        done = call(server, "a", "b c", cwd=tmp_path, env={"NAME": "told"}, input="asked")
    assert done.stdout == f"asked ['a', 'b c'] told False\n{tmp_path}\n"
    assert done.stderr == "wrong\n"


def test_what_a_call_changes_does_not_reach_the_next(monkeypatch, tmp_path):
    module_in(tmp_path, monkeypatch, counted="number = 0")
    program = "import counted; counted.number += 1; raise SystemExit(counted.number)"
    with ForkServer("program", program, ["counted"]) as server:
        assert [call(server).returncode for _ in range(2)] == [1, 1]


def test_a_signal_reaches_the_program():
    program = f"import signal; signal.signal(signal.SIGTERM, lambda *_: exit(3))\n{WAITS}"
    with ForkServer("program", program, []) as server, begun(server.command()) as process:
        process.terminate()
        assert process.wait(20) == 3


def test_a_call_that_is_given_up_is_killed_and_the_next_one_runs():
    program = f"import sys; len(sys.argv) > 1 and exit(5)\n{WAITS}"
    with ForkServer("program", program, []) as server:
        with begun(server.command()) as process:
            process.kill()
            assert is_let_go(process)
        assert call(server, "ends").returncode == 5


def test_calls_end_with_the_server():
    with ForkServer("program", WAITS, []) as server:
        process = begun(server.command())
    with process:
        assert is_let_go(process)


@pytest.mark.timeout(30)
def test_a_server_that_still_imports_ends(monkeypatch, tmp_path):
    module_in(tmp_path, monkeypatch, slow="import time; time.sleep(100)")
    with ForkServer("program", "pass", ["slow"]) as server:
        server.command()


def test_calls_end_with_the_process_of_the_tests_however_that_ends():
    code = (
        "import subprocess, sys; from tests.fork_server import ForkServer\n"
        "with ForkServer('program', sys.argv[1], []) as server: subprocess.run(server.command())"
    )
    with tempfile.TemporaryDirectory(prefix="ksi-") as short:
        repo, env = Path(__file__).parents[1], {**os.environ, "TMPDIR": short}
        with begun(sys.executable, "-c", code, WAITS, cwd=repo, env=env) as process:
            process.kill()
            assert is_let_go(process)


def test_no_call_begins_while_a_thread_imports(monkeypatch, tmp_path):
    begins = "import threading; threading.Thread(target=__import__, args=['slow']).start()"
    module_in(tmp_path, monkeypatch, slow="import time; time.sleep(0.5)", begins=begins)
    with ForkServer("program", "import slow", ["begins"]) as server:
        assert call(server).returncode == 0


@pytest.mark.parametrize(
    ("broken", "written"),
    [
        ("import nowhere_to_be_found", "No module named 'nowhere_to_be_found'"),
        ("import os; os.write(2, b'full'); os.kill(os.getpid(), 9)", "full"),
        ("import time\ntime.sleep(100)", 'broken.py", line 2 in <module>'),
    ],
    ids=["cannot import", "is killed", "hangs"],
)
def test_a_server_that_died_is_named_with_what_it_wrote(broken, written, monkeypatch, tmp_path):
    module_in(tmp_path, monkeypatch, broken=broken)
    with ForkServer("program", "pass", ["broken"], import_s=1) as server:
        done = call(server)
        assert written in server.died()
    assert done.returncode == 1
    assert done.stderr.startswith("The process that does what this asks is gone. It wrote: ")
    assert written in done.stderr


def test_a_server_that_died_begins_anew(monkeypatch, tmp_path):
    module_in(tmp_path, monkeypatch, broken="1 / 0")
    with ForkServer("program", "pass", ["broken"]) as server:
        assert "ZeroDivisionError" in call(server).stderr
        module_in(tmp_path, monkeypatch, broken="one = 1 / 1")
        assert server.died()
        assert call(server).returncode == 0
        assert server.died() is None


def call(server: ForkServer, *arguments: str, **given) -> subprocess.CompletedProcess[str]:
    command = [server.command(), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **given)


def begun(*command: Path | str, **given) -> subprocess.Popen[str]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **given)
    assert process.stdout.readline() == "waits\n"
    return process


def is_let_go(process: subprocess.Popen[str]) -> bool:
    """Whether nobody holds what it writes to."""
    return process.communicate(timeout=20)[0] == ""


def module_in(folder: Path, monkeypatch: pytest.MonkeyPatch, **modules: str) -> None:
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
