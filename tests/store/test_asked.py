"""What is read back of a connector's answers."""

from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest

from ksi_pipeline.core.schemas import TICKET_HOURS
from ksi_pipeline.store.asked import revisions_since
from ksi_pipeline.store.layout import DataHome
from ksi_pipeline.store.store import Change, Store

HOUR = timedelta(hours=1)
SINCE = datetime(2026, 3, 10, 12, tzinfo=UTC)
BEFORE, FROM, LATER = SINCE - HOUR, SINCE, datetime(2026, 4, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    return Store(DataHome(tmp_path))


def add(store: Store, source: str, partition: str, *hours: datetime) -> None:
    rows = [
        {
            "connector_id": "pos",
            "ext_ref_code": "0001",
            "hour_start_utc": hour,
            "num_tickets": 3,
            "utc_offset_s": 0,
            "fetched_at_utc": hour + HOUR,
            "raw_sha256": "aa",
            "row_number": 0,
        }
        for hour in hours
    ]
    change = Change()
    table = pa.Table.from_pylist(rows, schema=TICKET_HOURS)
    store.replace(change, "ticket_hours", table, source=source, partition=partition)
    store.commit(change)


def hours_since(store: Store, since: datetime = SINCE) -> list[datetime]:
    return sorted(revisions_since(store, "pos", since)["hour_start_utc"].to_pylist())


def test_revisions_of_hours_from_an_instant_on_are_given_of_every_kind_of_file(store):
    add(store, "answer:pos/shop/1773144000000000-0a1b2c3d4e5f6071", "2026-03", BEFORE, FROM)
    add(store, "answer:pos/shop/merged", "2026-04", LATER)
    add(store, "answer:pos/shop/parted-7", "2026-03", FROM)
    add(store, "answer:pos/shop/1-2-3", "all", BEFORE, LATER)
    add(store, "answer:pos-2/shop/merged", "2026-03", FROM)
    assert hours_since(store) == [FROM, FROM, LATER, LATER]


@pytest.mark.parametrize("name", ["1769900000000000-0a1b2c3d4e5f6071", "merged", "parted-7"])
def test_files_of_earlier_months_are_not_read(store, name):
    add(store, f"answer:pos/shop/{name}", "2026-02", datetime(2026, 2, 3, tzinfo=UTC))
    add(store, "answer:pos/shop/merged", "2026-03", FROM)
    (old,) = store.ledger.live_files("ticket_hours", partition="2026-02")
    store.absolute(old).unlink()
    assert hours_since(store) == [FROM]


def test_the_month_is_that_of_the_instant_in_utc(store):
    add(store, "answer:pos/shop/merged", "2026-02", datetime(2026, 2, 28, 23, tzinfo=UTC))
    madrid = datetime(2026, 3, 1, 0, tzinfo=timezone(HOUR))
    assert len(hours_since(store, madrid)) == 1
