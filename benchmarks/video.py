"""How fast and how good tracklets are, beside what people use for it today.

Run with `make bench-video`, or `python benchmarks/video.py --only ours track --rounds 5`. The real
scene and the weights come from the options, or from the folder that KSI_TEST_DATA names.

All contenders use the same weights on the same file. They run interleaved, each in its own process:

* ours: our chain at every frame, detector `openvino`;
* ours-2hz: the same at 2 samples a second;
* motion: our chain at every frame, detector `motion`, which needs no weights;
* motion-2hz: the same at 2 samples a second;
* track: ultralytics `model.track`, people only, all else by default;
* bytetrack-2: the same with `bytetrack.yaml` and `vid_stride=2`;
* bytetrack-5: the same with `vid_stride=5`, which is 2 samples a second on a video of 10 frames/s;
* trackers: ByteTrack of roboflow `trackers` on the detections of ultralytics at every frame.

The peers need torch, and live in a virtual environment of their own (--peers). Frames per second
are frames of the video, looked at or not: what a camera costs. In-process figures are without
imports, the loading of weights and a first few frames; whole ones are with all of that. "x track"
says how many times faster than `track`, in time and in CPU time; other work on the machine disturbs
the latter less. Scores are by `ksi video score`, each at the frames that a contender looked at;
peers' feet go over the same homography and through the same counting as ours.
"""

from __future__ import annotations

import argparse
import importlib.machinery
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from ksi_pipeline.defs.steps.video_score import VideoScore

START = datetime(2009, 6, 1, 12, tzinfo=UTC)
PEERS = Path(__file__).resolve().parents[1] / ".bench" / "peers" / "bin" / "python"
WARM_UP_FRAMES = 12
EVERY_FRAME_HZ = 60.0  # more than any video here has
# frame index, id, x1, y1, x2, y2, confidence
Row = tuple[int, int, float, float, float, float, float]


@dataclass(frozen=True)
class Scene:
    """A video with its truth; paths as text, so that it goes to another process as JSON."""

    video: str
    weights: str
    truth: str
    fps: float
    space: str
    camera: str


def ours(scene: Scene, *, detector: str = "openvino", sample_hz: float = EVERY_FRAME_HZ) -> Any:
    """Give a function that ingests a video into a folder; the detector is loaded once."""
    from ksi_pipeline.defs.steps.video_files import camera_spec
    from ksi_pipeline.space.load import load_space
    from video_ingest.chunks import make_chunk
    from video_ingest.detectors import make_detector
    from video_ingest.ingest import ingest_many, merge_results
    from video_ingest.tables import write_outputs

    spec = camera_spec(load_space(Path(scene.space)), scene.camera, START)
    found = make_detector(detector, Path(scene.weights) if detector == "openvino" else None)

    def ingest(video: Path, out: Path) -> None:
        chunk = make_chunk(video, spec.site_id, spec.camera_id, START)
        results = list(ingest_many([chunk], spec, found, sample_hz=sample_hz))
        write_outputs(out, merge_results(results), with_boxes=True)

    return ingest


def import_ultralytics() -> Any:
    """Import YOLO without network, telemetry, and a torchvision that does not fit torch."""
    settings = {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0", "YOLO_VERBOSE": "False"}
    os.environ.update(settings, YOLO_CONFIG_DIR=tempfile.mkdtemp(prefix="yolo-"))
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):
        # Beside a torch for the CPU, its wheel fails to load; ultralytics wants one thing of it.
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        stub, ops = types.ModuleType("torchvision"), types.ModuleType("torchvision.ops")
        stub.__spec__ = importlib.machinery.ModuleSpec("torchvision", None)
        stub.__version__, stub.__path__, stub.ops = "0.0.0", [], ops  # type: ignore[attr-defined]

        def nms(boxes: Any, scores: Any, most: float) -> Any:
            from ultralytics.utils.nms import TorchNMS

            return TorchNMS.nms(boxes, scores, most)

        ops.nms = nms  # type: ignore[attr-defined]
        sys.modules |= {"torchvision": stub, "torchvision.ops": ops}
    from ultralytics import YOLO

    return YOLO


def peer(rows_of: Callable[[Path], Iterator[tuple[int, list[Row]]]]) -> Any:
    """Give a function that tracks a video and writes what it found and the frames looked at."""

    def track(video: Path, out: Path) -> None:
        found = list(rows_of(video))
        rows = [row for _, of_frame in found for row in of_frame]
        content = {"frames": [frame for frame, _ in found], "rows": rows}
        (out / "found.json").write_text(json.dumps(content))

    return track


def model_track(scene: Scene, stride: int = 1, **settings: Any) -> Any:
    model = import_ultralytics()(scene.weights, task="detect")

    def rows(video: Path) -> Iterator[tuple[int, list[Row]]]:
        options = {"stream": True, "verbose": False, "classes": [0], "vid_stride": stride}
        for number, result in enumerate(model.track(str(video), **options, **settings)):
            frame = number * stride + stride - 1  # the last of each group
            boxes = result.boxes
            if boxes.id is None:
                yield frame, []
                continue
            ids, at = boxes.id.int().tolist(), boxes.xyxy.tolist()
            each = zip(ids, at, boxes.conf.tolist(), strict=True)
            yield frame, [(frame, i, *corners, conf) for i, corners, conf in each]

    return peer(rows)


