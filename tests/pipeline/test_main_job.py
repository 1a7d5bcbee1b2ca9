"""The main job on a simulated mall whose truth is known."""

import gzip
import hashlib
import shutil
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from ksi_pipeline.definitions import make_definitions
from ksi_pipeline.defs.run import run_main_job
from ksi_pipeline.sandbox.compare import compare
from ksi_pipeline.store.snapshot import STORAGE_VERSION

from .homes import DAY, TOKEN, dagster_instance, make_workspace, marts_of, query, run

pytestmark = pytest.mark.slow


def file_hashes(home: Path) -> dict[str, str]:
    folders = ("lake", "published", "raw", "warehouse/build.duckdb")
    files = [p for f in folders for p in [home / f, *(home / f).rglob("*")] if p.is_file()]
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture
def home(mall, tmp_path):
    """A copy of the mall that may be written to."""
    return shutil.copytree(mall.home, tmp_path / "home", symlinks=True)


@pytest.fixture(scope="module")
def compared(mall):
    return compare(mall.workspace.home.current_db, mall.truth.unit_hours)


def test_the_run_succeeds_and_every_check_passes(mall):
    assert mall.report.failures == []
    assert mall.report.warnings == []


def test_every_open_unit_hour_of_the_day_has_one_row(mall, compared):
    assert len(compared) == len({(r.unit_id, r.local_hour) for r in compared}) == 24


def test_measured_hours_agree_with_the_truth(compared):
    measured = [row for row in compared if row.basis == "measured"]
    assert len(measured) == 21
    for row in measured:
        assert row.ticket_count == row.true_tickets
        # one minute of one hour is counted from rendered pixels; the rest must be exact
        allowed = 1 if row.local_hour.hour == 10 else 0
        assert abs(row.entry_count - row.true_entries) <= allowed


def test_an_hour_without_the_camera_is_null_with_its_reason_and_never_zero(compared):
    (row,) = [r for r in compared if r.unit_id == "0002" and r.local_hour.hour == 16]
    assert (row.entry_count, row.conversion_rate) == (None, None)
    assert (row.basis, row.reason) == ("missing", "camera_silent")
    assert row.true_entries > 0


def test_an_hour_without_the_feed_is_null_with_its_reason_and_never_zero(compared):
    (row,) = [r for r in compared if r.unit_id == "0001" and r.local_hour.hour == 18]
    assert (row.ticket_count, row.conversion_rate) == (None, None)
    assert (row.basis, row.reason) == ("missing", "feed_absent_hour")


def test_a_camera_dark_for_twenty_minutes_gives_a_partial_hour_with_its_completeness(compared):
    (row,) = [r for r in compared if r.unit_id == "0002" and r.local_hour.hour == 13]
    assert row.basis == "partial"
    assert row.completeness == pytest.approx(2 / 3)


def test_the_day_pools_only_matched_hours(mall):
    rows = query(
        mall.home,
        "select unit_id, ticket_count, entry_count, conversion_rate from fct_conversion_daily "
        "where business_date = date '2026-03-27' order by unit_id",
    )
    hours = query(
        mall.home,
        "select unit_id, sum(ticket_count), sum(entry_count), sum(ticket_count) / sum(entry_count) "
        "from fct_conversion_hourly where is_open and is_matched group by unit_id order by unit_id",
    )
    assert rows == hours


def test_closed_hours_at_the_edge_of_a_utc_day_add_no_business_day(mall):
    days = query(mall.home, "select distinct business_date from fct_conversion_daily")
    assert days == [(DAY,)]


def test_parquet_marts_hold_the_same_rows_as_the_snapshot(mall):
    marts = mall.home / "published" / "marts"
    for name, rows in marts_of(mall.home).items():
        in_months = marts / name
        path = in_months if in_months.is_dir() else marts / f"{name}.parquet"
        assert pq.read_table(path).num_rows == len(rows)


def test_the_snapshot_is_written_in_the_older_format(mall):
    with duckdb.connect(str(mall.workspace.home.current_db), read_only=True) as connection:
        tags = connection.execute("select tags from duckdb_databases()").fetchall()
    assert any(STORAGE_VERSION.removeprefix("v")[:3] in str(tag) for tag in tags)


def test_no_picture_of_anyone_is_written(mall):
    tools = {"chunks", "dagster", "dbt_target"}
    written = [
        p
        for p in mall.home.rglob("*")
        if p.is_file() and not tools & set(p.relative_to(mall.home).parts)
    ]
    assert {p.suffix for p in written} <= {
        *(".parquet", ".json", ".yaml", ".gz", ".lock"),
        *(".duckdb", ".sqlite", ".sqlite-wal", ".sqlite-shm"),
    }


def test_the_token_is_in_no_file_that_the_run_wrote(mall):
    files = [path for path in mall.home.rglob("*") if path.is_file()]
    assert any("dagster" in path.parts for path in files), "run storage has to be looked at too"
    for path in files:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        assert TOKEN.encode() not in content, path


def test_running_again_changes_nothing_and_says_so(home):
    before = file_hashes(home)
    report = run(make_workspace(home))
    assert report.is_success
    assert report.changed_nothing
    assert report.number("tracklets", "chunks_decoded") == 0
    assert file_hashes(home) == before


def test_a_full_refresh_gives_the_same_marts(home):
    before = marts_of(home)
    with dagster_instance() as instance:
        report = run_main_job(
            make_definitions(make_workspace(home)),
            instance,
            DAY,
            DAY,
            home=home,
            full_refresh=True,
        )
    assert report.is_success
    assert marts_of(home) == before
