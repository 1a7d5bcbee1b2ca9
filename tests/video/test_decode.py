import threading
import time
from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_ingest import decode
from video_ingest.ahead import read_ahead
from video_ingest.chunks import make_chunk
from video_ingest.contract import ChunkUnreadable
from video_ingest.coverage import spans_read
from video_ingest.decode import ChunkReader, SampleGrid, claimed_length_s


def chunk_at(path, start):
    return make_chunk(path, "mall", "cam-1", start)


def read(reader, hz=5.0, **wanted):
    return [frame.at_us for frame in reader.samples(SampleGrid(hz), **wanted)]


@pytest.mark.parametrize("name", ["a.avi", "a.mkv", "a.mp4"])
def test_samples_carry_the_timestamps_of_the_container(tmp_path, write_clip, start, start_us, name):
    path = write_clip(tmp_path / name, 0, 20, "MJPG" if name.endswith("avi") else "mp4v")
    reader = ChunkReader(chunk_at(path, start))
    assert read(reader) == [start_us + 200_000 * k for k in range(10)]
    assert reader.report.spans == [(start_us, start_us + 2_000_000)]
    assert (reader.report.frames_decoded, reader.report.frames_sampled) == (20, 10)


def test_a_rate_above_the_frame_rate_takes_every_frame(tmp_path, write_clip, start):
    reader = ChunkReader(chunk_at(write_clip(tmp_path / "a.avi", 0, 20), start))
    assert len(read(reader, hz=100.0)) == 20


def test_frames_of_an_earlier_chunk_are_passed_over(tmp_path, write_clip, start, start_us):
    reader = ChunkReader(chunk_at(write_clip(tmp_path / "a.avi", 0, 20), start))
    assert read(reader, from_us=start_us + 1_000_000)[0] == start_us + 1_000_000


