"""The empty floor and what is drawn on it: nobody may remain in the picture."""

from importlib.util import find_spec

import cv2
import numpy as np
import pytest

from video_ingest import overlay
from video_ingest.background import GREY, median_background
from video_ingest.calibrate import fit_homography
from video_ingest.calibration_check import Shape
from video_ingest.contract import VideoError
from video_ingest.detectors import make_detector
from video_ingest.overlay import check_png, draw_overlay, write_png

ROWS = [(10, 100, 0, 0), (150, 100, 4, 0), (110, 40, 4, 5), (50, 40, 0, 5)]


def frames_of(path, step=1):
    """Every `step`-th frame, as integers that can be subtracted."""
    capture, found = cv2.VideoCapture(str(path)), []
    while capture.grab():
        found.append(capture.retrieve()[1] if len(found) % step == 0 else None)
    return [image.astype(int) for image in found[::step]]


def film(path, draw, seconds=20):
    """A noisy grey floor at 10 fps on which `draw(frame, number)` draws."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 120))
    noise = np.random.default_rng(3)
    for number in range(seconds * 10):
        frame = noise.integers(96, 104, (120, 160, 3), dtype=np.uint8)
        draw(frame, number)
        writer.write(frame)
    writer.release()
    return path


def test_a_walker_who_is_in_every_frame_is_not_in_the_median(tmp_path, write_clip):
    path = write_clip(tmp_path / "a.avi", 0, 200)
    floor = np.random.default_rng(7).integers(90, 110, (120, 160, 3), dtype=np.uint8).astype(int)
    assert min(np.abs(frame - floor).max() for frame in frames_of(path)) > 80, (
        "every frame shows the walker"
    )
    empty = median_background([path])
    assert np.abs(empty.image.astype(int) - floor).max() < 40, "only noise of the codec is left"
    assert empty.hidden_share == 0


def test_a_place_that_never_comes_to_rest_is_painted_grey(tmp_path):
    def screen(frame, number):
        frame[20:60, 20:60] = 60 * (number % 4) + 20

    image = median_background([film(tmp_path / "a.avi", screen)]).image
    assert np.all(image[24:56, 24:56] == GREY)
    assert not np.any(np.all(image[70:, 70:] == GREY, axis=2))


class FindsTheRedOnes:
    """Stands in for a network: sees a red block whether or not it moves."""

    name, prime_frames = "red", 0

    def prime(self, frames):
        pass

    def detect(self, frames):
        boxes = []
        for frame in frames:
            rows, columns = np.nonzero(frame.image[:, :, 2].astype(int) - frame.image[:, :, 0] > 60)
            corners = [columns.min(), rows.min(), columns.max(), rows.max(), 0.9]
            boxes.append(np.array([corners], dtype=np.float32))
        return boxes


def test_someone_who_stands_there_all_the_time_is_painted_grey_with_a_detector(tmp_path):
    def cashier(frame, number):
        frame[40:80, 60:75] = (20, 40, 220)

    path = film(tmp_path / "a.avi", cashier)
    assert np.abs(median_background([path]).image[60, 65].astype(int) - GREY).max() > 60
    hidden = median_background([path], FindsTheRedOnes())
    assert np.all(hidden.image[40:80, 60:75] == GREY)
    assert hidden.hidden_people == 1


def test_a_video_too_short_for_people_to_move_on_is_refused(tmp_path, write_clip):
    with pytest.raises(VideoError, match="hold 5 s") as caught:
        median_background([write_clip(tmp_path / "a.avi", 0, 50)])
    assert caught.value.code == "E_BACKGROUND"


def test_two_short_videos_are_one_long_one(tmp_path, write_clip):
    paths = [write_clip(tmp_path / "a.avi", 0, 100), write_clip(tmp_path / "b.avi", 100, 200)]
    assert median_background(paths).image.shape == (120, 160, 3)


def test_the_picture_shows_a_zone_and_a_line_with_arrows_onto_its_inside(tmp_path):
    empty = median_background([film(tmp_path / "a.avi", lambda frame, number: None)])
    fitted = fit_homography(ROWS)
    ends = np.array([(0.5, 2.0), (3.5, 2.0)])
    drawn = {
        inside: draw_overlay(
            empty, "cam-1", ROWS, fitted, [Shape("door", "entrance", ends, inside)]
        ).astype(int)
        for inside in ("left", "right")
    }
    canvas = overlay.Overlay(empty, fitted)
    red = {
        inside: np.argwhere((image[:, :, 2] > 180) & (image[:, :, 1] < 60)) - [overlay._HEAD_PX, 0]
        for inside, image in drawn.items()
    }
    (line,) = canvas.pixels(np.array([[2.0, 2.0]]))
    # left of a -> b is further away (larger y), so higher up in the picture
    assert red["left"][:, 0].min() < line[1] - 40
    assert red["right"][:, 0].max() > line[1] + 40
    assert red["left"][:, 0].max() < red["right"][:, 0].max()


def test_a_zone_that_reaches_behind_the_camera_is_cut_off_and_not_turned_over(tmp_path):
    empty = median_background([film(tmp_path / "a.avi", lambda frame, number: None)])
    corners = np.array([(1.0, 4.0), (3.0, 4.0), (3.0, -50.0), (1.0, -50.0)])
    zone = Shape("way", "passage", corners)
    canvas = overlay.Overlay(empty, fit_homography(ROWS))
    before = canvas.image.astype(int)
    canvas.zone(zone)
    changed = np.abs(canvas.image.astype(int) - before).max(axis=2) > 20
    scale, middle = before.shape[1] / 160, before.shape[1] // 2
    assert changed[round(60 * scale) : round(118 * scale), middle].mean() > 0.9
    assert not changed[: round(40 * scale)].any(), "nothing above its far edge"


def test_the_picture_is_a_png_in_a_folder_that_is_there(tmp_path):
    for bad in (tmp_path / "a.jpg", tmp_path / "nowhere" / "a.png"):
        with pytest.raises(VideoError) as caught:
            check_png(bad)
        assert caught.value.code == "E_OVERLAY"
    write_png(tmp_path / "a.png", np.zeros((4, 4, 3), dtype=np.uint8))
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.data
def test_none_of_the_nineteen_people_of_a_real_plaza_remains(test_data):
    path = test_data / "video" / "vtest.avi"
    empty = median_background([path]).image.astype(int)
    frames = frames_of(path, 40)
    truth = np.loadtxt(test_data / "video" / "PETS09-S2L1.gt.txt", delimiter=",")
    shown = []
    for index, frame in enumerate(frames):
        for _, _, x, y, w, h, *_ in truth[truth[:, 0] == 40 * index + 1]:
            body = (slice(int(max(y, 0)), int(y + h)), slice(int(max(x, 0)), int(x + w)))
            shown.append(np.abs(frame[body] - empty[body]).max(axis=2).mean())
    assert len(shown) > 80
    assert np.mean(np.array(shown) > 12) > 0.9, "where people are in the frames, the floor differs"
    if find_spec("openvino") is not None:
        weights = test_data / "weights" / "yolo11n_int8_openvino_model"
        hidden = median_background([path], make_detector("openvino", weights))
        assert hidden.hidden_people == 0
