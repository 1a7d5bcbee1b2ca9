"""Marts lie in months: readers find all rows, and months that did not change are not written."""

import hashlib
import json
import os
from contextlib import nullcontext
from datetime import date, timedelta

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.snapshot import publish
from ksi_pipeline.store.store import Store

FIRST = date(2025, 12, 30)
DAYS = [FIRST + timedelta(days=n) for n in range(40)]  # three months
ROWS = pa.schema(
    {
        "unit_key": pa.string(),
        "unit_id": pa.string(),
        "business_date": pa.date32(),
        "hour": pa.int64(),
        "ticket_count": pa.int64(),
    }
)


@pytest.fixture
def store(tmp_path):
    return Store(DataHome(tmp_path))


def build(store, *, tickets=25, on=FIRST, days=DAYS, kind="bigint") -> None:
    """Hours of two units, the last unit first; `tickets` at nine of one day, 1 in any other."""
    store.home.build_db.parent.mkdir(parents=True, exist_ok=True)
    rows = pa.Table.from_pylist(
        [
            {
                "unit_key": f"mall/{unit}",
                "unit_id": unit,
                "business_date": day,
                "hour": hour,
                "ticket_count": tickets if (day, hour) == (on, 9) else 1,
            }
            for unit in ("0002", "0001")
            for day in days
            for hour in (10, 9)
        ],
        schema=ROWS,
    )
    with duckdb.connect(str(store.home.build_db)) as connection:
        connection.register("rows", rows)
        connection.execute("create schema if not exists marts")
        connection.execute(
            "create or replace table marts.fct_hourly as "
            "select unit_key, unit_id, business_date, "
            "business_date::timestamp + hour * interval 1 hour as hour_start_utc, "
            f"ticket_count::{kind} as ticket_count from rows"
        )
        connection.execute(
            "create or replace table marts.dim_unit as "
            f"select '0001' as unit_id, date '{FIRST}' as business_date"
        )


def publish_now(store):
    return publish(store, up_to_seq=0, memory_limit="1GB")


def files(store) -> dict[str, str]:
    """The published file of each month, by month."""
    found = sorted((store.home.current_marts / "fct_hourly").glob("*/*.parquet"))
    return {path.parent.name: path.name for path in found}


@pytest.fixture
def published(store):
    build(store)
    publish_now(store)
    return store


def test_each_month_of_business_dates_is_a_file_and_a_dimension_is_one(published):
    marts = published.home.current_marts
    assert list(files(published)) == [
        f"business_month={m}" for m in ("2025-12", "2026-01", "2026-02")
    ]
    assert sorted(p.name for p in marts.iterdir()) == [
        "dim_unit.parquet",
        "fct_hourly",
        "manifest.json",
    ]
    for path in (marts / "fct_hourly").glob("*/*.parquet"):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        assert path.name == f"part-{content[:16]}.parquet"


def test_duckdb_polars_and_pyarrow_read_all_rows_and_filter_by_month(published):
    folder = published.home.current_marts / "fct_hourly"
    glob = str(folder / "**" / "*.parquet")
    with duckdb.connect() as connection:
        by_duckdb = connection.execute(
            "select business_month, count(*), sum(ticket_count) "
            f"from read_parquet('{glob}', hive_partitioning = true) group by all order by all"
        ).fetchall()
    frame = pl.read_parquet(glob, hive_partitioning=True)
    by_polars = (
        frame.group_by("business_month")
        .agg(pl.len(), pl.col("ticket_count").sum())
        .sort("business_month")
        .rows()
    )
    table = ds.dataset(folder, format="parquet", partitioning="hive").to_table()
    by_arrow = [
        (month, part.num_rows, pc.sum(part["ticket_count"]).as_py())
        for month in sorted(pc.unique(table["business_month"]).to_pylist())
        for part in [table.filter(pc.field("business_month") == month)]
    ]
    expected = [("2025-12", 8, 56), ("2026-01", 124, 124), ("2026-02", 28, 28)]
    assert by_duckdb == by_polars == by_arrow == expected
    assert set(frame["unit_id"]) == set(table["unit_id"].to_pylist()) == {"0001", "0002"}