def roboflow(scene: Scene) -> Any:
    model = import_ultralytics()(scene.weights, task="detect")
    import supervision as sv
    from trackers import ByteTrackTracker

    def rows(video: Path) -> Iterator[tuple[int, list[Row]]]:
        tracker = ByteTrackTracker(frame_rate=scene.fps)
        # 0.1 as in model.track: ByteTrack lives on faint detections too.
        options = {"stream": True, "verbose": False, "classes": [0], "conf": 0.1}
        for frame, result in enumerate(model.predict(str(video), **options)):
            found = tracker.update(sv.Detections.from_ultralytics(result))
            each = zip(found.tracker_id, found.xyxy, found.confidence, strict=True)
            yield (
                frame,
                [(frame, int(i), *map(float, at), float(conf)) for i, at, conf in each if i >= 0],
            )

    return peer(rows)


CONTENDERS: dict[str, Callable[[Scene], Any]] = {
    "ours": ours,
    "ours-2hz": lambda scene: ours(scene, sample_hz=2.0),
    "motion": lambda scene: ours(scene, detector="motion"),
    "motion-2hz": lambda scene: ours(scene, detector="motion", sample_hz=2.0),
    "track": model_track,
    "bytetrack-2": lambda scene: model_track(scene, stride=2, tracker="bytetrack.yaml"),
    "bytetrack-5": lambda scene: model_track(scene, stride=5, tracker="bytetrack.yaml"),
    "trackers": roboflow,
}
OF_PEERS = ("track", "bytetrack-2", "bytetrack-5", "trackers")


def run_one(contender: str, scene: Scene, out: Path) -> None:
    """Run one contender in this process and print what it took as JSON."""
    work = CONTENDERS[contender](scene)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        work(out.parent / "warm-up.avi", Path(folder))
    begin, cpu = time.perf_counter(), time.process_time()
    work(Path(scene.video), out)
    took = {"in_process_s": time.perf_counter() - begin, "cpu_s": time.process_time() - cpu}
    # Linux; getrusage would give the peak of the parent where that was higher.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(json.dumps(took | {"peak_mb": int(status["VmHWM"].split()[0]) / 1024}))


