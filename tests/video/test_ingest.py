from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from video_ingest.__main__ import main
from video_ingest.chunks import list_chunks, make_chunk
from video_ingest.contract import BOXES, COVERAGE, TRACKLET_POINTS, TRACKLETS, VideoError
from video_ingest.detectors.motion import MotionDetector
from video_ingest.ingest import file_sha256, ingest_chunk, ingest_many, merge_results
from video_ingest.tables import write_outputs
from video_ingest.tracker_state import TrackerState


@pytest.fixture
def chunks_of(tmp_path, write_clip, start):
    """Chunks of the walker from frame ranges [first, last) at 10 fps."""

    def build(*ranges):
        found = []
        for first, last in ranges:
            begin = start + timedelta(seconds=first / 10)
            path = write_clip(tmp_path / "in" / f"{first}-{last}.avi", first, last)
            found.append(make_chunk(path, "mall", "cam-1", begin))
        return found

    return build


def run(chunks, camera, detector, **settings):
    """Ingest with the state written to JSON and read back between chunks."""
    state, results = None, []
    for chunk in chunks:
        result = ingest_chunk(chunk, camera, detector, state, **settings)
        state = TrackerState.from_json(result.state.to_json())
        results.append(result)
    return results


def spans(table, start):
    return [
        (
            round((row["from_utc"] - start).total_seconds(), 3),
            round((row["to_utc"] - start).total_seconds(), 3),
            row["status"],
            row["reason"],
        )
        for row in table.to_pylist()
    ]


def cut(path, share):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


@pytest.mark.parametrize("hz", [1.0, 2.0, 5.0, 10.0])
@pytest.mark.parametrize("borders", [(33,), (17, 50, 83), (1, 2, 3)])
def test_chunks_give_exactly_the_tracklets_of_one_run(chunks_of, camera, walker, borders, hz):
    edges = [0, *borders, 100]
    whole = merge_results(run(chunks_of((0, 100)), camera, walker(), sample_hz=hz))
    parts = run(chunks_of(*pairwise(edges)), camera, walker(), sample_hz=hz)
    merged = merge_results(parts)
    assert merged.points.equals(whole.points)
    drop = ["chunk_ids"]
    assert merged.tracklets.drop_columns(drop).equals(whole.tracklets.drop_columns(drop))
    assert whole.tracklets.num_rows == 1
    assert sum(part.sampled_frames for part in parts) == int(10 * hz)


def test_points_are_metres_on_the_floor_at_utc(chunks_of, camera, walker, start):
    (result,) = run(chunks_of((0, 10)), camera, walker())
    first = result.points.slice(0, 1).to_pylist()[0]
    assert first["ts_utc"] == start
    assert (first["x_m"], first["y_m"]) == pytest.approx((1.6, 9.2))
    assert result.points.schema == TRACKLET_POINTS
    assert result.tracklets.schema == TRACKLETS
    assert result.coverage.schema == COVERAGE


def test_a_clock_that_runs_ahead_is_set_back(chunks_of, camera, walker, start):
    ahead = replace(camera, clock_offset_s=420.0)
    (result,) = run(chunks_of((0, 10)), ahead, walker())
    assert result.points["ts_utc"][0].as_py() == start - timedelta(seconds=420)
    assert spans(result.coverage, start) == [(-420.0, -419.0, "complete", None)]


def test_without_a_homography_there_are_tracklets_but_no_metres(chunks_of, camera, walker):
    (result,) = run(chunks_of((0, 10)), replace(camera, homography=()), walker())
    assert result.points["x_m"].null_count == result.points.num_rows == 5


def test_the_row_of_a_tracklet_grows_from_chunk_to_chunk(chunks_of, camera, walker):
    results = run(chunks_of((0, 50), (50, 100)), camera, walker())
    rows = [result.tracklets.to_pylist()[0] for result in results]
    assert [row["sample_count"] for row in rows] == [25, 50]
    assert [len(row["chunk_ids"]) for row in rows] == [1, 2]
    assert merge_results(results).tracklets.to_pylist() == [rows[1]]
    assert rows[0]["detector"] == "walker"


def test_in_an_overlap_each_instant_belongs_to_the_earlier_chunk(
    chunks_of, camera, walker, start, start_us
):
    detector = walker()
    results = run(chunks_of((0, 50), (40, 100)), camera, detector)
    assert detector.seen_us == [start_us + 200_000 * k for k in range(50)]
    merged = merge_results(results)
    assert merged.tracklets.num_rows == 1
    assert spans(merged.coverage, start) == [
        (0.0, 5.0, "complete", None),
        (5.0, 10.0, "complete", None),
    ]


