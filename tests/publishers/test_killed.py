"""Runs that are killed as the system kills them: nothing is cleaned up."""

import pickle
import signal
import subprocess

import pytest

from .places import ROWS, by_month
from .test_contract import AFTER_IT, RESTATED

EVERYTHING = sorted(row for rows in ROWS.values() for row in rows)
PROGRAM = """
import os, pathlib, pickle, signal, sys
folder, step = pathlib.Path(sys.argv[1]), sys.argv[2]
config, secrets, batches = pickle.loads((folder / "run.pickle").read_bytes())
from datetime import UTC, datetime
from ksi_pipeline.publishers.registry import make_target
from ksi_pipeline.publishers.runner import publish
from ksi_pipeline.store.ledger import Ledger
from ksi_pipeline.store.receipts import TargetReceipts
receipts = TargetReceipts(
    Ledger(f"sqlite:///{folder / 'ledger.sqlite'}"), config.id, lambda: datetime.now(UTC)
)
def told(what, _share):
    if what.startswith(step):
        os.kill(os.getpid(), signal.SIGKILL)
publish(make_target(config, secrets.get, folder), batches, receipts, told=told)
"""


def publish_and_be_killed(forks, place, batches, step, program=PROGRAM):
    given = (place.config, place.secrets, batches)
    (place.folder / "run.pickle").write_bytes(pickle.dumps(given))
    command = [forks.command(), program, place.folder, step]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == -signal.SIGKILL, done.stdout


@pytest.mark.parametrize(
    ("step", "first_month"),
    [("reconcile", "old"), ("receipt", "new")],
)
def test_readers_see_old_or_new_and_the_next_run_ends_it(forks, place, marts, step, first_month):
    place.publish(marts.batches())
    publish_and_be_killed(forks, place, marts.batches(RESTATED), step)
    place.client_is_gone()
    states = {"old": by_month(EVERYTHING), "new": by_month(AFTER_IT)}
    assert by_month(place.rows())["2026-01"] == states[first_month]["2026-01"]
    place.publish(marts.batches(RESTATED))
    assert place.rows() == AFTER_IT
    assert all(receipt.is_done for receipt in place.receipts.known().values())