def measure(contender: str, scene: Scene, out: Path, peers: Path) -> dict[str, float]:
    out.mkdir(exist_ok=True)
    python = str(peers) if contender in OF_PEERS else sys.executable
    call = [python, str(Path(__file__).resolve()), "--run", contender, "--out", str(out)]
    begin = time.perf_counter()
    done = subprocess.run(
        [*call, "--scene", json.dumps(asdict(scene))], capture_output=True, text=True, cwd=out
    )
    if done.returncode:
        sys.exit(f"{contender} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1]) | {"whole_s": time.perf_counter() - begin}


def frame_times(video: Path) -> list[timedelta]:
    """The timestamp of each frame by the container."""
    capture, times = cv2.VideoCapture(str(video), cv2.CAP_FFMPEG), []
    while capture.grab():
        times.append(timedelta(milliseconds=capture.get(cv2.CAP_PROP_POS_MSEC)))
    return times


def write_as_ingested(out: Path, scene: Scene, times: list[timedelta]) -> None:
    """Turn what a peer found into the files that `ksi video score` reads."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from ksi_pipeline.defs.steps.video_files import camera_spec
    from ksi_pipeline.space.load import load_space
    from video_ingest.calibrate import fit_homography
    from video_ingest.contract import BOXES, COVERAGE, TRACKLET_POINTS

    found = json.loads((out / "found.json").read_text())
    spec = camera_spec(load_space(Path(scene.space)), scene.camera, START)
    floor_of = fit_homography(spec.homography)
    source = {"site_id": spec.site_id, "camera_id": spec.camera_id}
    points, boxes = [], []
    for frame, number, x1, y1, x2, y2, confidence in found["rows"]:
        x_m, y_m = floor_of.to_floor(np.array([[(x1 + x2) / 2, y2]]))[0]
        key = {**source, "tracklet_id": f"{number:05}", "ts_utc": START + times[frame]}
        key |= {"confidence": confidence, "is_observed": True}
        points.append({**key, "x_m": float(x_m), "y_m": float(y_m)})
        boxes.append({**key, "x1_px": x1, "y1_px": y1, "x2_px": x2, "y2_px": y2})
    taken = {row[0] for row in found["rows"]}
    empty = [frame for frame in found["frames"] if frame not in taken]
    boxes += [{**source, "ts_utc": START + times[frame]} for frame in empty]
    points.sort(key=lambda row: (row["tracklet_id"], row["ts_utc"]))
    seconds = times[-1].total_seconds()
    covered = {
        "site_id": spec.site_id,
        "source_kind": "camera",
        "source_id": spec.camera_id,
        "key": "bench",
        "from_utc": START,
        "to_utc": START + times[-1],
        "status": "complete",
        "observed_s": seconds,
        "expected_s": seconds,
    }
    for name, rows, schema in (
        ("boxes", boxes, BOXES),
        ("tracklet_points", points, TRACKLET_POINTS),
        ("coverage", [covered], COVERAGE),
    ):
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), out / f"{name}.parquet")


def score(contender: str, out: Path, scene: Scene, times: list[timedelta]) -> VideoScore:
    from ksi_pipeline.defs.steps.video_score import score_folder
    from ksi_pipeline.space.load import load_space

    if contender in OF_PEERS:
        write_as_ingested(out, scene, times)
    return score_folder(
        out,
        Path(scene.truth),
        fps=scene.fps,
        start_utc=START,
        space=load_space(Path(scene.space)),
    )


def report(
    frames: int, taken: dict[str, list[dict[str, float]]], scores: dict[str, VideoScore]
) -> None:
    def median(contender: str, what: str) -> float:
        return statistics.median(run[what] for run in taken[contender])

    def against_track(what: str, mine: float) -> str:
        return f"{median('track', what) / mine:.2f}" if "track" in taken else ""

    rounds = len(next(iter(taken.values())))
    print(f"\n{frames} frames, median of {rounds}, {os.cpu_count()} cores\n")
    titles = ("frames/s", "whole", "x track", "CPU s", "x track", "peak MB", "looked at")
    of_scores = ("HOTA", "MOTA", "IDF1", "line in", "line out", "zone s")
    print(f"{'':12}" + "".join(f"{title:>10}" for title in titles + of_scores))
    for name in taken:
        took, cpu = median(name, "in_process_s"), median(name, "cpu_s")
        figures = [f"{frames / took:.1f}", f"{frames / median(name, 'whole_s'):.1f}"]
        figures += [against_track("in_process_s", took), f"{cpu:.1f}", against_track("cpu_s", cpu)]
        figures += [f"{median(name, 'peak_mb'):.0f}"]
        boxes = scores[name].boxes
        figures += [str(boxes.samples), f"{boxes.hota:.1f}", f"{boxes.mota:.1f}"]
        figures += [f"{boxes.idf1:.1f}"]
        for line in scores[name].lines[:1]:
            figures += [f"{line.in_counted}/{line.in_true}", f"{line.out_counted}/{line.out_true}"]
        for zone in scores[name].zones[:1]:
            off = "" if zone.error_pct is None else f"{zone.error_pct:+.1f} %"
            figures.append(off)
        print(f"{name:12}" + "".join(f"{figure:>10}" for figure in figures))
    print("\nline: counted/true; zone s: error of the seconds that people spent there")


def write_warm_up(video: Path, path: Path) -> None:
    capture = cv2.VideoCapture(str(video), cv2.CAP_FFMPEG)
    size = tuple(int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, size)
    for _ in range(WARM_UP_FRAMES):
        writer.write(capture.read()[1])
    writer.release()


def parse() -> argparse.Namespace:
    data = os.environ.get("KSI_TEST_DATA")
    scene, weights = (Path(data) / name if data else None for name in ("video", "weights"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--video", type=Path, default=scene and scene / "vtest.avi")
    add("--truth", type=Path, default=scene and scene / "PETS09-S2L1.gt.txt", help="MOT Challenge")
    add("--fps", type=float, default=10.0, help="of the truth; default: %(default)s")
    add("--space", type=Path, default=scene and scene / "vtest.space.yaml")
    add("--camera", default="cam-1")
    add("--weights", type=Path, default=weights and weights / "yolo11n_int8_openvino_model")
    add("--peers", type=Path, default=PEERS, help="python of the peers; default: %(default)s")
    add("--rounds", type=int, default=3)
    add("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    add("--run", choices=CONTENDERS, help=argparse.SUPPRESS)
    add("--out", type=Path, help=argparse.SUPPRESS)
    add("--scene", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        return options
    for name in ("video", "truth", "space", "weights"):
        path = getattr(options, name)
        if path is None or not path.exists():
            parser.error(f"--{name}: {path or 'not named, and KSI_TEST_DATA is not set'}")
    if set(options.only) & set(OF_PEERS) and not options.peers.exists():
        parser.error(f"--peers: there is no {options.peers}; `make bench-video` makes it")
    return options


def main() -> None:
    options = parse()
    if options.run:
        run_one(options.run, Scene(**json.loads(options.scene)), options.out)
        return
    paths = [str(getattr(options, n).resolve()) for n in ("video", "weights", "truth", "space")]
    scene = Scene(paths[0], paths[1], paths[2], options.fps, paths[3], options.camera)
    times = frame_times(Path(scene.video))
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in options.only}
    with tempfile.TemporaryDirectory(prefix="bench-video-") as folder:
        write_warm_up(Path(scene.video), Path(folder) / "warm-up.avi")
        for number in range(options.rounds):
            for name in options.only:
                taken[name].append(measure(name, scene, Path(folder) / name, options.peers))
                print(f"round {number + 1}: {name}", file=sys.stderr)
        scores = {n: score(n, Path(folder) / n, scene, times) for n in options.only}
    report(len(times), taken, scores)


if __name__ == "__main__":
    main()