def test_a_chunk_inside_another_adds_nothing_and_takes_nothing(chunks_of, camera, walker, start):
    results = run(chunks_of((0, 50), (20, 40), (50, 60)), camera, walker())
    assert [result.points.num_rows for result in results] == [25, 0, 5]
    assert spans(results[1].coverage, start) == [(5.0, 5.0, "complete", "overlapped")]
    assert spans(results[2].coverage, start) == [(5.0, 6.0, "complete", None)]


def test_a_caller_may_say_what_belongs_to_another_chunk(chunks_of, camera, walker, start):
    (chunk,) = chunks_of((0, 50))
    owned = start + timedelta(seconds=3)
    result = ingest_chunk(chunk, camera, walker(), None, owned_from_utc=owned)
    assert result.points.num_rows == 10
    assert spans(result.coverage, start) == [(3.0, 5.0, "complete", None)]


def test_a_short_gap_keeps_the_tracklet_and_stays_a_gap_in_coverage(
    chunks_of, camera, walker, start
):
    merged = merge_results(run(chunks_of((0, 50), (60, 100)), camera, walker()))
    assert merged.tracklets.num_rows == 1
    assert [row[:2] for row in spans(merged.coverage, start)] == [(0.0, 5.0), (6.0, 10.0)]


def test_a_long_gap_ends_the_tracklet(chunks_of, camera, walker):
    merged = merge_results(run(chunks_of((0, 50), (140, 190)), camera, walker()))
    assert merged.tracklets.num_rows == 2


def test_a_cut_avi_gives_its_good_part_and_the_rest_is_partial(chunks_of, camera, walker, start):
    chunks = chunks_of((0, 50), (50, 100))
    cut(chunks[0].path, 0.5)
    first, second = run(chunks, camera, walker())
    (good, rest) = spans(first.coverage, start)
    assert good[0] == 0.0
    assert good[2:] == ("complete", None)
    assert rest == (good[1], 5.0, "partial", "E_CHUNK_TRUNCATED")
    assert first.coverage["observed_s"].to_pylist() == pytest.approx([good[1], 0.0])
    assert 0 < first.points.num_rows < 25
    assert spans(second.coverage, start) == [(5.0, 10.0, "complete", None)]


def test_an_overlap_with_a_cut_chunk_is_read_from_the_chunk_that_has_it(
    chunks_of, camera, walker, start
):
    chunks = chunks_of((0, 50), (40, 100))
    cut(chunks[0].path, 0.5)
    _, second = run(chunks, camera, walker())
    assert spans(second.coverage, start) == [(4.0, 10.0, "complete", None)]


def test_an_empty_file_is_unreadable_and_the_next_chunk_goes_on(chunks_of, camera, walker, start):
    chunks = chunks_of((0, 50), (50, 60), (60, 100))
    chunks[1].path.write_bytes(b"")
    results = list(ingest_many(chunks, camera, walker(), nominal_s=1.0))
    assert [result.problem and result.problem.code for result in results] == [
        None,
        "E_CHUNK_UNREADABLE",
        None,
    ]
    assert spans(results[1].coverage, start) == [(5.0, 6.0, "unreadable", "E_CHUNK_UNREADABLE")]
    assert merge_results(results).tracklets.num_rows == 1
    assert results[1].sha256 == file_sha256(chunks[1].path)


def test_an_unreadable_chunk_of_unknown_length_has_a_row_all_the_same(
    chunks_of, camera, walker, start
):
    (chunk,) = chunks_of((0, 50))
    chunk.path.unlink()
    result = ingest_chunk(chunk, camera, walker(), None)
    assert spans(result.coverage, start) == [(0.0, 0.0, "unreadable", "E_CHUNK_UNREADABLE")]
    assert result.sha256 is None


def test_people_are_not_carried_over_a_new_calibration(chunks_of, camera, walker):
    first, second = chunks_of((0, 50), (50, 100))
    state = ingest_chunk(first, camera, walker(), None).state
    result = ingest_chunk(second, replace(camera, version="f" * 12), walker(), state)
    assert result.tracklets["chunk_ids"].to_pylist() == [[second.chunk_id]]


def test_a_chunk_from_before_its_state_is_refused(chunks_of, camera, walker):
    first, second = chunks_of((0, 50), (50, 100))
    state = ingest_chunk(second, camera, walker(), None).state
    with pytest.raises(VideoError) as caught:
        ingest_chunk(first, camera, walker(), state)
    assert caught.value.code == "E_CHUNK_ORDER"


