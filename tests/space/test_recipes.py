"""What a day was counted with has a name, and that name says all that can change the counts."""

from datetime import UTC, datetime

from ksi_pipeline.defs.steps.recipes import SiteRecipes
from ksi_pipeline.space.load import load_space

SPACE = """
schema: 1
site: {id: mall, name: Mall, timezone: Europe/Madrid, currency: EUR}
zones:
  - {id: shelf, role: selling, polygon: [[0, 0], [2, 0], [2, 1]]}
cameras:
"""
DAY = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC)


def version(tmp_path, *split: str) -> str:
    """The version of a day around a local midnight at which some cameras are aimed anew."""
    lines = []
    for camera in "ab":
        if camera in split:
            lines.append(f"  - {{id: {camera}, sees: [shelf], to: 2026-03-03}}")
            lines.append(f"  - {{id: {camera}, sees: [shelf], from: 2026-03-03}}")
        else:
            lines.append(f"  - {{id: {camera}, sees: [shelf]}}")
    path = tmp_path / "mall.yaml"
    path.write_text(SPACE + "\n".join(lines))
    return SiteRecipes(load_space(path)).over(*DAY).version


def test_the_version_of_a_count_says_which_camera_cuts_its_tracklets(tmp_path):
    versions = [version(tmp_path, *split) for split in ("", "a", "b", "ab")]
    assert len(set(versions)) == 4