@pytest.mark.parametrize("is_resolved", [True, False])
def test_an_open_dataset_reads_on_after_two_publishes_if_its_path_was_resolved(
    published, is_resolved
):
    marts = published.home.current_marts
    folder = (marts.resolve() if is_resolved else marts) / "fct_hourly"
    opened = ds.dataset(folder, format="parquet", partitioning="hive")
    for tickets in (26, 27):
        build(published, tickets=tickets)
        publish_now(published)
    with nullcontext() if is_resolved else pytest.raises(FileNotFoundError):
        assert pc.sum(opened.to_table()["ticket_count"]).as_py() == 208


def test_the_month_is_in_the_path_and_not_in_the_rows(published):
    for path in (published.home.current_marts / "fct_hourly").glob("*/*.parquet"):
        assert "business_month" not in pq.read_schema(path).names


def test_rows_lie_by_unit_and_hour_whatever_their_order_was(published):
    for path in (published.home.current_marts / "fct_hourly").glob("*/*.parquet"):
        table = pq.read_table(path, columns=["unit_key", "hour_start_utc"])
        rows = list(zip(*table.to_pydict().values(), strict=True))
        assert rows == sorted(rows)
        assert len(rows) > 1


def test_a_restated_day_writes_its_month_and_no_other(published):
    before, old = files(published), published.home.current_marts.resolve()
    build(published, tickets=27)
    assert publish_now(published).is_new
    after, new = files(published), published.home.current_marts.resolve()
    assert {month for month in after if after[month] != before[month]} == {"business_month=2025-12"}
    for month in ("business_month=2026-01", "business_month=2026-02"):
        path = f"fct_hourly/{month}/{after[month]}"
        assert (new / path).stat().st_ino == (old / path).stat().st_ino


def test_rows_in_another_order_are_no_new_snapshot(published):
    with duckdb.connect(str(published.home.build_db)) as connection:
        connection.execute(
            "create or replace table marts.fct_hourly as "
            "from marts.fct_hourly order by hour_start_utc desc"
        )
    assert not publish_now(published).is_new


def test_two_rows_that_swap_their_values_are_a_change(published):
    before = files(published)
    build(published, on=FIRST + timedelta(days=1))
    publish_now(published)
    assert files(published)["business_month=2025-12"] != before["business_month=2025-12"]


def test_a_column_of_another_type_is_written_anew_in_every_month(published):
    before = files(published)
    build(published, kind="integer")
    publish_now(published)
    assert not set(files(published).values()) & set(before.values())


def test_a_month_that_vanished_has_no_folder(published):
    build(published, days=DAYS[:20])
    publish_now(published)
    assert list(files(published)) == ["business_month=2025-12", "business_month=2026-01"]


def test_a_file_that_somebody_cut_is_written_again(published):
    path = next((published.home.current_marts / "fct_hourly").glob("*=2026-02/*.parquet"))
    whole = path.read_bytes()
    path.write_bytes(whole[:99])
    build(published, tickets=27)
    publish_now(published)
    again = next((published.home.current_marts / "fct_hourly").glob("*=2026-02/*.parquet"))
    assert again.read_bytes() == whole


def damage(store) -> tuple[str, bytes]:
    """Turn one byte of a published month, which keeps its size; gives its path and what it was."""
    folder = store.home.current_marts
    path = next((folder / "fct_hourly").glob("*=2026-02/*.parquet"))
    whole = path.read_bytes()
    path.write_bytes(whole[:40] + bytes([whole[40] ^ 255]) + whole[41:])
    return path.relative_to(folder).as_posix(), whole


@pytest.mark.parametrize("tickets", [25, 27])
def test_a_damaged_file_of_the_same_size_is_written_again(published, tickets):
    path, whole = damage(published)
    build(published, tickets=tickets)
    assert publish_now(published).is_new
    assert (published.home.current_marts / path).read_bytes() == whole
    with duckdb.connect(str(published.home.current_db), read_only=True) as connection:
        found = connection.execute("select sum(ticket_count) from fct_hourly").fetchone()
    assert found == (158 + 2 * tickets,)


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"marts": {"a": {"files": [{}]}}}'])
def test_a_manifest_that_cannot_be_read_has_every_file_written(published, text):
    before = files(published)
    (published.home.current_marts / "manifest.json").write_text(text)
    build(published, tickets=27)
    publish_now(published)
    after = files(published)
    assert after["business_month=2026-01"] == before["business_month=2026-01"]
    assert len(after) == 3


