import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video_ingest.calibrate import fit_homography
from video_ingest.contract import VideoError
from video_ingest.tracker import FootPointTracker
from video_ingest.tracker_state import TrackerParams, TrackerState

START_US = 1_772_442_000_000_000
HEIGHT = 80.0
# A pixel row is 3 cm of floor near the camera and 14 cm far from it.
FLOOR = fit_homography([(0, 700, 0, 0), (750, 700, 15, 0), (200, 100, 0, 40), (550, 100, 15, 40)])


def us(seconds):
    return START_US + round(seconds * 1_000_000)


def person(u, v, confidence=0.9):
    """A box 80 px high whose foot point is (u, v)."""
    return [u - 15, v - HEIGHT, u + 15, v, confidence]


def boxes(*people):
    return np.array(people, dtype=np.float32).reshape(-1, 5)


def track(steps, borders=(), params=None, **camera):
    """Run (seconds, boxes) steps; a new chunk begins, from JSON, before each index in borders."""
    state, emitted, so_far = TrackerState(), [], {}
    edges = [0, *sorted(borders), len(steps)]
    for number, (first, last) in enumerate(pairwise(edges)):
        state = TrackerState.from_json(state.to_json())
        tracker = FootPointTracker("cam-1", f"chunk-{number}", state, params, **camera)
        for seconds, found in steps[first:last]:
            emitted += tracker.step(us(seconds), found)
        so_far |= {each.tracklet_id: each for each in tracker.touched()}
        state = TrackerState(tracks=tracker.tracks, step_us=tracker.step_us)
    return sorted(emitted, key=lambda each: (each[0], each[1].at_us)), so_far, state


def by_tracklet(emitted):
    found = {}
    for tracklet_id, sample in emitted:
        found.setdefault(tracklet_id, []).append(sample)
    return found


def walk(hz, until, speed=60.0, hidden=(0.0, 0.0)):
    """Somebody walking right; not seen while hidden."""
    times = [k / hz for k in range(int(until * hz) + 1)]
    return [
        (t, boxes() if hidden[0] <= t < hidden[1] else boxes(person(100 + speed * t, 300)))
        for t in times
    ]


def test_one_detection_is_no_tracklet():
    emitted, so_far, _ = track([(0.0, boxes(person(100, 300))), (0.2, boxes())])
    assert (emitted, so_far) == ([], {})


def test_confirmation_gives_the_earlier_sample_too():
    emitted, _, _ = track(walk(5, 0.2))
    assert [sample.at_us for _, sample in emitted] == [us(0.0), us(0.2)]
    assert (emitted[0][1].u_px, emitted[0][1].v_px) == (100.0, 300.0)


def test_the_id_tells_camera_first_instant_and_a_number_and_nothing_else():
    steps = [(t / 5, boxes(person(100, 300), person(400, 300))) for t in range(3)]
    assert list(by_tracklet(track(steps)[0])) == [
        "cam-1-20260302T090000.000000Z-1",
        "cam-1-20260302T090000.000000Z-2",
    ]


def test_a_faint_detection_begins_nothing_but_keeps_a_known_tracklet():
    faint = [(t / 5, boxes(person(100, 300, 0.3))) for t in range(10)]
    assert track(faint)[0] == []
    emitted, _, _ = track(walk(5, 0.4, speed=0.0) + [(t + 0.6, found) for t, found in faint])
    assert len(by_tracklet(emitted)) == 1
    assert all(sample.is_observed for _, sample in emitted)


@pytest.mark.parametrize("hz", [1, 2, 5, 10, 25])
@pytest.mark.parametrize("speed", [0.0, 60.0, 110.0])
def test_a_walker_is_one_tracklet_at_any_sampling_rate(hz, speed):
    emitted, _, _ = track(walk(hz, 8.0, speed))
    assert len(by_tracklet(emitted)) == 1
    assert len(emitted) == 8 * hz + 1


def test_an_occlusion_is_filled_on_a_straight_line_and_flagged():
    emitted, so_far, _ = track(walk(5, 6.0, hidden=(2.0, 3.0)))
    (samples,) = by_tracklet(emitted).values()
    filled = [sample for sample in samples if not sample.is_observed]
    assert [sample.at_us for sample in filled] == [us(2.0 + k / 5) for k in range(5)]
    places = [s.u_px for s in samples if us(1.8) <= s.at_us <= us(3.0)]
    assert np.diff(places) == pytest.approx(np.full(6, np.diff(places)[0]))
    assert [s.u_px for s in filled] == pytest.approx([220 + 12 * k for k in range(5)], abs=2.0)
    assert {sample.confidence for sample in filled} == {None}
    assert [each.sample_count for each in so_far.values()] == [31]


