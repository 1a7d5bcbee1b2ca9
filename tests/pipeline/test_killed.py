"""A run killed at any moment and started again ends where an undisturbed run ends."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import select

from ksi_pipeline.sandbox.home import write_connectors
from ksi_pipeline.sandbox.pos_api import PosApi
from ksi_pipeline.store.ledger import Ledger
from ksi_pipeline.store.tables import CHUNKS

from .homes import DAY, TOKEN, make_workspace, query
from .processes import kill_when, started

pytestmark = pytest.mark.slow

# when the till was asked differs between two runs, so it is the one thing not compared
MARTS = (
    "select * exclude (as_of_utc) from fct_conversion_hourly order by all",
    "select * exclude (as_of_utc) from fct_conversion_daily order by all",
    "select * from fct_traffic_hourly order by all",
    "select * exclude (as_of_utc) from fct_zone_hourly order by all",
    "select * exclude (as_of_utc, last_fetched_at_utc) "
    "from fct_data_completeness_hourly order by all",
)


def has_decoded_a_chunk(ledger: Ledger) -> bool:
    return bool(ledger.rows(select(CHUNKS.c.chunk_id).where(CHUNKS.c.done_key.is_not(None))))


def has_built_a_mart(home: Path) -> bool:
    """Whether dbt, which the run waits for, has built one mart and has the others before it."""
    log = home / "warehouse" / "dbt_target" / "dbt.log"
    return log.exists() and " OK created sql incremental model marts." in log.read_text()


def test_a_run_killed_after_ingest_and_in_dbt_ends_like_an_undisturbed_one(
    simulated, mall, tmp_path
):
    home = tmp_path / "killed"
    shutil.copytree(simulated.home, home)
    with PosApi(simulated.feed_path, token=TOKEN) as api:
        write_connectors(home, api.url)
        run = ("run", "--dir", str(home), "--from", DAY.isoformat())
        with started(*run) as first:
            ledger = make_workspace(home).store.ledger
            kill_when(first, lambda: has_decoded_a_chunk(ledger))
        assert not (home / "published" / "current.duckdb").exists()
        with started(*run) as second:
            kill_when(second, lambda: has_built_a_mart(home))
        with started(*run) as third:
            output = third.communicate()[0].decode()
    assert third.returncode == 0, output
    for sql in MARTS:
        assert query(home, sql) == query(mall.home, sql)
