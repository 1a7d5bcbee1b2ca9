"""What a run by hand notes of itself lies in Dagster's own files."""

import threading
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log import (
    ConsolidatedSqliteEventLogStorage,
    SqliteEventLogStorage,
)
from sqlalchemy.exc import OperationalError

from ksi_pipeline.definitions import make_instance
from ksi_pipeline.settings import load_settings


@dg.op
def speak(context):
    context.log.info("spoken")


@dg.job
def speech():
    speak()


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return tmp_path


def by_hand(home: Path) -> dg.DagsterInstance:
    return make_instance(load_settings(home))


def by_dagster(home: Path) -> dg.DagsterInstance:
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home / "dagster")))


def told(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    return [event.user_message for event in instance.all_logs(run_id)]


def test_another_process_sees_a_run_before_its_instance_is_closed(home):
    with by_hand(home) as writing, by_dagster(home) as reading:
        done = speech.execute_in_process(instance=writing)
        assert reading.get_run_by_id(done.run_id).status is dg.DagsterRunStatus.SUCCESS
        assert "spoken" in told(reading, done.run_id)
        assert told(reading, done.run_id) == told(writing, done.run_id)


def test_what_another_process_writes_meanwhile_is_seen(home):
    with by_hand(home) as instance, by_dagster(home) as other:
        before = speech.execute_in_process(instance=instance)
        theirs = speech.execute_in_process(instance=other)
        after = speech.execute_in_process(instance=instance)
        assert {run.run_id for run in instance.get_runs()} == {
            run.run_id for run in (before, theirs, after)
        }
        assert "spoken" in told(instance, theirs.run_id)


def test_who_watches_a_run_is_told_of_events_before_its_instance_is_closed(home):
    found = threading.Event()
    with by_hand(home) as writing, by_dagster(home) as watching:
        run = writing.create_run_for_job(speech)
        writing.report_engine_event("begun", run)
        watching.watch_event_logs(run.run_id, None, lambda _event, _cursor: found.set())
        writing.report_engine_event("spoken", run)
        assert found.wait(5)


def test_a_file_of_events_that_could_not_be_made_is_made_by_the_next(home, monkeypatch):
    make, failures = SqliteEventLogStorage._initdb, [OperationalError("", (), Exception("full"))]

    def fails_once(self, engine, for_index_shard=False):
        if failures:
            raise failures.pop()
        make(self, engine, for_index_shard)

    with by_hand(home) as instance:
        run = instance.create_run_for_job(speech)
        monkeypatch.setattr(SqliteEventLogStorage, "_initdb", fails_once)
        with pytest.raises(OperationalError):
            instance.report_engine_event("begun", run)
        instance.report_engine_event("begun", run)
        assert len(instance.all_logs(run.run_id)) == 1


def test_an_instance_that_is_closed_leaves_no_file_open(home):
    with by_hand(home) as instance:
        speech.execute_in_process(instance=instance)
        opened = files_open_in(home)
    assert {path.name for path in opened} >= {"runs.db", "index.db"}
    assert files_open_in(home) == []


def files_open_in(home: Path) -> list[Path]:
    links = [path for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return [path for path in (link.readlink() for link in links) if path.is_relative_to(home)]


def test_a_storage_that_dagster_yaml_names_is_kept(home):
    (home / "dagster").mkdir()
    (home / "dagster" / "dagster.yaml").write_text(
        "event_log_storage:\n"
        "  module: dagster._core.storage.event_log\n"
        "  class: ConsolidatedSqliteEventLogStorage\n"
        f"  config: {{base_dir: {home}/events}}\n"
        "run_storage:\n"
        "  module: dagster._core.storage.runs\n"
        "  class: SqliteRunStorage\n"
        f"  config: {{base_dir: {home}/runs}}\n"
        "schedule_storage:\n"
        "  module: dagster._core.storage.schedules\n"
        "  class: SqliteScheduleStorage\n"
        f"  config: {{base_dir: {home}/schedules}}\n"
    )
    with by_hand(home) as instance:
        assert isinstance(instance.event_log_storage, ConsolidatedSqliteEventLogStorage)
