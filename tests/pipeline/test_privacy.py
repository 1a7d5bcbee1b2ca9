"""No frame, crop or embedding is in anything that a run writes."""

import base64
import gzip
import json
import os
import sqlite3
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from .pictures import pictures_in
from .test_bad_input import film


def face(suffix: str = ".jpg") -> bytes:
    crop = np.random.default_rng(1).integers(0, 255, (32, 24, 3), dtype=np.uint8)
    return cv2.imencode(suffix, crop)[1].tobytes()


EMBEDDING = [float(value) for value in np.random.default_rng(2).normal(size=128)]


def test_a_whole_run_leaves_no_picture_in_data_home_run_storage_logs_or_state(mall):
    kinds = {path.suffix for path in mall.home.rglob("*") if path.is_file()}
    assert {".parquet", ".duckdb", ".sqlite", ".gz", ".db", ".json", ".yaml"} <= kinds
    assert any((mall.home / "dagster").rglob("*.db")), "run storage has to be looked at, too"
    assert pictures_in(mall.home, inputs=("chunks",)) == []


def test_counting_beside_the_camera_leaves_its_three_files_and_nothing_else_anywhere(tmp_path):
    video = film(tmp_path / "in" / "20260302T090000Z.avi", seconds=20)
    spaces = {name: tmp_path / "out" / name for name in ("home", "tmp", "work")}
    for folder in spaces.values():
        folder.mkdir(parents=True)
    named = [str(video), "--site", "shop", "--camera", "cam-1", "--out", "tracklets"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(spaces["home"]),
        "XDG_CACHE_HOME": str(spaces["home"]),
        "TMPDIR": str(spaces["tmp"]),
    }
    subprocess.run(
        [sys.executable, "-m", "video_ingest", *named],
        cwd=spaces["work"],
        env=environment,
        check=True,
        capture_output=True,
    )
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert sorted(path.name for path in written) == [
        "coverage.parquet",
        "tracklet_points.parquet",
        "tracklets.parquet",
    ]
    assert pq.read_table(tmp_path / "out/work/tracklets/tracklet_points.parquet").num_rows > 0
    assert pictures_in(tmp_path / "out") == []


def as_file(content: bytes):
    return lambda path: path.write_bytes(content)


def in_sqlite(value: object):
    def write(path: Path) -> None:
        with sqlite3.connect(path) as connection:
            connection.execute("create table state (value)")
            connection.execute("insert into state values (?)", (value,))
        connection.close()

    return write


def in_duckdb(kind: str, value: object):
    def write(path: Path) -> None:
        with duckdb.connect(str(path)) as connection:
            connection.execute(f"create table state (value {kind})")
            connection.execute("insert into state values (?)", [value])

    return write


def in_parquet(column: pa.Array):
    return lambda path: pq.write_table(pa.table({"value": column}), path)


def film_bytes(suffix: str):
    def write(path: Path) -> None:
        made = film(path.with_suffix(suffix), fourcc="MJPG" if suffix == ".avi" else "mp4v")
        made.rename(path)

    return write


LEAKS = {
    "a JPEG by another name": as_file(face()),
    "a JPEG behind something else": as_file(b"log line\n" * 50 + face()),
    "a PNG": as_file(face(".png")),
    "a BMP": as_file(face(".bmp")),
    "a WebP": as_file(face(".webp")),
    "a TIFF": as_file(face(".tiff")),
    "a PNG packed by gzip": as_file(gzip.compress(face(".png"))),
    "an AVI": film_bytes(".avi"),
    "an MP4": film_bytes(".mp4"),
    "raw pixels": as_file(np.random.default_rng(3).bytes(32 * 24 * 3)),
    "a JPEG in a log, in base64": as_file(b"seen " + base64.b64encode(face())),
    "raw pixels in JSON, in base64": as_file(
        json.dumps({"crop": base64.b64encode(bytes(range(256)) * 9).decode()}).encode()
    ),
    "an embedding in JSON": as_file(json.dumps({"who": EMBEDDING}).encode()),
    "a JPEG in SQLite": in_sqlite(face()),
    "a packed embedding in SQLite": in_sqlite(zlib.compress(json.dumps(EMBEDDING).encode())),
    "an embedding in SQLite": in_sqlite(np.array(EMBEDDING).tobytes()),
    "an embedding as text in SQLite": in_sqlite(json.dumps(EMBEDDING)),
    "bytes in DuckDB": in_duckdb("blob", b"few"),
    "an embedding in DuckDB": in_duckdb("float[128]", EMBEDDING),
    "a JPEG as text in DuckDB": in_duckdb("varchar", base64.b64encode(face()).decode()),
    "bytes in Parquet": in_parquet(pa.array([b"few"])),
    "an embedding in Parquet": in_parquet(pa.array([EMBEDDING])),
    "a fixed vector in Parquet": in_parquet(pa.array([EMBEDDING], pa.list_(pa.float32(), 128))),
    "a JPEG as text in Parquet": in_parquet(pa.array([base64.b64encode(face()).decode()])),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_the_search_finds(leak, tmp_path):
    LEAKS[leak](tmp_path / "innocent.log")
    assert pictures_in(tmp_path) != []


def test_an_array_saved_beside_is_found(tmp_path):
    np.save(tmp_path / "a.npy", np.array(EMBEDDING[:8]))
    assert pictures_in(tmp_path) == ["a.npy: a NumPy array"]


def test_what_a_run_writes_on_purpose_is_not_taken_for_a_picture(tmp_path):
    (tmp_path / "plan.json").write_text(
        json.dumps({"polygon": [[1.25 * n, 2.5 * n] for n in range(40)], "sha256": "0af3" * 16})
    )
    in_sqlite("cam-1-20260302T090000.000000Z-1")(tmp_path / "ledger.sqlite")
    in_parquet(pa.array([["shop/cam-1/20260302T090000Z"]]))(tmp_path / "tracklets.parquet")
    assert pictures_in(tmp_path) == []
