"""Rendered frames show the scene to a plain background subtraction."""

import cv2
import numpy as np
import pytest

from ksi_pipeline.sandbox.mall import Mall
from ksi_pipeline.sandbox.render import Scene
from ksi_pipeline.sandbox.trail import Walk

SHOP = Mall(1).shops[0]


def walking(from_xy, to_xy, seconds=10.0, looks=5, from_s=0.0):
    times = np.array([from_s, from_s + seconds])
    places = np.array([from_xy, to_xy], dtype=np.float64)
    return Walk(times, places, None, None, None, None, True, looks)


def blobs(frames):
    """Foot points, floor metres, of what moves in the last frame by OpenCV's own MOG2."""
    subtractor = cv2.createBackgroundSubtractorMOG2(500, 16, True)
    for frame in frames:
        mask = subtractor.apply(frame)
    mask = cv2.morphologyEx(np.uint8(mask == 255), cv2.MORPH_OPEN, np.ones((3, 3)))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((15, 7)))
    stats = cv2.connectedComponentsWithStats(mask)[2][1:]
    feet = [(x + w / 2, y + h) for x, y, w, h, area in stats if area > 250]
    return SHOP.camera.floor(np.array(feet, dtype=np.float64).reshape(-1, 2))


def test_a_motion_detector_finds_everybody_who_walks_where_they_are():
    walks = [
        walking((1.0, -2.3), (7.0, -2.3), looks=1, from_s=1.0),
        walking((6.5, 1.0), (6.5, 4.0), looks=2, from_s=1.0),
        walking((1.5, 4.0), (3.0, 1.0), looks=3, from_s=1.0),
    ]
    scene = Scene(SHOP, seed=1)
    found = blobs([scene.frame(walks, k / 10) for k in range(45)])
    truth = np.stack([walk.at(np.array([4.4]))[0] for walk in walks])
    assert len(found) == 3
    for place in truth:
        assert np.hypot(*(found - place).T).min() < 0.35


def test_an_empty_scene_does_not_move():
    scene = Scene(SHOP, seed=1)
    assert len(blobs([scene.frame([], k / 10) for k in range(30)])) == 0


def test_the_same_seed_paints_the_same_picture_and_another_seed_another():
    walks = [walking((1.0, -2.0), (7.0, -2.0))]
    first, again, other = (Scene(SHOP, seed).frame(walks, 5.0) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.shape == (480, 640, 3)
    assert first.dtype == np.uint8


def test_a_frame_does_not_depend_on_the_frames_before_it():
    walks = [walking((1.0, -2.0), (7.0, -2.0))]
    scene = Scene(SHOP, seed=1)
    scene.frame(walks, 4.9)
    assert np.array_equal(scene.frame(walks, 5.0), Scene(SHOP, seed=1).frame(walks, 5.0))


@pytest.mark.parametrize("y_m", [-2.5, 0.0, 4.5], ids=["near", "door", "far"])
def test_a_person_is_about_170_cm_tall_at_every_distance(y_m):
    scene = Scene(SHOP, seed=1)
    walk = walking((SHOP.centre_m, y_m), (SHOP.centre_m, y_m))
    with_person, without = scene.frame([walk], 5.0), scene.background
    changed = np.abs(with_person.astype(int) - without).max(axis=2) > 40
    rows = np.flatnonzero(changed.sum(axis=1) >= 2)
    head, foot = SHOP.camera.project(
        np.array([(SHOP.centre_m, y_m, 1.71), (SHOP.centre_m, y_m, 0.0)])
    )[:, 1]
    assert (rows[-1] - rows[0]) / (foot - head) == pytest.approx(1.0, abs=0.15)


def test_people_in_the_neighbours_shop_are_hidden_by_the_walls():
    scene = Scene(SHOP, seed=1)
    walk = walking((9.5, 3.0), (9.5, 3.0))
    changed = np.abs(scene.frame([walk], 5.0).astype(int) - scene.background).max()
    assert changed < 30
