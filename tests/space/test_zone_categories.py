"""Which categories a zone shows becomes a table with the validity of the zone."""

from datetime import UTC, datetime

from ksi_pipeline.space.load import load_space
from ksi_pipeline.space.tables import space_tables

SPACE = """\
schema: 1
site: {id: mall, name: Mall, timezone: Europe/Madrid, currency: EUR}
units: [{id: "0001"}]
zones:
  - {id: wall, unit: "0001", role: selling, polygon: [[0, 0], [2, 0], [2, 1]],
     categories: [shoes, bags, shoes], from: 2025-01-01}
  - {id: hall, role: passage, polygon: [[0, 0], [2, 0], [2, 1]]}
"""


def test_a_zone_has_a_row_for_each_category_once_while_it_is_valid(tmp_path):
    path = tmp_path / "mall.yaml"
    path.write_text(SPACE)
    row = {
        "site_id": "mall",
        "unit_id": "0001",
        "zone_id": "wall",
        "valid_from_utc": datetime(2024, 12, 31, 23, tzinfo=UTC),
        "valid_to_utc": None,
    }
    assert space_tables(load_space(path))["space_zone_category"].to_pylist() == [
        {**row, "category": "shoes"},
        {**row, "category": "bags"},
    ]
