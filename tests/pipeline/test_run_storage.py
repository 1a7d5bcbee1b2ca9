"""What a run by hand notes of itself lies in Dagster's own files."""

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log import ConsolidatedSqliteEventLogStorage

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