@given(
    st.lists(st.integers(0, 10**7), min_size=1, max_size=80, unique=True).map(sorted),
    st.integers(0, 80),
    st.sampled_from([0.5, 1.0, 2.0, 5.0, 29.97]),
)
def test_the_grid_takes_the_same_frames_wherever_a_chunk_begins(times, border, hz):
    base = 1_772_442_000_000_000
    frames = [base + time for time in times]
    whole = SampleGrid(hz)
    taken = [at for at in frames if whole.takes(at)]
    first = SampleGrid(hz)
    split = [at for at in frames[:border] if first.takes(at)]
    second = SampleGrid(hz, split[-1] if split else None)
    split += [at for at in frames[border:] if second.takes(at)]
    assert split == taken
    rate = Fraction(hz).limit_denominator(1000)
    slots = [at * rate // 1_000_000 for at in taken]
    assert len(set(slots)) == len(slots) == len({at * rate // 1_000_000 for at in frames})


@pytest.mark.parametrize("hz", [0.0, -1.0, float("nan")])
def test_a_sample_rate_must_be_positive(hz):
    with pytest.raises(ValueError, match="greater than 0"):
        SampleGrid(hz)


def test_a_cut_avi_gives_its_good_part_and_tells_its_claimed_end(
    tmp_path, write_clip, start, start_us
):
    path = write_clip(tmp_path / "a.avi", 0, 50)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    reader = ChunkReader(chunk_at(path, start))
    read(reader)
    assert reader.report.nominal_end_us == start_us + 5_000_000
    assert start_us + 1_500_000 < reader.report.decoded_until_us < start_us + 3_500_000
    assert not reader.report.is_close(reader.report.nominal_end_us)
    assert claimed_length_s(path) == 5.0


def empty(path):
    path.touch()


def text(path):
    path.write_text("this is no video\n" * 100)


def noise(path):
    path.write_bytes(np.random.default_rng(1).bytes(50_000))


@pytest.mark.parametrize("damage", [empty, text, noise])
@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.mkv", "a.ts"])
def test_what_is_no_video_is_unreadable(tmp_path, start, damage, name):
    damage(tmp_path / name)
    with pytest.raises(ChunkUnreadable) as caught:
        ChunkReader(chunk_at(tmp_path / name, start))
    assert caught.value.code == "E_CHUNK_UNREADABLE"
    assert claimed_length_s(tmp_path / name) is None


def test_a_cut_mp4_is_unreadable(tmp_path, write_clip, start):
    path = write_clip(tmp_path / "a.mp4", 0, 50, "mp4v")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ChunkUnreadable, match="cut before its index"):
        ChunkReader(chunk_at(path, start))


def test_a_file_that_is_not_there_is_unreadable(tmp_path, start):
    with pytest.raises(ChunkUnreadable, match="no such file"):
        ChunkReader(chunk_at(tmp_path / "gone.avi", start))


class FakeCapture:
    """A video with the timestamps that a test wants; OpenCV can write constant rates only."""

    def __init__(self, times_s, fps, claimed):
        self.times_s, self.fps, self.claimed, self.at = times_s, fps, claimed, -1

    def get(self, what):
        if what == cv2.CAP_PROP_FPS:
            return self.fps
        if what == cv2.CAP_PROP_FRAME_COUNT:
            return self.claimed
        return self.times_s[self.at] * 1000.0

    def grab(self):
        self.at += 1
        return self.at < len(self.times_s)

    def retrieve(self):
        return True, np.zeros((4, 4, 3), dtype=np.uint8)

    def release(self):
        pass


@pytest.fixture
def reader_of(monkeypatch, tmp_path, start):
    def build(times_s, fps=10.0, claimed=None):
        count = len(times_s) if claimed is None else claimed
        monkeypatch.setattr(decode, "_open", lambda path: FakeCapture(times_s, fps, count))
        return ChunkReader(chunk_at(tmp_path / "a.avi", start))

    return build


def seconds(spans, start_us):
    return [((a - start_us) / 1e6, (b - start_us) / 1e6) for a, b in spans]


def test_a_variable_frame_rate_keeps_each_frame_at_its_own_time(reader_of, start_us):
    reader = reader_of([0.0, 0.05, 0.9, 1.0, 1.55], fps=3.0)
    assert [(at - start_us) / 1e6 for at in read(reader, hz=100.0)] == [0.0, 0.05, 0.9, 1.0, 1.55]


def test_a_timestamp_that_does_not_increase_is_dropped_and_counted(reader_of, start_us):
    reader = reader_of([0.0, 0.1, 0.1, 0.05, 0.2], fps=10.0)
    assert [(at - start_us) / 1e6 for at in read(reader, hz=100.0)] == [0.0, 0.1, 0.2]
    assert reader.report.frames_dropped == 2


def test_a_timestamp_far_beyond_the_end_is_damage(reader_of, start_us):
    reader = reader_of([0.0, 0.1, 95_443.7, 0.2])
    read(reader, hz=100.0)
    assert seconds(reader.report.spans, start_us) == [(0.0, pytest.approx(0.3))]


def test_a_pause_between_frames_was_not_seen(reader_of, start_us):
    reader = reader_of([0.0, 0.1, 10.0, 10.1], claimed=102)
    read(reader)
    found = seconds(reader.report.spans, start_us)
    assert found == [(0.0, pytest.approx(0.2)), (10.0, pytest.approx(10.2))]


def test_time_lapse_is_no_pause(reader_of):
    reader = reader_of([0.0, 4.0, 8.0], fps=0.25)
    read(reader)
    assert len(reader.report.spans) == 1


def test_a_stream_without_a_frame_rate_is_read_by_its_timestamps(reader_of, start_us):
    reader = reader_of([0.0, 0.1, 0.2], fps=90_000.0)
    read(reader)
    assert reader.report.nominal_end_us is None
    assert seconds(reader.report.spans, start_us) == [(0.0, pytest.approx(0.3))]


class HangingCapture(FakeCapture):
    """A decoder that never comes back from its n-th frame, or only when the test is over."""

    def __init__(self, hangs_at, released):
        super().__init__([k / 10 for k in range(50)], 10.0, 50)
        self.hangs_at, self.released = hangs_at, released

    def grab(self):
        if self.at + 1 == self.hangs_at:
            self.released.wait(30)
        return super().grab()


@pytest.fixture
def hanging(monkeypatch, tmp_path, start):
    released = threading.Event()
    monkeypatch.setattr(decode, "PATIENCE_S", 0.3)

    def build(hangs_at):
        monkeypatch.setattr(decode, "_open", lambda path: HangingCapture(hangs_at, released))
        return chunk_at(tmp_path / "a.avi", start)

    yield build
    released.set()


def test_a_decoder_that_hangs_over_the_first_frame_makes_the_chunk_unreadable(hanging):
    chunk = hanging(0)
    with pytest.raises(ChunkUnreadable, match="decoder hung"):
        ChunkReader(chunk)


def test_a_decoder_that_hangs_later_is_given_up_and_the_good_part_stays(hanging, start_us):
    reader = ChunkReader(hanging(20))
    taken = read(reader)
    assert taken == [start_us + 200_000 * k for k in range(10)]
    assert reader.report.has_stalled
    assert seconds(reader.report.spans, start_us) == [(0.0, pytest.approx(2.0))]


def test_what_a_hanging_decoder_did_not_give_is_not_covered_and_says_why(hanging, start_us):
    reader = ChunkReader(hanging(20))
    read(reader)
    good, rest = spans_read(reader.report, 0, None, None)
    assert (good.status, rest.status, rest.reason) == ("complete", "partial", "E_CHUNK_STALLED")
    assert (good.to_us, rest.to_us) == (start_us + 2_000_000, start_us + 5_000_000)


def test_frames_between_two_samples_are_a_sign_of_life(monkeypatch, reader_of):
    class Slow(FakeCapture):
        def grab(self):
            time.sleep(0.05)
            return super().grab()

    reader = reader_of([0.0])
    monkeypatch.setattr(decode, "PATIENCE_S", 0.2)
    monkeypatch.setattr(decode, "_open", lambda path: Slow([k / 10 for k in range(20)], 10.0, 20))
    assert len(read(reader, hz=1.0)) == 2
    assert not reader.report.has_stalled


def test_no_more_frames_than_the_queue_holds_are_decoded_ahead(reader_of):
    reader = reader_of([k / 10 for k in range(500)])
    frames = reader.samples(SampleGrid(10.0))
    next(frames)
    time.sleep(0.3)
    ahead = reader.report.frames_decoded
    frames.close()
    assert 2 <= ahead <= 12


def test_closing_half_way_ends_the_thread(reader_of):
    before = set(threading.enumerate())
    frames = reader_of([k / 10 for k in range(500)]).samples(SampleGrid(10.0))
    next(frames)
    begun = set(threading.enumerate()) - before
    assert begun
    frames.close()
    for thread in begun:
        thread.join(5)
    assert not any(thread.is_alive() for thread in begun)


def test_what_goes_wrong_in_the_thread_reaches_whoever_reads():
    def source():
        yield 1
        raise OSError("the disk is gone")

    items = read_ahead(source(), 2, 5.0, lambda: 0)
    assert next(items) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        next(items)


def test_a_source_that_cannot_be_closed_is_told_at_its_end():
    class Stuck:
        def __init__(self):
            self.items = iter([1, 2])

        def __iter__(self):
            return self

        def __next__(self):
            return next(self.items)

        def close(self):
            raise OSError("cannot be closed")

    items = read_ahead(Stuck(), 2, 0.5, lambda: 0)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(OSError, match="cannot be closed"):
        next(items)
