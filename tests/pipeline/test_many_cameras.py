"""Cameras side by side in worker processes end in the same tables as one after the other."""

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.defs.steps.video import ingest_chunks
from ksi_pipeline.defs.steps.video_meter import VideoMeter
from ksi_pipeline.defs.workspace import VideoSettings
from ksi_pipeline.store.tables import CHUNKS
from video_ingest.chunks import make_chunk
from video_ingest.contract import DetectorError

from .homes import SPACE, make_workspace
from .test_bad_input import DAY, START, film, quarantine

CAMERAS = ("cam-1", "cam-2", "cam-3")
SPACE_OF_THREE = SPACE.replace(
    "links:",
    "".join(
        f"  - {{id: {camera}, sees: [], homography: "
        "[[0, 0, 0, 0], [64, 0, 4, 0], [64, 48, 4, 3], [0, 48, 0, 3]]}\n"
        for camera in CAMERAS[1:]
    )
    + "links:",
)
TABLES = {
    "tracklet_points": ("tracklet_id", "ts_utc"),
    "tracklets": ("tracklet_id", "last_utc"),
    "coverage": ("source_id", "from_utc"),
}


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Path:
    """Two chunks of each camera; the walker walks on from one to the next."""
    folder = tmp_path_factory.mktemp("films")
    for camera in CAMERAS:
        for number in range(2):
            start = START + timedelta(seconds=20 * number)
            film(folder / "shop" / camera / f"{start:%Y%m%dT%H%M%SZ}.avi", seconds=20)
    return folder


def make_mall(home: Path, films: Path, workers: int):
    (home / "spaces").mkdir(parents=True)
    (home / "spaces" / "shop.yaml").write_text(SPACE_OF_THREE)
    (home / "chunks").symlink_to(films)
    return make_workspace(home, video=VideoSettings(workers=workers))


@pytest.fixture
def mall_of(tmp_path, films):
    return lambda name, workers: make_mall(tmp_path / name, films, workers)


def tables(workspace) -> dict[str, list[dict]]:
    return {
        name: workspace.store.read(name).sort_by([(k, "ascending") for k in key]).to_pylist()
        for name, key in TABLES.items()
    }


@pytest.fixture(scope="module")
def wanted(tmp_path_factory, films):
    """What one camera after the other gives."""
    serial = make_mall(tmp_path_factory.mktemp("serial"), films, 1)
    assert ingest_chunks(serial, DAY, DAY).done_count == 6
    found = tables(serial)
    assert {row["camera_id"] for row in found["tracklet_points"]} == set(CAMERAS)
    return found


def workers_of(pid: int) -> list[int]:
    """Processes that work for a process, dead ones left out."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            command = stat.with_name("cmdline").read_bytes()
        except OSError:
            continue
        if int(parent) == pid and b"video_ingest.worker" in command and state not in "ZX":
            found.append(int(stat.parent.name))
    return found


# Runs when a worker starts: opening a chunk kills it, as running out of memory would.
DIES = """
import os, signal, sys
marks = {marks!r}
def dies(event, arguments):
    if event == "open" and {part!r} in str(arguments[0]) and len(os.listdir(marks)) < {times}:
        os.mkdir(os.path.join(marks, str(os.getpid())))
        os.kill(os.getpid(), signal.SIGKILL)
if "video_ingest.worker" in sys.orig_argv:
    sys.addaudithook(dies)