def test_an_occlusion_too_long_to_fill_is_still_the_same_tracklet():
    params = TrackerParams(fill_s=1.0)
    emitted, _, _ = track(walk(5, 6.0, hidden=(2.0, 4.0)), params=params)
    (samples,) = by_tracklet(emitted).values()
    assert all(sample.is_observed for sample in samples)


@pytest.mark.parametrize("hz", [1, 2, 5, 10, 25])
@pytest.mark.parametrize("speed", [0.0, 60.0])
def test_somebody_hidden_for_five_seconds_is_found_where_their_walk_leads(hz, speed):
    emitted, _, _ = track(walk(hz, 11.0, speed, hidden=(4.0, 9.0)))
    assert len(by_tracklet(emitted)) == 1


def test_somebody_who_appears_where_no_walk_leads_is_another_tracklet():
    stands = [(k / 5, boxes(person(100, 300))) for k in range(20)]
    hidden = [(4.0 + k / 5, boxes()) for k in range(15)]
    other = [(7.0 + k / 5, boxes(person(500, 300))) for k in range(10)]
    assert len(by_tracklet(track(stands + hidden + other)[0])) == 2


def test_the_longer_somebody_is_lost_the_further_they_may_be_but_not_anywhere():
    def is_rejoined(hidden_s, metres):
        stands = [(k / 5, boxes(person(100, 300))) for k in range(20)]
        there = boxes(person(100 + metres * HEIGHT / 1.7, 300))
        later = [(4.0 + hidden_s + k / 5, there) for k in range(10)]
        return len(by_tracklet(track(stands + later)[0])) == 1

    assert not is_rejoined(0.2, metres=2.7)
    assert is_rejoined(2.0, metres=2.7)
    assert not is_rejoined(7.0, metres=8.0)


def test_somebody_lost_for_too_long_is_another_tracklet():
    assert len(by_tracklet(track(walk(5, 14.0, speed=0.0, hidden=(2.0, 10.4)))[0])) == 2


def test_whoever_walks_out_of_view_has_left_it():
    def passers(view_px):
        walks_out = [(k / 5, boxes(person(540 + 12 * k, 300))) for k in range(8)]
        nobody = [(1.6 + k / 5, boxes()) for k in range(7)]
        comes_in = [(3.0 + k / 5, boxes(person(630 - 12 * k, 300))) for k in range(8)]
        emitted, _, _ = track(walks_out + nobody + comes_in, view_px=view_px)
        return len(by_tracklet(emitted))

    assert passers((0, 0, 640, 480)) == 2
    assert passers((500, 100, 640, 400)) == 2
    assert passers((0, 0, 800, 480)) == 1
    assert passers(None) == 1


def test_two_people_who_pass_each_other_keep_their_ids():
    steps = [
        (k / 5, boxes(person(100 + 12 * k, 300), person(400 - 12 * k, 312))) for k in range(26)
    ]
    first, second = by_tracklet(track(steps)[0]).values()
    assert (first[-1].u_px, second[-1].u_px) == pytest.approx((400.0, 100.0), abs=3.0)


def test_two_people_who_turn_back_from_each_other_keep_their_ids():
    def at(k):
        return 100 + 12 * min(k, 30 - k)

    steps = [(k / 5, boxes(person(at(k), 300), person(420 - at(k), 312))) for k in range(31)]
    first, second = by_tracklet(track(steps)[0]).values()
    assert (first[-1].u_px, second[-1].u_px) == pytest.approx((100.0, 320.0), abs=6.0)


def test_the_foot_point_of_somebody_who_stands_is_steadier_than_its_detections():
    jitter = np.random.default_rng(3).normal(0, 0.05 * HEIGHT, (100, 2))
    steps = [(k / 10, boxes(person(*(jitter[k] + 300)))) for k in range(100)]
    (samples,) = by_tracklet(track(steps)[0]).values()
    smoothed = np.array([[s.u_px, s.v_px] for s in samples]) - 300
    assert smoothed[10:].std() < 0.75 * jitter[10:].std()


def test_what_was_given_out_does_not_depend_on_what_comes_later():
    steps = walk(5, 6.0, hidden=(2.0, 3.0))
    whole, _, _ = track(steps)
    begun, _, _ = track(steps[:20])
    assert begun == whole[: len(begun)]


