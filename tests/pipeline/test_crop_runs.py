"""With a crop, what a chunk gives depends on the zones; without one it does not."""

import pytest

from ksi_pipeline.defs.workspace import VideoSettings

from .homes import make_workspace
from .test_bad_input import chunk_path, film, ingest


@pytest.mark.parametrize(("crop", "redone"), [(False, 0), (True, 1)])
def test_a_moved_line_decodes_again_only_where_the_picture_is_cropped_for_it(shop, crop, redone):
    home = shop()
    film(chunk_path(home))
    workspace = make_workspace(home, video=VideoSettings(crop=crop))
    assert ingest(workspace).done_count == 1
    assert ingest(workspace).done_count == 0
    space = home / "spaces" / "shop.yaml"
    space.write_text(space.read_text().replace("b: [4, 0]", "b: [3, 0]"))
    assert ingest(workspace).done_count == redone


def test_switching_the_crop_on_decodes_again(shop):
    home = shop()
    film(chunk_path(home))
    assert ingest(make_workspace(home)).done_count == 1
    assert ingest(make_workspace(home, video=VideoSettings(crop=True))).done_count == 1
