"""Programs that import what publishers need: it is imported once, and each is run in a fork."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
_IMPORTED = (
    "ksi_pipeline.publishers.registry",
    "ksi_pipeline.publishers.runner",
    "ksi_pipeline.store.receipts",
    "boto3",
    "confluent_kafka.admin",
    "google.cloud.bigquery",
    "psycopg",
    "redshift_connector",
    "snowflake.connector",
)
_SERVER = """
import importlib, json, os, sys, threading, traceback
for name in sys.argv[1:]:
    importlib.import_module(name)
# A lock that a thread holds at a fork is never given back in it, and the driver of Snowflake goes
# on importing in a thread.
for thread in set(threading.enumerate()) - {threading.main_thread()}:
    thread.join()
for line in sys.stdin:
    program, arguments, environment = json.loads(line)
    process = os.fork()
    if process == 0:
        try:
            # answers go to standard output
            os.dup2(2, 1)
            os.environ.clear()
            os.environ.update(environment)
            sys.argv = ["-c", *arguments]
            exec(program, {"__name__": "__main__"})
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""


class Forks:
    """A process that waits for programs; it begins with the first of them."""

    def __init__(self, said):
        self._server, self._said = None, said

    def run(self, program, *arguments):
        """Run a program to its end; gives its exit status, and what it said."""
        if self._server is None:
            self._server = subprocess.Popen(
                [sys.executable, "-c", _SERVER, *_IMPORTED],
                cwd=REPO,
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                start_new_session=True,
            )
        self._said.seek(0)
        self._said.truncate()
        told = [program, list(map(str, arguments)), dict(os.environ)]
        try:
            self._server.stdin.write(json.dumps(told) + "\n")
            self._server.stdin.flush()
            status = self._server.stdout.readline()
        except BaseException:
            # a program that does not end; the next one gets a new process
            self.end()
            raise
        self._said.seek(0)
        return int(status or 1), self._said.read()

    def end(self):
        """End the process, and a program that it still runs."""
        if self._server is not None:
            os.killpg(self._server.pid, signal.SIGKILL)
            self._server.communicate()
            self._server = None
