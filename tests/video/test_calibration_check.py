import numpy as np
import pytest

from video_ingest.calibrate import fit_homography
from video_ingest.calibration_check import Shape, point_findings, shape_findings, swapped

# A camera that looks along y from above: 600 x 400 pixels, 6 m wide in front, 9 m deep.
POINTS = [
    (0.0, 400.0, 0.0, 0.0),
    (600.0, 400.0, 6.0, 0.0),
    (400.0, 100.0, 6.0, 9.0),
    (200.0, 100.0, 0.0, 9.0),
]
RIGHT = fit_homography(POINTS)
PICTURE = (600, 400)


def seen_at(x, y):
    """A row whose pixel is where the camera sees that place."""
    ((u, v),) = RIGHT.to_pixel(np.array([[x, y]]))
    return (float(u), float(v), x, y)


SEVEN = [*POINTS, seen_at(3.0, 2.0), seen_at(1.5, 4.0), seen_at(4.0, 6.0)]


def found(rows):
    return list(point_findings(rows, fit_homography(rows), PICTURE))


def zone(*corners):
    return Shape("shelf", "display", np.array(corners, dtype=float))


def test_points_that_agree_give_no_warning():
    assert found(SEVEN) == []


def test_four_points_cannot_check_each_other():
    (warning,) = found(POINTS)
    assert "four points always fit exactly" in warning


def test_a_point_measured_wrongly_is_named_and_so_are_those_more_than_25_cm_off():
    wrong = [*SEVEN[:6], (*SEVEN[6][:2], 4.0, 7.5)]
    warnings = found(wrong)
    assert any(w.startswith("point 7 does not agree with the others") for w in warnings)
    far = [i for i, r in enumerate(fit_homography(wrong).residuals_m, 1) if r > 0.25]
    named = [int(w.split()[1]) for w in warnings if "cm beside its place" in w]
    assert named == far
    assert named


def test_a_point_24_cm_off_is_no_warning():
    off = fit_homography([*SEVEN[:6], (*SEVEN[6][:2], 4.0, 6.3)])
    assert 0.05 < off.residuals_m.max() < 0.25
    assert list(point_findings(SEVEN, off, PICTURE)) == []


@pytest.mark.parametrize(("one", "two"), [(0, 1), (1, 2), (4, 6)])
def test_two_points_with_their_metres_exchanged_are_named(one, two):
    rows = list(SEVEN)
    rows[one], rows[two] = (
        (*SEVEN[one][:2], *SEVEN[two][2:]),
        (*SEVEN[two][:2], *SEVEN[one][2:]),
    )
    assert swapped(rows)[0] == (one, two)


def test_points_that_fit_are_not_called_swapped():
    assert swapped(SEVEN) == []


def test_a_pixel_outside_the_picture_is_named():
    (warning,) = list(point_findings(SEVEN, RIGHT, (300, 400)))[:1]
    assert "point 2 at pixel (600, 400) lies outside the picture, which is 300 x 400" in warning


def test_a_floor_whose_axes_turn_the_wrong_way_is_called_mirrored():
    mirrored = [(u, v, y, x) for u, v, x, y in SEVEN]
    assert any("the floor is mirrored" in w for w in found(mirrored))


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (zone((1, 1), (4, 1), (4, 4), (1, 4)), None),
        (zone((20, 1), (24, 1), (24, 4), (20, 4)), "lies outside the picture"),
        (zone((1, -40), (4, -40), (4, -30), (1, -30)), "lies outside the picture"),
        (zone((3, 0.5), (9, 0.5), (9, 0.8), (3, 0.8)), "% of it lies outside"),
        (Shape("door", "entrance", np.array([(1.0, 1.0), (5.0, 1.0)]), "left"), None),
        (Shape("door", "entrance", np.array([(3.0, 0.1), (12.0, 0.1)]), "left"), "line 'door'"),
    ],
)
def test_zones_and_lines_outside_the_picture_are_named_with_their_share(shape, said):
    warnings = list(shape_findings([shape], RIGHT, PICTURE))
    assert (said is None) == (warnings == [])
    assert said is None or said in warnings[0]