@pytest.mark.parametrize("scale", [0.25, 1.0, 3.0])
def test_without_a_floor_only_body_heights_count(scale):
    def tracklets(heights):
        stands = [(k / 5, person(100, 300)) for k in range(10)]
        later = [(2.6 + k / 5, person(100 + heights * HEIGHT, 300)) for k in range(10)]
        scaled = [(t, boxes([scale * x for x in box[:4]] + box[4:])) for t, box in stands + later]
        return len(by_tracklet(track(scaled)[0]))

    assert (tracklets(0.3), tracklets(1.5)) == (1, 2)


def test_on_a_floor_metres_count_and_not_pixels():
    # A pixel row is 20 cm of floor to a low camera and 2 cm to a high one.
    def tracklets(homography):
        near = [(k / 5, boxes(person(300, 300))) for k in range(10)]
        far = [(2.6 + k / 5, boxes(person(300, 270))) for k in range(10)]
        return len(by_tracklet(track(near + far, homography=homography)[0]))

    low = fit_homography([(u, v, u / 50, -v / 5) for u in (0, 600) for v in (0, 600)])
    high = fit_homography([(u, v, u / 50, -v / 50) for u in (0, 600) for v in (0, 600)])
    assert (tracklets(low), tracklets(high)) == (2, 1)


def test_a_foot_point_above_the_horizon_is_nobody():
    corners = [(0, 500, 0, 0), (600, 500, 10, 0), (200, 300, 0, 20), (400, 300, 10, 20)]
    horizon = fit_homography(corners)
    flies = [(k / 5, boxes(person(300, 150))) for k in range(10)]
    stands = [(k / 5, boxes(person(300, 400))) for k in range(10)]
    emitted, _, state = track(flies, homography=horizon)
    assert (emitted, state.tracks) == ([], ())
    assert len(track(stands, homography=horizon)[0]) == 10


@pytest.mark.parametrize("below_px", [1e-9, 1e-6, 1e-3, 0.1, 5.0])
def test_a_foot_point_so_close_below_the_horizon_that_its_place_is_vague_is_nobody(below_px):
    row = FLOOR.matrix[2]
    horizon_px = -(row[0] * 300 + row[2]) / row[1]
    noise = np.random.default_rng(0)
    steps = []
    for second in range(20):
        feet = [(noise.uniform(250, 350), horizon_px + below_px) for _ in range(4)]
        found = [[u - 10, v - noise.choice([8, 40, 100]), u + 10, v, 0.9] for u, v in feet]
        steps.append((second / 5, np.array(found)))
    emitted, _, state = track(steps, homography=FLOOR)
    assert (emitted, state.tracks) == ([], ())


def test_somebody_far_away_on_the_floor_is_followed():
    # a pixel row is 9.3 m of floor
    far = [(k / 5, boxes(person(300, -360))) for k in range(10)]
    assert len(track(far, homography=FLOOR)[0]) == 10


def test_a_box_cut_off_by_an_occlusion_does_not_move_its_person():
    whole = [(k / 5, boxes(person(300, 300))) for k in range(10)]
    upper_half = [(2.0, boxes([285, 220, 315, 262, 0.6]))]
    emitted, _, _ = track([*whole, *upper_half, *((2.2 + t, found) for t, found in whole)])
    (samples,) = by_tracklet(emitted).values()
    assert {s.is_observed for s in samples if s.at_us == us(2.0)} == {False}


def test_a_second_box_on_the_same_person_begins_no_tracklet():
    steps = [(0.0, boxes(person(100, 300)))]
    steps += [(k / 5, boxes(person(100, 300), person(104, 303))) for k in range(1, 6)]
    assert len(by_tracklet(track(steps)[0])) == 1


def test_a_second_box_begins_a_tracklet_of_its_own_where_overlaps_are_let_in():
    steps = [(0.0, boxes(person(100, 300)))]
    steps += [(k / 5, boxes(person(100, 300), person(104, 303))) for k in range(1, 6)]
    emitted, _, state = track(steps, params=TrackerParams(max_overlap=1.0))
    assert (len(by_tracklet(emitted)), len(state.tracks)) == (2, 2)


def test_a_child_in_the_place_of_an_adult_is_another_tracklet():
    adult = [(k / 5, boxes(person(100, 300))) for k in range(10)]
    child = [(2.0 + k / 5, boxes([90, 250, 110, 300, 0.9])) for k in range(10)]
    assert len(by_tracklet(track(adult + child)[0])) == 2


