import numpy as np
import pytest

from video_ingest.calibrate import fit_homography, make_camera
from video_ingest.contract import CalibrationError

SQUARE = [(100, 100, 0, 0), (200, 100, 10, 0), (200, 200, 10, 10), (100, 200, 0, 10)]


def test_four_points_are_met_exactly():
    fitted = fit_homography(SQUARE)
    assert fitted.residuals_m == pytest.approx([0, 0, 0, 0], abs=1e-9)
    assert fitted.to_floor(np.array([[150.0, 150.0]])) == pytest.approx(np.array([[5.0, 5.0]]))


def test_pixels_and_metres_map_back_and_forth():
    fitted = fit_homography([(0, 400, 0, 0), (600, 400, 6, 0), (400, 100, 6, 9), (200, 100, 0, 9)])
    floor = np.array([[1.0, 1.0], [3.0, 8.0]])
    assert fitted.to_floor(fitted.to_pixel(floor)) == pytest.approx(floor)


def test_a_point_measured_wrongly_shows_in_its_residual():
    wrong = [*SQUARE, (150, 150, 5, 5), (150, 100, 5, 0), (100, 150, 0, 5), (200, 150, 10.5, 5)]
    residuals = fit_homography(wrong).residuals_m
    assert residuals.argmax() == 7
    assert 0.1 < residuals[7] < 0.5


def test_a_pixel_above_the_horizon_is_nowhere_on_the_floor():
    fitted = fit_homography([(0, 400, 0, 0), (600, 400, 6, 0), (400, 100, 6, 9), (200, 100, 0, 9)])
    assert np.isnan(fitted.to_floor(np.array([[300.0, -500.0]]))).all()


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (SQUARE[:3], "3 points were given and 4 are needed"),
        ([(i, i, i, i) for i in range(6)], "on one line"),
        ([(i, 0, i, 0) for i in range(3)] + [(5, 5, 5, 5)], "on one line"),
        ([SQUARE[0]] * 4, "on one line"),
        ([*SQUARE[:3], (100, 200, 0, float("nan"))], "not a finite number"),
        ([SQUARE[0], SQUARE[2], SQUARE[1], (100, 200, 0.0, -9)], "horizon|one line|fit no"),
    ],
)
def test_points_that_allow_no_single_mapping_are_refused(rows, why):
    with pytest.raises(CalibrationError, match=why):
        fit_homography(rows)


def test_the_version_of_a_camera_changes_with_its_calibration_and_its_clock():
    versions = {
        make_camera("mall", "cam-1", SQUARE).version,
        make_camera("mall", "cam-1", SQUARE[::-1]).version,
        make_camera("mall", "cam-1", SQUARE, clock_offset_s=1.0).version,
    }
    assert len(versions) == 3
    assert make_camera("mall", "cam-1", SQUARE) == make_camera("mall", "cam-1", SQUARE)


@pytest.mark.parametrize("row", [(1, 2, 3), (1, 2, 3, "4")])
def test_a_row_that_is_no_four_numbers_is_refused(row):
    with pytest.raises(CalibrationError, match="no row of four numbers"):
        make_camera("mall", "cam-1", [row])