def test_the_chunk_of_another_camera_is_refused(chunks_of, camera, walker):
    (chunk,) = chunks_of((0, 50))
    with pytest.raises(VideoError) as caught:
        ingest_chunk(chunk, replace(camera, camera_id="cam-2"), walker(), None)
    assert caught.value.code == "E_CHUNK_CAMERA"


def test_progress_tells_seconds_done_of_seconds_expected_and_frames(chunks_of, camera, walker):
    seen = []
    run(chunks_of((0, 50)), camera, walker(), progress=lambda *at: seen.append(at))
    assert seen[-1][:2] == (4.8, 5.0)
    assert seen[-1][2] > 40


def test_nobody_there_is_full_coverage_and_no_tracklet(chunks_of, camera, walker, start):
    detector = walker()
    detector.hidden_us = (0, 2**62)
    (result,) = run(chunks_of((0, 50)), camera, detector)
    assert (result.points.num_rows, result.tracklets.num_rows) == (0, 0)
    assert spans(result.coverage, start) == [(0.0, 5.0, "complete", None)]


def test_nothing_merged_is_four_empty_tables():
    merged = merge_results([])
    assert merged.points.schema == TRACKLET_POINTS
    assert merged.coverage.schema == COVERAGE
    assert merged.boxes.schema == BOXES
    assert merged.tracklets.num_rows == 0


def test_writing_twice_gives_the_same_bytes(chunks_of, camera, walker, tmp_path):
    tables = merge_results(run(chunks_of((0, 50)), camera, walker()))
    first = {name: path.read_bytes() for name, path in write_outputs(tmp_path, tables).items()}
    second = {name: path.read_bytes() for name, path in write_outputs(tmp_path, tables).items()}
    assert first == second


def test_boxes_stand_on_the_foot_points_as_large_as_the_walker(chunks_of, camera, walker):
    tables = merge_results(run(chunks_of((0, 50)), camera, walker()))
    points, boxes = tables.points.to_pylist(), tables.boxes.to_pylist()
    assert len(points) == len(boxes) == 25
    for point, box in zip(points, boxes, strict=True):
        assert (box["tracklet_id"], box["ts_utc"]) == (point["tracklet_id"], point["ts_utc"])
        # one metre is ten pixels
        assert (box["x1_px"] + box["x2_px"]) / 20 == pytest.approx(point["x_m"])
        assert box["y2_px"] / 10 == pytest.approx(point["y_m"])
        assert box["x2_px"] - box["x1_px"] == pytest.approx(12, abs=1e-4)
        assert box["y2_px"] - box["y1_px"] == pytest.approx(32, abs=1e-4)


def test_boxes_of_an_earlier_run_do_not_stay_beside_other_tracklets(tmp_path):
    tables = merge_results([])
    write_outputs(tmp_path / "out", tables, with_boxes=True)
    write_outputs(tmp_path / "out", tables)
    assert not (tmp_path / "out" / "boxes.parquet").exists()


@pytest.mark.parametrize("borders", [(), (33,), (17, 23, 40)])
def test_boxes_of_cut_chunks_are_those_of_one(chunks_of, camera, walker, start_us, borders):
    hidden = (start_us + 1_500_000, start_us + 2_800_000)
    edges = [0, *borders, 50]
    many = merge_results(run(chunks_of(*pairwise(edges)), camera, walker(hidden_us=hidden)))
    filled = [row for row in many.boxes.to_pylist() if row["is_observed"] is False]
    assert many.boxes.equals(
        merge_results(run(chunks_of((0, 50)), camera, walker(hidden_us=hidden))).boxes
    )
    assert len(filled) == 6
    assert [row["y2_px"] - row["y1_px"] for row in filled] == pytest.approx([32] * 6, abs=1e-4)


def test_a_frame_without_anybody_is_one_row_without_a_tracklet(chunks_of, camera, walker, start_us):
    gone = (start_us + 3_000_000, start_us + 9_000_000)
    tables = merge_results(run(chunks_of((0, 50)), camera, walker(hidden_us=gone)))
    rows = tables.boxes.to_pylist()
    assert len(rows) == 25
    assert [row["tracklet_id"] is None for row in rows] == [False] * 15 + [True] * 10
    assert all(row["x1_px"] is row["is_observed"] is None for row in rows[15:])


