"""Who works alone in a data home, and who only looks."""

import fcntl
import threading

import pytest

from ksi_pipeline.core.errors import TransientError
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.lock import is_run_held, only_run


def test_looking_says_whether_a_run_by_hand_works(tmp_path):
    home = DataHome(tmp_path)
    assert not is_run_held(home)
    with only_run(home):
        assert is_run_held(home)
    assert not is_run_held(home)


def test_a_run_that_starts_while_somebody_only_looks_is_not_told_of_another(tmp_path):
    with (tmp_path / "run.lock").open("w") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        timer = threading.Timer(0.03, fcntl.flock, (looking, fcntl.LOCK_UN))
        timer.start()
        with only_run(DataHome(tmp_path)):
            pass
        timer.join()


def test_a_second_run_by_hand_is_told_of_the_first(tmp_path):
    home = DataHome(tmp_path)
    with only_run(home), pytest.raises(TransientError) as told, only_run(home):
        pass
    assert told.value.code == "E_RUN_LOCKED"