def test_a_child_beside_an_adult_is_not_mistaken_for_them():
    steps = [(k / 5, boxes(person(100, 300), [135, 260, 150, 300, 0.9])) for k in range(10)]
    emitted = by_tracklet(track(steps)[0])
    assert [len({s.u_px for s in samples}) for samples in emitted.values()] == [1, 1]


def test_time_must_increase():
    with pytest.raises(ValueError, match="Time must increase"):
        track([(0.2, boxes()), (0.2, boxes())])


def test_a_tracklet_names_every_chunk_that_saw_it():
    _, so_far, _ = track(walk(5, 4.0), borders=[1, 11])
    assert [each.chunk_ids for each in so_far.values()] == [("chunk-0", "chunk-1", "chunk-2")]


def test_a_missing_chunk_shorter_than_the_memory_keeps_the_tracklet_and_fills_nothing():
    steps = walk(5, 6.0)
    emitted, _, _ = track(steps[:10] + steps[18:], borders=[10])
    (samples,) = by_tracklet(emitted).values()
    assert all(sample.is_observed for sample in samples)


def test_a_missing_chunk_longer_than_the_memory_ends_the_tracklet():
    stands = [(k / 5, boxes(person(100, 300))) for k in range(10)]
    later = [(60 + k / 5, boxes(person(100, 300))) for k in range(10)]
    assert len(by_tracklet(track(stands + later, borders=[10])[0])) == 2


def test_the_state_of_twenty_people_is_a_few_kilobytes_and_reads_back_to_the_same_bytes():
    crowd = boxes(*(person(100.3 * k, 300.7) for k in range(20)))
    _, _, state = track([(k / 5, crowd) for k in range(50)], borders=[10, 20])
    text = state.to_json()
    assert TrackerState.from_json(text) == state
    assert TrackerState.from_json(text).to_json() == text
    assert len(state.digest()) == 64
    assert len(text) < 14_000


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"version":"footpoint-2","tracks":[{}],"step_us":[]}'],
)
def test_what_is_no_state_is_refused(text):
    with pytest.raises(VideoError) as caught:
        TrackerState.from_json(text)
    assert caught.value.code == "E_TRACKER_STATE"


def test_the_state_of_another_tracker_version_is_refused():
    values = json.loads(TrackerState().to_json()) | {"version": "footpoint-0"}
    with pytest.raises(VideoError, match="footpoint-0") as caught:
        TrackerState.from_json(json.dumps(values))
    assert caught.value.code == "E_TRACKER_STATE"


@st.composite
def scenes(draw):
    """Up to six people walking anywhere, each missed or faint now and then, and chunk borders."""
    hz = draw(st.sampled_from([2, 5, 10]))
    count = draw(st.integers(2, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    people = draw(st.integers(0, 6))
    place = rng.uniform(50, 700, (people, 2))
    speed = rng.uniform(-100, 100, (people, 2))
    steps = []
    for k in range(count):
        seen = rng.random(people) < 0.8
        foot = place + speed * k / hz + rng.normal(0, 2, (people, 2))
        confidence = rng.uniform(0.2, 1.0, people)
        found = [person(*f, c) for f, c, s in zip(foot, confidence, seen, strict=True) if s]
        steps.append((k / hz, boxes(*found)))
    borders = draw(st.lists(st.integers(0, count), max_size=6))
    camera = {"homography": draw(st.sampled_from([None, FLOOR])), "view_px": (0, 0, 750, 750)}
    return steps, borders, camera


@settings(max_examples=60, deadline=None)
@given(scenes())
def test_where_chunks_are_cut_does_not_change_a_tracklet(scene):
    steps, borders, camera = scene
    whole, so_far, state = track(steps, **camera)
    cut, cut_so_far, cut_state = track(steps, borders, **camera)
    assert cut == whole
    assert [replace(each, chunk_ids=()) for each in cut_state.tracks] == [
        replace(each, chunk_ids=()) for each in state.tracks
    ]
    assert cut_state.step_us == state.step_us
    assert {k: v.sample_count for k, v in cut_so_far.items()} == {
        k: v.sample_count for k, v in so_far.items()
    }
    counted = {k: len(v) for k, v in by_tracklet(whole).items()}
    assert counted == {k: v.sample_count for k, v in so_far.items()}