"""


@pytest.fixture
def killing_who_reads(tmp_path, monkeypatch):
    """Kill workers that open a path with a part in it; gives a folder with an entry for each."""

    def kill(part: str, times: int) -> Path:
        marks = tmp_path / "killed"
        marks.mkdir()
        text = DIES.format(marks=str(marks), part=part, times=times)
        (tmp_path / "sitecustomize.py").write_text(text)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        return marks

    return kill


def test_three_cameras_in_two_processes_end_in_the_tables_of_one(mall_of, wanted):
    at_once = []
    workspace = mall_of("parallel", 2)
    workspace.progress = lambda what, share: at_once.append(len(workers_of(os.getpid())))
    assert ingest_chunks(workspace, DAY, DAY).done_count == 6
    assert tables(workspace) == wanted
    assert max(at_once) == 2
    assert workers_of(os.getpid()) == []


def test_with_one_worker_no_process_is_started(mall_of):
    at_once = []
    workspace = mall_of("alone", 1)
    workspace.progress = lambda what, share: at_once.append(len(workers_of(os.getpid())))
    ingest_chunks(workspace, DAY, DAY)
    assert set(at_once) == {0}


def test_nothing_new_starts_no_process(mall_of, monkeypatch):
    workspace = mall_of("again", 1)
    ingest_chunks(workspace, DAY, DAY)
    workspace.video = VideoSettings(workers=2)
    monkeypatch.setattr(subprocess, "Popen", None)
    assert ingest_chunks(workspace, DAY, DAY).unchanged_count == 6


def test_a_camera_whose_worker_is_killed_fails_alone_and_the_next_run_mends_it(
    mall_of, wanted, killing_who_reads, monkeypatch
):
    workspace = mall_of("mall", 2)
    killed = killing_who_reads("/cam-2/", times=99)
    report = ingest_chunks(workspace, DAY, DAY)
    monkeypatch.delenv("PYTHONPATH")
    assert len(list(killed.iterdir())) == 4, "two chunks, each tried twice"
    assert list(report.failed) == ["shop/cam-2"]
    assert "signal 9" in report.failed["shop/cam-2"]
    assert "E_WORKER_LOST" in quarantine(workspace)
    assert report.done_count == 4
    found = tables(workspace)
    others = {k: [r for r in v if CAMERAS[1] not in r.values()] for k, v in wanted.items()}
    assert found == others
    assert ingest_chunks(workspace, DAY, DAY).failed == {}
    assert tables(workspace) == wanted


def test_a_worker_killed_once_loses_nothing(mall_of, wanted, killing_who_reads):
    workspace = mall_of("once", 2)
    killed = killing_who_reads("/cam-2/", times=1)
    report = ingest_chunks(workspace, DAY, DAY)
    assert (len(list(killed.iterdir())), report.failed, report.done_count) == (1, {}, 6)
    assert tables(workspace) == wanted


MIDNIGHT = START.replace(hour=0) + timedelta(days=1)


@pytest.fixture
def nights(tmp_path):
    """Two homes that were done, and whose chunk before midnight then came anew; one is redone."""

    def make(name: str, workers: int):
        folder = tmp_path / f"films-{name}" / "shop" / "cam-1"
        for number in range(-1, 2):
            start = MIDNIGHT + timedelta(seconds=20 * number)
            film(folder / f"{start:%Y%m%dT%H%M%SZ}.avi", seconds=20)
        workspace = make_mall(tmp_path / name, folder.parents[1], workers)
        assert ingest_chunks(workspace, DAY, MIDNIGHT.date()).done_count == 3
        film(folder / f"{MIDNIGHT - timedelta(seconds=20):%Y%m%dT%H%M%SZ}.avi", seconds=19)
        return workspace

    undisturbed = make("undisturbed", 1)
    assert ingest_chunks(undisturbed, DAY, DAY).done_count >= 2
    return make, done_with(undisturbed)


def done_with(workspace) -> list[tuple]:
    rows = workspace.store.ledger.chunks_of("shop", "cam-1")
    return sorted((row["chunk_id"], row["done_key"], row["state_json"]) for row in rows)


def test_a_chunk_of_the_next_day_that_was_lost_is_done_by_the_next_run(
    nights, killing_who_reads, monkeypatch
):
    make, wanted = nights
    workspace = make("lost", 2)
    killing_who_reads(f"{MIDNIGHT:%Y%m%dT%H%M%SZ}", times=99)
    assert ingest_chunks(workspace, DAY, DAY).failed
    monkeypatch.delenv("PYTHONPATH")
    assert done_with(workspace) != wanted
    assert ingest_chunks(workspace, DAY, DAY).failed == {}
    assert done_with(workspace) == wanted


def test_a_run_that_ends_at_midnight_is_taken_up_there(nights):
    make, wanted = nights
    workspace = make("stopped", 1)
    before = done_with(workspace)[0]

    def stop_after_the_first(what, share):
        if done_with(workspace)[0] != before:
            raise KeyboardInterrupt

    workspace.progress = stop_after_the_first
    with pytest.raises(KeyboardInterrupt):
        ingest_chunks(workspace, DAY, DAY)
    assert done_with(workspace)[0] == wanted[0]
    assert done_with(workspace) != wanted
    workspace.progress = lambda what, share: None
    ingest_chunks(workspace, DAY, DAY)
    assert done_with(workspace) == wanted


def test_a_detector_that_cannot_start_stops_the_run_and_all_workers(mall_of, tmp_path):
    workspace = mall_of("weights", 2)
    workspace.video = VideoSettings("openvino", tmp_path / "gone.xml", workers=2)
    with pytest.raises((DetectorError, ConfigError), match="does not exist"):
        ingest_chunks(workspace, DAY, DAY)
    assert workers_of(os.getpid()) == []


PASS = """\
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from datetime import date
from pathlib import Path
from ksi_pipeline.defs.steps.video import ingest_chunks
from ksi_pipeline.defs.workspace import VideoSettings, Workspace
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.store import Store
store = Store(DataHome(Path(sys.argv[1])))
workspace = Workspace(store, Path("dbt_project"), {}.get, video=VideoSettings(workers=2))
day = date.fromisoformat(sys.argv[2])
ingest_chunks(workspace, day, day)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
def test_a_pass_that_is_stopped_takes_its_workers_along_and_is_taken_up_where_it_was(
    mall_of, wanted, number
):
    workspace = mall_of("stopped", 2)
    process = subprocess.Popen(
        [sys.executable, "-c", PASS, str(workspace.home.root), DAY.isoformat()],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    done = select(CHUNKS.c.chunk_id).where(CHUNKS.c.done_key.is_not(None))
    until = time.monotonic() + 60
    while not workspace.store.ledger.rows(done) and time.monotonic() < until:
        time.sleep(0.01)
    workers = workers_of(process.pid)
    os.killpg(process.pid, number)
    stopped = time.monotonic()
    process.wait(20)
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < stopped + 10:
        time.sleep(0.02)
    assert time.monotonic() - stopped < 5
    assert workers
    workspace.video = VideoSettings(workers=1)
    report = ingest_chunks(workspace, DAY, DAY)
    assert 0 < report.done_count < 6
    assert tables(workspace) == wanted


def test_progress_tells_frames_per_second_and_minutes_left(tmp_path):
    told, now = [], [100.0]
    chunks = [
        make_chunk(tmp_path / name, "shop", name, START) for name in ("cam-1", "cam-2", "cam-3")
    ]
    for chunk in chunks:
        chunk.path.write_bytes(bytes(1000))
    meter = VideoMeter(chunks, lambda *each: told.append(each), clock=lambda: now[0])
    meter.tell(chunks[0], 0.0, 60.0, 0)
    now[0] += 60
    meter.tell(chunks[0], 30.0, 60.0, 300)
    meter.done(chunks[0])
    now[0] += 60
    meter.tell(chunks[1], 30.0, 60.0, 900)
    assert [text for text, _ in told] == [
        "video cam-1, 0 of 3 chunks",
        "video cam-1, 0 of 3 chunks, 5 frames/s, 5 min left",
        "video cam-2, 1 of 3 chunks, 10 frames/s, 2 min left",
    ]
    assert [share for _, share in told] == pytest.approx([0, 1 / 6, 1 / 2])
