"""Video of every bad kind: nothing hangs, and one bad chunk never stops the others."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from sqlalchemy.exc import SQLAlchemyError
from typer.testing import CliRunner

from ksi_pipeline.cli import app
from ksi_pipeline.defs.steps.video import ingest_chunks
from video_ingest.calibrate import make_camera
from video_ingest.chunks import make_chunk
from video_ingest.detectors.motion import MotionDetector
from video_ingest.ingest import ingest_chunk

from .homes import SPACE, make_workspace
from .test_bad_input import DAY, START, chunk_path, film, ingest, quarantine, spans
from .test_replay import tables

FOUR_S = timedelta(seconds=4)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def noise_inside(path: Path) -> None:
    """Overwrite bytes of frames here and there, as a failing disk does; indexes stay."""
    content = bytearray(path.read_bytes())
    noise = np.random.default_rng(5)
    for at in noise.integers(len(content) * 2 // 5, len(content) // 2, 12):
        content[at : at + 16] = noise.bytes(16)
    path.write_bytes(content)


def all_noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(6).bytes(20_000))


def text(path: Path) -> None:
    path.write_text("this is a text file\n" * 50)


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGE = (
    ("avi", cut),
    ("mp4", cut),
    ("avi", noise_inside),
    ("mp4", noise_inside),
    ("avi", all_noise),
    ("mp4", text),
    ("mkv", empty),
)


def test_every_kind_of_damage_in_a_row_leaves_the_good_chunks_and_says_what_is_missing(shop):
    home = shop()
    for number, (suffix, damage) in enumerate(DAMAGE):
        path = chunk_path(home, START + 2 * number * FOUR_S, suffix)
        damage(film(path, fourcc="MJPG" if suffix != "mp4" else "mp4v"))
        film(chunk_path(home, START + (2 * number + 1) * FOUR_S))
    workspace = make_workspace(home)
    report = ingest(workspace)
    rows = sorted(workspace.store.read("coverage").to_pylist(), key=lambda row: row["from_utc"])
    good = {
        (START + (2 * number + 1) * FOUR_S, START + (2 * number + 2) * FOUR_S)
        for number in range(len(DAMAGE))
    }
    complete = {(r["from_utc"], r["to_utc"]) for r in rows if r["status"] == "complete"}
    assert good <= complete
    assert report.unreadable_count == 4, "the cut MP4, noise, text and the empty one"
    reasons = {row["reason"] for row in rows}
    assert {"E_CHUNK_TRUNCATED", "E_CHUNK_UNREADABLE"} <= reasons
    # each instant has one row, observed or not, from the first chunk to the last
    assert all(one["to_utc"] == two["from_utc"] for one, two in pairwise(rows))
    assert rows[-1]["to_utc"] - rows[0]["from_utc"] == 2 * len(DAMAGE) * FOUR_S
    assert ingest(workspace).done_count == 0


def test_a_clock_that_goes_back_counts_no_instant_twice(shop):
    home = shop()
    for seconds in (0, 2, 3, 8, 6):
        film(chunk_path(home, START + timedelta(seconds=seconds)))
    workspace = make_workspace(home)
    assert ingest(workspace).messages == []
    found = sorted(workspace.store.read("coverage").to_pylist(), key=lambda r: r["from_utc"])
    held = [row for row in found if row["from_utc"] < row["to_utc"]]
    assert all(one["to_utc"] <= two["from_utc"] for one, two in pairwise(held))
    assert sum(row["observed_s"] for row in held) == pytest.approx(12.0)
    points = workspace.store.read("tracklet_points").to_pylist()
    keys = [(row["tracklet_id"], row["ts_utc"]) for row in points]
    assert len(set(keys)) == len(keys) > 0


def test_two_files_of_one_start_count_once_and_the_other_is_named(shop):
    home = shop()
    film(chunk_path(home))
    film(chunk_path(home, suffix="mkv"))
    workspace = make_workspace(home)
    assert ingest(workspace).done_count == 1
    assert "same instant" in quarantine(workspace)["E_CHUNK_NAME"]
    assert spans(workspace, "camera") == [("complete", None, 4.0)]


def vary(path: Path, times_ms: list[int]) -> Path:
    """A video whose frames have exactly these timestamps."""
    writer = cv2.VideoWriter(
        str(path),
        cv2.CAP_FFMPEG,
        cv2.VideoWriter.fourcc(*"MJPG"),
        1000,
        (64, 48),
        [cv2.VIDEOWRITER_PROP_RAW_VIDEO, 1],
    )
    assert writer.isOpened()
    for time_ms in times_ms:
        frame = np.full((48, 64, 3), 60, dtype=np.uint8)
        left = time_ms // 100
        frame[10:40, left : left + 10] = 220
        writer.set(cv2.VIDEOWRITER_PROP_PTS, time_ms)
        writer.write(cv2.imencode(".jpg", frame)[1].reshape(1, -1))
    writer.release()
    return path


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_frames_at_a_variable_rate_keep_their_own_times(tmp_path, suffix):
    times = [0, 40, 80, 130, 900, 1000, 1050, 1600, 1700, 2400, 2450, 3300, 3900]
    path = vary(tmp_path / f"a.{suffix}", times)
    chunk = make_chunk(path, "shop", "cam-1", START)
    camera = make_camera("shop", "cam-1")
    result = ingest_chunk(chunk, camera, MotionDetector(), None, sample_hz=60.0)
    instants = set(result.points["ts_utc"].to_pylist())
    seen = {(at - START).total_seconds() * 1000 for at in instants}
    assert len(seen) > 5
    assert seen <= set(times)
    assert sum(result.coverage["observed_s"].to_pylist()) == pytest.approx(3.9, abs=0.7)


def test_a_camera_without_homography_gives_tracklets_without_metres_and_says_so(tmp_path):
    (tmp_path / "shop.yaml").write_text(
        "\n".join(line for line in SPACE.splitlines() if "homography" not in line)
    )
    named = [str(film(tmp_path / "20260302T090000Z.avi")), "--camera", "cam-1"]
    command = ["video", "ingest", *named, "--space", str(tmp_path / "shop.yaml"), "--out"]
    result = CliRunner().invoke(app, [*command, str(tmp_path / "out")])
    assert result.exit_code == 0
    said = " ".join(result.stderr.split())
    assert "E_NOT_CALIBRATED: camera 'cam-1' has no homography" in said
    assert "tracklet count 1" in result.stdout


def test_two_files_with_the_same_start_are_named_and_count_once(tmp_path):
    (tmp_path / "shop.yaml").write_text(SPACE)
    one = film(tmp_path / "20260302T090000Z.avi")
    again = film(tmp_path / "2026-03-02T10_00_00+01_00.avi")
    named = [str(one), str(again), "--camera", "cam-1", "--space", str(tmp_path / "shop.yaml")]
    result = CliRunner().invoke(app, ["video", "ingest", *named, "--out", str(tmp_path / "out")])
    assert result.exit_code == 0
    said = " ".join(result.stderr.split())
    assert f"{again.name} starts at the same instant as {one.name}" in said
    assert "tracklet count 1," in result.stdout


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root can make a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to mount")
def test_a_full_disk_loses_nothing_and_the_next_run_ends_as_if_it_had_never_been_full(
    shop, tmp_path
):
    films = tmp_path / "films"
    for number in range(3):
        film(films / "shop" / "cam-1" / chunk_path(films, START + number * FOUR_S).name)
    undisturbed = shop("undisturbed")
    (undisturbed / "chunks").symlink_to(films)
    wanted_workspace = make_workspace(undisturbed)
    ingest_chunks(wanted_workspace, DAY, DAY)
    with small_disk(tmp_path / "disk", "2m") as home:
        (home / "spaces").mkdir()
        (home / "spaces" / "shop.yaml").write_text(SPACE)
        (home / "chunks").symlink_to(films)
        workspace = make_workspace(home)
        ballast = home / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb") as file:
            while True:
                file.write(bytes(4096))
                file.flush()
        with pytest.raises((OSError, SQLAlchemyError), match=r"No space left|disk"):
            ingest_chunks(workspace, DAY, DAY)
        ballast.unlink()
        assert not list(home.rglob("*.tmp*"))
        report = ingest_chunks(workspace, DAY, DAY)
        assert report.messages == []
        assert tables(workspace) == tables(wanted_workspace)
        workspace.store.ledger.engine.dispose()
