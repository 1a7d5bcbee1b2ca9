"""The command line of video_ingest, for a host beside the camera.

    python -m video_ingest CHUNK... --site S --camera ID --homography-json FILE --out DIR

Exit status: 0 when every chunk was read, 1 when one could not be, 2 for wrong use.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2

from video_ingest.calibrate import fit_homography, make_camera
from video_ingest.chunks import list_chunks, parse_start, require_files, same_start
from video_ingest.contract import CameraSpec, VideoError
from video_ingest.detectors import DETECTORS, make_detector, require_use
from video_ingest.detectors.auto import choose
from video_ingest.ingest import TRACKERS, ChunkResult, ingest_many, merge_results, require_rate
from video_ingest.tables import check_out_dir, write_outputs


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    arguments = _parser().parse_args(argv)
    # More threads than that cost more than they give on pictures of this size.
    cv2.setNumThreads(min(4, cv2.getNumberOfCPUs()))
    try:
        return _run(arguments)
    except VideoError as error:
        print(f"{error.code}: {error}", file=sys.stderr)
        return 2


def _run(arguments: argparse.Namespace) -> int:
    require_use(arguments.detector, arguments.model)
    start = parse_start(arguments.start) if arguments.start else None
    chunks = list_chunks(arguments.chunks, arguments.site, arguments.camera, start)
    camera = _camera(arguments)
    require_files(arguments.chunks)
    check_out_dir(arguments.out)
    choice = choose(arguments.detector, arguments.model, arguments.weights)
    if arguments.detector == "auto":
        print(f"auto: {choice.detector}, because {choice.why}")
    detector = make_detector(choice.detector, choice.model)
    print(f"{len(chunks)} chunks, detector {detector.name}, {arguments.sample_hz:g} samples/s")
    for notice in same_start(chunks):
        print(notice)
    began, results = time.monotonic(), []
    hz, tracker = arguments.sample_hz, arguments.tracker
    for result in ingest_many(chunks, camera, detector, sample_hz=hz, tracker=tracker):
        results.append(result)
        print(_line(result))
    spent_s = time.monotonic() - began
    tables = merge_results(results)
    files = write_outputs(arguments.out, tables, with_boxes=arguments.boxes)
    frames = sum(result.decoded_frames for result in results)
    print(
        f"{tables.tracklets.num_rows} tracklets, {tables.points.num_rows} points, {frames} frames "
        f"in {spent_s:.1f} s ({frames / max(spent_s, 1e-9):.0f} frames/s)"
    )
    for path in files.values():
        print(f"wrote {path}")
    return 1 if any(result.problem for result in results) else 0


def _line(result: ChunkResult) -> str:
    if result.problem is not None:
        return f"{result.chunk.chunk_id}: {result.problem.code}: {result.problem}"
    observed = sum(result.coverage["observed_s"].to_pylist())
    expected = sum(result.coverage["expected_s"].to_pylist())
    return (
        f"{result.chunk.chunk_id}: {observed:.1f} of {expected:.1f} s, {result.sampled_frames} "
        f"samples, {result.tracklets.num_rows} tracklets"
    )


def _camera(arguments: argparse.Namespace) -> CameraSpec:
    if arguments.homography_json is None:
        print("No --homography-json: tracklets have no place in metres (x_m and y_m are null).")
        return make_camera(arguments.site, arguments.camera, (), arguments.clock_offset_s)
    try:
        rows = json.loads(arguments.homography_json.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VideoError(
            f"Reading {arguments.homography_json} failed: {error}. Nothing was decoded. Give a "
            "JSON list of rows [u, v, x, y].",
            code="E_CALIBRATION",
        ) from error
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise VideoError(
            f"Reading {arguments.homography_json} failed: it is no list of lists. Nothing was "
            "decoded. Give a JSON list of rows [u, v, x, y].",
            code="E_CALIBRATION",
        )
    camera = make_camera(arguments.site, arguments.camera, rows, arguments.clock_offset_s)
    worst_cm = 100 * float(fit_homography(camera.homography).residuals_m.max())
    print(f"homography from {len(rows)} points, worst residual {worst_cm:.1f} cm")
    return camera


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m video_ingest", description="Camera chunks to anonymous tracklets."
    )
    add = parser.add_argument
    add("chunks", nargs="+", type=Path, metavar="CHUNK", help="video files of one camera")
    add("--site", required=True, help="site id")
    add("--camera", required=True, help="camera id")
    add("--out", required=True, type=Path, help="folder for the three Parquet files")
    add("--boxes", action="store_true", help="write boxes.parquet too: corners in pixels")
    add("--start", help="start of the first chunk, with offset; default: from the file names")
    add("--homography-json", type=Path, help="JSON list of rows [u, v, x, y]")
    add("--clock-offset-s", type=float, default=0.0, help="seconds the camera's clock is ahead")
    add("--detector", choices=DETECTORS, default="motion", help="default: %(default)s")
    add("--model", type=Path, help="weights, for detectors that need them")
    add("--weights", type=Path, help="folder in which auto looks for weights")
    add("--tracker", choices=TRACKERS, default="footpoint", help="default: %(default)s")
    add("--sample-hz", type=_rate, default=5.0, help="samples per second, 1 to 60; default: 5")
    return parser


def _rate(text: str) -> float:
    try:
        return require_rate(float(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
