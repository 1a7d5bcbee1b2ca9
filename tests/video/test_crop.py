import numpy as np
import pytest

from video_ingest.calibrate import fit_homography, make_camera
from video_ingest.chunks import make_chunk
from video_ingest.crop import CroppedDetector, Region, crop_for, needed_region
from video_ingest.detectors.base import Frame
from video_ingest.ingest import ingest_chunk

# 600 x 400 pixels, looking along y from above: 6 m wide in front, 9 m deep.
ROWS = [(0, 400, 0, 0), (600, 400, 6, 0), (400, 100, 6, 9), (200, 100, 0, 9)]
FITTED = fit_homography([tuple(map(float, row)) for row in ROWS])
SIZE = (600, 400)
SHELF = ((4.0, 5.0), (5.0, 5.0), (5.0, 6.0), (4.0, 6.0))


class Sees:
    """Finds one box at the place of the brightest pixel of what it is shown."""

    name, prime_frames = "sees", 2

    def __init__(self):
        self.shapes = []

    def prime(self, frames):
        self.shapes += [image.shape for image in frames]

    def detect(self, frames):
        found = []
        for frame in frames:
            self.shapes.append(frame.image.shape)
            v, u = np.unravel_index(frame.image[:, :, 0].argmax(), frame.image.shape[:2])
            found.append(np.array([[u, v, u + 1, v + 2, 0.9]], dtype=np.float32))
        return found


def test_the_region_holds_the_zone_with_floor_around_it_and_a_body_above():
    region = needed_region(FITTED, (SHELF,), SIZE)
    around = np.array([(4 - 1.0, 5 - 1.0), (6.0, 4.0), (6.0, 7.0), (3.0, 7.0)])
    feet = FITTED.to_pixel(around)
    assert np.all(feet >= [region.x1, region.y1])
    assert np.all(feet <= [region.x2, region.y2])
    scale = FITTED.to_pixel(np.array([(4.5, 7.0), (5.5, 7.0)]))
    body_px = 1.9 * (scale[1, 0] - scale[0, 0])
    assert region.y1 <= feet[2, 1] - body_px
    assert (region.x2 - region.x1) * (region.y2 - region.y1) < 0.6 * 600 * 400


@pytest.mark.parametrize(
    "watched",
    [
        (),
        (((0.0, 0.0), (6.0, 0.0), (6.0, 9.0), (0.0, 9.0)),),
        (((1.0, 1.0), (2.0, -80.0), (2.0, 1.0)),),
        (((90.0, 5.0), (91.0, 5.0), (91.0, 6.0)),),
    ],
    ids=["nothing", "everything", "behind the camera", "outside"],
)
def test_the_whole_picture_is_kept_where_a_crop_would_not_help(watched):
    assert needed_region(FITTED, watched, SIZE) is None


def test_boxes_come_back_in_pixels_of_the_whole_picture(start_us):
    image = np.zeros((400, 600, 3), dtype=np.uint8)
    image[220, 310] = 255
    inner = Sees()
    detector = CroppedDetector(inner, Region(300, 200, 500, 350))
    detector.prime([image])
    (boxes,) = detector.detect([Frame(start_us, image)])
    assert boxes[0].tolist() == pytest.approx([310, 220, 311, 222, 0.9])
    assert inner.shapes == [(150, 200, 3)] * 2
    assert detector.name == "sees in 300,200-500,350"


def test_whoever_is_cut_off_by_the_lower_edge_of_the_region_stands_below_it(start_us):
    image = np.zeros((400, 600, 3), dtype=np.uint8)
    image[348, 310] = 255
    (cut,) = CroppedDetector(Sees(), Region(300, 200, 500, 350)).detect([Frame(start_us, image)])
    assert len(cut) == 0
    image = image[:350]
    (kept,) = CroppedDetector(Sees(), Region(300, 200, 500, 350)).detect([Frame(start_us, image)])
    assert len(kept) == 1, "at the edge of the picture nobody can be seen lower down"


def test_tracklets_say_which_part_was_looked_at(tmp_path, write_clip, start):
    # one metre is ten pixels; the walker's feet pass (5 m, 9.2 m)
    camera = make_camera(
        "mall",
        "cam-1",
        [(u, v, u / 10, v / 10) for u, v in ((0, 0), (100, 0), (100, 100), (0, 100))],
    )
    chunk = make_chunk(write_clip(tmp_path / "a.avi", 0, 100), "mall", "cam-1", start)
    watched = (((4.0, 8.9), (6.0, 8.9), (6.0, 9.4), (4.0, 9.4)),)

    class Walker(Sees):
        def detect(self, frames):
            found = []
            for frame in frames:
                is_red = frame.image[:, :, 2].astype(int) - frame.image[:, :, 0] > 100
                rows, columns = np.nonzero(is_red)
                box = (
                    []
                    if len(rows) < 20
                    else [[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1, 0.9]]
                )
                found.append(np.array(box, dtype=np.float32).reshape(-1, 5))
            return found

    cropped = crop_for(Walker(), chunk.path, camera, watched)
    whole, part = (ingest_chunk(chunk, camera, detector, None) for detector in (Walker(), cropped))
    assert part.tracklets["detector"].to_pylist() == [cropped.name]
    assert " in " in cropped.name
    places = [
        {
            (r["ts_utc"], round(r["x_m"], 2), round(r["y_m"], 2))
            for r in t.points.to_pylist()
            if 4.0 < r["x_m"] < 6.0
        }
        for t in (whole, part)
    ]
    assert places[0] == places[1] != set()
    assert part.points.num_rows < whole.points.num_rows


def test_a_picture_whose_size_is_not_known_is_not_cropped():
    assert needed_region(FITTED, (SHELF,), (0, 0)) is None
