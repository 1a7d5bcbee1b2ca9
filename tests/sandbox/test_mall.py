"""The mall's geometry, its cameras and its space file agree with each other."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.geometry import first_self_crossing, signed_side
from ksi_pipeline.sandbox.deliver import camera_version
from ksi_pipeline.sandbox.mall import Mall
from ksi_pipeline.sandbox.space_file import OPENING, space_yaml, write_connectors
from ksi_pipeline.space import load

SHOPS = Mall(3).shops


def space_of(mall: Mall, folder: Path) -> load.Space:
    path = folder / "demo-mall.yaml"
    path.write_text(space_yaml(mall), encoding="utf-8")
    return load.load_space(path)


@pytest.mark.parametrize("shop", SHOPS, ids=lambda shop: shop.unit_id)
def test_the_homography_rows_give_back_the_floor_to_a_centimetre(shop):
    rows = np.array(shop.homography())
    to_floor, _ = cv2.findHomography(rows[:, :2], rows[:, 2:])
    x, y = np.meshgrid(
        np.linspace(shop.view.x0, shop.view.x1, 9), np.linspace(shop.view.y0, shop.view.y1, 9)
    )
    floor = np.stack([x.ravel(), y.ravel(), np.zeros(81)], axis=1)
    pixels = shop.camera.project(floor)[:, :2]
    found = cv2.perspectiveTransform(pixels.reshape(-1, 1, 2), to_floor)[:, 0]
    assert np.abs(found - floor[:, :2]).max() < 0.01
    assert np.abs(shop.camera.floor(pixels) - floor[:, :2]).max() < 1e-9


@pytest.mark.parametrize("shop", SHOPS, ids=lambda shop: shop.unit_id)
def test_the_picture_shows_all_the_floor_on_which_a_camera_delivers(shop):
    corners = np.array([(x, y, 0.0) for x, y in shop.view.polygon()])
    u, v, _ = shop.camera.project(corners).T
    assert u.min() > 0
    assert u.max() < 640
    assert v.min() > 0
    assert v.max() < 480


def test_no_two_cameras_deliver_the_same_floor():
    for west, east in zip(SHOPS[:-1], SHOPS[1:], strict=True):
        assert west.view.x1 < east.view.x0


def test_the_shop_lies_on_the_left_of_its_door():
    for shop in SHOPS:
        a, b = np.array(shop.door)
        assert signed_side(np.array([[shop.centre_m, 2.0]]), a, b)[0] > 0
        assert b[0] - a[0] == pytest.approx(2.4)


def test_the_space_file_loads_and_its_polygons_are_simple(tmp_path):
    space = space_of(Mall(3), tmp_path)
    assert [unit.id for unit in space.file.units] == ["0001", "0002", "0003"]
    assert [first_self_crossing(zone.polygon) for zone in space.file.zones] == [None] * 10
    assert space.file.site.opening() == OPENING


def test_deliveries_name_the_camera_version_of_the_space_model(tmp_path):
    cameras = space_of(Mall(2), tmp_path).file.cameras
    assert [load.camera_version(c) for c in cameras] == [
        camera_version(shop) for shop in Mall(2).shops
    ]


def test_connectors_keep_the_address_as_it_was_given(tmp_path):
    text = write_connectors(tmp_path, "http://127.0.0.1:8123/sales").read_text(encoding="utf-8")
    assert '    url: "http://127.0.0.1:8123/sales"\n' in text
    assert "    absent_means: missing\n" in text


@pytest.mark.parametrize("units", [0, 100])
def test_a_mall_of_impossible_size_is_refused(units):
    with pytest.raises(ConfigError, match="1 to 99") as refused:
        Mall(units)
    assert refused.value.code == "E_SANDBOX"