def test_rows_without_a_business_date_are_refused_by_the_name_of_their_mart(published):
    before = published.home.current_marts.resolve()
    with duckdb.connect(str(published.home.build_db)) as connection:
        connection.execute("insert into marts.fct_hourly (unit_key) values ('mall/0001')")
    with pytest.raises(ContractError, match="fct_hourly failed: 1 of its rows") as raised:
        publish_now(published)
    assert raised.value.code == "E_MART_DATE"
    assert published.home.current_marts.resolve() == before


def test_where_there_are_no_hard_links_the_file_is_copied(published, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError("operation not supported")

    before = files(published)
    monkeypatch.setattr(os, "link", refuse)
    build(published, tickets=27)
    publish_now(published)
    after = files(published)
    assert after["business_month=2026-01"] == before["business_month=2026-01"]
    path = published.home.current_marts / "fct_hourly" / "business_month=2026-01"
    assert pq.read_table(path / after["business_month=2026-01"]).num_rows == 124


def test_each_folder_is_synced_once_after_all_files_and_before_readers_switch(
    published, monkeypatch
):
    """Names are on the disk when readers see them, and a month costs no write of its own."""
    events = []
    fsync, link, symlink = os.fsync, os.link, os.symlink

    def note_fsync(handle):
        events.append(os.readlink(f"/proc/self/fd/{handle}"))
        fsync(handle)

    def note_link(*arguments):
        events.append("link")
        link(*arguments)

    def note_symlink(*arguments, **more):
        events.append("switch")
        symlink(*arguments, **more)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "link", note_link)
    monkeypatch.setattr(os, "symlink", note_symlink)
    build(published, tickets=27)
    publish_now(published)
    last_link = len(events) - events[::-1].index("link")
    until_switch = events[last_link : events.index("switch")]
    folders = [path for path in published.home.current_marts.resolve().rglob("*") if path.is_dir()]
    assert len(folders) == 4
    assert [events.count(str(path)) for path in folders] == [1, 1, 1, 1]
    assert {str(path) for path in folders} <= set(until_switch)


def test_the_manifest_has_each_file_with_its_rows_and_hash(published):
    marts = published.home.current_marts
    listed = json.loads((marts / "manifest.json").read_text())["marts"]
    assert {mart: entry["rows"] for mart, entry in listed.items()} == {
        "dim_unit": 1,
        "fct_hourly": 160,
    }
    found = {path.relative_to(marts).as_posix() for path in marts.rglob("*.parquet")}
    entries = [file for entry in listed.values() for file in entry["files"]]
    assert {file["path"] for file in entries} == found
    for file in entries:
        assert file["sha256"] == hashlib.sha256((marts / file["path"]).read_bytes()).hexdigest()
        assert file["rows"] == pq.read_metadata(marts / file["path"]).num_rows


def test_the_database_has_the_rows_of_all_months_and_no_column_of_the_path(published):
    with duckdb.connect(str(published.home.current_db), read_only=True) as connection:
        shown = connection.sql("from fct_hourly")
        assert shown.columns[-1] == "ticket_count"
        assert len(shown.fetchall()) == 160


def test_a_mart_without_a_row_still_tells_its_columns(store):
    build(store, days=[])
    publish_now(store)
    glob = str(store.home.current_marts / "fct_hourly" / "**" / "*.parquet")
    with duckdb.connect() as connection:
        empty = connection.sql(f"from read_parquet('{glob}', hive_partitioning = true)")
        assert "ticket_count" in empty.columns
        assert empty.fetchall() == []
    assert pl.read_parquet(glob, hive_partitioning=True).is_empty()
    assert pq.read_table(store.home.current_marts / "fct_hourly").num_rows == 0
    with duckdb.connect(str(store.home.current_db), read_only=True) as connection:
        assert connection.sql("from fct_hourly").fetchall() == []


def test_a_snapshot_of_the_layout_before_is_followed_by_one_in_months(published):
    manifest = published.home.current_marts / "manifest.json"
    manifest.write_text(json.dumps({"snapshot": 1, "marts": {"fct_hourly": {"rows": 160}}}))
    build(published, tickets=27)
    publish_now(published)
    assert len(files(published)) == 3
