"""Changes become visible whole, names never change their bytes, readers are never in the way."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import event

from ksi_pipeline.core.errors import ConfigError, ContractError
from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.store.files import read_columns, read_parquet, write_parquet
from ksi_pipeline.store.lake_views import open_duckdb, pending_seq, register_lake
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.snapshot import publish
from ksi_pipeline.store.store import Change, Store
from ksi_pipeline.store.tables import BUILDS

HOUR = datetime(2026, 3, 2, 9, tzinfo=UTC)
UNITS = DATASETS["space_unit"]


def units(*ids: str) -> pa.Table:
    rows = [{"site_id": "mall", "unit_id": unit, "floor": None, "name": None} for unit in ids]
    return pa.Table.from_pylist(rows, schema=UNITS)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(DataHome(tmp_path))


def put(store: Store, table: pa.Table, source: str = "space:mall") -> bool:
    change = Change(cause="test")
    is_changed = store.replace(change, "space_unit", table, source=source)
    change.affect([("mall", "0001", HOUR)])
    store.commit(change)
    return is_changed


def test_nothing_counts_before_the_change_is_committed(store):
    store.replace(Change(), "space_unit", units("0001"), source="space:mall")
    assert store.read("space_unit").num_rows == 0


class Killed(BaseException):
    """The process ends here."""


def commit_and_die(store: Store, change: Change, statements: int) -> bool:
    """Commit a change that ends after so many statements; gives whether it had more of them."""
    done = 0

    def count(*_) -> None:
        nonlocal done
        if done == statements:
            raise Killed
        done += 1

    event.listen(store.ledger.engine, "before_cursor_execute", count)
    try:
        store.commit(change)
    except Killed:
        return True
    finally:
        event.remove(store.ledger.engine, "before_cursor_execute", count)
    return False


def state(store: Store) -> tuple[list[str], bool, str | None]:
    shown = store.read("space_unit")["unit_id"].to_pylist()
    return shown, pending_seq(store) is not None, store.ledger.inputs_of("a step")


def test_a_change_that_is_killed_before_any_of_its_statements_leaves_nothing_of_it(store):
    first = Change()
    store.replace(first, "space_unit", units("0001"), source="space:mall")
    store.commit(first)
    before = state(store)
    for statements in range(100):
        change = Change(cause="test", steps={"a step": "done"})
        change.affect([("mall", "0001", HOUR)])
        store.replace(change, "space_unit", units("0002"), source="space:mall")
        if not commit_and_die(store, change, statements):
            break
        assert state(store) == before
    assert statements > 3
    assert state(store) == (["0002"], True, "done")


def test_equal_rows_are_no_change_and_keep_their_file(store):
    assert put(store, units("0001"))
    files = sorted(store.home.lake.rglob("*.parquet"))
    assert not put(store, units("0001"))
    assert sorted(store.home.lake.rglob("*.parquet")) == files


def test_a_column_that_an_older_file_was_written_without_is_null(tmp_path):
    older = write_parquet(units("0001").drop_columns(["name"]), tmp_path, "part")
    table = read_columns(older.path, UNITS)
    assert table.equals(units("0001"))
    with pytest.raises(pa.ArrowInvalid, match="unit_id"):
        read_columns(
            write_parquet(units("0001").drop_columns(["unit_id"]), tmp_path, "part").path, UNITS
        )


def test_a_replaced_file_stays_on_disk_and_no_longer_counts(store):
    put(store, units("0001"))
    put(store, units("0002"))
    assert store.read("space_unit")["unit_id"].to_pylist() == ["0002"]
    assert len(list(store.home.lake.rglob("*.parquet"))) == 2


def test_an_empty_table_retires_what_a_source_had(store):
    put(store, units("0001"))
    put(store, units())
    assert store.read("space_unit").num_rows == 0


def test_the_same_rows_give_the_same_name_and_bytes(tmp_path):
    first = write_parquet(units("0001"), tmp_path / "a", "x")
    second = write_parquet(units("0001"), tmp_path / "b", "x")
    assert first.path.name == second.path.name
    assert first.path.read_bytes() == second.path.read_bytes()


def test_codes_that_look_like_numbers_stay_text_in_the_lake_schema(store):
    put(store, units("0001"))
    register_lake(store, up_to_seq=pending_seq(store), all_hours=False, memory_limit="1GB")
    with duckdb.connect(str(store.home.build_db)) as connection:
        rows = connection.execute("select unit_id from lake.space_unit").fetchall()
        kinds = connection.execute(
            "select data_type from information_schema.columns where table_schema = 'lake' "
            "and table_name = 'visits' and column_name in ('zone_id', 'left_at_utc') "
            "order by all"
        ).fetchall()
    assert rows == [("0001",)]
    assert kinds == [("TIMESTAMP WITH TIME ZONE",), ("VARCHAR",)]


def test_the_lake_schema_shows_only_what_counts_now(store):
    put(store, units("0001"))
    put(store, units("0002", "0003"))
    register_lake(store, up_to_seq=pending_seq(store), all_hours=False, memory_limit="1GB")
    put(store, units())
    register_lake(store, up_to_seq=pending_seq(store), all_hours=False, memory_limit="1GB")
    with duckdb.connect(str(store.home.build_db)) as connection:
        assert connection.execute("select * from lake.space_unit").fetchall() == []


def build_mart(store: Store, value: int) -> None:
    store.home.build_db.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(store.home.build_db)) as connection:
        connection.execute("create schema if not exists marts")
        connection.execute(f"create or replace table marts.fct as select {value} as n")


def published_value(store: Store) -> int:
    with duckdb.connect(str(store.home.current_db), read_only=True) as connection:
        return connection.execute("select n from fct").fetchall()[0][0]


def publish_now(store: Store):
    return publish(store, up_to_seq=pending_seq(store) or 0, memory_limit="1GB")


def test_hours_stay_pending_until_readers_can_see_them(store):
    put(store, units("0001"))
    assert pending_seq(store) is not None
    build_mart(store, 1)
    assert publish_now(store).is_new
    assert pending_seq(store) is None


def test_publishing_the_same_content_again_makes_no_new_snapshot(store):
    build_mart(store, 1)
    first = publish_now(store)
    again = publish_now(store)
    assert (again.number, again.is_new) == (first.number, False)


def test_a_reader_that_holds_the_old_snapshot_keeps_reading_while_a_new_one_is_published(store):
    build_mart(store, 1)
    publish_now(store)
    with duckdb.connect(str(store.home.current_db), read_only=True) as reader:
        build_mart(store, 2)
        publish_now(store)
        assert reader.execute("select n from fct").fetchall() == [(1,)]
    assert published_value(store) == 2


def test_a_reader_that_polls_never_finds_the_snapshot_missing(store):
    build_mart(store, 0)
    publish_now(store)
    is_over, seen = threading.Event(), []

    def poll() -> None:
        while not is_over.is_set():
            seen.append((store.home.current_marts / "fct.parquet").stat().st_size)

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    for value in range(1, 6):
        build_mart(store, value)
        publish_now(store)
    is_over.set()
    thread.join()
    assert len(seen) > 5
    assert all(seen)


def test_a_killed_publication_is_done_again_under_a_new_number(store):
    build_mart(store, 1)
    first = publish_now(store)
    # as if the process had died after the files and before the ledger
    (store.home.published / f"ksi-{first.number + 1}.duckdb").write_bytes(b"half")
    (store.home.published / f"marts-{first.number + 1}").mkdir()
    build_mart(store, 2)
    assert publish_now(store).number == first.number + 2
    assert published_value(store) == 2


def test_content_taken_back_after_a_killed_publication_leads_readers_back(store):
    build_mart(store, 1)
    first = publish_now(store)
    build_mart(store, 2)
    publish_now(store)
    # as if the second had died between the links and the ledger
    with store.ledger.transaction() as connection:
        connection.execute(BUILDS.delete().where(BUILDS.c.build_id > first.number))
    build_mart(store, 1)
    publish_now(store)
    assert published_value(store) == 1


def test_a_home_with_odd_characters_in_its_name_keeps_its_ledger_inside(tmp_path):
    home = tmp_path / "what? 50% 'off'"
    Store(DataHome(home))
    assert (home / "ledger.sqlite").exists()


def test_old_snapshots_are_forgotten_but_for_the_last_three(store):
    for value in range(6):
        build_mart(store, value)
        publish_now(store)
    assert len(list(store.home.published.glob("ksi-*.duckdb"))) == 3


@pytest.mark.parametrize(
    ("table", "code"),
    [
        pytest.param(units("1").drop(["unit_id"]), "E_SCHEMA", id="missing-column"),
        pytest.param(
            units("1").set_column(1, "unit_id", pa.array([1])), "E_SCHEMA", id="number-for-text"
        ),
        pytest.param(
            units("1").set_column(1, "unit_id", pa.array([None], pa.string())), "E_NULL", id="null"
        ),
    ],
)
def test_a_foreign_file_that_breaks_the_schema_is_refused(tmp_path, table, code):
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(ContractError) as caught:
        read_parquet(tmp_path / "x.parquet", UNITS)
    assert caught.value.code == code


def test_a_memory_limit_that_is_too_small_names_its_setting(tmp_path):
    with (
        pytest.raises(ConfigError, match=r"(?s)limit of 1MB.*KSI_DUCKDB_MEMORY_LIMIT"),
        open_duckdb(tmp_path / "build.duckdb", "1MB") as connection,
    ):
        connection.execute("create table t as select hash(range) as a from range(999999)")
