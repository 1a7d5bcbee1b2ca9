from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_ingest.chunks import discover, list_chunks, make_chunk, parse_start
from video_ingest.contract import VideoError

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-02T10:00:00+01:00",
        "2026-03-02T10_00_00+01_00",
        "2026-03-02T10-00-00+01-00",
        "20260302T100000+0100",
        "20260302T090000Z",
        "2026-03-02T06:00:00-03:00",
        "2026-03-02T14_45_00+05_45",
    ],
)
def test_every_documented_form_of_a_start_is_the_same_instant(text):
    assert parse_start(text) == NINE


def test_a_fraction_of_a_second_is_kept():
    assert parse_start("20260302T090000.500Z") == NINE + timedelta(milliseconds=500)


@given(
    st.datetimes(datetime(1996, 1, 1), datetime(2100, 1, 1)),
    st.integers(-12 * 4, 14 * 4),
)
def test_an_iso_instant_reads_back_whatever_its_offset(naive, quarters):
    instant = naive.replace(tzinfo=timezone(timedelta(minutes=15 * quarters)))
    assert parse_start(instant.isoformat()) == instant
    assert parse_start(instant.isoformat().replace(":", "_")) == instant


def test_a_naive_time_is_refused_and_the_message_says_how_to_write_it():
    with pytest.raises(VideoError, match=r"no UTC offset.*2026-03-02T10:00:00\+01:00") as caught:
        parse_start("2026-03-02T10:00:00")
    assert caught.value.code == "E_NAIVE_TIME"


@pytest.mark.parametrize("text", ["yesterday", "20261302T090000Z", "20260302", ""])
def test_what_is_no_instant_is_refused(text):
    with pytest.raises(VideoError) as caught:
        parse_start(text)
    assert caught.value.code == "E_BAD_TIME"


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_chunks_are_found_in_order_of_site_camera_and_start(tmp_path):
    touch(
        tmp_path,
        "mall/cam-2/20260302T090000Z.mp4",
        "mall/cam-1/2026-03-02T10_05_00+01_00.MKV",
        "mall/cam-1/2026-03-02T10_00_00+01_00.avi",
        "annex/cam-1/20260302T090000.500Z.ts",
    )
    assert [chunk.chunk_id for chunk in discover(tmp_path).chunks] == [
        "annex/cam-1/20260302T090000.500Z",
        "mall/cam-1/20260302T090000Z",
        "mall/cam-1/20260302T090500Z",
        "mall/cam-2/20260302T090000Z",
    ]


def test_a_naive_name_is_rejected_with_the_name_it_should_have(tmp_path):
    touch(tmp_path, "mall/cam-1/2026-03-02T10_00_00.mp4")
    (rejected,) = discover(tmp_path).rejected
    assert rejected.code == "E_CHUNK_NAME"
    assert "2026-03-02T10_00_00+01_00.mp4" in rejected.message


@pytest.mark.parametrize(
    "name", ["mall/cam-1/20260302T090000Z.mov", "mall/cam-1/door.mp4", "a.mp4"]
)
def test_other_files_are_rejected_and_not_dropped_silently(tmp_path, name):
    touch(tmp_path, name)
    found = discover(tmp_path)
    assert found.chunks == ()
    assert [each.code for each in found.rejected] == ["E_CHUNK_NAME"]


def test_a_file_that_a_recorder_still_writes_is_passed_over(tmp_path):
    touch(tmp_path, "mall/cam-1/20260302T090000Z.mp4.part", "mall/cam-1/.hidden", ".DS_Store")
    assert discover(tmp_path).rejected == ()


def test_two_files_with_one_start_give_one_chunk_and_one_rejected(tmp_path):
    touch(tmp_path, "mall/cam-1/20260302T090000Z.mp4", "mall/cam-1/2026-03-02T10_00_00+01_00.avi")
    found = discover(tmp_path)
    assert len(found.chunks) == 1
    assert "same instant" in found.rejected[0].message


def test_a_root_that_does_not_exist_is_an_error_and_not_an_empty_answer(tmp_path):
    with pytest.raises(VideoError) as caught:
        discover(tmp_path / "nowhere")
    assert caught.value.code == "E_CHUNK_ROOT"


def test_the_chunk_id_is_the_same_whatever_zone_the_start_was_written_in():
    madrid = NINE.astimezone(timezone(timedelta(hours=1)))
    ids = {make_chunk(Path("x.mp4"), "mall", "cam-1", at).chunk_id for at in (NINE, madrid)}
    assert ids == {"mall/cam-1/20260302T090000Z"}


def test_files_named_one_by_one_follow_each_other_from_a_given_start(tmp_path, write_clip):
    first = write_clip(tmp_path / "a.avi", 0, 25)
    second = write_clip(tmp_path / "b.avi", 25, 50)
    chunks = list_chunks([first, second], "mall", "cam-1", NINE)
    assert [chunk.start_utc - NINE for chunk in chunks] == [timedelta(0), timedelta(seconds=2.5)]


def test_a_file_cannot_be_placed_after_one_of_unknown_length(tmp_path, write_clip):
    (tmp_path / "a.avi").touch()
    second = write_clip(tmp_path / "b.avi", 25, 50)
    with pytest.raises(VideoError) as caught:
        list_chunks([tmp_path / "a.avi", second], "mall", "cam-1", NINE)
    assert caught.value.code == "E_CHUNK_LENGTH"
