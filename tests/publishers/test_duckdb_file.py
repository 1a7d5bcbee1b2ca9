"""What a DuckDB file shows that other targets cannot be made to show as easily."""

from ksi_pipeline.core.publishing import Part

from .places import MART, ROWS, DuckdbPlace, Marts


def test_rows_without_a_date_that_were_put_in_by_hand_are_removed(tmp_path):
    place, batches = DuckdbPlace(tmp_path), Marts(tmp_path / "marts").batches()
    place.publish(batches)
    place.alter(f"insert into {MART} (unit_key, tickets) values ('mall/0009', 3)")
    changes = place.publish(batches).changes
    assert [c.part for c in changes if c.action == "remove"] == [Part(MART, "none")]
    assert place.rows() == sorted(row for rows in ROWS.values() for row in rows)
