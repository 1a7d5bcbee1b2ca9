"""What a build is told to compute, and between which hours tickets lie."""

from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa
import pytest

from ksi_pipeline.core.instants import to_us
from ksi_pipeline.core.schemas import DATASETS
from ksi_pipeline.store import lake_views
from ksi_pipeline.store.bounds import ticket_bounds
from ksi_pipeline.store.lake_views import pending_seq, register_lake
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.store import Change, Store

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(DataHome(tmp_path))


def write(store: Store, dataset: str, *rows: dict) -> None:
    schema = DATASETS[dataset]
    whole = [dict.fromkeys(schema.names) | row for row in rows]
    change = Change()
    store.replace(change, dataset, pa.Table.from_pylist(whole, schema), source=f"{dataset}:test")
    store.commit(change)


def registered(store: Store, *, all_hours: bool = False) -> list[tuple]:
    register_lake(store, up_to_seq=pending_seq(store) or 0, all_hours=all_hours, memory_limit="1GB")
    with duckdb.connect(str(store.home.build_db), read_only=True) as connection:
        return connection.execute(
            "select site_id, unit_id, epoch_us(hour_start_utc), cause from lake.affected_hours "
            "order by all"
        ).fetchall()


def test_every_pending_hour_reaches_the_build_however_many_pieces_it_takes(store, monkeypatch):
    monkeypatch.setattr(lake_views, "_PIECE", 2)
    hours = [to_us(NINE + n * HOUR) for n in range(5)]
    store.commit(Change(cause="test", affected={("mall", "u1", hour) for hour in hours}))
    assert registered(store) == [("mall", "u1", hour, "test") for hour in hours]


def test_a_full_refresh_takes_every_unit_and_the_common_area_of_its_own_site(store):
    hour = {
        "hour_start_utc": NINE,
        "hour_from_utc": NINE,
        "hour_end_utc": NINE + HOUR,
        "local_hour": NINE.replace(tzinfo=None),
        "utc_offset_s": 0,
        "business_date": NINE.date(),
        "open_s": 3600.0,
        "is_hours_known": True,
    }
    write(store, "site_hours", *(hour | {"site_id": site} for site in ("mall", "shop")))
    write(store, "space_unit", {"site_id": "mall", "unit_id": "u1", "floor": "0"})
    assert [(site, unit) for site, unit, *_ in registered(store, all_hours=True)] == [
        ("mall", "_common"),
        ("mall", "u1"),
        ("shop", "_common"),
    ]


def tickets(code: str, hour: datetime, count: int) -> dict:
    key = {"connector_id": "pos", "ext_ref_code": code, "hour_start_utc": hour}
    key["utc_offset_s"] = 0
    return key | {"num_tickets": count, "fetched_at_utc": NINE, "raw_sha256": "x", "row_number": 0}


def test_tickets_lie_between_the_first_and_last_hour_of_their_codes_with_tickets(store):
    write(
        store,
        "ticket_hours",
        tickets("a", NINE, 0),
        tickets("a", NINE + HOUR, 2),
        tickets("a", NINE + 3 * HOUR, 1),
        tickets("b", NINE + 9 * HOUR, 5),
    )
    assert ticket_bounds(store, {("pos", "a")}) == (NINE + HOUR, NINE + 3 * HOUR)
    assert ticket_bounds(store, {("other", "a")}) is None
    assert ticket_bounds(store, set()) is None


def test_without_tickets_there_are_no_bounds(store):
    assert ticket_bounds(store, {("pos", "a")}) is None
