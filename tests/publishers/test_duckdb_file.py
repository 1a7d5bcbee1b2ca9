"""What a DuckDB file shows that other targets cannot be made to show as easily."""

import os
import signal
import subprocess
import sys

import duckdb
import pytest

from ksi_pipeline.core.errors import TransientError
from ksi_pipeline.core.publishing import Part

from .places import MART, ROWS, DuckdbPlace, Marts


def test_rows_without_a_date_that_were_put_in_by_hand_are_removed(tmp_path):
    place, batches = DuckdbPlace(tmp_path), Marts(tmp_path / "marts").batches()
    place.publish(batches)
    place.alter(f"insert into {MART} (unit_key, tickets) values ('mall/0009', 3)")
    changes = place.publish(batches).changes
    assert [c.part for c in changes if c.action == "remove"] == [Part(MART, "none")]
    assert place.rows() == sorted(row for rows in ROWS.values() for row in rows)


def alter_and_die(place, *statements):
    """Change the file by hand, in a process that is killed before DuckDB writes it there."""
    lines = [f"c = duckdb.connect({str(place.path)!r})"]
    lines += [f"c.execute({statement!r})" for statement in statements]
    code = "\n".join(["import duckdb, os", *lines, "os.kill(os.getpid(), 9)"])
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    assert place.path.with_name(f"{place.path.name}.wal").exists()


def test_rows_that_only_the_log_of_a_killed_client_has_are_removed(tmp_path):
    place, batches = DuckdbPlace(tmp_path), Marts(tmp_path / "marts").batches()
    place.publish(batches)
    alter_and_die(
        place,
        f"insert into {MART} (unit_key, business_date) values ('mall/0009', date '2026-01-05')",
        "create table notes as select 'theirs' as note",
    )
    assert len(place.rows()) == 4
    place.publish(batches)
    assert place.rows() == sorted(row for rows in ROWS.values() for row in rows)
    assert sorted(os.listdir(place.path.parent)) == [".ksi.duckdb.lock", "ksi.duckdb"]
    with duckdb.connect(str(place.path), read_only=True) as connection:
        assert connection.execute("from notes").fetchall() == [("theirs",)]


def test_a_damaged_file_is_told_and_one_that_is_moved_away_is_made_anew(tmp_path):
    place, batches = DuckdbPlace(tmp_path), Marts(tmp_path / "marts").batches()
    place.publish(batches)
    with place.path.open("r+b") as file:
        # behind three headers
        file.seek(3 * 4096)
        file.write(bytes(4096))
    with pytest.raises(TransientError, match="Corrupt database file") as caught:
        place.publish(batches)
    assert caught.value.code == "E_TARGET_UNREACHABLE"
    place.path.unlink()
    place.publish(batches)
    assert place.rows() == sorted(row for rows in ROWS.values() for row in rows)
