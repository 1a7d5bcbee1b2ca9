"""The picture of a plan, looked at by its pixels."""

from datetime import date
from pathlib import Path

import cv2
import numpy as np
import pytest

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.report.foot_points import FootPoints
from ksi_pipeline.report.plan_picture import draw_plan
from ksi_pipeline.report.plan_shapes import shapes_on
from ksi_pipeline.report.plan_sheet import ROLE_COLOURS
from ksi_pipeline.sandbox.mall import Mall
from ksi_pipeline.sandbox.space_file import space_yaml
from ksi_pipeline.space.load import load_space
from ksi_pipeline.space.model import ZoneRole

REPO = Path(__file__).resolve().parents[2]
DAY = date(2026, 3, 27)
SPACE = """\
schema: 1
site: {id: shop, name: "Shop", timezone: Europe/Madrid, currency: EUR}
units: [{id: "0001"}]
zones:
  - {id: shelf, unit: "0001", role: selling, polygon: [[0, 0], [2, 0], [2, 2], [0, 2]]}
lines:
  - {id: door, unit: "0001", role: entrance, a: [0, -1], b: [2, -1], inside: left}
"""


@pytest.fixture
def draw(tmp_path: Path):
    def draw_text(text, points=None, name="plan.png"):
        (tmp_path / "shop.yaml").write_text(text)
        space = load_space(tmp_path / "shop.yaml")
        unlabelled = draw_plan(space, shapes_on(space, DAY), points, tmp_path / name)
        return unlabelled, tmp_path / name

    return draw_text


def pixels(path):
    """Rows of red, green, blue."""
    return cv2.imread(str(path))[..., ::-1]


def count_of(path, colour):
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((pixels(path) == rgb).all(axis=2).sum())


@pytest.mark.parametrize("units", [1, 2, 5])
def test_everything_in_the_demo_mall_is_drawn_and_labelled(draw, units):
    unlabelled, path = draw(space_yaml(Mall(units)))
    assert unlabelled == []
    assert path.read_bytes().startswith(b"\x89PNG\r\n")
    height, width, _ = pixels(path).shape
    assert 600 < height < 1500
    assert 800 < width < 4500


def test_everything_in_the_example_street_is_drawn_and_labelled(draw):
    example = REPO / "data" / "spaces" / "example-street.yaml.example"
    assert draw(example.read_text())[0] == []


def test_each_zone_role_has_a_colour():
    assert set(ROLE_COLOURS) == set(ZoneRole.__args__)
    assert len(set(ROLE_COLOURS.values())) == len(ROLE_COLOURS)


def test_a_zone_far_from_the_others_is_on_the_picture(draw):
    far = "  - {id: far, role: staff, polygon: [[-90, -60], [-80, -60], [-80, -50]]}\nlines:"
    _, near = draw(SPACE)
    assert count_of(near, ROLE_COLOURS["staff"]) == 0
    _, path = draw(SPACE.replace("lines:", far))
    assert count_of(path, ROLE_COLOURS["staff"]) > 100
    assert count_of(path, ROLE_COLOURS["selling"]) > 10


def test_turning_the_inside_of_a_line_turns_the_picture_of_its_arrow(draw):
    ink = [0x1A, 0x1A, 0x1A]

    def inked_rows(inside):
        _, path = draw(SPACE.replace("inside: left", f"inside: {inside}"))
        plan = pixels(path)[:, :1100]
        line = (plan == ink).all(axis=2)
        row = int(line.sum(axis=1).argmax())
        column = int(np.median(np.flatnonzero(line[row])))
        beside = line[:, column - 2 : column + 3].any(axis=1)
        return int(beside[row - 60 : row - 4].sum()), int(beside[row + 5 : row + 61].sum())

    above, below = inked_rows("left")
    assert above > 1.5 * below
    above, below = inked_rows("right")
    assert below > 1.5 * above


def test_foot_points_are_dots_and_those_beyond_the_picture_are_left_out(draw):
    _, without = draw(SPACE, name="without.png")
    cloud = np.random.default_rng(1).uniform(0.2, 1.8, (3000, 2))
    _, within = draw(SPACE, FootPoints(DAY, cloud, 3000), name="within.png")
    _, beyond = draw(SPACE, FootPoints(DAY, cloud + 500.0, 3000), name="beyond.png")
    assert pixels(beyond).shape == pixels(without).shape == pixels(within).shape

    def dots(path):
        plan, bare = pixels(path)[100:700, 120:780], pixels(without)[100:700, 120:780]
        return int((plan != bare).any(axis=2).sum())

    assert dots(within) > 2000
    assert dots(beyond) == 0


def test_the_same_plan_gives_the_same_bytes(draw):
    assert draw(SPACE)[1].read_bytes() == draw(SPACE, name="again.png")[1].read_bytes()


@pytest.mark.parametrize("old", ['name: "Shop"', 'id: "0001"}'], ids=["site", "unit"])
def test_a_name_with_dollar_signs_is_no_formula(draw, old):
    named = old.replace('"Shop"', '"1$ ^_ 2$"').replace("}", ', name: "1$ ^_ 2$"}')
    assert draw(SPACE.replace(old, named))[0] == []


def test_a_plan_without_any_shape_on_that_day_is_refused_and_writes_nothing(draw, tmp_path):
    never = SPACE.replace("2]]}", "2]], from: 2030-01-01}").replace(
        "left}", "left, to: 2020-01-01}"
    )
    with pytest.raises(ConfigError, match="valid on 2026-03-27"):
        draw(never)
    assert not (tmp_path / "plan.png").exists()


def test_a_picture_that_is_no_png_is_refused(draw, tmp_path):
    with pytest.raises(ConfigError, match=r"ends in \.png"):
        draw(SPACE, name="shop.yaml")
    assert (tmp_path / "shop.yaml").read_text() == SPACE


def test_a_single_line_is_a_plan(draw):
    alone = SPACE[: SPACE.index("zones:")] + SPACE[SPACE.index("lines:") :]
    assert draw(alone)[0] == []