def test_a_run_writes_three_tables_and_no_picture(tmp_path, chunks_of):
    paths = [str(chunk.path) for chunk in chunks_of((0, 50), (50, 100))]
    out = tmp_path / "out"
    before = set(tmp_path.rglob("*"))
    named = [*paths, "--site", "mall", "--camera", "cam-1", "--out", str(out)]
    status = main([*named, "--start", "2026-03-02T10:00:00+01:00"])
    written = [path for path in set(tmp_path.rglob("*")) - before if path.is_file()]
    assert status == 0
    assert sorted(path.name for path in written) == [
        "coverage.parquet",
        "tracklet_points.parquet",
        "tracklets.parquet",
    ]
    for path in written:
        types = [field.type for field in pq.read_schema(path)]
        assert not any(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) for kind in types)
        # a list of numbers could be an embedding; the only list is of chunk names
        assert [kind for kind in types if pa.types.is_list(kind)] in ([], [pa.list_(pa.string())])


def test_the_state_that_is_kept_holds_numbers_and_chunk_names_only(chunks_of, camera):
    (result,) = run(chunks_of((0, 50)), camera, MotionDetector())
    assert result.tracklets.num_rows == 1
    assert len(result.state.to_json()) < 2_000


def test_the_command_ends_with_1_when_a_chunk_is_unreadable(tmp_path, capsys):
    path = tmp_path / "20260302T090000Z.mp4"
    path.write_text("no video")
    named = [str(path), "--site", "mall", "--camera", "cam-1", "--out", str(tmp_path / "out")]
    assert main(named) == 1
    assert "E_CHUNK_UNREADABLE" in capsys.readouterr().out


def test_the_command_ends_with_2_for_a_naive_start(tmp_path, capsys):
    named = ["a.avi", "--site", "mall", "--camera", "cam-1", "--out", str(tmp_path)]
    assert main([*named, "--start", "2026-03-02T10:00:00"]) == 2
    assert "E_NAIVE_TIME" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["no json", '{"a": 1}', "[[1, 2, 3]]", "[[1, 2, 3, 4]]"])
def test_the_command_ends_with_2_for_a_bad_homography(tmp_path, capsys, text):
    (tmp_path / "h.json").write_text(text)
    named = ["20260302T090000Z.avi", "--site", "mall", "--camera", "cam-1", "--out", str(tmp_path)]
    assert main([*named, "--homography-json", str(tmp_path / "h.json")]) == 2
    assert "E_CALIBRATION" in capsys.readouterr().err


def test_the_command_ends_with_2_for_a_file_that_is_not_there_and_writes_nothing(tmp_path, capsys):
    named = ["20260302T090000Z.avi", "--site", "mall", "--camera", "cam-1", "--out"]
    assert main([*named, str(tmp_path / "out")]) == 2
    assert "E_CHUNK_MISSING" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_names_give_the_starts_when_none_is_given(chunks_of, tmp_path):
    (chunk,) = chunks_of((0, 10))
    path = chunk.path.rename(tmp_path / "2026-03-02T10_00_00+01_00.avi")
    assert list_chunks([path], "mall", "cam-1")[0].chunk_id == "mall/cam-1/20260302T090000Z"


def test_boxes_are_written_on_request_and_hold_nothing_of_the_picture(tmp_path, chunks_of):
    (chunk,) = chunks_of((0, 50))
    out = tmp_path / "out"
    named = [str(chunk.path), "--site", "mall", "--camera", "cam-1", "--out", str(out), "--boxes"]
    assert main([*named, "--start", "2026-03-02T10:00:00+01:00"]) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "boxes.parquet",
        "coverage.parquet",
        "tracklet_points.parquet",
        "tracklets.parquet",
    ]
    assert pq.read_schema(out / "boxes.parquet").equals(BOXES)
    assert not any(pa.types.is_nested(field.type) for field in BOXES)
    assert not any(pa.types.is_binary(field.type) for field in BOXES)


@pytest.mark.parametrize("rate", ["0.5", "inf", "nan"])
def test_the_host_beside_the_camera_refuses_a_rate_at_which_nobody_can_be_followed(rate, capsys):
    with pytest.raises(SystemExit) as left:
        main(["a.avi", "--site", "s", "--camera", "c", "--out", "o", "--sample-hz", rate])
    assert left.value.code == 2
    assert "must be 1 to 60" in capsys.readouterr().err


def test_the_host_beside_the_camera_refuses_weights_that_motion_would_ignore(capsys):
    named = ["a.avi", "--site", "s", "--camera", "c", "--out", "o", "--model", "yolo.xml"]
    assert main(named) == 2
    assert "E_MODEL_UNUSED" in capsys.readouterr().err
